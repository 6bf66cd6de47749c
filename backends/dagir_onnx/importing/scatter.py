"""Gathering and scattering at tuples of indices, and element by element."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import sizes_of, value


@rule("ScatterND")
def _scatter_nd(call: NodeCall) -> Value:
    x, indices, updates = call.input(0), call.input(1), call.input(2)
    return ops.scatter_update(x, _from_the_front(indices, x), updates, _reduction(call))


def _reduction(call: NodeCall) -> str | None:
    found: str = call.attribute("reduction", "none")
    return None if found == "none" else found


def _from_the_front(indices: Value, x: Value) -> Value:
    """Tuples of indices, of which negative ones count from the end, as indices from 0 on.

    An index below what counts from the end becomes the size, which is out of range too, and no index from the end.
    """
    ends = value(sizes_of(list(x.type.shape[: indices.shape[-1] or 0]), indices.dtype))
    found = ops.where(ops.less(indices, 0), ops.add(indices, ends), indices)
    return ops.where(ops.less(found, 0), ends, found)


@rule("ScatterElements", "Scatter")
def _scatter_elements(call: NodeCall) -> Value:
    axis = normalize_axis(call.attribute("axis", 0), call.input(0).ndim)
    return ops.scatter_elements(call.input(0), call.input(1), call.input(2), axis, _reduction(call))


@rule("GatherND")
def _gather_nd(call: NodeCall) -> Value:
    """The parts of x at tuples of indices, behind axes of a batch."""
    x, indices = call.input(0), call.input(1)
    if indices.shape[-1] is None:
        raise call.refused("its tuples of indices have an unknown length")
    return ops.gather_nd(x, indices, call.attribute("batch_dims", 0))
