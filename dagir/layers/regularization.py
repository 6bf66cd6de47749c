"""Dropout and noise: layers that do nothing at inference. Keras, which trains, gets the real ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Unpack

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Op, Value, apply
from dagir.layers.argument_types import LayerDType, LayerOptions
from dagir.layers.base import Layer

__all__ = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "SpatialDropout1D",
    "SpatialDropout2D",
    "SpatialDropout3D",
]


def _share(layer: str, name: str, number: object) -> float:
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 1:
        raise ArgumentError(f"{layer} takes a number from 0 to 1 for {name}, got {number!r}")
    return float(number)


def _seed(layer: str, seed: object) -> int | None:
    if seed is not None and (isinstance(seed, bool) or not isinstance(seed, int)):
        raise ArgumentError(f"{layer} takes an int or None for seed, got {seed!r}")
    return seed


class _Noise(Layer):
    """x at inference."""

    supports_masking = True

    def _op(self, inputs: Value) -> Op:
        raise NotImplementedError

    def call(self, inputs: Value, training: bool | None = None) -> Value:
        """x: f[*s] -> f[*s]."""
        return apply(self._op(inputs), inputs)


class Dropout(_Noise):
    """In training a share `rate` of the elements is 0, the rest scaled up.  keras.layers.Dropout.

    noise_shape: what is dropped together has size 1 there; None is the size of x.

    >>> layers.Dropout(0.5)(dagir.Input((4,)))
    <Value dropout float32[batch, 4]>
    """

    def __init__(
        self,
        rate: float,
        noise_shape: Sequence[int | None] | None = None,
        seed: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        kind = type(self).__name__
        self.rate, self.seed = _share(kind, "rate", rate), _seed(kind, seed)
        self.noise_shape = _noise_shape(kind, noise_shape)

    def _op(self, inputs: Value) -> Op:
        return ops.Dropout(self.rate, self.noise_shape, self.seed)


def _noise_shape(layer: str, shape: Any) -> tuple[int | None, ...] | None:
    if shape is None:
        return None
    good = isinstance(shape, (list, tuple)) and all(
        size is None or (isinstance(size, int) and not isinstance(size, bool) and size > 0) for size in shape
    )
    if not good:
        raise ArgumentError(f"{layer} takes positive ints and None for noise_shape, got {shape!r}")
    return tuple(shape)


class AlphaDropout(Dropout):
    """Dropout that keeps mean and variance, for selu.  keras.layers.AlphaDropout.

    rate: the share that is dropped. noise_shape: what is dropped together has size 1 there.

    >>> layers.AlphaDropout(0.5)(dagir.Input((4,)))
    <Value alpha_dropout float32[batch, 4]>
    """

    def _op(self, inputs: Value) -> Op:
        return ops.AlphaDropout(self.rate, self.noise_shape, self.seed)


class GaussianDropout(_Noise):
    """In training times normal noise around 1 of deviation sqrt(rate / (1 - rate)).  keras.layers.GaussianDropout.

    >>> layers.GaussianDropout(0.5)(dagir.Input((4,)))
    <Value gaussian_dropout float32[batch, 4]>
    """

    def __init__(self, rate: float, seed: int | None = None, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.rate, self.seed = _share("GaussianDropout", "rate", rate), _seed("GaussianDropout", seed)

    def _op(self, inputs: Value) -> Op:
        return ops.GaussianDropout(self.rate, self.seed)


class GaussianNoise(_Noise):
    """In training plus normal noise.  keras.layers.GaussianNoise.

    stddev: its standard deviation.

    >>> layers.GaussianNoise(0.5)(dagir.Input((4,)))
    <Value gaussian_noise float32[batch, 4]>
    """

    def __init__(self, stddev: float, seed: int | None = None, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.stddev, self.seed = _share("GaussianNoise", "stddev", stddev), _seed("GaussianNoise", seed)

    def _op(self, inputs: Value) -> Op:
        return ops.GaussianNoise(self.stddev, self.seed)


class _SpatialDropout(_Noise):
    """Whole feature maps are dropped together."""

    rank: ClassVar[int]

    def __init__(
        self, rate: float, seed: int | None = None, name: str | None = None, dtype: LayerDType | None = None
    ) -> None:
        super().__init__(name=name, dtype=dtype)
        kind = type(self).__name__
        self.rate, self.seed = _share(kind, "rate", rate), _seed(kind, seed)
        self.data_format = "channels_last"

    def _op(self, inputs: Value) -> Op:
        if inputs.ndim != self.rank + 2:
            raise ShapeError(f"{type(self).__name__} takes values of rank {self.rank + 2}, got {inputs.type}")
        maps = (1,) * self.rank
        last = self.data_format == "channels_last"
        return ops.Dropout(self.rate, (None, *maps, None) if last else (None, None, *maps), self.seed)

    def get_config(self) -> dict[str, Any]:
        """Keras's spatial dropouts take no `trainable`."""
        config = super().get_config()
        del config["trainable"]
        return config


class SpatialDropout1D(_SpatialDropout):
    """Dropout of whole features of f[n, t, c].  keras.layers.SpatialDropout1D.

    rate: the share that is dropped.

    >>> layers.SpatialDropout1D(0.5)(dagir.Input((10, 4)))
    <Value spatial_dropout1d float32[batch, 10, 4]>
    """

    rank = 1


class _LaidOutDropout(_SpatialDropout):
    """With the channels last or first."""

    def __init__(
        self,
        rate: float,
        data_format: str | None = None,
        seed: int | None = None,
        name: str | None = None,
        dtype: LayerDType | None = None,
    ) -> None:
        super().__init__(rate, seed=seed, name=name, dtype=dtype)
        if data_format not in (None, "channels_last", "channels_first"):
            raise ArgumentError(
                f"{type(self).__name__} got data_format {data_format!r}", remedy="use channels_last or channels_first"
            )
        self.data_format = data_format or "channels_last"


class SpatialDropout2D(_LaidOutDropout):
    """Dropout of whole channels of images.  keras.layers.SpatialDropout2D.

    rate: the share that is dropped.

    >>> layers.SpatialDropout2D(0.5)(dagir.Input((28, 28, 3)))
    <Value spatial_dropout2d float32[batch, 28, 28, 3]>
    """

    rank = 2


class SpatialDropout3D(_LaidOutDropout):
    """Dropout of whole channels of volumes.  keras.layers.SpatialDropout3D.

    rate: the share that is dropped.

    >>> layers.SpatialDropout3D(0.5)(dagir.Input((8, 28, 28, 3)))
    <Value spatial_dropout3d float32[batch, 8, 28, 28, 3]>
    """

    rank = 3


class ActivityRegularization(Layer):
    """x; in training its size adds l1 * sum(|x|) + l2 * sum(x**2) to the loss.  keras.layers.ActivityRegularization.

    >>> layers.ActivityRegularization(l2=0.01)(dagir.Input((4,)))
    <Value activity_regularization float32[batch, 4]>
    """

    supports_masking = True

    def __init__(self, l1: float = 0.0, l2: float = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        self.l1, self.l2 = float(l1), float(l2)

    def call(self, inputs: Value) -> Value:
        """x: t[*s] -> t[*s]."""
        return ops.identity(inputs)
