"""Reading and writing at places that are computed: gather and scatter, and sums of segments."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType, normalize_axis
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.lengths import is_whole
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import (
    Tensor,
    constant_of,
    dims,
    entries,
    integer,
    like,
    number,
    product,
    sized,
    tensor,
    value,
)


@raw("GatherV2")
def gather_raw(params: Tensor, indices: Tensor, axis: Tensor, batch_dims: int = 0) -> Tensor:
    return _gathered(params, indices, integer(axis, "axis"), batch_dims)


@raw("Gather", "ResourceGather")
def gather_of_1(params: Tensor, indices: Tensor, batch_dims: int = 0) -> Tensor:
    return _gathered(params, indices, batch_dims, batch_dims)


@function("gather", "compat.v1.gather")
def gather(params: Any, indices: Any, validate_indices: Any = None, axis: Any = None, batch_dims: Any = 0) -> Tensor:
    """The entries of params at the indices along an axis; the first batch_dims axes are shared."""
    batch = integer(batch_dims, "batch_dims")
    return _gathered(tensor(params), tensor(indices), batch if axis is None else integer(axis, "axis"), batch)


@function("compat.v1.batch_gather")
def _batch_gather(params: Any, indices: Any) -> Tensor:
    places = tensor(indices)
    return _gathered(tensor(params), places, places.ndim - 1, places.ndim - 1)


@function("keras.backend.gather")
def _gather_of_keras(reference: Any, indices: Any) -> Tensor:
    return gather(reference, indices)


@function("nn.embedding_lookup", "compat.v1.nn.embedding_lookup")
def _embedding_lookup(
    params: Any,
    ids: Any,
    max_norm: Any = None,
    partition_strategy: Any = "mod",
    validate_indices: Any = True,
) -> Tensor:
    if max_norm is not None:
        raise Refused("it bounds the norm of the rows by max_norm")
    table = params[0] if isinstance(params, (list, tuple)) and len(params) == 1 and not _is_row(params) else params
    return gather(table, ids)


def _is_row(data: Sequence[Any]) -> bool:
    """Whether this list is a table of numbers with one row, not a list of one table."""
    return np.asarray(data[0], object).ndim < 2 and not isinstance(data[0], Value)


def _gathered(params: Tensor, indices: Tensor, axis: int, batch: int) -> Tensor:
    axis = normalize_axis(axis, params.ndim)
    batch = batch % (indices.ndim + 1) if batch < 0 else batch
    known, places = entries(params), entries(indices)
    if batch == 0 and known is not None and places is not None:
        return sized(np.take(known, places.astype(np.int64), axis), params.dtype)
    given, at = value(params), value(indices)
    return ops.take(given, at, axis) if batch == 0 else _in_batches(given, at, axis, batch)


def _in_batches(given: Value, places: Value, axis: int, batch: int) -> Value:
    """Gather along an axis for each element of the leading axes, which both share."""
    own, shape = given.type.shape, places.type.shape
    moved = ops.moveaxis(given, axis, batch)  # [*batch, n, *between, *after]
    rest = moved.type.shape[batch + 1 :]
    flat = ops.reshape(places, (*shape[:batch], product(shape[batch:]), *(1,) * len(rest)))
    count = product(shape[batch:])
    wide = ops.broadcast_to(flat, (*shape[:batch], count, *rest)) if rest else flat
    found = ops.take_along_axis(moved, wide, batch)
    apart = ops.reshape(found, (*own[:batch], *shape[batch:], *rest))
    inner, between = len(shape) - batch, axis - batch
    order = [
        *range(batch),
        *range(batch + inner, batch + inner + between),
        *range(batch, batch + inner),
        *range(batch + inner + between, apart.ndim),
    ]
    return ops.transpose(apart, order)


@raw("GatherNd")
def gather_nd_raw(params: Tensor, indices: Tensor) -> Tensor:
    return gather_nd(params, indices)


@function("gather_nd", "compat.v1.gather_nd")
def gather_nd(params: Any, indices: Any, batch_dims: Any = 0) -> Tensor:
    """The slices of params at tuples of indices, in the last axis of `indices`."""
    given, places = value(tensor(params)), value(tensor(indices))
    depth = places.type.shape[-1]
    if not isinstance(depth, int):
        raise Refused(f"its indices are tuples of unknown length {depth}")
    if depth == 0:
        raise Refused("its indices are tuples of no numbers")
    return ops.gather_nd(given, places, integer(batch_dims, "batch_dims"))


def _update(reduction: str | None, negated: bool = False) -> Callable[..., Tensor]:
    def rule(tensor: Any, indices: Any, updates: Any) -> Tensor:
        given = value(_tensor(tensor))
        changes = like(updates, given)
        changes = ops.negative(changes) if negated else changes
        return ops.scatter_update(given, value(_tensor(indices)), changes, reduction)

    return rule


_tensor = tensor

for _op, _name, _rule in (
    ("TensorScatterUpdate", "update", _update(None)),
    ("TensorScatterAdd", "add", _update("add")),
    ("TensorScatterSub", "sub", _update("add", negated=True)),
    ("TensorScatterMax", "max", _update("max")),
    ("TensorScatterMin", "min", _update("min")),
):
    raw(_op)(function(f"tensor_scatter_nd_{_name}")(_rule))


@raw("ScatterNd")
@function("scatter_nd", "compat.v1.scatter_nd")
def scatter_nd(indices: Any, updates: Any, shape: Any) -> Tensor:
    """Zeros with the updates added at tuples of indices."""
    return ops.scatter(value(tensor(indices)), value(tensor(updates)), dims(shape, "shape"))


def _segments(reduction: Callable[..., Value]) -> Callable[..., Tensor]:
    def rule(data: Any, segment_ids: Any, num_segments: Any) -> Tensor:
        given, ids = value(tensor(data)), value(tensor(segment_ids))
        if ids.ndim != 1:
            rest = given.type.shape[ids.ndim :]
            given = ops.reshape(given, (product(ids.type.shape), *rest))
            ids = ops.reshape(ids, (-1,))
        return reduction(given, ids, dims(num_segments, "num_segments")[0])

    return rule


for _op, _name, _in_graph in (
    ("UnsortedSegmentSum", "sum", ops.segment_sum),
    ("UnsortedSegmentProd", "prod", ops.segment_prod),
):
    raw(_op)(function(f"math.unsorted_segment_{_name}")(_segments(_in_graph)))


def _sorted_segments(reduction: Callable[..., Value], fills: bool) -> Callable[..., Tensor]:
    def rule(data: Any, segment_ids: Any) -> Tensor:
        """As many segments as the last id says; the ids ascend. fills: zeros for a segment without entries."""
        given, ids = value(tensor(data)), value(tensor(segment_ids))
        last = ops.size_from(ops.max(ops.concatenate([ops.cast(ids, "int64"), np.asarray([-1])], 0)) + 1)
        found = reduction(given, ids, last)
        if not fills:
            return found
        counts = ops.segment_sum(ops.ones_like(ids), ids, last)
        return ops.where(ops.reshape(counts > 0, (-1, *(1,) * (found.ndim - 1))), found, ops.zeros_like(found))

    return rule


def _mean_of_segments(data: Value, ids: Value, count: Any) -> Value:
    total, number_of = ops.segment_sum(data, ids, count), ops.segment_sum(ops.ones_like(ids), ids, count)
    return total / ops.cast(ops.reshape(ops.maximum(number_of, 1), (-1, *(1,) * (total.ndim - 1))), total.dtype)


for _op, _name, _reduction, _fills in (
    ("SegmentSum", "sum", ops.segment_sum, False),
    ("SegmentProd", "prod", ops.segment_prod, False),
    ("SegmentMean", "mean", _mean_of_segments, False),
    ("SegmentMax", "max", ops.segment_max, True),
    ("SegmentMin", "min", ops.segment_min, True),
):
    raw(_op)(function(f"math.segment_{_name}")(_sorted_segments(_reduction, _fills)))


def _extreme_of_segments(reduction: Callable[..., Value], bound: str) -> Callable[..., Tensor]:
    def rule(data: Any, segment_ids: Any, num_segments: Any) -> Tensor:
        """Segments without entries have the last number of the dtype."""
        given = value(tensor(data))
        if given.dtype is not DType.FLOAT32:
            raise Refused(f"it takes the extremes of segments of {given.dtype}")
        found = value(_segments(reduction)(given, segment_ids, num_segments))
        return ops.maximum(found, _LARGEST * -1) if bound == "low" else ops.minimum(found, _LARGEST)

    return rule


_LARGEST = float(np.finfo(np.float32).max)
raw("UnsortedSegmentMax")(function("math.unsorted_segment_max")(_extreme_of_segments(ops.segment_max, "low")))
raw("UnsortedSegmentMin")(function("math.unsorted_segment_min")(_extreme_of_segments(ops.segment_min, "high")))


@function("math.unsorted_segment_mean")
def _segment_mean(data: Any, segment_ids: Any, num_segments: Any) -> Tensor:
    total, count = _sums(data, segment_ids, num_segments)
    return ops.divide(total, ops.maximum(count, 1.0))


@function("math.unsorted_segment_sqrt_n")
def _segment_sqrt_n(data: Any, segment_ids: Any, num_segments: Any) -> Tensor:
    total, count = _sums(data, segment_ids, num_segments)
    return ops.divide(total, ops.sqrt(ops.maximum(count, 1.0)))


def _of_rows(reduction: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def rule(
        data: Tensor, indices: Tensor, segment_ids: Tensor, num_segments: Tensor, sparse_gradient: bool = False
    ) -> Tensor:
        """Segments of the rows at these places; as many as are told, so that the data decide no shape."""
        return reduction(_gathered(data, indices, 0, 0), segment_ids, num_segments)

    return rule


for _op, _of in (
    ("SparseSegmentSumWithNumSegments", _segments(ops.segment_sum)),
    ("SparseSegmentMeanWithNumSegments", _segment_mean),
    ("SparseSegmentSqrtNWithNumSegments", _segment_sqrt_n),
):
    raw(_op)(_of_rows(_of))


def _sums(data: Any, segment_ids: Any, num_segments: Any) -> tuple[Value, Value]:
    """The sum of each segment, and how many entries it has, with axes to broadcast."""
    given, ids = value(tensor(data)), value(tensor(segment_ids))
    ones = ops.full(ids.type.shape, 1, given.dtype)
    count = value(_segments(ops.segment_sum)(ones, ids, num_segments))
    total = value(_segments(ops.segment_sum)(given, ids, num_segments))
    return total, ops.reshape(count, (*count.type.shape, *(1,) * (total.ndim - 1)))


@raw("ReverseSequence")
def _reverse_raw(input: Tensor, seq_lengths: Tensor, seq_dim: int = 0, batch_dim: int = 0) -> Tensor:
    return reverse_sequence(input, seq_lengths, seq_dim, batch_dim)


@function("reverse_sequence", "compat.v1.reverse_sequence")
def reverse_sequence(
    input: Any,
    seq_lengths: Any,
    seq_axis: Any = None,
    batch_axis: Any = None,
    seq_dim: Any = None,
    batch_dim: Any = None,
) -> Tensor:
    """The first entries of each sequence in reverse order, as many as its length."""
    given, lengths = value(tensor(input)), value(tensor(seq_lengths))
    steps = normalize_axis(integer(seq_axis if seq_axis is not None else seq_dim, "seq_axis"), given.ndim)
    batch = batch_axis if batch_axis is not None else batch_dim
    rows = normalize_axis(integer(0 if batch is None else batch, "batch_axis"), given.ndim)
    if is_whole(tensor(seq_lengths), given.type.shape[steps]):
        return ops.flip(given, steps)
    places = ops.arange(given.type.shape[steps])
    last = ops.expand_dims(ops.cast(lengths, DType.INT32), -1)
    turned = ops.where(ops.less(places, last), ops.subtract(ops.subtract(last, 1), places), places)
    turned = turned if rows < steps else ops.transpose(turned)
    first, second = min(rows, steps), max(rows, steps)
    shape = given.type.shape
    sizes = [shape[axis] if axis in (first, second) else 1 for axis in range(given.ndim)]
    wide = ops.broadcast_to(ops.reshape(turned, sizes), shape)
    return ops.take_along_axis(given, wide, steps)


@function("math.in_top_k")
def in_top_k(targets: Any, predictions: Any, k: Any) -> Tensor:
    """Whether the target of each row is among the k largest predictions."""
    return ops.in_top_k(value(tensor(targets)), value(tensor(predictions)), integer(k, "k"))


@function("compat.v1.math.in_top_k", "keras.backend.in_top_k")
def _in_top_k_of_1(predictions: Any, targets: Any, k: Any) -> Tensor:
    return in_top_k(targets, predictions, k)


@raw("InTopKV2")
def _in_top_k_raw(predictions: Tensor, targets: Tensor, k: Tensor) -> Tensor:
    return in_top_k(targets, predictions, k)


@raw("MatrixBandPart")
@function("linalg.band_part", "compat.v1.matrix_band_part")
def band_part(input: Any, num_lower: Any, num_upper: Any) -> Tensor:
    """The diagonals around the main one, 0 elsewhere; -1 keeps a whole triangle."""
    given = value(tensor(input))
    rows, columns = given.type.shape[-2:]
    down = ops.expand_dims(ops.arange(rows), 1)
    distance = ops.subtract(down, ops.arange(columns))
    kept: Value | None = None
    for bound, off in ((num_lower, distance), (num_upper, ops.negative(distance))):
        inside = _within(off, tensor(bound))
        kept = kept if inside is None else inside if kept is None else ops.logical_and(kept, inside)
    if kept is None:
        return given
    zero = ops.cast(0, DType.BOOL) if given.dtype is DType.BOOL else like(0, given)
    return ops.where(kept, given, zero)


def _within(distance: Value, bound: Tensor) -> Value | None:
    """Where the distance is at most the bound; None where all are, below 0: no bound."""
    if constant_of(bound) is not None:
        limit = int(number(bound, "number of diagonals"))
        return ops.less_equal(distance, limit) if limit >= 0 else None
    most = ops.cast(value(bound), "int32")
    return ops.logical_or(ops.less(most, 0), ops.less_equal(distance, most))
