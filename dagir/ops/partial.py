"""Operands for which integer ops are undefined: a divisor of 0, a negative exponent.

Frameworks differ: NumPy gives 0, TensorFlow raises, and onnxruntime ends the process. Here it is one error: at the
call for a constant, before the run for operands that a few nodes compute from inputs, else when the node runs.
"""

from __future__ import annotations

from dagir.errors import ArgumentError, FeedError
from dagir.ir.graph import Constant, Node, Op, Value
from dagir.ir.types import Array, DType

_DIVIDES = "divides integers by 0", "take ops.where(x2 == 0, 1, x2) as the divisor, or cast to floats first"
PROBLEMS = {
    "floor_divide": _DIVIDES,
    "mod": _DIVIDES,
    "power": ("raises integers to a negative power", "cast to floats first: ops.cast(x, 'float32')"),
}
"""What is wrong where an op has no answer, and the remedy."""


def operand(node: Node) -> Value | None:
    """The operand of a node that the answer hangs on, if its op is one of these, on integers."""
    value = node.inputs[1] if node.op.op_name in PROBLEMS else None
    return value if value is not None and value.dtype.is_integer else None


def problem(op: Op, x2: Array) -> tuple[str, str] | None:
    """What is wrong with a second operand of integers, and the remedy; None if nothing is wrong."""
    if not DType.of(x2.dtype).is_integer or not x2.size:
        return None
    is_wrong = x2.min() < 0 if op.op_name == "power" else not x2.all()
    return PROBLEMS[op.op_name] if op.op_name in PROBLEMS and is_wrong else None


def refuse_constant(op: Op, x1: Value, x2: Value) -> None:
    """Raise ArgumentError for a constant second operand for which the op is undefined."""
    if isinstance(x2.source, Constant) and (found := problem(op, x2.source.array)) is not None:
        raise ArgumentError(f"{op.op_name} {found[0]}", facts=[("x1", str(x1.type))], remedy=found[1])


def refuse(op: Op, x2: Array) -> None:
    """Raise FeedError for second operands, fed or computed, for which the op is undefined."""
    if (found := problem(op, x2)) is not None:
        raise FeedError(f"{op.op_name} {found[0]}", remedy=found[1])
