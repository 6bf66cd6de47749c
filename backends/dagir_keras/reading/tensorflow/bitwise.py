"""The bits of integers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagir import ops
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, pair, tensor, value


def _of_bits(in_graph: Callable[[Any, Any], Any]) -> Callable[[Any, Any], Tensor]:
    def rule(x: Any, y: Any) -> Tensor:
        left, right = pair(x, y)
        return in_graph(value(left), value(right))

    return rule


for _op, _name, _in_graph in (
    ("BitwiseAnd", "bitwise_and", ops.bitwise_and),
    ("BitwiseOr", "bitwise_or", ops.bitwise_or),
    ("BitwiseXor", "bitwise_xor", ops.bitwise_xor),
    ("LeftShift", "left_shift", ops.left_shift),
    ("RightShift", "right_shift", ops.right_shift),
):
    raw(_op)(function(f"bitwise.{_name}")(_of_bits(_in_graph)))


@raw("Invert")
@function("bitwise.invert")
def invert(x: Any) -> Tensor:
    return ops.bitwise_not(value(tensor(x)))
