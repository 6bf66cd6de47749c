"""Lengths of the rows of a batch, where they say that nothing is left out."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Constant, Value
from dagir_keras.reading.tensorflow.tensors import Tensor, entries, sized, value


def is_whole(lengths: Tensor, steps: Dim) -> bool:
    """Whether each row has all steps, as Keras fills the lengths where nothing is masked."""
    known = entries(lengths)
    if known is not None:
        return all(length == steps for length in known.flat)
    node = value(lengths).node
    filled = node.inputs[0] if node is not None and isinstance(node.op, ops.BroadcastTo) else None
    return filled is not None and _alike(filled, value(sized(np.asarray(steps, object), lengths.dtype)))


def _alike(one: Value | None, other: Value | None) -> bool:
    """Whether two values are computed alike from the same values."""
    if one is other or one is None or other is None:
        return one is other
    if isinstance(one.source, Constant) and isinstance(other.source, Constant):
        return one.type == other.type and np.array_equal(one.source.array, other.source.array)
    mine, theirs = one.node, other.node
    if mine is None or theirs is None or mine.op != theirs.op or len(mine.outputs) != 1:
        return False
    return all(map(_alike, mine.inputs, theirs.inputs))
