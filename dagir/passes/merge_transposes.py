"""Moves of elements that follow each other become one. These are rules of the pass DropIdentities."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Node, Value
from dagir.ir.rewriter import emit


def merge_reshapes(node: Node, op: ops.Reshape, x: Value) -> Value | None:
    """Reshape(Reshape(x)), also of ExpandDims and Squeeze   =>   Reshape(x), or x if the shape is the same."""
    target = node.output.type
    if target == x.type:
        return x
    inner = x.node
    if inner is None or not isinstance(inner.op, (ops.Reshape, ops.ExpandDims, ops.Squeeze)):
        return None
    source = inner.inputs[0]
    assert source is not None
    return source if source.type == target else emit(node, ops.Reshape(target.shape), source)


def merge_transposes(node: Node, op: ops.Transpose, x: Value) -> Value | None:
    """Transpose(Transpose(x))   =>   Transpose(x), or x if nothing is moved."""
    if op.axes == tuple(range(len(op.axes))):
        return x
    inner = x.node
    if inner is None or not isinstance(inner.op, ops.Transpose):
        return None
    source = inner.inputs[0]
    assert source is not None
    axes = tuple(inner.op.axes[axis] for axis in op.axes)
    return source if axes == tuple(range(len(axes))) else emit(node, ops.Transpose(axes), source)
