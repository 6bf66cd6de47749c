"""Arithmetic and mathematical functions, element by element."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir.ops import numerics
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, cast, folded, like, pair, tensor, value

_NARROW = (DType.INT8, DType.UINT8, DType.INT16, DType.UINT16)


def _arithmetic(name: str, in_graph: Callable[[Any, Any], Value]) -> Callable[[Tensor, Tensor], Tensor]:
    """A rule for two operands that sizes and small constants are computed by while the graph is read."""

    def rule(x: Tensor, y: Tensor) -> Tensor:
        found = folded(name, x, y)
        return in_graph(value(x), value(y)) if found is None else found

    return rule


def _floor_division(x: Value, y: Value) -> Value:
    return ops.floor(ops.divide(x, y)) if x.dtype.is_float else ops.floor_divide(x, y)


add = raw("Add", "AddV2")(_arithmetic("add", ops.add))
subtract = raw("Sub")(_arithmetic("subtract", ops.subtract))
multiply = raw("Mul")(_arithmetic("multiply", ops.multiply))
floor_divide = raw("FloorDiv")(_arithmetic("floor_divide", _floor_division))
floor_mod = raw("FloorMod")(_arithmetic("mod", ops.mod))
maximum = raw("Maximum")(_arithmetic("maximum", ops.maximum))
minimum = raw("Minimum")(_arithmetic("minimum", ops.minimum))


@raw("RealDiv")
def real_divide(x: Tensor, y: Tensor) -> Tensor:
    found = folded("divide", x, y) if x.dtype.is_float else None
    return ops.divide(value(x), value(y)) if found is None else found


@raw("Div")
def divide_of_1(x: Tensor, y: Tensor) -> Tensor:
    """Division as in C: of floats, or of integers, rounded towards 0."""
    return real_divide(x, y) if x.dtype.is_float else truncate_divide(x, y)


@raw("TruncateDiv")
def truncate_divide(x: Tensor, y: Tensor) -> Tensor:
    left, right = value(x), value(y)
    return ops.trunc(ops.divide(left, right)) if left.dtype.is_float else numerics.truncate_divide(left, right)


@raw("Mod", "TruncateMod")
def truncate_mod(x: Tensor, y: Tensor) -> Tensor:
    return ops.fmod(value(x), value(y))


@raw("DivNoNan")
def divide_no_nan(x: Tensor, y: Tensor) -> Tensor:
    return ops.divide_no_nan(value(x), value(y))


@raw("MulNoNan")
def multiply_no_nan(x: Tensor, y: Tensor) -> Tensor:
    left, right = value(x), value(y)
    return ops.where(ops.equal(right, like(0, right)), like(0, left), ops.multiply(left, right))


@raw("Pow")
def power(x: Tensor, y: Tensor) -> Tensor:
    return ops.power(value(x), value(y))


@raw("SquaredDifference")
def squared_difference(x: Tensor, y: Tensor) -> Tensor:
    return ops.square(ops.subtract(value(x), value(y)))


@raw("Atan2")
def arctan2(y: Tensor, x: Tensor) -> Tensor:
    return ops.arctan2(value(y), value(x))


@raw("Xlogy")
def xlogy(x: Tensor, y: Tensor) -> Tensor:
    return _unless_zero(value(x), ops.log(value(y)))


@raw("Xlog1py")
def xlog1py(x: Tensor, y: Tensor) -> Tensor:
    return _unless_zero(value(x), ops.log1p(value(y)))


@raw("Xdivy")
def xdivy(x: Tensor, y: Tensor) -> Tensor:
    return _unless_zero(value(x), ops.reciprocal(value(y)))


def _unless_zero(x: Value, factor: Value) -> Value:
    """x * factor, and 0 where x is 0, whatever the factor."""
    zero = like(0, x)
    return ops.where(ops.equal(x, zero), zero, ops.multiply(x, factor))


@raw("AddN")
def add_n(*inputs: Tensor) -> Tensor:
    found = inputs[0]
    for each in inputs[1:]:
        found = add(found, each)
    return found


# ---- functions of two tensors

_OF_TWO: dict[Callable[..., Any], Sequence[str]] = {
    add: ("math.add", "__operators__.add", "keras.backend.add"),
    subtract: ("math.subtract",),
    multiply: ("math.multiply",),
    floor_divide: ("math.floordiv", "compat.v1.floor_div"),
    floor_mod: ("math.floormod",),
    maximum: ("math.maximum", "keras.backend.maximum"),
    minimum: ("math.minimum", "keras.backend.minimum"),
    real_divide: ("realdiv",),
    truncate_divide: ("truncatediv",),
    truncate_mod: ("truncatemod",),
    divide_no_nan: ("math.divide_no_nan", "compat.v1.div_no_nan"),
    multiply_no_nan: ("math.multiply_no_nan",),
    squared_difference: ("math.squared_difference",),
    xlogy: ("math.xlogy",),
    xlog1py: ("math.xlog1py",),
    xdivy: ("math.xdivy",),
    power: ("math.pow",),
}


def _of_two(rule: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Any, Any], Tensor]:
    return lambda x, y: rule(*pair(x, y))


for _rule, _names in _OF_TWO.items():
    function(*_names)(_of_two(_rule))


@function("math.atan2")
def _arctan2(y: Any, x: Any) -> Tensor:
    return arctan2(*pair(y, x))


@function("math.truediv", "math.divide")
def true_divide(x: Any, y: Any) -> Tensor:
    """Integers become float64, or float32 if they have 16 bits or less."""
    left, right = pair(x, y)
    if left.dtype.is_integer:
        wide = DType.FLOAT32 if left.dtype in _NARROW else DType.FLOAT64
        left, right = cast(left, wide), cast(right, wide)
    return real_divide(left, right)


@function("compat.v1.div")
def _div(x: Any, y: Any) -> Tensor:
    left, right = pair(x, y)
    return real_divide(left, right) if left.dtype.is_float else floor_divide(left, right)


@function("math.scalar_mul", "compat.v1.math.scalar_mul", "compat.v1.scalar_mul")
def _scalar_mul(scalar: Any, x: Any) -> Tensor:
    return multiply(*pair(scalar, x))


@function("math.add_n")
def _add_n(inputs: Any) -> Tensor:
    listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
    first = next((each for each in listed if isinstance(each, Value)), None)
    return add_n(*[tensor(each, like=first) for each in listed])


@function("math.accumulate_n")
def _accumulate_n(inputs: Any, shape: Any = None, tensor_dtype: Any = None) -> Tensor:
    return _add_n(inputs)


@function("math.polyval")
def _polyval(coeffs: Any, x: Any) -> Tensor:
    listed = list(coeffs) if isinstance(coeffs, (list, tuple)) else [coeffs]
    point = tensor(x)
    found = tensor(listed[0], like=point)
    for each in listed[1:]:
        found = add(tensor(each, like=point), multiply(found, point))
    return found


# ---- functions of one tensor


def _whole(in_graph: Callable[[Any], Value]) -> Callable[[Any], Value]:
    """Rounding, which leaves integers as they are."""
    return lambda x: in_graph(x) if x.dtype.is_float else x


def _log_sigmoid(x: Value) -> Value:
    return ops.negative(ops.softplus(ops.negative(x)))


def _reciprocal_no_nan(x: Value) -> Value:
    return ops.divide_no_nan(ops.ones_like(x), x)


_OF_ONE: dict[str, tuple[Callable[[Value], Value], Sequence[str]]] = {
    "Abs": (ops.absolute, ("math.abs", "keras.backend.abs")),
    "Sign": (ops.sign, ("math.sign", "keras.backend.sign")),
    "Exp": (ops.exp, ("math.exp", "keras.backend.exp", "keras.activations.exponential")),
    "Expm1": (ops.expm1, ("math.expm1",)),
    "Log": (ops.log, ("math.log", "keras.backend.log")),
    "Log1p": (ops.log1p, ("math.log1p",)),
    "Sqrt": (ops.sqrt, ("math.sqrt",)),
    "Rsqrt": (ops.rsqrt, ("math.rsqrt",)),
    "Square": (ops.square, ("math.square", "keras.backend.square")),
    "Reciprocal": (ops.reciprocal, ("math.reciprocal",)),
    "Inv": (ops.reciprocal, ()),
    "Erf": (ops.erf, ("math.erf",)),
    "Erfc": (ops.erfc, ("math.erfc",)),
    "Floor": (_whole(ops.floor), ("math.floor",)),
    "Ceil": (_whole(ops.ceil), ("math.ceil",)),
    "Round": (_whole(ops.round), ("math.round", "keras.backend.round")),
    "Rint": (_whole(ops.round), ("math.rint",)),
    "Sin": (ops.sin, ("math.sin", "keras.backend.sin")),
    "Cos": (ops.cos, ("math.cos", "keras.backend.cos")),
    "Tan": (ops.tan, ("math.tan",)),
    "Asin": (ops.arcsin, ("math.asin",)),
    "Acos": (ops.arccos, ("math.acos",)),
    "Atan": (ops.arctan, ("math.atan",)),
    "Sinh": (ops.sinh, ("math.sinh",)),
    "Cosh": (ops.cosh, ("math.cosh",)),
    "Asinh": (ops.arcsinh, ("math.asinh",)),
    "Acosh": (ops.arccosh, ("math.acosh",)),
    "Atanh": (ops.arctanh, ("math.atanh",)),
    "IsNan": (ops.isnan, ("math.is_nan",)),
    "IsInf": (ops.isinf, ("math.is_inf",)),
    "IsFinite": (ops.isfinite, ("math.is_finite",)),
    "StopGradient": (ops.stop_gradient, ("stop_gradient", "keras.backend.stop_gradient")),
}


def _of_one(in_graph: Callable[[Value], Value]) -> Callable[[Any], Tensor]:
    return lambda x: in_graph(value(tensor(x)))


for _op, (_in_graph, _names) in _OF_ONE.items():
    raw(_op)(function(*_names)(_of_one(_in_graph)))
function("math.log_sigmoid")(_of_one(_log_sigmoid))
function("math.reciprocal_no_nan")(_of_one(_reciprocal_no_nan))


@function("keras.backend.sqrt")
def _sqrt_of_keras(x: Any) -> Tensor:
    return ops.sqrt(ops.maximum(value(tensor(x)), 0.0))


@raw("Neg")
@function("math.negative")
def negative(x: Any) -> Tensor:
    given = tensor(x)
    found = folded("negative", given)
    return ops.negative(value(given)) if found is None else found


@raw("Identity", "Snapshot", "PreventGradient", "CheckNumerics")
@function("identity", "guarantee_const", "debugging.check_numerics", "compat.v1.identity", "grad_pass_through")
def identity(input: Any, message: Any = None) -> Tensor:
    return tensor(input)


@raw("IdentityN")
def identity_n(*input: Tensor) -> tuple[Tensor, ...]:
    return input


@function("identity_n", "tuple", "compat.v1.tuple")
def _identity_n(input: Any, control_inputs: Any = None) -> list[Tensor]:
    return [tensor(each) for each in input]


@raw("Cast")
def cast_raw(x: Tensor, DstT: Any) -> Tensor:  # noqa: N803 - TensorFlow's name
    return _cast(x, dtype_of(DstT))


def _cast(x: Tensor, dtype: DType) -> Tensor:
    if x.dtype.is_float and dtype is DType.BOOL:
        return ops.not_equal(value(x), like(0, x))
    return cast(x, dtype)


@function("cast", "compat.v1.cast", "keras.backend.cast")
def _cast_to(x: Any, dtype: Any) -> Tensor:
    target = dtype_of(dtype)
    return _cast(tensor(x, None if not isinstance(x, (bool, int, float, list)) else _exact(x, target)), target)


def _exact(data: Any, target: DType) -> DType | None:
    """The dtype in which TensorFlow makes a constant that is to be cast: the target, if the numbers fit."""
    kind = np.asarray(data).dtype.kind if isinstance(data, (bool, int, float)) else "O"
    return target if kind == "i" and (target.is_float or target.is_integer) else None


_V1_CASTS = {
    "float": DType.FLOAT32, "double": DType.FLOAT64, "int32": DType.INT32, "int64": DType.INT64,
    "bfloat16": DType.BFLOAT16,
}  # fmt: skip


def _to(dtype: DType) -> Callable[[Any], Tensor]:
    return lambda x: _cast(tensor(x), dtype)


for _name, _dtype in _V1_CASTS.items():
    function(f"compat.v1.to_{_name}")(_to(_dtype))


@function("dtypes.saturate_cast", "saturate_cast")
def _saturate_cast(value_: Any, dtype: Any) -> Tensor:
    given = value(tensor(value_))
    return ops.saturate_cast(given, dtype_of(dtype))


@function("clip_by_value")
def clip_by_value(t: Any, clip_value_min: Any, clip_value_max: Any) -> Tensor:
    given = tensor(t)
    return maximum(minimum(given, tensor(clip_value_max, like=given)), tensor(clip_value_min, like=given))


@function("keras.backend.clip")
def _clip_of_keras(x: Any, min_value: Any, max_value: Any) -> Tensor:
    low = -np.inf if min_value is None else min_value
    high = np.inf if max_value is None else max_value
    numbers = isinstance(low, (int, float)) and isinstance(high, (int, float))
    return clip_by_value(x, low, max(low, high) if numbers else high)


@function("keras.backend.pow")
def _power_of_keras(x: Any, a: Any) -> Tensor:
    return power(*pair(x, a))


@function("keras.backend.cast_to_floatx")
def _cast_to_float(x: Any) -> Tensor:
    return _cast_to(x, DType.FLOAT32)


@raw("ClipByValue")
def _clip_by_value(t: Tensor, low: Tensor, high: Tensor) -> Tensor:
    return clip_by_value(t, low, high)


@raw("Bucketize")
def _bucketize(input: Tensor, boundaries: Any) -> Tensor:
    if input.dtype is not DType.FLOAT32:
        raise Refused(f"it sorts {input.dtype} into buckets with bounds in float32")
    return ops.digitize(value(input), np.asarray(boundaries, "float32"))
