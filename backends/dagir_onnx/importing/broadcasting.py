"""Two operands as ONNX broadcasts them; before opset 7 an attribute said at which axis the second one stands."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.node_call import NodeCall


def pair(call: NodeCall) -> tuple[Value, Value]:
    """The two operands, the second with axes of size 1 behind it where an old operator asks for them."""
    x, y = call.input(0), call.input(1)
    if not call.attribute("broadcast", 0) or "axis" not in call.attributes:
        return x, y
    axis = call.attribute("axis")
    behind = x.ndim - (axis + x.ndim if axis < 0 else axis) - y.ndim
    return x, ops.expand_dims(y, tuple(range(y.ndim, y.ndim + behind))) if behind > 0 else y


__all__ = ["pair"]
