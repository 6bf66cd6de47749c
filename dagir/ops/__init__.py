"""The ops: a class for each, and a function with the name that keras.ops gives it.

Each family says in its `__all__` what it offers; nothing is listed a second time here.

A function takes values of a graph, weights, arrays and numbers, and makes one node or several. A wrong call raises
ShapeError, DTypeError or ArgumentError, which names the line. Angles are in radians. Arguments of many functions:

axis: one axis, or several where that makes sense; -1 is the last. keepdims: leave reduced axes as axes of size 1.
dtype: of the result, a name such as "float32".
data_format: "channels_last" [n, *d, c], the default, or "channels_first" [n, c, *d].
strides, dilation_rate: one int, or one for each spatial axis. padding: "valid", or "same" for a result as large as the
input over the strides. epsilon: what keeps a division from 0. seed: what training's luck comes from.

The examples print numbers with this function, which runs a value on the NumPy backend:

>>> def show(*values):
...     for value in values:
...         array = dagir.lower(dagir.Model([], value))()
...         print((array.astype(float).round(4) + 0.0 if array.dtype.kind == "f" else array).tolist())
>>> show(ops.sqrt([4.0, 9.0]))
[2.0, 3.0]
"""

from typing import TYPE_CHECKING, NoReturn

from dagir.ir.operators import install as _install
import dagir.ops.activation as _activation
import dagir.ops.arithmetic as _arithmetic
import dagir.ops.arrangement as _arrangement
import dagir.ops.attention as _attention
import dagir.ops.bidirectional as _bidirectional
import dagir.ops.bitwise as _bitwise
import dagir.ops.blocks as _blocks
import dagir.ops.call as _call
import dagir.ops.coded_recurrences as _coded_recurrences
import dagir.ops.composed_activation as _composed_activation
import dagir.ops.control_flow as _control_flow
import dagir.ops.conv as _conv
import dagir.ops.counting as _counting
import dagir.ops.creation as _creation
import dagir.ops.cumulative as _cumulative
import dagir.ops.data_sizes as _data_sizes
import dagir.ops.elementwise as _elementwise
import dagir.ops.fft as _fft
import dagir.ops.gather_nd as _gather_nd
import dagir.ops.gradients as _gradients
import dagir.ops.grids as _grids
import dagir.ops.integer_products as _integer_products
import dagir.ops.linear as _linear
import dagir.ops.logic as _logic
import dagir.ops.lookup as _lookup
import dagir.ops.loops as _loops
import dagir.ops.matrices as _matrices
import dagir.ops.norm as _norm
import dagir.ops.numerics as _numerics
import dagir.ops.padding as _padding
import dagir.ops.pool as _pool
import dagir.ops.quantiles as _quantiles
import dagir.ops.quantization as _quantization
import dagir.ops.random as _random
import dagir.ops.reduce as _reduce
import dagir.ops.regions as _regions
import dagir.ops.resize as _resize
import dagir.ops.rnn as _rnn
import dagir.ops.sampling as _sampling
import dagir.ops.scanning as _scanning
import dagir.ops.scatter as _scatter
import dagir.ops.scatter_elements as _scatter_elements
import dagir.ops.shape as _shape
import dagir.ops.softmax as _softmax
import dagir.ops.solvers as _solvers
import dagir.ops.sorting as _sorting
import dagir.ops.special as _special
import dagir.ops.splitting as _splitting
import dagir.ops.stacking as _stacking
import dagir.ops.statistics as _statistics
import dagir.ops.trigonometry as _trigonometry
import dagir.ops.views as _views
from dagir.ops import image
from dagir.ops.activation import *
from dagir.ops.arithmetic import *
from dagir.ops.arrangement import *
from dagir.ops.attention import *
from dagir.ops.bidirectional import *
from dagir.ops.bitwise import *
from dagir.ops.blocks import *
from dagir.ops.call import *
from dagir.ops.coded_recurrences import *
from dagir.ops.composed_activation import *
from dagir.ops.control_flow import *
from dagir.ops.conv import *
from dagir.ops.counting import *
from dagir.ops.creation import *
from dagir.ops.cumulative import *
from dagir.ops.data_sizes import *
from dagir.ops.elementwise import *
from dagir.ops.fft import *
from dagir.ops.gather_nd import *
from dagir.ops.gradients import *
from dagir.ops.indexing import getitem as _getitem
from dagir.ops.grids import *
from dagir.ops.integer_products import *
from dagir.ops.linear import *
from dagir.ops.logic import *
from dagir.ops.lookup import *
from dagir.ops.loops import *
from dagir.ops.matrices import *
from dagir.ops.norm import *
from dagir.ops.not_offered import REASONS
from dagir.ops.numerics import *
from dagir.ops.padding import *
from dagir.ops.pool import *
from dagir.ops.quantiles import *
from dagir.ops.quantization import *
from dagir.ops.random import *
from dagir.ops.reduce import *
from dagir.ops.regions import *
from dagir.ops.resize import *
from dagir.ops.rnn import *
from dagir.ops.sampling import *
from dagir.ops.scanning import *
from dagir.ops.scatter import *
from dagir.ops.scatter_elements import *
from dagir.ops.shape import *
from dagir.ops.softmax import *
from dagir.ops.solvers import *
from dagir.ops.sorting import *
from dagir.ops.special import *
from dagir.ops.splitting import *
from dagir.ops.stacking import *
from dagir.ops.statistics import *
from dagir.ops.trigonometry import *
from dagir.ops.views import *
from dagir.support.did_you_mean import unknown_name

__all__ = ["image"]
__all__ += _activation.__all__
__all__ += _arithmetic.__all__
__all__ += _arrangement.__all__
__all__ += _attention.__all__
__all__ += _bidirectional.__all__
__all__ += _bitwise.__all__
__all__ += _blocks.__all__
__all__ += _call.__all__
__all__ += _coded_recurrences.__all__
__all__ += _composed_activation.__all__
__all__ += _control_flow.__all__
__all__ += _conv.__all__
__all__ += _counting.__all__
__all__ += _creation.__all__
__all__ += _cumulative.__all__
__all__ += _data_sizes.__all__
__all__ += _elementwise.__all__
__all__ += _fft.__all__
__all__ += _gather_nd.__all__
__all__ += _gradients.__all__
__all__ += _grids.__all__
__all__ += _integer_products.__all__
__all__ += _linear.__all__
__all__ += _logic.__all__
__all__ += _lookup.__all__
__all__ += _loops.__all__
__all__ += _matrices.__all__
__all__ += _norm.__all__
__all__ += _numerics.__all__
__all__ += _padding.__all__
__all__ += _pool.__all__
__all__ += _quantiles.__all__
__all__ += _quantization.__all__
__all__ += _random.__all__
__all__ += _reduce.__all__
__all__ += _regions.__all__
__all__ += _resize.__all__
__all__ += _rnn.__all__
__all__ += _sampling.__all__
__all__ += _scanning.__all__
__all__ += _scatter.__all__
__all__ += _scatter_elements.__all__
__all__ += _shape.__all__
__all__ += _softmax.__all__
__all__ += _solvers.__all__
__all__ += _sorting.__all__
__all__ += _special.__all__
__all__ += _splitting.__all__
__all__ += _stacking.__all__
__all__ += _statistics.__all__
__all__ += _trigonometry.__all__
__all__ += _views.__all__

_install(
    add=add,
    subtract=subtract,
    multiply=multiply,
    divide=divide,
    floor_divide=floor_divide,
    mod=mod,
    power=power,
    matmul=matmul,
    negative=negative,
    absolute=absolute,
    logical_not=logical_not,
    logical_and=logical_and,
    logical_or=logical_or,
    less=less,
    less_equal=less_equal,
    greater=greater,
    greater_equal=greater_equal,
    getitem=_getitem,
)

if not TYPE_CHECKING:  # for a type checker, a name that is not there stays an error

    def __getattr__(name: str) -> NoReturn:
        error = unknown_name(__name__, name, __all__)
        raise error.fact("not offered", REASONS[name]) if name in REASONS else error
