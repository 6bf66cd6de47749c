"""Layers of older versions of Keras that the current one does not have."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Value
from dagir.layers import Layer


class ThresholdedReLU(Layer):
    """x above theta, else 0.  keras.layers.ThresholdedReLU of Keras 2."""

    supports_masking = True

    def __init__(self, theta: float = 1.0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if isinstance(theta, bool) or not isinstance(theta, (int, float)) or not theta >= 0:
            raise ArgumentError(f"ThresholdedReLU takes a theta of at least 0, got {theta!r}")
        self.theta = float(theta)

    def call(self, x: Value) -> Value:
        """x: f[*s] -> f[*s]."""
        return ops.where(ops.greater(x, self.theta), x, 0.0)


LAYERS: dict[str, type[Layer]] = {"ThresholdedReLU": ThresholdedReLU}
