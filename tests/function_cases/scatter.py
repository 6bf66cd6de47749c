"""Reading and writing at places that values give; encodings."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.shape import array
from function_cases.table import function


@function("take_along_axis")
def take_along_axis(draw: Any) -> Any:
    x = array(draw, 1, 3)
    axis = draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    shape = list(x.shape)
    if axis is not None:
        shape[axis] = draw(st.integers(1, 4))
    else:
        shape = [4]
    size = x.size if axis is None else x.shape[axis]
    return (x, draw(testing.arrays(shape, "int32", 0, size - 1))), {"axis": axis}


def tuples(draw: Any, shape: tuple[int, ...], depth: int) -> Any:
    """Indices in tuples, each once."""
    total = int(np.prod(shape[:depth]))
    flat = draw(st.permutations(range(total)))[: draw(st.integers(1, total))]
    return np.stack(np.unravel_index(np.array(flat), shape[:depth]), axis=-1).astype("int32")


@function("scatter")
def scatter(draw: Any) -> Any:
    shape = draw(testing.shapes(1, 3, st.sampled_from([2, 3])))
    indices = tuples(draw, shape, depth := draw(st.integers(1, len(shape))))
    return (indices, draw(testing.arrays((len(indices), *shape[depth:])))), {"shape": shape}


@function("scatter_update")
def scatter_update(draw: Any) -> Any:
    x = array(draw, 1, 3, st.sampled_from([2, 3]))
    indices = tuples(draw, x.shape, depth := draw(st.integers(1, x.ndim)))
    updates = draw(testing.arrays((len(indices), *x.shape[depth:]), str(x.dtype)))
    return (x, indices, updates), {"reduction": draw(st.sampled_from([None, "add", "max", "min", "mul"]))}


@function("get_item")
def get_item(draw: Any) -> Any:
    x = array(draw, 2)
    return (x, draw(st.sampled_from([0, -1, slice(None, None, -1), (..., 0), (0, slice(0, 1)), None]))), {}


@function("slice")
def window(draw: Any) -> Any:
    x = array(draw, 1)
    starts = [draw(st.integers(0, size - 1)) for size in x.shape]
    sizes = tuple(draw(st.integers(1, size - start)) for size, start in zip(x.shape, starts, strict=True))
    return (x, draw(st.sampled_from([starts, np.array(starts, "int32")])), sizes), {}


@function("slice_update")
def slice_update(draw: Any) -> Any:
    x = array(draw, 1)
    starts = [draw(st.integers(0, size - 1)) for size in x.shape]
    sizes = tuple(draw(st.integers(1, size - start)) for size, start in zip(x.shape, starts, strict=True))
    updates = draw(testing.arrays(sizes, str(x.dtype)))
    return (x, draw(st.sampled_from([starts, np.array(starts, "int32")])), updates), {}


@function("one_hot", "multi_hot")
def encoded(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1, 3), draw(st.sampled_from(["int32", "int64"])), -1, 4))
    options = {"axis": draw(st.sampled_from([-1, -1, 0])), "dtype": draw(st.sampled_from([None, "int32"]))}
    return (x, 4), options


@function("select")
def select(draw: Any) -> Any:
    shape = draw(testing.shapes())
    conditions = [draw(testing.arrays(shape, "bool")) for _ in range(2)]
    return (conditions, [draw(testing.arrays(shape)) for _ in range(2)]), {"default": draw(st.sampled_from([0.0, 2.5]))}


@function("in_top_k")
def in_top_k(draw: Any) -> Any:
    rows, classes = draw(st.integers(1, 5)), draw(st.integers(2, 5))
    scores = draw(testing.arrays((rows, classes), low=0.1))
    return (draw(testing.arrays((rows,), "int32", 0, classes - 1)), scores, draw(st.integers(1, classes))), {}


@function("segment_sum", "segment_prod", "segment_max", "segment_min")
def segments(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1, 3)))
    ids = np.resize(np.arange(3, dtype="int32"), x.shape[0])
    return (x, ids), {"num_segments": draw(st.integers(min(3, len(ids)), min(3, len(ids))))}


@function("stop_gradient")
def stop_gradient(draw: Any) -> Any:
    return (array(draw),), {}
