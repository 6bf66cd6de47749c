"""Batch, layer, group, root-mean-square and unit normalization."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any, Unpack

import numpy as np

from dagir import initializers, ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Initializer, Parameter, Structure, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.types import Array, DType, normalize_axis
from dagir.layers.argument_types import Constraint, InitializerLike, LayerOptions, Regularizer
from dagir.layers.base import Layer

__all__ = [
    "BatchNormalization",
    "GroupNormalization",
    "LayerNormalization",
    "RMSNormalization",
    "UnitNormalization",
]


def _epsilon(layer: str, epsilon: object) -> float:
    if isinstance(epsilon, bool) or not isinstance(epsilon, (int, float)) or not epsilon >= 0:
        raise ArgumentError(f"{layer} takes an epsilon of at least 0, got {epsilon!r}")
    return float(epsilon)


def _root_of(initializer: InitializerLike) -> Initializer:
    """An initializer of the deviation, from that of the variance."""
    make = initializers.get(initializer)

    def initialize(shape: tuple[int, ...], dtype: DType) -> Array:
        root: Array = np.sqrt(make(shape, dtype))
        return root

    return initialize


class BatchNormalization(Layer):
    """(x - moving_mean) / sqrt(moving_variance + epsilon) * gamma + beta, along `axis`.

    Training, which Keras does, normalizes by the statistics of the batch instead.  keras.layers.BatchNormalization.
    momentum: of the moving statistics, in training. renorm: three more weights, which training alone reads, as it does
    renorm_clipping, renorm_momentum and synchronized.

    >>> layers.BatchNormalization()(dagir.Input((4,)))
    <Value batch_normalization float32[batch, 4]>
    """

    supports_masking = True

    training_effect = "it would normalize by the statistics of each batch"

    def __init__(
        self,
        axis: int = -1,
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        moving_mean_initializer: InitializerLike = "zeros",
        moving_variance_initializer: InitializerLike = "ones",
        beta_regularizer: Regularizer | None = None,
        gamma_regularizer: Regularizer | None = None,
        beta_constraint: Constraint | None = None,
        gamma_constraint: Constraint | None = None,
        renorm: bool = False,
        renorm_clipping: Mapping[str, float] | None = None,
        renorm_momentum: float = 0.99,
        synchronized: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ArgumentError(f"BatchNormalization takes one int for axis, got {axis!r}")
        self.axis, self.momentum, self.epsilon = axis, float(momentum), _epsilon("BatchNormalization", epsilon)
        self.center, self.scale, self.renorm = center, scale, renorm
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """gamma, beta, moving_mean, moving_variance [c]; with renorm three more, which training alone reads."""
        shape = (input_shape[normalize_axis(self.axis, len(input_shape))],)
        self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma") if self.scale else None
        self.beta = self.add_weight(shape, self.beta_initializer, name="beta") if self.center else None

        def statistic(name: str, initializer: InitializerLike) -> Parameter:
            return self.add_weight(shape, initializer, trainable=False, name=name)

        self.moving_mean = statistic("moving_mean", self.moving_mean_initializer)
        self.moving_variance = statistic("moving_variance", self.moving_variance_initializer)
        if self.renorm:
            deviation = _root_of(self.moving_variance_initializer)
            statistic("moving_stddev", deviation)
            statistic("renorm_mean", self.moving_mean_initializer)
            statistic("renorm_stddev", deviation)

    def call(self, inputs: Value, training: bool | None = None, mask: Structure | None = None) -> Value:
        """x: f[*s] -> f[*s]; a mask is only for the statistics in training."""
        values = [
            None if weight is None else as_value(weight)
            for weight in (self.gamma, self.beta, self.moving_mean, self.moving_variance)
        ]
        op = ops.BatchNorm(normalize_axis(self.axis, inputs.ndim), self.epsilon, self.momentum)
        return apply(op, inputs, *values)


def _axes(layer: str, axis: object) -> list[int]:
    """One or several ints as a list."""
    axes: list[Any] = list(axis) if isinstance(axis, (list, tuple)) else [axis]
    if not axes or not all(isinstance(each, int) and not isinstance(each, bool) for each in axes):
        raise ArgumentError(f"{layer} takes an int or a list of ints for axis, got {axis!r}")
    return axes


class LayerNormalization(Layer):
    """Zero mean and unit variance over `axis`, times gamma, plus beta.  keras.layers.LayerNormalization.

    rms_scaling: leave the mean where it is, and add no beta.

    >>> layers.LayerNormalization()(dagir.Input((4,)))
    <Value layer_normalization float32[batch, 4]>
    """

    supports_masking = True

    def __init__(
        self,
        axis: int | Sequence[int] = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: Regularizer | None = None,
        gamma_regularizer: Regularizer | None = None,
        beta_constraint: Constraint | None = None,
        gamma_constraint: Constraint | None = None,
        rms_scaling: bool = False,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.axis = sorted(_axes("LayerNormalization", axis))
        self.epsilon = _epsilon("LayerNormalization", epsilon)
        self.center, self.scale, self.rms_scaling = center, scale, rms_scaling
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """gamma and beta, with the sizes of the axes in the order of the sorted axes as they were written."""
        shape = tuple(input_shape[normalize_axis(axis, len(input_shape))] for axis in self.axis)
        scaled, centred = self.scale or self.rms_scaling, self.center and not self.rms_scaling
        self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma") if scaled else None
        self.beta = self.add_weight(shape, self.beta_initializer, name="beta") if centred else None

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        axes = tuple(sorted(normalize_axis(axis, inputs.ndim) for axis in self.axis))
        gamma, beta = (_in_order(weight, inputs, axes) for weight in (self.gamma, self.beta))
        if not self.rms_scaling or gamma is None:
            return ops.layer_normalization(inputs, gamma, beta, axes, self.epsilon)
        # despite the name, Keras divides by the deviation, and the mean stays
        shape = [size if axis in axes else 1 for axis, size in enumerate(inputs.type.shape)]
        scale = ops.rsqrt(ops.var(inputs, axis=axes, keepdims=True) + self.epsilon)
        return inputs * scale * ops.reshape(gamma, shape)


def _in_order(weight: Parameter | None, inputs: Value, axes: tuple[int, ...]) -> Value | None:
    """For axes written as [-1, 1], Keras sorts the sizes of the weight, but not its elements."""
    if weight is None:
        return None
    shape = tuple(inputs.type.shape[axis] for axis in axes)
    return weight.value if shape == weight.shape or len(axes) == 1 else ops.reshape(weight, shape)


class GroupNormalization(Layer):
    """Mean 0 and variance 1 in each of `groups` parts of an axis (-1: one for each channel).

    keras.layers.GroupNormalization.

    >>> layers.GroupNormalization(groups=2)(dagir.Input((4,)))
    <Value group_normalization float32[batch, 4]>
    """

    supports_masking = True

    def __init__(
        self,
        groups: int = 32,
        axis: int = -1,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: InitializerLike = "zeros",
        gamma_initializer: InitializerLike = "ones",
        beta_regularizer: Regularizer | None = None,
        gamma_regularizer: Regularizer | None = None,
        beta_constraint: Constraint | None = None,
        gamma_constraint: Constraint | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        if isinstance(groups, bool) or not isinstance(groups, int) or (groups <= 0 and groups != -1):
            raise ArgumentError(f"GroupNormalization takes a positive int or -1 for groups, got {groups!r}")
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ArgumentError(f"GroupNormalization takes one int for axis, got {axis!r}")
        self.groups, self.axis, self.epsilon = groups, axis, _epsilon("GroupNormalization", epsilon)
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """gamma and beta [c]."""
        shape = (input_shape[normalize_axis(self.axis, len(input_shape))],)
        self.gamma = self.add_weight(shape, self.gamma_initializer, name="gamma") if self.scale else None
        self.beta = self.add_weight(shape, self.beta_initializer, name="beta") if self.center else None

    def call(self, inputs: Value) -> Value:
        """x: f[n, *s] -> f[n, *s]."""
        groups: Any = inputs.shape[self.axis] if self.groups == -1 else self.groups
        return ops.group_normalization(inputs, groups, self.gamma, self.beta, self.axis, self.epsilon)


class RMSNormalization(Layer):
    """x over its root mean square along `axis`, times scale.  keras.layers.RMSNormalization.

    >>> layers.RMSNormalization()(dagir.Input((4,)))
    <Value rms_normalization float32[batch, 4]>
    """

    def __init__(self, axis: int | Sequence[int] = -1, epsilon: float = 1e-6, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.axis = sorted(_axes("RMSNormalization", axis))
        self.epsilon = _epsilon("RMSNormalization", epsilon)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """scale, with the sizes of the axes."""
        shape = tuple(input_shape[normalize_axis(axis, len(input_shape))] for axis in self.axis)
        self.scale = self.add_weight(shape, "ones", name="scale")

    def call(self, x: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        axes = tuple(normalize_axis(axis, x.ndim) for axis in self.axis)
        if axes == tuple(range(axes[0], x.ndim)):
            return ops.rms_normalization(x, self.scale, axes, self.epsilon)
        # Keras always broadcasts the scale along the last axes
        return ops.rms_normalization(x, None, axes, self.epsilon) * self.scale.value


class UnitNormalization(Layer):
    """x over its Euclidean norm along `axis`.  keras.layers.UnitNormalization.

    >>> layers.UnitNormalization()(dagir.Input((4,)))
    <Value unit_normalization float32[batch, 4]>
    """

    supports_masking = True

    def __init__(self, axis: int | Sequence[int] = -1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.axis = _axes("UnitNormalization", axis)

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]; if the norm is 0, so is the result."""
        squares = ops.sum(ops.square(inputs), axis=self.axis, keepdims=True)
        largest = inf if inputs.dtype is DType.FLOAT16 else 1e12  # which float16 rounds to infinity, in Keras too
        return inputs * ops.minimum(ops.rsqrt(squares), largest)
