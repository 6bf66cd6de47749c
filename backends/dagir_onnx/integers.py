"""Integer arithmetic where onnxruntime's kernels end the process, compute with floats, or are missing."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias

import numpy as np

from dagir.ir.types import DType, TensorType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor

Division: TypeAlias = Callable[[Emitter, Tensor, Tensor], Tensor]

_WIDER = {
    **dict.fromkeys((DType.INT8, DType.INT16, DType.UINT8, DType.UINT16), DType.INT32),
    DType.UINT32: DType.INT64,
}
"""Where few kernels take a dtype: the one to compute in. Integers wrap, so a cast back gives what it would have."""


_CHECK = "_has_an_answer"
_REFUSED = re.compile(rf"Name:'(?:(?P<layer>[^']*)/)?(?P<op>floor_divide|mod|power){_CHECK}(?:_\d+)?'")
_NARROW = (DType.INT16, DType.UINT16)


def cast(emit: Emitter, x: Tensor, dtype: DType) -> Tensor:
    """The tensor in another dtype; itself where it has that."""
    if x.type.dtype is dtype:
        return x
    found: Tensor = emit("Cast", x, to=TO_ONNX[dtype], type=x.type.with_dtype(dtype))
    return found


def divided(emit: Emitter, x1: Tensor, x2: Tensor, divide: Division, op_name: str) -> Tensor:
    """A division of integers, or its rest. By 0 it is an error, and the least one by -1 is no overflow: both trap."""
    dtype = x1.type.dtype
    if x2.is_initializer and x2.array.all() and not (np.iinfo(dtype.numpy).min and (x2.array == -1).any()):
        return divide(emit, x1, x2)
    wide = _WIDER.get(dtype, dtype)
    x1, x2 = cast(emit, x1, wide), cast(emit, x2, wide)
    x2 = _checked(emit, x2, emit("Not", cast(emit, x2, DType.BOOL)), op_name)
    if wide is not dtype or dtype is DType.UINT64:  # no end of these is an end of the wider ones
        return cast(emit, divide(emit, x1, x2), dtype)
    one = emit.constant(1, dtype)
    is_minus_one = emit("Equal", x2, emit.constant(-1, dtype))
    quotient = divide(emit, x1, emit("Where", is_minus_one, one, x2, type=x2.type))
    sign = emit("Where", is_minus_one, emit.constant(-1, dtype), one, type=x2.type)
    found: Tensor = emit("Mul", quotient, sign)  # a rest of 1 is 0, whatever its sign
    return found


def power(emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    """By squaring. Pow computes with floats: it rounds, and saturates in place of wrapping."""
    dtype = x1.type.dtype
    wide = DType.INT64 if dtype is DType.UINT64 else _WIDER.get(dtype, dtype)
    base, bits = cast(emit, x1, wide), dtype.numpy.itemsize * 8
    if x2.is_initializer and x2.array.size and (x2.array == x2.array.flat[0]).all() and x2.array.flat[0] >= 0:
        one = emit.constant(np.ones_like(x2.array), wide)  # of its shape, which the result may have
        return cast(emit, _to_the(emit, base, int(x2.array.flat[0]), one), dtype)
    rest, one = cast(emit, x2, wide), emit.constant(1, wide)
    if not dtype.startswith("u"):
        bits -= 1
        is_negative = emit("Less", rest, emit.constant(0, wide), type=x2.type.with_dtype(DType.BOOL))
        rest = _checked(emit, rest, is_negative, "power")
    if x2.is_initializer:
        bits = int(x2.array.max(initial=1)).bit_length()
    found = one
    for bit in range(bits):
        base = emit("Mul", base, base) if bit else base
        mask = emit.constant(np.asarray(1 << bit, np.uint64).astype(wide.numpy))
        is_set = cast(emit, emit("BitwiseAnd", rest, mask), DType.BOOL)
        found = emit("Mul", emit("Where", is_set, base, one, type=x1.type.with_dtype(wide)), found)
    return cast(emit, found, dtype)


def _to_the(emit: Emitter, base: Tensor, exponent: int, one: Tensor) -> Tensor:
    found = None
    while exponent:
        if exponent % 2:
            found = base if found is None else emit("Mul", found, base)
        exponent //= 2
        base = emit("Mul", base, base) if exponent else base
    if found is None:
        found = emit("Add", emit("Sub", base, base), one)
    result: Tensor = emit("Mul", found, one) if one.type.rank else found
    return result


def rounded_in(emit: Emitter, x: Tensor, dtype: DType) -> Tensor:
    """A float as an integer, rounded towards zero, within the integer's range; NaN is 0."""
    x = cast(emit, x, DType.FLOAT32) if x.type.dtype.numpy.itemsize < 4 else x
    ends, kind = np.iinfo(dtype.numpy), x.type.dtype
    zero, low = emit.constant(0, kind), emit.constant(float(ends.min), kind)
    number = emit("Where", emit("IsNaN", x), zero, x, type=x.type)
    if ends.bits < 64:
        number = emit("Clip", number, low, emit.constant(float(ends.max), kind), type=x.type)
        exact = ends.bits < 24 or kind is DType.FLOAT64
        if exact:
            return cast(emit, number, dtype)
        whole = cast(emit, number, DType.INT64)
        return cast(emit, emit("Min", whole, emit.constant(int(ends.max), DType.INT64)), dtype)
    above = emit("GreaterOrEqual", number, emit.constant(float(ends.max), kind), type=x.type.with_dtype(DType.BOOL))
    number = emit("Max", emit("Where", above, zero, number, type=x.type), low)
    end = emit("Mul", cast(emit, above, dtype), emit.constant(int(ends.max), dtype))
    found: Tensor = emit("BitwiseOr", cast(emit, number, dtype), end)
    return found


def multiplied(emit: Emitter, x: Tensor, axis: int) -> Tensor:
    """The product along an axis, which is removed.

    A one is appended to the axis, for a Scan takes no axis of size 0. The axis is moved to the front: along another
    axis, a Scan without elements ends the process (onnxruntime 1.32).
    """
    kept = x.type.with_shape((*x.type.shape[:axis], *x.type.shape[axis + 1 :]))
    pads = [0] * x.type.rank
    pads[axis] = 1
    x = emit("Pad", x, emit.ints(*[0] * x.type.rank, *pads), emit.constant(1, x.type.dtype))
    first = emit("Gather", x, emit.constant(0, DType.INT64), axis=axis, type=kept)
    ones = emit("Add", emit("Sub", first, first), emit.constant(1, x.type.dtype))
    x = emit.transposed(x, (axis, *[place for place in range(x.type.rank) if place != axis]))
    before, step = Tensor(emit.name("product"), kept), Tensor(emit.name("factor"), kept)

    def write() -> list[Tensor]:
        return [emit("Mul", before, step)]

    body = emit.subgraph("multiply", [before, step], write)
    found: Tensor = emit("Scan", ones, x, type=kept, body=body, num_scan_inputs=1)
    return found


def shift_amount(emit: Emitter, x2: Tensor) -> Tensor:
    """How far to shift, limited to 0 and the width minus one."""
    dtype = x2.type.dtype
    wide = DType.INT32 if dtype in _NARROW else dtype
    ends = [emit.constant(number, wide) for number in (0, 8 * dtype.numpy.itemsize - 1)]
    return cast(emit, emit("Clip", cast(emit, x2, wide), *ends), dtype)


def summed(emit: Emitter, x: Tensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    """The sum of int64 numbers modulo 2**64: ReduceSum adds doubles, in which the upper and lower halves are exact."""
    lower = emit("BitwiseAnd", x, emit.constant(2**32 - 1, DType.INT64))
    factor = emit.constant(2**32, DType.INT64)
    upper = emit("Div", emit("Sub", x, lower), factor)
    found: Tensor = emit("Add", emit("Mul", reduce(upper), factor), reduce(lower))
    return found


def refused_op(text: str) -> tuple[str, str] | None:
    """The op that has no answer for its operands, and the layer it is in, by what onnxruntime says of a run."""
    found = _REFUSED.search(text)
    return None if found is None else (found["op"], found["layer"] or "")


def _checked(emit: Emitter, x: Tensor, wrong: Tensor, op_name: str) -> Tensor:
    """The tensor, which fails where any of it is wrong: no op raises, but Gather does past the end of one zero.

    op_name: whose operand it is, by which the node is called, so that the error can be told.
    """
    count = emit("ReduceSum", cast(emit, wrong, DType.INT64), keepdims=0, type=TensorType(DType.INT64, ()))
    is_any = cast(emit, cast(emit, count, DType.BOOL), DType.INT64)
    zero = emit("Gather", emit.constant([0], x.type.dtype), is_any, axis=0, title=f"{op_name}{_CHECK}")
    found: Tensor = emit("Add", x, zero)
    return found
