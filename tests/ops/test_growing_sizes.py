"""Every op that takes sizes known at run time only: one graph, lowered once on each backend, run at three sizes."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagir import ops, testing
from dagir.errors import DagirError
from dagir.ir.graph import Op
from dagir.ir.types import type_of
from dagir.runtime.backend import backend

OPS = sorted(
    (cls for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, Op) and cls is not ops.Call),
    key=lambda cls: cls.__name__,
)


KERNELS = {"w", "r", "b", "*weights"}  # their sizes are known, whether they are weights or not


def grown(array, axes, by):
    """The array with more entries on these axes, its own over again; a size of 1 stays, for it may broadcast."""
    shape = tuple(size + by if axis in axes and size > 1 else size for axis, size in enumerate(array.shape))
    for axis, size in enumerate(shape):
        array = np.take(array, np.arange(size) % array.shape[axis], axis)
    return array


# Attention: heads of k that are known cannot serve heads of q that grow; test_attention_sizes.py has its sizes.
# SearchSorted: a sequence that has grown by its own entries is no longer sorted.
UNSURE = {ops.Attention, ops.SearchSorted}


@pytest.mark.parametrize("op", [op for op in OPS if op not in UNSURE], ids=lambda op: op.__name__)
def test_runs_at_three_sizes(op):
    @settings(max_examples=max(2, settings.default.max_examples // 5))
    @given(st.data())
    def agrees(data):
        case = data.draw(testing.cases(op))
        last = len(op.operands) - 1
        given_arrays = [
            (place, a) for place, a in enumerate(case.arrays) if a is not None and place not in case.weights
        ]
        sized = [(place, a) for place, a in given_arrays if case.op.operands[min(place, last)] not in KERNELS]
        named = tuple((place, axis) for place, a in sized for axis in range(a.ndim) if a.shape[axis] > 1)
        try:
            graph, _ = case.graph(named)
        except DagirError:
            return  # the op needs some of these sizes when it is built
        lowered = {name: backend(name).lower(graph) for name in ("numpy", "onnx", "keras")}
        oracle = backend("numpy").lower(graph, precision="float64")
        for by in (0, 1, 4):
            feeds = [grown(a, [axis for p, axis in named if p == place], by) for place, a in given_arrays]
            if not fits(case, given_arrays, feeds):
                continue
            wanted = oracle(feeds)
            for name, run in lowered.items():
                for got, want, value in zip(run(feeds), wanted, graph.outputs, strict=True):
                    testing.assert_close(got, want, f"{name}, grown by {by}", value.dtype)

    agrees()


def fits(case, given_arrays, feeds):
    """Whether the op takes these sizes when they are known."""
    arrays = dict(zip((place for place, _ in given_arrays), feeds, strict=True))
    types = [None if a is None else type_of(arrays.get(place, a)) for place, a in enumerate(case.arrays)]
    try:
        case.op.infer(*types)
    except DagirError:
        return False
    return True
