"""Normalizations: BatchNorm with given statistics; LayerNorm, GroupNorm, RMSNorm with those of their own input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import sqrt

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, evaluate
from dagir.ir.first_order import Carried, along
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import COMPOUND, Disturbed, Rounding, of_squares_less_square
from dagir.ir.types import Array, Equations, Inferred, Shape, TensorType, normalize_axes, normalize_axis
from dagir.ops.operands import require, same_dtype

__all__ = [
    "BatchNorm",
    "GroupNorm",
    "LayerNorm",
    "RMSNorm",
    "batch_normalization",
    "group_normalization",
    "layer_normalization",
    "rms_normalization",
]

_BATCH_NORM_VECTORS = ("gamma", "beta", "mean", "var")


def _scaled_and_shifted(op: BatchNorm, at: Carried) -> Array | None:
    """The first-order rule: each channel is x * scale + shift, and noise on the vectors is noise on these two."""
    x, gamma, beta, mean, var = at.operands
    assert x is not None
    assert mean is not None
    assert var is not None
    if any(each is not None for each in at.deviations[1:]):
        return None
    scale = (1 if gamma is None else gamma) / np.sqrt(var + op.epsilon)
    of_scale = at.numbers(4, mean.size) * (-0.5 * var / (var + op.epsilon))
    if gamma is not None:
        of_scale = of_scale + at.numbers(1, mean.size)
    shifts = -(of_scale + at.numbers(3, mean.size)) * mean * scale
    if beta is not None:
        shifts = shifts + at.numbers(2, mean.size) * beta
    of_scale, shifts = of_scale.astype(np.float32), shifts.astype(np.float32)
    moved = at.disturbed(0, along(of_scale, op.axis, x.ndim))
    if moved is None:
        return None
    moved *= along(scale[None].astype(np.float32), op.axis, x.ndim)
    moved += along(shifts, op.axis, x.ndim)
    return moved


@dataclass(frozen=True)
class BatchNorm(Op):
    """x: f[*a, c, *b], gamma: f[c]?, beta: f[c]?, mean: f[c], var: f[c] -> f[*a, c, *b], c on `axis` (>= 0).

    (x - mean) / sqrt(var + epsilon) * gamma + beta, as at inference; momentum is for training only.
    keras.layers.BatchNormalization; ONNX BatchNormalization-15, whose axis is always 1.
    """

    rounding = Rounding(compound=True, first_order=_scaled_and_shifted)
    operands = ("x", *_BATCH_NORM_VECTORS)
    axis: int
    epsilon: float
    momentum: float = 0.99

    def infer(
        self,
        x: TensorType,
        gamma: TensorType | None,
        beta: TensorType | None,
        mean: TensorType,
        var: TensorType,
    ) -> Inferred:
        """The type of x."""
        equations = Equations()
        vectors = (gamma, beta, mean, var)
        same_dtype(x, *(vector for vector in vectors if vector is not None))
        require("float", x)
        _check_epsilon(self.epsilon)
        if self.axis < 0:
            raise ArgumentError(f"BatchNorm counts its axis from the front, got {self.axis}")
        normalize_axis(self.axis, x.rank)
        for place, vector in enumerate(vectors, start=1):
            if vector is not None:
                _check_vector(equations, x, self.axis, vector, place, _BATCH_NORM_VECTORS[place - 1])
        return equations.inferred(x)


def _rearranged(op: LayerNorm, sample: Disturbed) -> Array:
    """As x * scale + (beta - mean * scale), as TensorFlow has it: both terms round, though they cancel."""
    x, gamma = sample.operands[0], sample.operands[1] if len(sample.operands) > 1 else None
    assert x is not None
    size = np.abs(x) / np.sqrt(x.var(axis=op.axes, keepdims=True) + op.epsilon)
    if gamma is not None:
        size = size * gamma.reshape([n if axis in op.axes else 1 for axis, n in enumerate(x.shape)])
    return np.asarray(sample.result + 0.5 * sample.eps * size * sample.rng.standard_normal(x.shape))


def _off_centre(op: LayerNorm | GroupNorm, sample: Disturbed) -> Array:
    """As with a mean and a variance that are off: sums of K terms round, and are off by the same for all of them.

    Noise on the terms averages out in their mean, and a shift of all of them is taken off again: neither shows it.
    """
    x, gamma = (*sample.operands, None)[:2]
    assert x is not None
    parts = x if isinstance(op, LayerNorm) else x.reshape([evaluate(size, {}) for size in op.split(x.shape)])
    axes = op.axes if isinstance(op, LayerNorm) else op.reduced(x.ndim)
    mean = parts.mean(axis=axes, keepdims=True)
    length = parts.size / max(mean.size, 1)
    off, wide = 0.25 * sqrt(length) * sample.eps * sample.rng.standard_normal((2, *mean.shape))
    spread = parts.var(axis=axes, keepdims=True) + op.epsilon
    deviation = np.sqrt(spread)
    squared = np.square(mean)
    wide = wide + of_squares_less_square(sample, squared + spread, squared) / spread
    shifts = (off * mean + wide / 2 * (parts - mean)) / deviation
    kept = op.axes if isinstance(op, LayerNorm) else (op.axis,)
    scale = 1 if gamma is None else gamma.reshape([n if axis in kept else 1 for axis, n in enumerate(x.shape)])
    return np.asarray(sample.result + shifts.reshape(x.shape) * scale)


@dataclass(frozen=True)
class LayerNorm(Op):
    """x: f[*s], gamma: f[*s[axes]]?, beta: f[*s[axes]]? -> f[*s]: zero mean and unit variance over `axes`.

    (x - mean) / sqrt(var + epsilon) * gamma + beta, var the mean square deviation; `axes` sorted, each >= 0.
    keras.layers.LayerNormalization; ONNX LayerNormalization-17 where the axes are the last ones.
    """

    rounding = Rounding(compound=True, errors=(_rearranged, _off_centre))
    operands = ("x", "gamma", "beta")
    axes: tuple[int, ...]
    epsilon: float

    def infer(self, x: TensorType, gamma: TensorType | None = None, beta: TensorType | None = None) -> Inferred:
        """The type of x."""
        equations = Equations()
        given = [vector for vector in (gamma, beta) if vector is not None]
        same_dtype(x, *given)
        require("float", x)
        _check_epsilon(self.epsilon)
        if not self.axes or normalize_axes(self.axes, x.rank) != self.axes:
            raise ArgumentError(f"LayerNorm takes sorted axes counted from the front, got {self.axes}")
        wanted = tuple(x.shape[axis] for axis in self.axes)
        for place, vector in enumerate((gamma, beta), start=1):
            if vector is not None and not _equal(equations, vector.shape, wanted):
                raise ShapeError(
                    f"{self.operands[place]} has shape {list(vector.shape)}, the normalized axes have {list(wanted)}",
                    marks={0: list(self.axes), place: list(range(vector.rank))},
                    remedy="make the layer anew for this shape, or give x the size that it was made for",
                )
        return equations.inferred(x)


@dataclass(frozen=True)
class GroupNorm(Op):
    """x: f[n, *a, c, *b], gamma: f[c]?, beta: f[c]? -> f[n, *a, c, *b], c on `axis` (>= 1), in `groups` equal parts.

    Each part of each sample, with all of its *a and *b, gets mean 0 and variance 1; then times gamma, plus beta.
    keras.layers.GroupNormalization; ONNX GroupNormalization-21, on axis 1.
    """

    rounding = Rounding(compound=True, errors=(_off_centre,))
    operands = ("x", "gamma", "beta")
    groups: int
    axis: int
    epsilon: float

    def infer(self, x: TensorType, gamma: TensorType | None = None, beta: TensorType | None = None) -> Inferred:
        """The type of x."""
        equations = Equations()
        same_dtype(x, *(vector for vector in (gamma, beta) if vector is not None))
        require("float", x)
        _check_epsilon(self.epsilon)
        if not 1 <= self.axis < x.rank:
            raise ArgumentError(f"GroupNorm takes an axis from 1 to {x.rank - 1}, got {self.axis}")
        size = x.shape[self.axis]
        if not isinstance(size, int) or self.groups < 1 or size % self.groups:
            raise ShapeError(
                f"axis {self.axis} of size {size} does not split into {self.groups} equal groups",
                marks={0: [self.axis]},
                remedy="choose a number of groups that divides a fixed size",
            )
        for place, vector in enumerate((gamma, beta), start=1):
            if vector is not None:
                _check_vector(equations, x, self.axis, vector, place, self.operands[place])
        return equations.inferred(x)

    def split(self, shape: Shape) -> Shape:
        """The shape of x with a new axis for the groups, before the axis that they divide."""
        size = shape[self.axis]
        return (*shape[: self.axis], self.groups, size // self.groups, *shape[self.axis + 1 :])

    def reduced(self, rank: int) -> tuple[int, ...]:
        """The axes of the split x over which the statistics are computed; rank: of x."""
        return tuple(axis for axis in range(1, rank + 1) if axis != self.axis)


@dataclass(frozen=True)
class RMSNorm(Op):
    """x: f[*s], scale: f[*s[axes]]? -> f[*s]: x / sqrt(mean of x**2 over `axes` + epsilon) * scale; `axes` sorted.

    keras.layers.RMSNormalization; ONNX RMSNormalization-23 where the axes are the last ones.
    """

    rounding = COMPOUND
    operands = ("x", "scale")
    axes: tuple[int, ...]
    epsilon: float

    def infer(self, x: TensorType, scale: TensorType | None = None) -> Inferred:
        """The type of x."""
        return LayerNorm(self.axes, self.epsilon).infer(x, scale)


def _equal(equations: Equations, left: Sequence[Dim], right: Sequence[Dim]) -> bool:
    return len(left) == len(right) and all(equations.equate(a, b) is not None for a, b in zip(left, right, strict=True))


def _check_epsilon(epsilon: float) -> None:
    if not epsilon >= 0:
        raise ArgumentError(f"epsilon must be a number of at least 0, got {epsilon!r}")


def _check_vector(equations: Equations, x: TensorType, axis: int, vector: TensorType, place: int, name: str) -> None:
    if vector.rank != 1:
        raise ShapeError(f"{name} must have rank 1, got {list(vector.shape)}", marks={place: list(range(vector.rank))})
    if equations.equate(x.shape[axis], vector.shape[0]) is None:
        raise ShapeError(
            f"axis {axis} of x has size {x.shape[axis]}, {name} has {vector.shape[0]}",
            marks={0: [axis], place: [0]},
            remedy=f"call it on a value whose axis {axis} is {vector.shape[0]}, or make a new layer for this one",
        )


def batch_normalization(
    x: Operand,
    mean: Operand,
    variance: Operand,
    axis: int,
    offset: Operand | None = None,
    scale: Operand | None = None,
    epsilon: float = 0.001,
) -> Value:
    """(x - mean) / sqrt(variance + epsilon) * scale + offset along an axis; vectors have that axis's size.

    >>> show(ops.batch_normalization([[1.0, 4.0]], mean=[1.0, 2.0], variance=[1.0, 4.0], axis=-1))
    [[0.0, 0.9999]]
    """
    value = as_value(x)
    vectors = [None if vector is None else as_value(vector, like=value) for vector in (scale, offset, mean, variance)]
    return apply(BatchNorm(normalize_axis(axis, value.ndim), float(epsilon)), value, *vectors)


def layer_normalization(
    x: Operand,
    gamma: Operand | None = None,
    beta: Operand | None = None,
    axis: int | Sequence[int] = -1,
    epsilon: float = 0.001,
) -> Value:
    """x with mean 0 and variance 1 over the axes, times gamma, plus beta.

    epsilon: is added to the variance.

    >>> show(ops.layer_normalization([[1.0, 2.0, 3.0]]))
    [[-1.2238, 0.0, 1.2238]]
    """
    value = as_value(x)
    vectors = [None if vector is None else as_value(vector, like=value) for vector in (gamma, beta)]
    return apply(LayerNorm(normalize_axes(axis, value.ndim), float(epsilon)), value, *vectors)


def group_normalization(
    x: Operand,
    groups: int,
    gamma: Operand | None = None,
    beta: Operand | None = None,
    axis: int = -1,
    epsilon: float = 0.001,
) -> Value:
    """x with mean 0 and variance 1 in each of `groups` parts of an axis, times gamma, plus beta.

    epsilon: is added to the variance.

    >>> show(ops.group_normalization([[1.0, 3.0, 10.0, 30.0]], groups=2))
    [[-0.9995, 0.9995, -1.0, 1.0]]
    """
    value = as_value(x)
    vectors = [None if vector is None else as_value(vector, like=value) for vector in (gamma, beta)]
    return apply(GroupNorm(int(groups), normalize_axis(axis, value.ndim), float(epsilon)), value, *vectors)


def rms_normalization(
    x: Operand, scale: Operand | None = None, axis: int | Sequence[int] = -1, epsilon: float = 1e-7
) -> Value:
    """x over its root mean square along the axes, times scale.

    epsilon: is added to the mean square.

    >>> show(ops.rms_normalization([[3.0, 4.0]]))
    [[0.8485, 1.1314]]
    """
    value = as_value(x)
    vector = None if scale is None else as_value(scale, like=value)
    return apply(RMSNorm(normalize_axes(axis, value.ndim), float(epsilon)), value, vector)
