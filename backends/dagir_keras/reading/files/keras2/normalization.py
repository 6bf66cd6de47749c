"""Batch normalization of Keras 2 over several axes, or in groups of the batch."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Parameter, Value
from dagir.layers import Layer


class BatchNormalizationOverAxes(Layer):
    """BatchNormalization along several axes.  keras.layers.BatchNormalization of Keras 2.

    The weights have the rank of the input, with size 1 on the other axes. With virtual_batch_size they have one axis
    more, of size 1 behind that of the batch, and `axis` counts it; only training normalizes groups of the batch.
    """

    supports_masking = True
    training_effect = "it would normalize by the statistics of each batch"

    def __init__(
        self,
        axis: int | list[int],
        momentum: float = 0.99,
        epsilon: float = 1e-3,
        center: bool = True,
        scale: bool = True,
        beta_initializer: Any = "zeros",
        gamma_initializer: Any = "ones",
        moving_mean_initializer: Any = "zeros",
        moving_variance_initializer: Any = "ones",
        beta_regularizer: Any = None,
        gamma_regularizer: Any = None,
        beta_constraint: Any = None,
        gamma_constraint: Any = None,
        virtual_batch_size: int | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        axes = axis if isinstance(axis, list) else [axis]
        if not axes or not all(type(each) is int for each in axes):
            raise ArgumentError(f"BatchNormalization of Keras 2 takes ints for axis, got {axis!r}")
        self.axes, self.epsilon, self.virtual_batch_size = axes, float(epsilon), virtual_batch_size
        self.center, self.scale = center, scale
        self.beta_initializer, self.gamma_initializer = beta_initializer, gamma_initializer
        self.moving_mean_initializer = moving_mean_initializer
        self.moving_variance_initializer = moving_variance_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """gamma, beta, moving_mean, moving_variance: the sizes of the axes, 1 for the others."""
        rank, shift = len(input_shape), 0 if self.virtual_batch_size is None else 1
        axes = {each % rank if each < 0 else each - shift for each in self.axes}
        shape = [size if axis in axes else 1 for axis, size in enumerate(input_shape)]
        sizes = [size for size in shape if size is not None]
        if not axes <= set(range(1, rank)) or len(sizes) != rank:
            raise ShapeError(f"BatchNormalization layer {self.name!r} cannot normalize {input_shape} along {self.axes}")
        if shift:
            sizes.insert(1, 1)

        def weight(name: str, initializer: Any, trainable: bool = True) -> Parameter:
            return self.add_weight(tuple(sizes), initializer, trainable=trainable, name=name)

        self.gamma = weight("gamma", self.gamma_initializer) if self.scale else None
        self.beta = weight("beta", self.beta_initializer) if self.center else None
        self.moving_mean = weight("moving_mean", self.moving_mean_initializer, False)
        self.moving_variance = weight("moving_variance", self.moving_variance_initializer, False)

    def call(self, inputs: Value, training: bool | None = None, mask: Any = None) -> Value:
        """x: f[*s] -> f[*s]."""
        factor = ops.rsqrt(self._of(self.moving_variance) + self.epsilon)
        if self.gamma is not None:
            factor = factor * self._of(self.gamma)
        shift = -self._of(self.moving_mean) * factor
        if self.beta is not None:
            shift = shift + self._of(self.beta)
        return inputs * factor + shift

    def _of(self, weight: Parameter) -> Value:
        return weight.value if self.virtual_batch_size is None else ops.squeeze(weight.value, 1)
