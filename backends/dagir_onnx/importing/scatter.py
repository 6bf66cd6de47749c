"""Gathering and scattering at tuples of indices, and element by element."""

from __future__ import annotations

from collections.abc import Sequence

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value
from dagir.ir.types import normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import product, sizes_of, value


@rule("ScatterND")
def _scatter_nd(call: NodeCall) -> Value:
    x, indices, updates = call.input(0), call.input(1), call.input(2)
    return ops.scatter_update(x, _from_the_front(indices, x), updates, _reduction(call))


def _reduction(call: NodeCall) -> str | None:
    found: str = call.attribute("reduction", "none")
    return None if found == "none" else found


def _from_the_front(indices: Value, x: Value) -> Value:
    """Tuples of indices, of which negative ones count from the end, as indices from 0 on."""
    depth = indices.shape[-1] or 0
    return _from_the_front_of(indices, x.type.shape[:depth])


def _vector(sizes: Sequence[Dim], like: Value) -> Value:
    return value(sizes_of(sizes, like.dtype))


@rule("ScatterElements", "Scatter")
def _scatter_elements(call: NodeCall) -> Value:
    axis = normalize_axis(call.attribute("axis", 0), call.input(0).ndim)
    return ops.scatter_elements(call.input(0), call.input(1), call.input(2), axis, _reduction(call))


@rule("GatherND")
def _gather_nd(call: NodeCall) -> Value:
    """The parts of x at tuples of indices, behind axes of a batch."""
    x, indices = call.input(0), call.input(1)
    batch, depth = call.attribute("batch_dims", 0), indices.shape[-1]
    if depth is None:
        raise call.refused("its tuples of indices have an unknown length")
    shape = x.type.shape
    inner, rest = shape[batch : batch + depth], shape[batch + depth :]
    indices = _from_the_front_of(indices, inner)
    strides = [product(inner[axis + 1 :]) for axis in range(depth)]
    place = ops.sum(ops.multiply(indices, _vector(strides, indices)), -1)
    counts = indices.type.shape[batch:-1]
    flat = ops.reshape(x, (product(shape[:batch]), product(inner), *rest))
    rows = ops.reshape(place, (product(shape[:batch]), product(counts)))
    if batch:
        rows = ops.reshape(rows, (*rows.type.shape, *(1,) * len(rest)))
        found = ops.take_along_axis(flat, rows, 1)
    else:
        found = ops.take(ops.squeeze(flat, 0), ops.squeeze(rows, 0), 0)
    return ops.reshape(found, (*shape[:batch], *counts, *rest))


def _from_the_front_of(indices: Value, sizes: Sequence[Dim]) -> Value:
    ends = _vector(list(sizes), indices)
    return ops.where(ops.less(indices, 0), ops.add(indices, ends), indices)
