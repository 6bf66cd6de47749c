"""Sorting, the largest elements, and places in sorted sequences."""

from __future__ import annotations

from typing import Any, NamedTuple

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType, normalize_axis
from dagir.ops.data_parts import Part
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, entries, integer, tensor, value


class TopKV2(NamedTuple):
    """The result of tf.math.top_k, by TensorFlow's names."""

    values: Tensor
    indices: Tensor


@raw("TopKV2")
def top_k_raw(input: Tensor, k: Tensor, sorted: bool = True, index_type: Any = DType.INT32) -> TopKV2:
    return top_k(input, k, sorted, index_type)


@raw("TopK")
def top_k_of_1(input: Tensor, k: int = 1, sorted: bool = True) -> TopKV2:
    return top_k(input, k, sorted)


@function("math.top_k", "nn.top_k")
def top_k(input: Any, k: Any = 1, sorted: Any = True, index_type: Any = DType.INT32) -> TopKV2:
    """The k largest of the last axis, the largest first, and their places."""
    given = value(tensor(input))
    whole = given.shape[-1] if given.ndim else None
    if entries(tensor(k)) is None and whole is not None:
        found = [Part(0, value(tensor(k))).of(each, given.ndim - 1) for each in ops.top_k(given, whole)]
        return TopKV2(found[0], ops.cast(found[1], dtype_of(index_type)))
    values, places = ops.top_k(given, integer(k, "k"))
    return TopKV2(values, ops.cast(places, dtype_of(index_type)))


def _falls(direction: Any) -> bool:
    if direction not in ("ASCENDING", "DESCENDING"):
        raise Refused(f"it sorts in the direction {direction!r}")
    return bool(direction == "DESCENDING")


@function("sort")
def sort(values: Any, axis: Any = -1, direction: Any = "ASCENDING") -> Tensor:
    """The elements in order along an axis."""
    given = value(tensor(values))
    place = normalize_axis(integer(axis, "axis"), given.ndim)
    found = ops.sort(given, place)
    return ops.flip(found, place) if _falls(direction) else found


@function("argsort")
def argsort(values: Any, axis: Any = -1, direction: Any = "ASCENDING", stable: Any = False) -> Tensor:
    """The places that sort; equal elements stay in their order."""
    given = value(tensor(values))
    place = normalize_axis(integer(axis, "axis"), given.ndim)
    if not _falls(direction):
        return ops.argsort(given, place)
    return ops.argsort(_negated(given), place)


def _negated(given: Value) -> Value:
    """Numbers in the reverse order."""
    if given.dtype.is_float:
        return ops.negative(given)
    return ops.bitwise_not(given)  # -x - 1, without overflow


@function("searchsorted")
def searchsorted(sorted_sequence: Any, values: Any, side: Any = "left", out_type: Any = DType.INT32) -> Tensor:
    """How many elements of the sequence are below each value, or not above it."""
    edges = value(tensor(sorted_sequence))
    if edges.ndim != 1:
        raise Refused("it searches several sequences at once")
    found = ops.searchsorted(edges, value(tensor(values, like=edges)), str(side))
    return ops.cast(found, dtype_of(out_type))


@raw("LowerBound")
def _lower_bound(sorted_inputs: Tensor, values: Tensor, out_type: Any = DType.INT32) -> Tensor:
    return _bounded(sorted_inputs, values, "left", out_type)


@raw("UpperBound")
def _upper_bound(sorted_inputs: Tensor, values: Tensor, out_type: Any = DType.INT32) -> Tensor:
    return _bounded(sorted_inputs, values, "right", out_type)


def _bounded(sorted_inputs: Tensor, values: Tensor, side: str, out_type: Any) -> Tensor:
    edges, given = value(sorted_inputs), value(values)
    if edges.type.shape[0] != 1:
        raise Refused("it searches several sequences at once")
    return searchsorted(ops.squeeze(edges, 0), given, side, out_type)
