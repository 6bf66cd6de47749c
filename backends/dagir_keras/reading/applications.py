"""The layers that keras.applications defines itself, and keras.layers does not have."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir import ops
from dagir.ir.graph import Value, apply
from dagir.layers import Layer


class LayerScale(Layer):
    """x times a learned scale for each channel.  keras.applications.convnext."""

    def __init__(self, init_values: float, projection_dim: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.init_values, self.projection_dim = init_values, projection_dim

    def build(self, input_shape: Any) -> None:
        """gamma [projection_dim]."""
        initial = {"class_name": "Constant", "config": {"value": self.init_values}}
        self.gamma = self.add_weight((self.projection_dim,), initial, name="gamma")

    def call(self, x: Value) -> Value:
        """x: f[*d, c] -> f[*d, c]."""
        return ops.multiply(x, self.gamma)


class StochasticDepth(Layer):
    """In training a whole sample is 0 at the rate `drop_path_rate`, else scaled up.  keras.applications.convnext."""

    def __init__(self, drop_path_rate: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.drop_path_rate = float(drop_path_rate)

    def call(self, x: Value, training: Any = None) -> Value:
        """x: f[n, *s] -> f[n, *s]."""
        return apply(ops.Dropout(self.drop_path_rate, (None, *(1,) * (x.ndim - 1)), None), x)


class CustomScaleLayer(Layer):
    """The first of two values plus `scale` times the second.  keras.applications.inception_resnet_v2."""

    def __init__(self, scale: float, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scale = float(scale)

    def call(self, inputs: Sequence[Value]) -> Value:
        """xs: f[*s], f[*s] -> f[*s]."""
        first, second = inputs
        return first + second * self.scale


LAYERS: dict[str, type[Layer]] = {cls.__name__: cls for cls in (LayerScale, StochasticDepth, CustomScaleLayer)}
