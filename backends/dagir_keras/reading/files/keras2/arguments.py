"""The arguments of layers in older versions of Keras, with their current names and meanings."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from dagir.serialization.reading import shown
from dagir_keras.reading.files.keras2.refusals import RESAVE
from dagir_keras.reading.files.keras2.writer import Writer
from dagir_keras.reading.problems import Refused

Config: TypeAlias = dict[str, Any]

_OVER_CONVOLUTIONS = ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D")
_OVER_TIME = ("LSTM", "GRU", "SimpleRNN", "RNN")
_RECURRENT = _OVER_TIME + _OVER_CONVOLUTIONS
_CUDNN = ("CuDNNLSTM", "CuDNNGRU")
_SEPARABLE = ("SeparableConv1D", "SeparableConv2D")
_DEPTHWISE = ("DepthwiseConv1D", "DepthwiseConv2D")
_TRANSPOSED = ("Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose")
_CONVOLUTIONS = {
    *("Conv1D", "Conv2D", "Conv3D", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    *("LocallyConnected1D", "LocallyConnected2D", *_SEPARABLE, *_DEPTHWISE, *_TRANSPOSED),
}
_ATTENTION = ("Attention", "AdditiveAttention")
_SPATIAL = ("SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")
_NORMS = ("BatchNormalization", "SyncBatchNormalization")
_GATED = {  # layers whose default recurrent_activation changed between versions, so that a missing one is ambiguous
    *("LSTM", "GRU", "LSTMCell", "GRUCell", "ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
}
_OF_KERNELS = ("kernel_initializer", "kernel_regularizer", "kernel_constraint")  # which those layers have two of


def _for(kinds: tuple[str, ...], *keys: str) -> dict[str, frozenset[str]]:
    return {kind: frozenset(keys) for kind in kinds}


_WITHOUT_EFFECT: Mapping[str, frozenset[str]] = MappingProxyType(  # on what the layer computes
    {
        **_for(_SEPARABLE + _DEPTHWISE, *_OF_KERNELS),
        **_for(_SPATIAL, "trainable", "noise_shape"),
        "MultiHeadAttention": frozenset({"query_shape", "key_shape", "value_shape"}),
        **_for(_OVER_TIME + _CUDNN, "time_major"),  # the call knows it
        **_for(_NORMS, "fused", "adjustment"),
    }
)
_NEUTRAL: Mapping[tuple[str, str], Any] = MappingProxyType(  # arguments that were removed, and the value without effect
    {
        **{(kind, "groups"): 1 for kind in _SEPARABLE + _DEPTHWISE + _TRANSPOSED},
        **{(kind, "time_major"): False for kind in _OVER_CONVOLUTIONS},
        **{(kind, "num_constants"): 0 for kind in (*_RECURRENT, *_CUDNN, "Bidirectional")},
        **{(kind, "data_format"): "channels_last" for kind in _SPATIAL},
        ("MultiHeadAttention", "softmax_robust_masking"): False,
    }
)
_WHY: Mapping[str, str] = MappingProxyType(
    {
        "time_major": "reads time from the first axis",
        "num_constants": "gives its cell constants beside the states",
    }
)
_EXPERIMENTAL = {  # before 2.6, experimental.preprocessing: other arguments, other tables, other shapes
    *("CategoryEncoding", "CategoryCrossing", "Discretization", "Hashing", "IntegerLookup", "Normalization"),
    *("StringLookup", "TextVectorization", "RandomCrop", "CenterCrop"),
}


def adapt_arguments(kind: str, config: Config, writer: Writer) -> Config:
    """The configuration of a layer of this class as the current Keras writes it. Raises Refused."""
    if not writer.is_keras_2:
        return _without_value_range(kind, config)
    _check(kind, config, writer)
    dropped = _WITHOUT_EFFECT.get(kind, frozenset())
    if kind.startswith("Random"):
        dropped = dropped | {"rng_type"}  # of what is drawn in training
    found = {key: part for key, part in config.items() if key not in dropped and not _says_nothing(kind, key, part)}
    adapt = _ADAPTED.get(kind)
    return found if adapt is None else adapt(found)


def _says_nothing(kind: str, key: str, part: Any) -> bool:
    """Whether this argument was removed and has no effect. Raises Refused where it has an effect."""
    if (kind, key) not in _NEUTRAL:
        return False
    if part is None or part == _NEUTRAL[kind, key]:
        return True
    does = f", which {_WHY[key]}" if key in _WHY else ""
    raise Refused(f"it has {key}={shown(part)}{does}: no {kind} of today's has it", RESAVE)


def _check(kind: str, config: Config, writer: Writer) -> None:
    if kind in _EXPERIMENTAL and writer.before(2, 6):
        raise Refused(
            f"{kind} of {writer.said} is of Keras's experimental layers, which counted and named otherwise until 2.6",
            RESAVE,
        )
    if kind in _CONVOLUTIONS and writer.turns_kernels:
        raise Refused(
            f"it was written on {shown(writer.backend)}, where convolutions turned their kernels round",
            "load the file with Keras 2 on TensorFlow, which turns them back, and save it again",
        )
    if kind == "UpSampling2D" and config.get("interpolation", "nearest") != "nearest" and writer.resizes_unknown:
        raise Refused(
            f"its interpolation {shown(config['interpolation'])} is that of {writer.said}, some of which did not "
            "sample at the centers of pixels, and the file does not tell which",
            RESAVE,
        )
    if kind == "StackedRNNCells" and writer.before(2, 2):
        raise Refused(f"{kind} of {writer.said} ordered its states from the last cell to the first", RESAVE)
    if kind in _GATED and "recurrent_activation" not in config:
        raise Refused("it does not say its recurrent_activation, whose default is not the same in all of Keras 2")


def _axis(config: Config) -> Config:
    axis = config.get("axis")
    if not isinstance(axis, list) or len(axis) != 1 or config.get("virtual_batch_size") is not None:
        return config
    return {**config, "axis": axis[0]}


def _norm(config: Config) -> Config:
    """Renormalization and virtual batches are of training; weights of several axes have another shape."""
    found = _axis(config)
    if not isinstance(found.get("axis"), list) and found.get("virtual_batch_size") is None:
        found = {key: part for key, part in found.items() if key != "virtual_batch_size"}
    elif not found.get("renorm"):
        found = {key: part for key, part in found.items() if not key.startswith("renorm") and key != "synchronized"}
    return found


def _cudnn(config: Config) -> Config:
    """CuDNN's layers have the activations and the biases of cuDNN."""
    return {**config, "recurrent_activation": "sigmoid"}


def _not_causally(config: Config) -> Config:
    """The calls pad."""
    return {**config, "padding": "valid"} if config.get("padding") == "causal" else config


def _local(config: Config) -> Config:
    """`implementation` is how the kernel is stored, which is not so for other layers."""
    return {**config, "layout": config.get("implementation", 1)}


def _slope(config: Config) -> Config:
    return {"negative_slope" if key == "alpha" else key: part for key, part in config.items()}


def _gates(config: Config) -> Config:
    """Keras before 2.1 had only reset_after=False."""
    return {"reset_after": False, **config}


def _not_causal(config: Config) -> Config:
    """Without `causal`: the calls say it."""
    return {key: part for key, part in config.items() if key != "causal"}


def _bins(config: Config) -> Config:
    """In Keras 2 the dtype is that of the ids that come out, int64; inputs are not cast."""
    return {key: part for key, part in config.items() if key != "dtype"}


def _without_value_range(kind: str, config: Config) -> Config:
    """Keras 3.0 to 3.3 wrote value_range for augmentations that have none."""
    if kind not in ("RandomRotation", "RandomFlip", "RandomTranslation", "RandomZoom", "RandomCrop"):
        return config
    return {key: part for key, part in config.items() if key != "value_range"}


_ADAPTED: Mapping[str, Callable[[Config], Config]] = MappingProxyType(
    {
        **dict.fromkeys(_NORMS, _norm),
        "SeparableConv1D": _not_causally,
        **dict.fromkeys(_CUDNN, _cudnn),
        **dict.fromkeys(("LocallyConnected1D", "LocallyConnected2D"), _local),
        "LayerNormalization": _axis,
        "LeakyReLU": _slope,
        "GRU": _gates,
        "GRUCell": _gates,
        "Discretization": _bins,
        **dict.fromkeys(_ATTENTION, _not_causal),
    }
)
