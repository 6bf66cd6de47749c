"""The sums of products of a convolution, by the algorithm that is quickest for its shapes.

Three algorithms. Each computes every product and adds them up, in its own order; none trades rounding for speed, so
float64 stays the most exact answer that there is:

- a kernel of one place: matrix products of x as it lies in memory
- a filter for each channel (depthwise): a sum over the places of the kernel, whose terms lie in runs
- any other: matrix products of blocks of columns, which are gathered into one buffer

x is f[n, *d, c], padded; w is f[*k, c/groups, o]. What comes out is f[n, *e, o], and is made in blocks of rows that
stay in a core's cache; `finish` is called with each block, and where it begins, once its sums are there. The blocks
depend on the shapes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import TypeAlias

import numpy as np
from numpy.lib.stride_tricks import as_strided

from dagir import ops
from dagir.ir.arrays import release
from dagir.ir.types import Array
from dagir.support.threads import for_each

Finish: TypeAlias = Callable[[Array, int], None]

TILE = 256 * 1024  # bytes of a block of the result: a quarter of a core's cache
GATHERED = 1024 * 1024  # bytes of a block of columns
WIDENED = 32 * 1024 * 1024  # bytes of a part of weights in another dtype
LEAST_ROWS = 192  # of a matrix product: fewer, and packing the weights takes as long as the products
RUN = 1024  # elements of a row, at which the cost of beginning one is small


def correlate(op: ops.Conv, x: Array, w: Array, finish: Finish) -> Array:
    """x: f[n, *d, c] padded, w: f[*k, c/groups, o] -> f[n, *e, o]."""
    kernel, (per_group, out) = w.shape[: op.rank], w.shape[op.rank :]
    spaces = zip(x.shape[1:-1], op.extents(kernel), op.strides, strict=True)
    places = (len(x), *((size - extent) // stride + 1 for size, extent, stride in spaces))
    y = np.empty((*places, out), np.result_type(x, w))
    if not y.size:
        return y
    if per_group == 1 and op.groups > 1:
        _depthwise(op, x, w, y, finish)
    elif op.groups == 1 and prod(kernel) == 1:
        strided = tuple(slice(None, None, stride) for stride in op.strides)
        multiply(x[(slice(None), *strided)].reshape(-1, per_group), w.reshape(per_group, out), y, finish)
    else:
        _gathered(op, x, w, y, finish)
    return y


def biased(b: Array | None, finish: Finish | None = None) -> Finish:
    """What adds a bias to the rows, one element a column, before what else is done to them."""

    def add(rows: Array, start: int) -> None:
        if b is not None:
            rows += b
        if finish is not None:
            finish(rows, start)

    return add


def multiply(rows: Array, w: Array, y: Array, finish: Finish) -> None:
    """rows: f[m, i], w: f[i, o] -> y: f[..., o], a block of rows after the other."""
    target = y.reshape(-1, w.shape[1])
    step = _even(len(rows), max(LEAST_ROWS, TILE // (w.shape[1] * y.itemsize)))
    whole = w.dtype == y.dtype
    if not whole:
        _multiply_in_parts(rows, w, target)
    for start in range(0, len(rows), step):
        block = target[start : start + step]
        if whole:
            np.matmul(rows[start : start + step], w, out=block)
        finish(block, start)


def _multiply_in_parts(rows: Array, w: Array, y: Array) -> None:
    """The same for weights of a narrower dtype: they are widened part by part, and are never there twice."""
    step = max(1, WIDENED // (w.shape[1] * y.itemsize))
    y[...] = 0
    for start in range(0, len(w), step):
        part = w[start : start + step].astype(y.dtype)
        y += rows[:, start : start + step] @ part
    release(w)


def _even(count: int, least: int) -> int:
    """The size of parts of at least so many, none of which is a small rest: each packs the weights once more."""
    return -(-count // max(1, count // least))


def _gathered(op: ops.Conv, x: Array, w: Array, y: Array, finish: Finish) -> None:
    """Rows of the columns are places of the kernel; channels stay innermost, so that they are gathered in runs."""
    kernel, (per_group, out) = w.shape[: op.rank], w.shape[op.rank :]
    places, reach, groups = y.shape[:-1], prod(kernel) * per_group, op.groups
    step = max(LEAST_ROWS, GATHERED // (reach * groups * x.itemsize))
    if groups == 1 and prod(places) <= step:  # one block: setting up blocks takes longer than these products
        columns = as_strided(x, (*places, *kernel, per_group), (*_strides(op, x), x.strides[-1]), writeable=False)
        rows = y.reshape(-1, out)
        np.matmul(columns.reshape(-1, reach), w.reshape(reach, out), out=rows)
        finish(rows, 0)
        return
    shape = (*places, *kernel, groups, per_group)
    windows = as_strided(x, shape, (*_strides(op, x), x.strides[-1] * per_group, x.strides[-1]), writeable=False)
    windows = np.moveaxis(windows, -2, 0)
    split = w.reshape(*kernel, per_group, groups, out // groups)
    weights = np.moveaxis(split, -2, 0).reshape(groups, reach, out // groups)
    blocks = list(blocks_of(places, step))
    columns = np.empty((groups, max(block.rows for block in blocks), reach), x.dtype)
    target = y.reshape(-1, out)
    for block in blocks:
        part = columns[:, : block.rows]
        window = windows[(slice(None), *block.part)]
        np.copyto(_unfolded(part, window.shape), window)
        rows = target[block.start : block.start + block.rows]
        if groups == 1:
            np.matmul(part[0], weights[0], out=rows)
        else:
            np.matmul(part, weights, out=rows.reshape(block.rows, groups, -1).swapaxes(0, 1))
        finish(rows, block.start)


def _unfolded(part: Array, shape: tuple[int, ...]) -> Array:
    """A view of a contiguous part of each group's columns in the shape of the windows."""
    inner = [part.itemsize * prod(shape[axis + 1 :]) for axis in range(1, len(shape))]
    return as_strided(part, shape, (part.strides[0], *inner))


def _depthwise(op: ops.Conv, x: Array, w: Array, y: Array, finish: Finish) -> None:
    """Each channel by itself. Where the last spatial axis has stride 1, its steps and the channels make one run."""
    rank, places, out = op.rank, y.shape[:-1], w.shape[-1]
    x = np.ascontiguousarray(x if out == op.groups else np.repeat(x, out // op.groups, axis=-1))
    joined = _joined(places[-1], out) if op.strides[-1] == 1 else 1
    taps = np.tile(w[..., 0, :], joined)
    strides, runs = _strides(op, x), (*places[:-1], places[-1] // joined)
    steps = (*strides[:rank], strides[rank] * joined)
    shape = (*w.shape[:rank], *runs, joined * out)
    windows = as_strided(x, shape, (*strides[rank + 1 :], *steps, x.itemsize), writeable=False)
    sums, target = y.reshape(*runs, joined * out), y.reshape(-1, out)
    axes = list(range(2 * rank + 2))
    tapped, placed = axes[:rank], axes[rank:]

    def work(block: Block) -> None:
        window = windows[(slice(None),) * rank + block.part]
        np.einsum(window, axes, taps, [*tapped, axes[-1]], placed, out=sums[block.part])
        start, stop = block.start * joined, (block.start + block.rows) * joined
        finish(target[start:stop], start)

    for_each(work, list(blocks_of(runs, max(1, TILE // (joined * out * y.itemsize)))), y.nbytes)


def _joined(steps: int, channels: int) -> int:
    """How many steps of the last axis to take as one run: a divisor of their number."""
    enough = (n for n in range(1, steps) if steps % n == 0 and n * channels >= RUN)
    return next(enough, steps)


def _strides(op: ops.Conv, x: Array) -> tuple[int, ...]:
    """The bytes from one place of the result to the next, of each axis, and then from one tap to the next."""
    batch, *spatial = x.strides[:-1]
    steps = [size * stride for size, stride in zip(spatial, op.strides, strict=True)]
    return (batch, *steps, *(size * dilation for size, dilation in zip(spatial, op.dilations, strict=True)))


@dataclass(frozen=True)
class Block:
    """A part of an array of rows: where it lies, which row it begins at, and how many it has."""

    part: tuple[slice, ...]
    start: int
    rows: int


def blocks_of(shape: Sequence[int], rows: int) -> Iterator[Block]:
    """Parts of about so many rows each: several entries of the first axis, or pieces along the second in each."""
    entry = prod(shape[1:])
    if entry <= rows or len(shape) == 1:
        step = max(1, rows // entry)
        for start in range(0, shape[0], step):
            count = min(step, shape[0] - start)
            yield Block((slice(start, start + count),), start * entry, count * entry)
        return
    line = prod(shape[2:])
    step = max(1, rows // line)
    for index in range(shape[0]):
        for start in range(0, shape[1], step):
            count = min(step, shape[1] - start)
            part = slice(index, index + 1), slice(start, start + count)
            yield Block(part, index * entry + start * line, count * line)
