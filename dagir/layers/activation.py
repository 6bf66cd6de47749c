"""Activation layers, and the activation functions that other layers name."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from typing import Any, TypeAlias

from dagir import ops
from dagir.errors import ArgumentError
from dagir.graph import Value
from dagir.layers.base import Layer

ActivationFunction: TypeAlias = Callable[[Value], Value]

_BY_NAME: dict[str, ActivationFunction] = {
    "linear": lambda x: x,
    "relu": ops.relu,
    "sigmoid": ops.sigmoid,
    "tanh": ops.tanh,
    "softmax": ops.softmax,
    "log_softmax": ops.log_softmax,
    "softplus": ops.softplus,
    "softsign": ops.softsign,
    "silu": ops.silu,
    "swish": ops.silu,
    "hard_sigmoid": ops.hard_sigmoid,
    "elu": ops.elu,
    "selu": ops.selu,
    "gelu": lambda x: ops.gelu(x, approximate=False),
    "leaky_relu": ops.leaky_relu,
    "relu6": lambda x: ops.clip(x, 0.0, 6.0),
    "exponential": ops.exp,
}


def get(activation: Any) -> ActivationFunction:
    """The function for a Keras name, a callable, or None (linear). Raises ArgumentError with the nearest names."""
    if activation is None:
        return _BY_NAME["linear"]
    if callable(activation):
        return activation  # type: ignore[no-any-return]
    if activation in _BY_NAME:
        return _BY_NAME[activation]
    near = difflib.get_close_matches(str(activation), _BY_NAME, n=3) or list(_BY_NAME)
    raise ArgumentError(f"unknown activation {activation!r}", remedy=f"did you mean {' or '.join(near)}?")


def name_of(activation: Any) -> str | None:
    """The Keras name of what `get` takes; None where it has none."""
    if isinstance(activation, str):
        return activation
    return next((name for name, function in _BY_NAME.items() if function is activation), None)


class Activation(Layer):
    """Apply an activation function.  keras.layers.Activation."""

    supports_masking = True

    def __init__(self, activation: Any, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.activation = get(activation)

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return self.activation(inputs)


class ReLU(Layer):
    """max(x, 0) with a slope below `threshold` and a ceiling.  keras.layers.ReLU."""

    supports_masking = True

    def __init__(
        self, max_value: float | None = None, negative_slope: float = 0.0, threshold: float = 0.0, **kwargs: Any
    ) -> None:
        super().__init__(**kwargs)
        for name, number in (("max_value", max_value), ("negative_slope", negative_slope), ("threshold", threshold)):
            if number is not None and number < 0:
                raise ArgumentError(f"ReLU takes {name} >= 0, got {number}")
        self.max_value, self.negative_slope, self.threshold = max_value, negative_slope, threshold

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        x = inputs
        if self.threshold:
            kept = ops.where(ops.greater_equal(x, self.threshold), x, 0.0)
            x = ops.where(ops.less(x, self.threshold), (x - self.threshold) * self.negative_slope, kept)
        elif self.negative_slope:
            x = ops.leaky_relu(x, self.negative_slope)
        else:
            x = ops.relu(x)
        return x if self.max_value is None else ops.minimum(x, float(self.max_value))


class LeakyReLU(Layer):
    """x where positive, else negative_slope * x.  keras.layers.LeakyReLU."""

    supports_masking = True

    def __init__(self, negative_slope: float = 0.3, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.negative_slope = negative_slope

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return ops.leaky_relu(inputs, self.negative_slope)


class ELU(Layer):
    """x where positive, else alpha * (e**x - 1).  keras.layers.ELU."""

    supports_masking = True

    def __init__(self, alpha: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.alpha = alpha

    def call(self, inputs: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return ops.elu(inputs, self.alpha)


class Softmax(Layer):
    """e**x over its sum along `axis`; positions where the mask is False get 0.  keras.layers.Softmax."""

    supports_masking = True

    def __init__(self, axis: int | tuple[int, ...] = -1, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.axis = axis

    def call(self, inputs: Value, mask: Value | None = None) -> Value:
        """x: f[*s], mask: bool[*s]? -> f[*s]."""
        if mask is not None:
            inputs = inputs + (1.0 - ops.cast(mask, inputs.dtype)) * -3e38
        return ops.softmax(inputs, self.axis)
