"""Shapes, slices, gather and scatter, sorting, products of matrices, and what is made of sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from tensorflow_cases.table import Arguments, Draw, function, raw


@function("shape", "size", "rank")
def _sizes(draw: Draw) -> Arguments:
    return (draw.floats(draw.shape()),), {}


@function("reshape")
def _reshape(draw: Draw) -> Arguments:
    shape = draw.shape(2, 4)
    target = draw.one([-1], [shape[0], -1], [*shape[1:], shape[0]], [1, *shape, 1], [-1, shape[-1]])
    return (draw.floats(shape), target), {}


@function("expand_dims")
def _expand(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), draw.int(-len(shape) - 1, len(shape))), {}


@function("squeeze")
def _squeeze(draw: Draw) -> Arguments:
    shape = (draw.int(2, 3), 1, draw.int(2, 3), 1)
    return (draw.floats(shape),), {"axis": draw.one([1], [-1], [1, 3], 1)}


@function("transpose")
def _transpose(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape),), {"perm": draw.one(None, draw._draw(st.permutations(range(len(shape)))))}


@function("stack")
def _stack(draw: Draw) -> Arguments:
    shape = draw.shape()
    return ([draw.floats(shape) for _ in range(draw.int(1, 3))],), {"axis": draw.int(-len(shape) - 1, len(shape))}


@function("concat")
def _concat(draw: Draw) -> Arguments:
    shape = draw.shape()
    axis = draw.axis(len(shape))
    parts = []
    for _ in range(draw.int(1, 3)):
        sizes = list(shape)
        sizes[axis] = draw.int(1, 3)
        parts.append(draw.floats(sizes))
    return (parts, axis), {}


@function("unstack")
def _unstack(draw: Draw) -> Arguments:
    shape = draw.shape(2, 4)
    return (draw.floats(shape),), {"axis": draw.int(1, len(shape) - 1)}


@function("split")
def _split(draw: Draw) -> Arguments:
    parts = draw.one(2, [1, 3], [2, -1], 4)
    return (draw.floats((2, 4, 3)), parts), {"axis": draw.one(1, -2)}


@function("tile")
def _tile(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), [draw.int(1, 3) for _ in shape]), {}


@function("pad")
def _pad(draw: Draw) -> Arguments:
    shape = tuple(draw.int(3, 4) for _ in range(draw.int(1, 3)))
    mode = draw.one("CONSTANT", "REFLECT", "SYMMETRIC")
    pads = [[draw.int(0, 2), draw.int(0, 2)] for _ in shape]
    return (draw.floats(shape), pads), {"mode": mode, "constant_values": draw.one(0, 1.5)}


@function("broadcast_to")
def _broadcast(draw: Draw) -> Arguments:
    shape = draw.shape(2, 3)
    return (draw.floats([1, *shape[1:]]), [draw.int(1, 3), *shape]), {}


@function("repeat")
def _repeat(draw: Draw) -> Arguments:
    shape = draw.shape(2, 3)
    axis = draw.int(0, len(shape) - 1)
    repeats = draw.one(2, [draw.int(0, 2) for _ in range(shape[axis])])
    return (draw.floats(shape), repeats), {"axis": axis}


@function("reverse")
def _reverse(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.floats(shape), [draw.axis(len(shape))]), {}


@function("roll")
def _roll(draw: Draw) -> Arguments:
    shift, axis = draw.one((1, 0), (-2, 1), ([1, -1], [0, 1]), (3, -1))
    return (draw.floats(draw.shape(2, 3)), shift, axis), {}


@function("meshgrid")
def _meshgrid(draw: Draw) -> Arguments:
    return (draw.floats((2,)), draw.floats((3,))), {"indexing": draw.one("xy", "ij")}


@function("nn.depth_to_space", "nn.space_to_depth")
def _depth(draw: Draw) -> Arguments:
    return (draw.floats((2, 4, 6, 4)), 2), {}


@function("space_to_batch")
def _space(draw: Draw) -> Arguments:
    return (draw.floats((2, 4, 6, 3)), [2, 3], [[draw.one(0, 2), 0], [0, draw.one(0, 3)]]), {}


@function("batch_to_space")
def _batch(draw: Draw) -> Arguments:
    return (draw.floats((8, 4, 6, 3)), [2, 2], [[draw.int(0, 1), 0], [0, draw.int(0, 2)]]), {}


def _key(draw: Draw, size: int) -> Any:
    bound = lambda: draw.one(None, draw.int(-size - 1, size + 1))  # noqa: E731
    return draw.one(slice(bound(), bound(), draw.one(None, 1, 2, -1)), draw.int(-size, size - 1))


@function("__operators__.getitem")
def _getitem(draw: Draw) -> Arguments:
    shape = draw.shape(1, 4)
    keys = [_key(draw, size) for size in shape[: draw.int(1, len(shape))]]
    if draw.flag():
        keys.insert(draw.int(0, len(keys)), draw.one(None, Ellipsis))
    return (draw.floats(shape), tuple(keys)), {}


@function("slice")
def _slice(draw: Draw) -> Arguments:
    shape = tuple(draw.int(2, 4) for _ in range(draw.int(1, 3)))
    begin = [draw.int(0, size - 1) for size in shape]
    return (draw.floats(shape), begin, [draw.one(-1, size - low) for size, low in zip(shape, begin, strict=True)]), {}


@function("strided_slice")
def _strided(draw: Draw) -> Arguments:
    shape = tuple(draw.int(2, 4) for _ in range(3))
    begin, end = [draw.int(0, 1) for _ in shape], [draw.int(1, size) for size in shape]
    masks = {f"{name}_mask": draw.int(0, 7) for name in ("begin", "end")}
    masks |= {
        "shrink_axis_mask": draw.one(0, 1, 4),
        "ellipsis_mask": draw.one(0, 0, 2),
        "new_axis_mask": draw.one(0, 1),
    }
    return (draw.floats((*shape, 3)), begin, end, [draw.one(1, 2) for _ in shape]), masks


@function("gather")
def _gather(draw: Draw) -> Arguments:
    shape = draw.shape(2, 4)
    batch = draw.int(0, 1)
    axis = draw.int(batch, len(shape) - 1)
    rows = (*shape[:batch], *draw.shape(1, 2, 3))
    return (draw.floats(shape), draw.ints(rows, 0, shape[axis])), {"axis": axis, "batch_dims": batch}


@function("gather_nd")
def _gather_nd(draw: Draw) -> Arguments:
    shape = draw.shape(2, 4)
    depth = draw.int(1, len(shape))
    rows = draw.shape(1, 2, 3)
    at = np.stack([draw.ints(rows, 0, size) for size in shape[:depth]], -1)
    return (draw.floats(shape), at), {}


def _scattering(*names: str) -> None:
    @function(*names)
    def _(draw: Draw) -> Arguments:
        shape = (draw.int(2, 5), draw.int(1, 3))
        rows = draw.rng.permutation(shape[0])[: draw.int(1, 2)].astype("int32")
        return (draw.floats(shape), rows[:, None], draw.floats((len(rows), shape[1]))), {}


_scattering(*(f"tensor_scatter_nd_{kind}" for kind in ("update", "add", "sub", "max", "min")))


@function("scatter_nd")
def _scatter(draw: Draw) -> Arguments:
    return (draw.ints((3, 1), 0, 4), draw.floats((3, 2)), [4, 2]), {}


@function("math.unsorted_segment_sum", "math.unsorted_segment_prod")
def _segments(draw: Draw) -> Arguments:
    return (draw.floats((4, 2)), draw.ints((4,), -1, 3), 3), {}


@function("math.unsorted_segment_max", "math.unsorted_segment_min", "math.unsorted_segment_mean")
@function("math.unsorted_segment_sqrt_n")
def _segment_extremes(draw: Draw) -> Arguments:
    return (draw.floats((4, 2)), draw.ints((4,), -1, 3), 3), {}


@function("reverse_sequence")
def _reverse_sequence(draw: Draw) -> Arguments:
    seq, batch = draw.one((1, 0), (0, 1), (2, 0), (1, 2))
    sizes = (3, 4, 2)
    return (draw.floats(sizes), draw.ints((sizes[batch],), 0, sizes[seq] + 1)), {"seq_axis": seq, "batch_axis": batch}


@function("math.in_top_k")
def _in_top_k(draw: Draw) -> Arguments:
    return (draw.ints((3,), 0, 4), draw.floats((3, 4)), draw.int(1, 4)), {}


@function("nn.embedding_lookup")
def _embedding(draw: Draw) -> Arguments:
    return (draw.floats((5, 3)), draw.ints(draw.shape(1, 2), 0, 5)), {}


@function("sort", "argsort")
def _sort(draw: Draw) -> Arguments:
    shape = draw.shape()
    options = {"axis": draw.axis(len(shape)), "direction": draw.one("ASCENDING", "DESCENDING")}
    return (draw.one(draw.floats(shape), draw.ints(shape)),), options


@function("math.top_k")
def _top_k(draw: Draw) -> Arguments:
    shape = draw.shape()
    return (draw.one(draw.floats(shape), draw.ints(shape)), draw.int(1, shape[-1])), {}


@function("searchsorted")
def _search(draw: Draw) -> Arguments:
    return (np.sort(draw.ints((4,))), draw.ints(draw.shape(1, 1))), {"side": draw.one("left", "right")}


@function("one_hot")
def _one_hot(draw: Draw) -> Arguments:
    shape = draw.shape(1, 3)
    options = {"axis": draw.one(None, draw.int(-1, len(shape)))}
    options |= draw.one({}, {"on_value": 5.0, "off_value": -1.0}, {"dtype": "int32"}, {"on_value": 2})
    return (draw.ints(shape, -1, 4), draw.int(1, 4)), options


@function("sequence_mask")
def _mask(draw: Draw) -> Arguments:
    dtype = draw.one("int32", "uint8")
    lengths = draw.ints(draw.shape(1, 2), 0, 5, dtype)
    return (lengths, draw.int(1, 5) if dtype == "int32" else 300), {"dtype": draw.one("bool", "float32")}


@function("zeros_like", "ones_like")
def _like(draw: Draw) -> Arguments:
    x = draw.array(draw.shape(), draw.one("float32", "int32", "bool"))
    return (x,), {"dtype": draw.one(None, "float32", "int64", "bool")}


@function("linalg.matmul")
def _matmul(draw: Draw) -> Arguments:
    batch = draw.shape(0, 2, 3)
    m, k, n = (draw.int(1, 4) for _ in range(3))
    flips = {"transpose_a": draw.flag(), "transpose_b": draw.flag()}
    a = (*batch, *((k, m) if flips["transpose_a"] else (m, k)))
    b = (*draw.broadcasting(batch), *((n, k) if flips["transpose_b"] else (k, n)))
    return (draw.floats(a), draw.floats(b)), flips


@function("linalg.matvec")
def _matvec(draw: Draw) -> Arguments:
    return (draw.floats((2, 3, 4)), draw.floats(draw.one((4,), (2, 4)))), {}


@function("tensordot")
def _tensordot(draw: Draw) -> Arguments:
    axes = draw.one(1, 2, [[1, 2], [0, 1]], [[2], [1]], 0)
    return (draw.floats((2, 3, 3)), draw.floats((3, 3, 2))), {"axes": axes}


@function("einsum")
def _einsum(draw: Draw) -> Arguments:
    equation = draw.one("bij,bkj->bik", "bij,jk", "...ij,jk->...ik", "bij,bij->b", "bij , jk -> kbi", "ij...,jk->i...k")
    x, y = draw.floats((3, 3, 3)), draw.floats((3, 3, 3))
    rank = len(equation.replace(" ", "").split("->")[0].split(",")[1])
    return (equation, x[0] if equation == "ij...,jk->i...k" else x, y[0] if rank == 2 else y), {}


@function("linalg.band_part")
def _band(draw: Draw) -> Arguments:
    return (draw.floats((2, 3, 4)), draw.int(-1, 2), draw.int(-1, 2)), {}


@function("linalg.matrix_transpose", "linalg.trace", "linalg.diag_part", "linalg.diag", "linalg.adjoint")
def _of_matrices(draw: Draw) -> Arguments:
    return (draw.floats(draw.shape(2, 4)),), {}


@function("linalg.set_diag")
def _set_diag(draw: Draw) -> Arguments:
    size = draw.int(1, 4)
    return (draw.floats((2, size, size)), draw.floats((2, size))), {}


@function("linalg.cross")
def _cross(draw: Draw) -> Arguments:
    return (draw.floats((2, 3)), draw.floats((2, 3))), {}


@function("norm")
def _norm(draw: Draw) -> Arguments:
    axis = draw.one(None, draw.int(-2, 1))
    order = draw.one("euclidean", 1, np.inf, 3) if axis is not None else "euclidean"
    return (draw.floats((2, 3)),), {"ord": order, "axis": axis, "keepdims": draw.flag()}


@function("linalg.normalize")
def _normalize(draw: Draw) -> Arguments:
    return (draw.floats((2, 3)),), {"axis": draw.one(0, -1), "ord": draw.one("euclidean", 1)}


@function("math.invert_permutation")
def _invert(draw: Draw) -> Arguments:
    return (draw.rng.permutation(5).astype("int32"),), {}


@raw("StridedSlice")
def _strided_raw(draw: Draw) -> Arguments:
    shape = tuple(draw.int(2, 4) for _ in range(3))
    begin, end = [draw.int(0, 1) for _ in shape], [draw.int(1, size) for size in shape]
    numbers = [np.asarray(part, "int32") for part in (begin, end, [draw.one(1, 2) for _ in shape])]
    return (draw.floats(shape), *numbers), {"begin_mask": draw.int(0, 7), "end_mask": draw.int(0, 7)}


@raw("GatherV2")
def _gather_raw(draw: Draw) -> Arguments:
    return (draw.floats((3, 4)), draw.ints((2,), 0, 3), np.asarray(draw.int(0, 1), "int32")), {"batch_dims": 0}


@raw("SparseSegmentSumWithNumSegments", "SparseSegmentMeanWithNumSegments", "SparseSegmentSqrtNWithNumSegments")
def _segments_of_rows(draw: Draw) -> Arguments:
    ids = np.sort(draw.ints((5,), 0, 4))
    return (draw.floats((4, 2)), draw.ints((5,), 0, 4), ids, np.asarray(draw.int(4, 6), "int32")), {
        "sparse_gradient": False
    }


@raw("BatchMatMulV2")
def _matmul_raw(draw: Draw) -> Arguments:
    return (draw.floats((2, 3, 3)), draw.floats((2, 3, 3))), {"adj_x": draw.flag(), "adj_y": draw.flag()}


@raw("OneHot")
def _one_hot_raw(draw: Draw) -> Arguments:
    numbers = np.asarray(3, "int32"), np.float32(2.0), np.float32(-1.0)
    return (draw.ints((2, 3), 0, 3), *numbers), {"axis": draw.int(-1, 2)}


@raw("Cumsum")
def _cumsum_raw(draw: Draw) -> Arguments:
    options = {"exclusive": draw.flag(), "reverse": draw.flag()}
    return (draw.floats((2, 3)), np.asarray(draw.int(0, 1), "int32")), options


@raw("TopKV2")
def _top_k_raw(draw: Draw) -> Arguments:
    return (draw.floats((2, 4)), np.asarray(draw.int(1, 4), "int32")), {"sorted": True}


@raw("Transpose", "ReverseV2")
def _transpose_raw(draw: Draw) -> Arguments:
    return (draw.floats((2, 3)), np.asarray([1, 0], "int32")), {}


@raw("ExpandDims")
def _expand_raw(draw: Draw) -> Arguments:
    return (draw.floats((2, 3)), np.asarray(draw.int(-3, 2), "int32")), {}


@raw("MatrixBandPart")
def _band_raw(draw: Draw) -> Arguments:
    return (draw.floats((3, 4)), np.asarray(draw.int(-1, 2), "int32"), np.asarray(draw.int(-1, 2), "int32")), {}
