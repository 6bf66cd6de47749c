"""Categories: CategoryEncoding and Discretization."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Self, Unpack

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Value
from dagir.ir.operands import as_value
from dagir.ir.types import Array, DType
from dagir.layers.argument_types import LayerDType, LayerOptions
from dagir.layers.base import Layer
from dagir.layers.core import as_ids, positive_int, refuse_text
from dagir.ops.counts import countable
from dagir.support import limits

__all__ = [
    "CategoryEncoding",
    "Discretization",
]


def encode(ids: Value, mode: str, depth: int, dtype: DType, weights: Value | None = None) -> Value:
    """Encode integer ids: one vector for each (one_hot), or which ids occur (multi_hot), or how often (count).

    ids: int[*s] -> [*s, depth], where a last size of 1 is dropped first; or the sum over axis 1 of it (axis 0 of rank
    1). An id outside 0 to depth - 1 sets nothing. weights: what each id counts.  keras.src.utils.numerical_utils.
    """
    if ids.ndim == 0:
        ids = ops.expand_dims(ids, 0)
    if mode == "one_hot" and ids.ndim > 1 and ids.type.shape[-1] == 1:
        ids = ops.squeeze(ids, -1)
    limits.spend("elements", depth, f"an encoding of {depth:,} categories")
    ids = countable(ids)
    same = ops.equal(ops.expand_dims(ids, ids.ndim), as_value(np.arange(depth, dtype=ids.dtype.numpy)))
    hot = ops.cast(same, dtype)
    if mode == "one_hot":
        return hot
    axis = 1 if ids.ndim > 1 else 0
    if mode == "multi_hot":
        return ops.cast(ops.any(same, axis=axis), dtype)
    return ops.sum(hot if weights is None else hot * ops.expand_dims(weights, weights.ndim), axis=axis)


def checked_mode(layer: str, mode: Any, known: Iterable[str]) -> str:
    """The output mode; "binary" is an old name of multi_hot. Raises ArgumentError."""
    found = {"binary": "multi_hot", "tf-idf": "tf_idf"}.get(mode, mode)
    if found not in known:
        raise ArgumentError(f"{layer} takes {', '.join(known)} for output_mode, got {mode!r}")
    return str(found)


def refuse_sparse(layer: str, sparse: object) -> None:
    """Raise ArgumentError for sparse=True."""
    if sparse:
        raise ArgumentError(f"{layer} yields dense values only", remedy="leave sparse=False")


def check_summed_rank(layer: Layer, ids: Value, mode: str) -> None:
    """Raise ShapeError for ranks where Keras 3.15 declares one shape and returns another: it sums over axis 1."""
    if mode not in ("int", "one_hot") and ids.ndim > 2:
        raise ShapeError(
            f"{type(layer).__name__} with output_mode {mode!r} takes ids of rank 1 or 2, got rank {ids.ndim}",
            remedy="reshape the ids to [batch, n]",
        )


class CategoryEncoding(Layer):
    """Integer ids as one-hot or multi-hot vectors, or as counts.  keras.layers.CategoryEncoding.

    num_tokens: ids are below it.

    >>> layers.CategoryEncoding(num_tokens=5)(dagir.Input((3,), dtype="int32"))
    <Value category_encoding float32[batch, 5]>
    """

    def __init__(
        self,
        num_tokens: int | None = None,
        output_mode: str = "multi_hot",
        sparse: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.num_tokens = positive_int("CategoryEncoding", "num_tokens", num_tokens)
        self.output_mode = checked_mode("CategoryEncoding", output_mode, ("multi_hot", "one_hot", "count"))
        refuse_sparse("CategoryEncoding", sparse)

    def check_dtype(self, inputs: object) -> None:
        """Only numbers are ids."""
        refuse_text("CategoryEncoding", inputs)

    def call(self, inputs: Value, count_weights: Value | None = None) -> Value:
        """ids: int[n, k] -> f[n, num_tokens]; one_hot: int[*s] -> f[*s, num_tokens]. count_weights: f[n, k]."""
        check_summed_rank(self, inputs, self.output_mode)
        if count_weights is not None:
            if self.output_mode != "count":
                raise ArgumentError(f"count_weights are for output_mode 'count', it is {self.output_mode!r}")
            count_weights = ops.cast(count_weights, self.dtype)
        return encode(as_ids(inputs), self.output_mode, self.num_tokens, self.dtype, count_weights)


class Discretization(Layer):
    """The bin of each value: the number of boundaries that are not above the value.

    The boundaries are given, or quantiles that `adapt` computes.  keras.layers.Discretization.
    bin_boundaries: ascending. num_bins, epsilon: for `adapt`, which finds the boundaries.

    >>> layers.Discretization([0.0, 1.0])(dagir.Input((3,)))
    <Value discretization int32[batch, 3]>
    """

    def __init__(
        self,
        bin_boundaries: Sequence[float] | Array | None = None,
        num_bins: int | None = None,
        epsilon: float = 0.01,
        output_mode: str = "int",
        sparse: bool = False,
        dtype: LayerDType | None = None,
        name: str | None = None,
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        if (bin_boundaries is None) == (num_bins is None):
            raise ArgumentError("Discretization takes either bin_boundaries or num_bins, and not both")
        if num_bins is not None:
            positive_int("Discretization", "num_bins", num_bins)
        self.num_bins, self.epsilon = num_bins, float(epsilon)
        self.output_mode = checked_mode("Discretization", output_mode, ("int", "one_hot", "multi_hot", "count"))
        refuse_sparse("Discretization", sparse)
        self.bin_boundaries: list[float] | None = None if bin_boundaries is None else _rising(bin_boundaries)

    def check_dtype(self, inputs: object) -> None:
        """Any numbers are taken."""

    def call(self, inputs: Value) -> Value:
        """x: number[*s] -> int32[*s]; other modes: as CategoryEncoding, over axis 1."""
        if self.bin_boundaries is None:
            raise ArgumentError(
                f"Discretization layer {self.name!r} has no boundaries yet", remedy="call adapt(data) before"
            )
        x = ops.cast(inputs, DType.FLOAT32)
        limits = as_value(np.asarray(self.bin_boundaries, np.float32))
        above = ops.logical_not(ops.less(ops.expand_dims(x, x.ndim), limits))  # NaN is above all, as in Keras
        bins = ops.sum(ops.cast(above, DType.INT32), axis=-1)
        if self.output_mode == "int":
            return bins
        return encode(bins, self.output_mode, len(self.bin_boundaries) + 1, self.dtype)

    def adapt(self, data: Iterable[Any]) -> None:
        """Compute the boundaries as quantiles of an array or of an iterable of batches, with an error of at most
        epsilon.

        Raises ArgumentError where the boundaries were given.
        """
        if self.num_bins is None:
            raise ArgumentError(f"layer {self.name!r} was given its boundaries", remedy="make it with num_bins=")
        summary = np.zeros((2, 0), np.float32)
        for batch in [data] if hasattr(data, "shape") else data:
            merged = np.concatenate([_summary(np.asarray(batch, np.float32), self.epsilon), summary], axis=1)
            summary = _compressed(merged[:, np.argsort(merged[0])], self.epsilon)
        self.bin_boundaries = boundaries_of(summary, self.num_bins)

    def get_config(self) -> dict[str, Any]:
        """The arguments, and the boundaries that were computed."""
        return {key: value for key, value in super().get_config().items() if key != "trainable"} | {
            "bin_boundaries": self.bin_boundaries
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """A configuration of a layer that was adapted has both num_bins and its boundaries."""
        boundaries, bins = config.get("bin_boundaries"), config.get("num_bins")
        if boundaries is None or bins is None:
            return cls(**config)
        layer = cls(**{**config, "bin_boundaries": None})
        layer.bin_boundaries = _rising(boundaries)
        return layer


def boundaries_of(summary: Array, num_bins: int) -> list[float]:
    """The boundaries of bins with equally many values. summary: f[2, buckets], places and counts, as `adapt` makes."""
    return [float(place) for place in _compressed(summary, 1.0 / num_bins)[0, :-1]]


def _rising(boundaries: object) -> list[float]:
    try:
        found = np.asarray(boundaries, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"Discretization takes numbers for bin_boundaries, got {boundaries!r}") from None
    if found.ndim != 1 or not found.size or np.any(np.diff(found) < 0):
        raise ArgumentError(f"Discretization takes rising numbers for bin_boundaries, got {boundaries!r}")
    return [float(number) for number in found]


def _summary(values: Array, epsilon: float) -> Array:
    """Every n-th of the sorted values, and how many values each of them represents: f[2, buckets]."""
    ordered = np.sort(values.reshape(-1))
    step = max(ordered.size * epsilon, 1)
    kept = ordered[int(step - 1) :: int(step)]
    return np.stack([kept, np.full_like(kept, step)])


def _compressed(summary: Array, epsilon: float) -> Array:
    """A summary of 1 / epsilon buckets, interpolated between the old ones."""
    if summary.shape[1] * epsilon < 1:
        return summary
    shares = epsilon + np.arange(0.0, 1.0, epsilon)
    counts = summary[1].cumsum()
    places = np.interp(shares, counts / counts[-1], summary[0])
    heights = np.interp(shares, counts / counts[-1], counts)
    return np.stack([places, np.diff(heights, prepend=0.0)]).astype(np.float32)
