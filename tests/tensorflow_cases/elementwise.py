"""Element by element, reductions, activations, normalization."""

from __future__ import annotations

import numpy as np

from tensorflow_cases.table import Arguments, Draw, binary, function, raw, unary

SIGNED = ("float32", "float64", "int32", "int64")
unary("math.abs", "math.sign", "math.square", "math.negative", dtypes=SIGNED)
unary(
    *("math.exp", "math.expm1", "math.sin", "math.cos", "math.atan", "math.sinh", "math.cosh", "math.asinh"),
    *("math.tanh", "math.sigmoid", "math.erf", "math.erfc", "math.softplus", "math.log_sigmoid", "nn.elu", "nn.selu"),
    *("nn.softsign", "nn.relu", "nn.relu6", "nn.silu", "math.is_nan", "math.is_inf", "math.is_finite", "nn.l2_loss"),
    *(
        "math.floor",
        "math.ceil",
        "math.rint",
        "identity",
        "stop_gradient",
        "math.reciprocal_no_nan",
        "math.zero_fraction",
    ),
)
unary("math.round", dtypes=("float32", "int32"))
unary("math.log", "math.sqrt", "math.rsqrt", "math.reciprocal", low=0.1)
unary("math.log1p", low=-0.9)
unary("math.tan", low=-1.2, high=1.2)
unary("math.asin", "math.acos", "math.atanh", low=-0.9, high=0.9)
unary("math.acosh", low=1.1)
unary("bitwise.invert", dtypes=("int32", "uint8", "int64"))
unary("math.logical_not", dtypes=("bool",))
binary("math.add", "math.subtract", "math.multiply", "math.maximum", "math.minimum", dtypes=SIGNED)
binary("math.squared_difference", dtypes=("float32", "int32"))
binary("math.atan2", "math.divide_no_nan", "math.multiply_no_nan", numbers=False)
binary("math.xlogy", "math.xlog1py", "math.xdivy", low=0.2, numbers=False)
binary("math.pow", low=0.2)
binary("math.truediv", "math.divide", low=1, high=5, dtypes=("float32", "int32", "int64", "int16", "uint8"))
binary("math.floordiv", "math.floormod", low=1, high=5, dtypes=("int32", "int64", "uint8"))
binary("truncatediv", "truncatemod", low=1, high=5, dtypes=("int32", "int64"), numbers=False)
binary("realdiv", low=1, numbers=False)
binary("math.less", "math.less_equal", "math.greater", "math.greater_equal", dtypes=("float32", "int32"))
binary("math.equal", "math.not_equal", dtypes=("int32", "int64"))
binary("math.logical_and", "math.logical_or", "math.logical_xor", dtypes=("bool",), numbers=False)
binary("bitwise.bitwise_and", "bitwise.bitwise_or", "bitwise.bitwise_xor", dtypes=("int32", "uint8"), numbers=False)
binary("bitwise.left_shift", "bitwise.right_shift", low=0, high=5, dtypes=("int32",), numbers=False)


@function("cast")
def _cast(draw: Draw) -> Arguments:
    x = draw.array(draw.shape(), draw.one("float32", "int32", "bool", "float64"))
    return (x, draw.one("float32", "int32", "int64", "bool", "float64", "float16")), {}


@function("dtypes.saturate_cast")
def _saturate(draw: Draw) -> Arguments:
    return (draw.floats(draw.shape(), -400, 400), draw.one("uint8", "int8", "int32")), {}


@function("clip_by_value")
def _clip(draw: Draw) -> Arguments:
    dtype = draw.one("float32", "int32")
    x = draw.array(draw.shape(), dtype)
    return (x, draw.one(-1, 0), draw.one(1, 2)), {}


@function("math.add_n", "math.accumulate_n")
def _add_n(draw: Draw) -> Arguments:
    shape = draw.shape()
    return ([draw.floats(shape) for _ in range(draw.int(1, 3))],), {}


@function("math.scalar_mul")
def _scalar_mul(draw: Draw) -> Arguments:
    return (draw.one(2, 0.5), draw.floats(draw.shape())), {}


@function("math.polyval")
def _polyval(draw: Draw) -> Arguments:
    return ([1.0, -2.0, 0.5][: draw.int(1, 3)], draw.floats(draw.shape())), {}


@function("where")
def _where(draw: Draw) -> Arguments:
    shape = draw.shape()
    dtype = draw.one("float32", "int32")
    parts = [draw.array(draw.broadcasting(shape), dtype), draw.array(shape, dtype)]
    return (draw.bools(shape), *parts), {}


@function("math.count_nonzero")
def _count(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.ints(shape, -1, 2),), {"axis": draw.axes(len(shape)), "keepdims": draw.flag()}


def _reduction(*names: str, dtypes: tuple[str, ...] = ("float32",)) -> None:
    @function(*names)
    def _(draw: Draw) -> Arguments:
        shape = draw.shape()
        axis = draw.one(draw.axes(len(shape)), [])
        return (draw.array(shape, draw.one(*dtypes)),), {"axis": axis, "keepdims": draw.flag()}


_reduction("math.reduce_sum", "math.reduce_max", "math.reduce_min", dtypes=("float32", "int32", "int64"))
_reduction("math.reduce_mean", dtypes=("float32", "int32", "float64"))
_reduction("math.reduce_prod", dtypes=("float32", "int32"))
_reduction("math.reduce_variance", "math.reduce_std", "math.reduce_logsumexp", "math.reduce_euclidean_norm")
_reduction("math.reduce_all", "math.reduce_any", dtypes=("bool",))


@function("math.argmax", "math.argmin")
def _argmax(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.ints(shape),), {
        "axis": draw.one(None, draw.axis(len(shape))),
        "output_type": draw.one("int32", "int64"),
    }


@function("math.cumsum", "math.cumprod")
def _cumulative(draw: Draw) -> Arguments:
    shape = draw.shape()
    options = {"axis": draw.axis(len(shape)), "exclusive": draw.flag(), "reverse": draw.flag()}
    return (draw.array(shape, draw.one("float32", "int32")),), options


@function("math.cumulative_logsumexp")
def _cumulative_logsumexp(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape),), {"axis": draw.axis(len(shape))}


@function("nn.leaky_relu")
def _leaky(draw: Draw) -> Arguments:
    return (draw.floats(draw.shape()),), {"alpha": draw.one(0.2, 0.01, 1.5)}


@function("nn.gelu")
def _gelu(draw: Draw) -> Arguments:
    return (draw.floats(draw.shape()),), {"approximate": draw.flag()}


@function("nn.softmax", "nn.log_softmax", "nn.crelu")
def _softmax(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape),), {"axis": draw.axis(len(shape))}


@function("math.l2_normalize")
def _l2(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape),), {"axis": draw.axes(len(shape)), "epsilon": draw.one(1e-12, 0.1)}


@function("nn.moments")
def _moments(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), draw.one([draw.int(0, len(shape) - 1)], list(range(len(shape))))), {
        "keepdims": draw.flag()
    }


@function("nn.weighted_moments")
def _weighted(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), [draw.int(0, len(shape) - 1)], draw.floats(shape, 0.1, 2)), {"keepdims": draw.flag()}


@function("nn.batch_normalization")
def _batch_norm(draw: Draw) -> Arguments:
    shape = draw.shape(2, 4)
    vectors = [draw.floats(shape[-1:]), draw.floats(shape[-1:], 0.2, 2)]
    rest = [draw.one(None, draw.floats(shape[-1:])) for _ in range(2)]
    return (draw.floats(shape), *vectors, *rest, draw.one(1e-3, 0.5)), {}


@function("clip_by_norm")
def _clip_by_norm(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), draw.one(0.5, 2.0)), {"axes": draw.one(None, [draw.int(0, len(shape) - 1)])}


@function("nn.local_response_normalization")
def _lrn(draw: Draw) -> Arguments:
    options = {"depth_radius": draw.int(1, 3), "bias": draw.one(1.0, 0.5), "alpha": draw.one(1.0, 0.2), "beta": 0.5}
    return (draw.floats((2, 3, 3, draw.int(1, 5))),), options


@function("nn.sigmoid_cross_entropy_with_logits")
def _cross_entropy(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (), {"labels": draw.floats(shape, 0, 1), "logits": draw.floats(shape)}


@function("nn.weighted_cross_entropy_with_logits")
def _weighted_cross_entropy(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape, 0, 1), draw.floats(shape), draw.one(0.5, 3.0)), {}


@function("nn.softmax_cross_entropy_with_logits")
def _softmax_cross_entropy(draw: Draw) -> Arguments:
    shape = draw.shape(2, 3)
    return (draw.floats(shape, 0, 1), draw.floats(shape)), {}


@function("nn.sparse_softmax_cross_entropy_with_logits")
def _sparse_softmax_cross_entropy(draw: Draw) -> Arguments:
    shape = draw.shape(1, 3)
    return (draw.array(shape[:-1], draw.one("int32", "int64"), 0, shape[-1] - 1), draw.floats(shape)), {}


@raw("AddV2", "Sub", "Mul", "Maximum", "Minimum", "SquaredDifference")
def _of_two(draw: Draw) -> Arguments:
    shape, dtype = draw.shape(), draw.one("float32", "int32")
    return (draw.array(shape, dtype), draw.array(draw.broadcasting(shape), dtype)), {}


@raw("Div", "RealDiv", "FloorDiv", "Mod", "TruncateDiv", "TruncateMod")
def _of_divisors(draw: Draw) -> Arguments:
    shape = draw.shape()
    x, y = draw.ints(shape, -9, 9), draw.ints(draw.broadcasting(shape), 1, 5)
    return (x.astype("float32") + np.float32(0.25), y.astype("float32") + np.float32(0.5)), {}


@raw("Sum", "Mean", "Max", "Prod", "EuclideanNorm")
def _reductions(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), np.asarray([draw.int(0, len(shape) - 1)], "int32")), {"keep_dims": draw.flag()}


@raw("Softmax", "LogSoftmax", "Relu6", "Softplus", "Rsqrt", "Erf")
def _of_one(draw: Draw) -> Arguments:
    return (draw.floats((draw.int(1, 3), draw.int(1, 4)), 0.1, 3),), {}


@raw("LeakyRelu")
def _leaky_raw(draw: Draw) -> Arguments:
    return (draw.floats(draw.shape()),), {"alpha": draw.one(0.2, 0.5)}


@raw("FusedBatchNormV3")
def _fused(draw: Draw) -> Arguments:
    vectors = [draw.floats((3,), 0.2, 2) for _ in range(4)]
    return (draw.floats((2, 4, 4, 3)), *vectors), {"epsilon": draw.one(1e-3, 0.1), "is_training": False}


@raw("BiasAdd")
def _bias(draw: Draw) -> Arguments:
    return (draw.floats((2, 3, 4)), draw.floats((4,))), {}


@raw("SelectV2")
def _select(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.bools(draw.broadcasting(shape)), draw.floats(shape), draw.floats(draw.broadcasting(shape))), {}


@raw("ApproximateEqual")
def _approximate(draw: Draw) -> Arguments:
    return (draw.floats((3,), 0, 1), draw.floats((3,), 0, 1)), {"tolerance": 0.4}
