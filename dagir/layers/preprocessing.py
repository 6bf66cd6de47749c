"""Preprocessing that is arithmetic on numbers: Rescaling and Normalization."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Unpack

import numpy as np
import numpy.typing as npt

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Value
from dagir.ir.operands import as_value
from dagir.ir.types import Array, DType, normalize_axis
from dagir.layers.argument_types import LayerOptions
from dagir.layers.base import Layer

__all__ = [
    "Normalization",
    "Rescaling",
]

_EPSILON = 1e-7  # keras.config.epsilon()


class Rescaling(Layer):
    """x * scale + offset, each a number or an array that broadcasts, after a cast.  keras.layers.Rescaling.

    >>> layers.Rescaling(1.0 / 255)(dagir.Input((28, 28, 3)))
    <Value rescaling float32[batch, 28, 28, 3]>
    """

    supports_masking = True

    def __init__(self, scale: npt.ArrayLike, offset: npt.ArrayLike = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.scale, self.offset = (_numbers("Rescaling", *pair) for pair in (("scale", scale), ("offset", offset)))

    def call(self, inputs: Value) -> Value:
        """x: number[*s] -> f[*s]."""
        scaled = ops.cast(inputs, self.dtype) * as_value(self.scale.astype(self.dtype.numpy))
        return scaled + as_value(self.offset.astype(self.dtype.numpy))


def _numbers(layer: str, name: str, value: object) -> Array:
    """A number or numbers as a float64 array. Raises ArgumentError."""
    try:
        found = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        raise ArgumentError(f"{layer} takes a number or an array of numbers for {name}, got {value!r}") from None
    return found


class Normalization(Layer):
    """(x - mean) / max(sqrt(variance), 1e-7), with statistics for each index of `axis` (None: for all elements).

    They are given, or weights that `adapt` computes. invert: mean + x * max(sqrt(variance), 1e-7).
    keras.layers.Normalization.

    >>> layers.Normalization(mean=0.5, variance=4.0)(dagir.Input((3,)))
    <Value normalization float32[batch, 3]>
    """

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] | None = -1,
        mean: npt.ArrayLike | None = None,
        variance: npt.ArrayLike | None = None,
        invert: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.axis: tuple[int, ...] = () if axis is None else (axis,) if isinstance(axis, int) else tuple(axis)
        self.invert = bool(invert)
        if (mean is None) != (variance is None):
            raise ArgumentError("Normalization takes mean and variance together, or neither")
        self.given: tuple[Array, Array] | None = None
        if mean is not None:
            self.given = _numbers("Normalization", "mean", mean), _numbers("Normalization", "variance", variance)
            self._check_given(*self.given)

    def _check_given(self, mean: Array, variance: Array) -> None:
        if mean.shape != variance.shape or mean.ndim > len(self.axis):
            raise ArgumentError(
                f"Normalization takes mean and variance of one shape, with an axis for each of axis={self.axis} at "
                f"most, got {list(mean.shape)} and {list(variance.shape)}"
            )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """mean, variance [sizes of the axes] and count, which old files have; no weights if they are given."""
        rank = len(input_shape)
        self._kept = sorted(normalize_axis(axis, rank) for axis in self.axis)
        sizes = tuple(input_shape[axis] for axis in self._kept)
        self._aligned = tuple(size if axis in self._kept else 1 for axis, size in enumerate(input_shape))
        if self.given is not None:
            if None in sizes:
                raise ShapeError(f"Normalization needs fixed sizes on axis={self.axis}, got {input_shape}")
            return
        self.mean = self.add_weight(sizes, "zeros", trainable=False, name="mean")
        self.variance = self.add_weight(sizes, "ones", trainable=False, name="variance")
        self.count = self.add_weight((), "zeros", dtype=DType.INT64, trainable=False, name="count")

    def check_dtype(self, inputs: object) -> None:
        """Any dtype is taken, and cast."""

    def call(self, inputs: Value) -> Value:
        """x: number[*s] -> f[*s]."""
        x = ops.cast(inputs, self.dtype)
        if self.given is None:
            mean, variance = ops.reshape(self.mean, self._aligned), ops.reshape(self.variance, self._aligned)
        else:
            mean, variance = (as_value(self._align(array).astype(self.dtype.numpy)) for array in self.given)
        deviation = ops.maximum(ops.sqrt(variance), _EPSILON)
        return mean + x * deviation if self.invert else (x - mean) / deviation

    def _align(self, array: Array) -> Array:
        """The given statistics, aligned with the last of the kept axes. Raises ShapeError."""
        shape = [1] * len(self._aligned)
        for axis, size in zip(self._kept[len(self._kept) - array.ndim :], array.shape, strict=True):
            shape[axis] = size
        try:
            return np.broadcast_to(array.reshape(shape), self._aligned)  # type: ignore[arg-type]  # sizes are known here
        except ValueError:
            raise ShapeError(
                f"mean and variance of shape {list(array.shape)} do not broadcast to {list(self._aligned)}"
            ) from None

    def adapt(self, data: Iterable[Any]) -> None:
        """Compute mean and variance of an array, or of an iterable of batches. Raises ArgumentError.

        data: number[*s]; a batch may be a tuple that begins with it.
        """
        if self.given is not None:
            raise ArgumentError(f"layer {self.name!r} was given its mean and variance")
        batches = [data] if hasattr(data, "shape") else data
        total: tuple[int, Array, Array] | None = None
        for batch in batches:
            total = _merged(total, self._statistics(batch[0] if isinstance(batch, tuple) else batch))
        if total is None:
            raise ArgumentError("adapt was given no data")
        self.mean.assign(total[1])
        self.variance.assign(total[2])

    def _statistics(self, batch: object) -> tuple[int, Array, Array]:
        """How many, mean and variance, in float64."""
        array = np.asarray(batch, np.float64)
        if not self.built:
            self.build(array.shape)
            self.built = True
        if array.ndim != len(self._aligned) or any(array.shape[axis] != self._aligned[axis] for axis in self._kept):
            raise ArgumentError(
                f"layer {self.name!r} is built for {self._aligned} on its axes {self._kept}, got data {array.shape}"
            )
        axes = tuple(axis for axis in range(array.ndim) if axis not in self._kept)
        count = int(np.prod([array.shape[axis] for axis in axes], dtype=np.int64))
        return count, array.mean(axes), array.var(axes)


def _merged(first: tuple[int, Array, Array] | None, second: tuple[int, Array, Array]) -> tuple[int, Array, Array]:
    """The mean and variance of two parts together."""
    if first is None:
        return second
    (n, mean, variance), (m, other, other_variance) = first, second
    share = m / (n + m)
    joint = mean * (1 - share) + other * share
    spread = (variance + (mean - joint) ** 2) * (1 - share) + (other_variance + (other - joint) ** 2) * share
    return n + m, joint, spread
