"""The largest and the smallest: their places, and several of them."""

from __future__ import annotations

from collections.abc import Sequence

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value, apply, apply_node
from dagir.ir.types import DType, normalize_axis
from dagir_onnx.importing.data_shapes import entries_of, size_of
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import sized, value


def _place(call: NodeCall, op: type[ops.ArgMax]) -> Value:
    x = call.input(0)
    axis = normalize_axis(call.attribute("axis", 0), x.ndim)
    keepdims, last = (
        bool(call.attribute(name, default)) for name, default in (("keepdims", 1), ("select_last_index", 0))
    )
    return apply(op(axis, keepdims, last, DType.INT64), x)


@rule("ArgMax")
def _arg_max(call: NodeCall) -> Value:
    return _place(call, ops.ArgMax)


@rule("ArgMin")
def _arg_min(call: NodeCall) -> Value:
    return _place(call, ops.ArgMin)


@rule("TopK")
def _top_k(call: NodeCall) -> Sequence[Value]:
    """The k largest or smallest, in their order, also where the node asks for none."""
    x = call.input(0)
    axis = normalize_axis(call.attribute("axis", -1), x.ndim)
    largest = bool(call.attribute("largest", 1))
    given = call.setting("k")
    if given is None:
        raise call.refused("it has no k")
    k = size_of(entries_of(call, given, "k")[0])
    if not isinstance(k, SymbolicDim):
        return apply_node(ops.TopK(int(k), axis, largest, DType.INT64), (x,)).outputs
    return _named(x, axis, largest, k)


def _named(x: Value, axis: int, largest: bool, k: Dim) -> Sequence[Value]:
    """A number of elements that is known at run time: the first ones of all, sorted."""
    size = x.type.shape[axis]
    if isinstance(size, int):
        found = apply_node(ops.TopK(size, axis, largest, DType.INT64), (x,)).outputs
        return [ops.window(each, (axis,), (0,), (k,)) for each in found]
    places = ops.argsort(ops.flip(x, axis) if largest else x, axis)
    if largest:  # of equal elements the first comes first, from behind
        places = ops.subtract(value(sized(size - 1, DType.INT32)), ops.flip(places, axis))
    places = ops.window(places, (axis,), (0,), (k,))
    return ops.take_along_axis(x, places, axis), ops.cast(places, DType.INT64)
