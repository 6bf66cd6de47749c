"""Gathering and scattering at tuples of indices, and element by element."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("ScatterND")
def _scatter_nd(call: NodeCall) -> Value:
    return ops.scatter_update(call.input(0), call.input(1), call.input(2), _reduction(call))


def _reduction(call: NodeCall) -> str | None:
    found: str = call.attribute("reduction", "none")
    return None if found == "none" else found


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
