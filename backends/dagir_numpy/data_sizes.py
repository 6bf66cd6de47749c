"""Ops whose result has a size that the data decide."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.errors import FeedError, ShapeError
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.NonZero)
def non_zero(op: ops.NonZero, x: Array) -> Array:
    return np.stack(np.nonzero(x)).astype(np.int64)


@rules.rule(ops.Range)
def range_(op: ops.Range, start: Array, limit: Array, step: Array) -> Array:
    if not step:
        raise FeedError("a range takes steps other than 0")
    first, last, stride = start.item(), limit.item(), step.item()
    count = -((first - last) // stride) if start.dtype.kind in "iu" else np.ceil((last - first) / stride)
    return start + np.arange(max(int(count), 0)).astype(start.dtype) * step


@rules.rule(ops.Unique)
def unique(op: ops.Unique, x: Array) -> tuple[Array, Array, Array, Array]:
    axis = op.axis
    flat = x.reshape(-1) if axis is None else np.moveaxis(x, axis, 0)
    values, index, inverse, counts = np.unique(flat, True, True, True, axis=0, equal_nan=False)
    inverse = inverse.reshape(-1)
    if not op.sorted:
        order = np.argsort(index, kind="stable")
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        values, index, inverse, counts = values[order], index[order], place[inverse], counts[order]
    return values if axis is None else np.moveaxis(values, 0, axis), index, inverse, counts


@rules.rule(ops.NonMaxSuppression)
def non_max_suppression(
    op: ops.NonMaxSuppression, boxes: Array, scores: Array, most: Array, overlap: Array, least: Array | None = None
) -> Array:
    if boxes.shape[0] != scores.shape[0] or boxes.shape[1] != scores.shape[2]:
        raise ShapeError(f"boxes of shape {boxes.shape} do not fit scores of shape {scores.shape}")
    low, high = _corners(boxes, op.center_point_box)
    rows = [
        (batch, kind, place)
        for batch, of_batch in enumerate(scores)
        for kind, numbers in enumerate(of_batch)
        for place in _selected(low[batch], high[batch], numbers, int(most), overlap, least)
    ]
    return np.asarray(rows, np.int64).reshape(-1, 3)


def _corners(boxes: Array, center_point_box: bool) -> tuple[Array, Array]:
    first, second = boxes[..., :2], boxes[..., 2:]
    if center_point_box:
        return first - second / 2, first + second / 2
    return np.minimum(first, second), np.maximum(first, second)


def _selected(low: Array, high: Array, scores: Array, most: int, overlap: Array, least: Array | None) -> list[int]:
    """The boxes of one class, highest scores first; of equal ones the first box."""
    order = np.argsort(-scores, kind="stable")
    if least is not None:
        order = order[scores[order] > least]
    areas = np.prod(high - low, -1)
    chosen: list[int] = []
    while order.size and len(chosen) < most:
        best, order = order[0], order[1:]
        chosen.append(int(best))
        sides = np.maximum(np.minimum(high[best], high[order]) - np.maximum(low[best], low[order]), 0)
        shared = np.prod(sides, -1)
        union = areas[best] + areas[order] - shared
        positive = (areas[best] > 0) & (areas[order] > 0) & (union > 0)
        order = order[~(positive & (shared > overlap * union))]
    return chosen


@rules.rule(ops.KnowSizes)
def know_sizes(op: ops.KnowSizes, x: Array, *witnesses: Array) -> Array:
    return x


@rules.rule(ops.EqualSizes)
def equal_sizes(op: ops.EqualSizes, x: Array) -> Array:
    for left, right in zip(op.left, op.right, strict=True):
        if left != right:
            raise ShapeError(f"sizes that had to be equal at run time are not: {left} == {right}")
    return x
