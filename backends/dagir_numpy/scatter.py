"""Reading and writing at places that values give."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir.runtime.index_guard import check_range
from dagir_numpy.rules import rules

_COMBINED = {"add": np.add, "mul": np.multiply, "max": np.maximum, "min": np.minimum}


@rules.rule(ops.GatherElements)
def gather_elements(op: ops.GatherElements, x: Array, indices: Array) -> Array:
    check_range(indices, x.shape[op.axis], from_the_end=True)
    return np.take_along_axis(x, indices, op.axis)


@rules.rule(ops.GatherND)
def gather_nd(op: ops.GatherND, x: Array, indices: Array) -> Array:
    batch, columns = op.batch_dims, tuple(np.moveaxis(indices, -1, 0))
    for column, size in zip(columns, x.shape[batch:], strict=False):
        check_range(column, size, from_the_end=True)
    return np.asarray(x[(*np.indices(indices.shape[:-1], sparse=True)[:batch], *columns)])


@rules.rule(ops.ScatterUpdate)
def scatter_update(op: ops.ScatterUpdate, x: Array, indices: Array, updates: Array) -> Array:
    y, places = x.copy(), tuple(np.moveaxis(indices, -1, 0))
    for column, size in zip(places, x.shape, strict=False):
        check_range(column, size, from_the_end=True)
    if op.reduction == "none":
        y[places] = updates
    else:
        _COMBINED[op.reduction].at(y, places, updates)
    return y


@rules.rule(ops.ScatterElements)
def scatter_elements(op: ops.ScatterElements, x: Array, indices: Array, updates: Array) -> Array:
    check_range(indices, x.shape[op.axis], from_the_end=True)
    places: list[Array] = list(np.indices(indices.shape, sparse=True))
    places[op.axis] = indices
    y = x.copy()
    if op.reduction == "none":
        y[tuple(places)] = updates
    else:
        _COMBINED[op.reduction].at(y, tuple(places), updates)
    return y
