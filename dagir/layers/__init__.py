"""Keras-style layers: names, arguments and defaults are Keras 3's.

Each family says in its `__all__` what it offers; nothing is listed a second time here.

A layer is made with arguments, and called on values: `layers.Dense(3)(x)`. A wrong argument or call raises
ArgumentError, ShapeError or DTypeError, which names the line and the layer. Axes count the batch as axis 0. Arguments
that many layers have:

name, dtype: of the layer; it computes in float32 by default.
units, filters: the number of features or channels of the result.
kernel_size, pool_size, strides, dilation_rate: one int, or one for each spatial axis; strides of pools: pool_size.
padding: "valid", or "same" for a result as large as the input over the strides. groups: of channels, each with its own
filters. depth_multiplier: results for each channel.
data_format: "channels_last" [n, *d, c], the default, or "channels_first" [n, c, *d].
keepdims: leave the pooled axes as axes of size 1.
activation, recurrent_activation: a name of Keras's such as "relu", a function or a layer; None is none.
use_bias: whether a bias is added. center, scale: whether beta is added, whether gamma is multiplied.
epsilon: what keeps a division from 0.
kernel_initializer, recurrent_initializer, bias_initializer, and the like for every weight: a name of Keras's, a
configuration or f(shape, dtype). regularizers (kernel_regularizer, activity_regularizer, ...) and constraints
(kernel_constraint, ...): of Keras's training, kept for it.
unit_forget_bias: begin with a bias of 1 for the forget gate of an LSTM.
return_sequences: the output of each step, not the last one alone. return_state: the states too. go_backwards: from the
last step. unroll: needs a fixed number of steps. stateful: refused. use_cudnn: of Keras's kernels.
rate, dropout, recurrent_dropout, seed: the share that training drops, and what its luck comes from.
factor: how strong an augmentation is in training, one number or (least, most). value_range: of the values of images.
interpolation, fill_mode, fill_value: how images are sampled, and what lies outside of them.
output_mode, max_tokens, num_oov_indices, mask_token, oov_token, idf_weights, invert, pad_to_max_tokens: of
vocabularies, as Keras has them. sparse: refused, as are lora_rank, lora_alpha and quantization_config.
sliding_window: how many steps away attention reaches. flash_attention: of Keras's kernels.

A layer of your own:

>>> class Scale(dagir.layers.Layer):
...     def build(self, input_shape):
...         self.scale = self.add_weight((input_shape[-1],), "ones", name="scale")
...     def call(self, inputs):
...         return inputs * self.scale
>>> Scale()(dagir.Input((4,)))
<Value scale float32[batch, 4]>
"""

from typing import TYPE_CHECKING, NoReturn

import dagir.layers.activation as _activation
import dagir.layers.adaptive_pooling as _adaptive_pooling
import dagir.layers.attention as _attention
import dagir.layers.augmentation as _augmentation
import dagir.layers.base as _base
import dagir.layers.categorical as _categorical
import dagir.layers.cells as _cells
import dagir.layers.color_augmentation as _color_augmentation
import dagir.layers.conv as _conv
import dagir.layers.convlstm as _convlstm
import dagir.layers.core as _core
import dagir.layers.einsum_dense as _einsum_dense
import dagir.layers.heads as _heads
import dagir.layers.lookups as _lookups
import dagir.layers.masking as _masking
import dagir.layers.merging as _merging
import dagir.layers.normalization as _normalization
import dagir.layers.pooling as _pooling
import dagir.layers.preprocessing as _preprocessing
import dagir.layers.regularization as _regularization
import dagir.layers.reshaping as _reshaping
import dagir.layers.resizing as _resizing
import dagir.layers.rnn as _rnn
import dagir.layers.separable_conv as _separable_conv
import dagir.layers.spectrogram as _spectrogram
import dagir.layers.wrappers as _wrappers
import dagir.layers.wrapping as _wrapping
from dagir.layers.activation import *
from dagir.layers.adaptive_pooling import *
from dagir.layers.attention import *
from dagir.layers.augmentation import *
from dagir.layers.base import *
from dagir.layers.categorical import *
from dagir.layers.cells import *
from dagir.layers.color_augmentation import *
from dagir.layers.conv import *
from dagir.layers.convlstm import *
from dagir.layers.core import *
from dagir.layers.einsum_dense import *
from dagir.layers.heads import *
from dagir.layers.lookups import *
from dagir.layers.masking import *
from dagir.layers.merging import *
from dagir.layers.normalization import *
from dagir.layers.pooling import *
from dagir.layers.preprocessing import *
from dagir.layers.regularization import *
from dagir.layers.reshaping import *
from dagir.layers.resizing import *
from dagir.layers.rnn import *
from dagir.layers.separable_conv import *
from dagir.layers.spectrogram import *
from dagir.layers.wrappers import *
from dagir.layers.wrapping import *
from dagir.layers.refused import refusal
from dagir.support.did_you_mean import unknown_name

__all__: list[str] = []
__all__ += _activation.__all__
__all__ += _adaptive_pooling.__all__
__all__ += _attention.__all__
__all__ += _augmentation.__all__
__all__ += _base.__all__
__all__ += _categorical.__all__
__all__ += _cells.__all__
__all__ += _color_augmentation.__all__
__all__ += _conv.__all__
__all__ += _convlstm.__all__
__all__ += _core.__all__
__all__ += _einsum_dense.__all__
__all__ += _heads.__all__
__all__ += _lookups.__all__
__all__ += _masking.__all__
__all__ += _merging.__all__
__all__ += _normalization.__all__
__all__ += _pooling.__all__
__all__ += _preprocessing.__all__
__all__ += _regularization.__all__
__all__ += _reshaping.__all__
__all__ += _resizing.__all__
__all__ += _rnn.__all__
__all__ += _separable_conv.__all__
__all__ += _spectrogram.__all__
__all__ += _wrappers.__all__
__all__ += _wrapping.__all__

if not TYPE_CHECKING:  # for a type checker, a name that is not there stays an error

    def __getattr__(name: str) -> NoReturn:
        raise refusal(name) or unknown_name(__name__, name, __all__)
