"""Sequences of different lengths in one array."""

from __future__ import annotations

from dagir import ops
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, tensor, value


@raw("ReverseSequence")
def reverse_sequence(input: Tensor, seq_lengths: Tensor, seq_dim: int = 0, batch_dim: int = 0) -> Tensor:
    """The first seq_lengths[b] elements along seq_dim in reverse order, for each b along batch_dim."""
    x = value(input)
    rows = ops.moveaxis(x, (batch_dim, seq_dim), (0, 1))
    lengths = ops.expand_dims(ops.cast(value(seq_lengths), "int32"), 1)
    places = ops.expand_dims(ops.arange(0, rows.type.shape[1], 1, "int32"), 0)
    order = ops.where(ops.less(places, lengths), ops.subtract(ops.subtract(lengths, 1), places), places)
    shape = (*order.type.shape, *(1,) * (rows.ndim - 2))
    picked = ops.take_along_axis(rows, ops.broadcast_to(ops.reshape(order, shape), rows.type.shape), axis=1)
    return ops.moveaxis(picked, (0, 1), (batch_dim, seq_dim))


@function("reverse_sequence", "compat.v1.reverse_sequence")
def _reverse_sequence(
    input: Tensor,
    seq_lengths: Tensor,
    seq_axis: int | None = None,
    batch_axis: int | None = None,
    seq_dim: int | None = None,
    batch_dim: int | None = None,
) -> Tensor:
    along = seq_axis if seq_axis is not None else seq_dim or 0
    rows = batch_axis if batch_axis is not None else batch_dim or 0
    return reverse_sequence(tensor(input), tensor(seq_lengths), along, rows)
