"""Order: sorting, the largest, and places within what is sorted."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.Sort)
def sort(op: ops.Sort, x: Array) -> Array:
    return np.sort(x, axis=op.axis)


@rules.rule(ops.ArgSort)
def arg_sort(op: ops.ArgSort, x: Array) -> Array:
    return np.argsort(x, axis=op.axis, kind="stable")


@rules.rule(ops.TopK)
def top_k(op: ops.TopK, x: Array) -> tuple[Array, Array]:
    """Stable from behind and read backwards, so that of equal elements the first is the larger."""
    if op.largest:
        places = x.shape[op.axis] - 1 - np.flip(np.argsort(np.flip(x, op.axis), op.axis, kind="stable"), op.axis)
    else:
        places = np.argsort(x, op.axis, kind="stable")
    places = np.take(places, np.arange(op.k), op.axis)
    return np.take_along_axis(x, places, axis=op.axis), places


@rules.rule(ops.SearchSorted)
def search_sorted(op: ops.SearchSorted, sorted: Array, values: Array) -> Array:
    return np.searchsorted(sorted, values, side=op.side)  # type: ignore[call-overload]
