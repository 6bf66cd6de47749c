"""Layers that change the colors of images at random while a network trains, and are the identity at inference."""

from __future__ import annotations

from typing import Unpack

from dagir import ops
from dagir.ir.graph import Value
from dagir.layers.argument_types import BoxOptions, Factor, ImageOptions, Range
from dagir.layers.augmentation import Augmentation, FloatAugmentation

__all__ = [
    "MixUp",
    "RandomBrightness",
    "RandomColorDegeneration",
    "RandomColorJitter",
    "RandomContrast",
    "RandomGrayscale",
    "RandomHue",
    "RandomInvert",
    "RandomPosterization",
    "RandomSaturation",
    "Solarization",
]


class Solarization(Augmentation):
    """Adds to the values of images, and inverts those above a threshold.  keras.layers.Solarization.

    addition_factor: how much is added, as a share. threshold_factor: where inverting begins, as a share.

    >>> layers.Solarization()(dagir.Input((28, 28, 3)))
    <Value solarization float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        addition_factor: Factor = 0.0,
        threshold_factor: Factor = 0.0,
        value_range: Range = (0, 255),
        seed: int | None = None,
        **kwargs: Unpack[ImageOptions],
    ) -> None:
        super().__init__(**kwargs)


class RandomBrightness(FloatAugmentation):
    """Makes images lighter or darker.  keras.layers.RandomBrightness.

    >>> layers.RandomBrightness(0.2)(dagir.Input((28, 28, 3)))
    <Value random_brightness float32[batch, 28, 28, 3]>
    """

    def __init__(
        self, factor: Factor, value_range: Range = (0, 255), seed: int | None = None, **kwargs: Unpack[ImageOptions]
    ) -> None:
        super().__init__(**kwargs)


class RandomContrast(FloatAugmentation):
    """Changes the contrast of images.  keras.layers.RandomContrast.

    >>> layers.RandomContrast(0.2)(dagir.Input((28, 28, 3)))
    <Value random_contrast float32[batch, 28, 28, 3]>
    """

    def __init__(
        self, factor: Factor, value_range: Range = (0, 255), seed: int | None = None, **kwargs: Unpack[ImageOptions]
    ) -> None:
        super().__init__(**kwargs)


class RandomColorDegeneration(FloatAugmentation):
    """Takes colour out of images.  keras.layers.RandomColorDegeneration.

    >>> layers.RandomColorDegeneration(0.2)(dagir.Input((28, 28, 3)))
    <Value random_color_degeneration float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Range = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomColorJitter(FloatAugmentation):
    """Changes brightness, contrast, saturation and hue.  keras.layers.RandomColorJitter.

    brightness_factor, contrast_factor, saturation_factor, hue_factor: how far each changes.

    >>> layers.RandomColorJitter()(dagir.Input((28, 28, 3)))
    <Value random_color_jitter float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        value_range: Range = (0, 255),
        brightness_factor: Factor | None = None,
        contrast_factor: Factor | None = None,
        saturation_factor: Factor | None = None,
        hue_factor: Factor | None = None,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomHue(FloatAugmentation):
    """Turns the hues of images.  keras.layers.RandomHue.

    >>> layers.RandomHue(0.1)(dagir.Input((28, 28, 3)))
    <Value random_hue float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Range = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomSaturation(FloatAugmentation):
    """Changes the saturation of images.  keras.layers.RandomSaturation.

    >>> layers.RandomSaturation(0.2)(dagir.Input((28, 28, 3)))
    <Value random_saturation float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Range = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomInvert(FloatAugmentation):
    """Inverts images.  keras.layers.RandomInvert.

    >>> layers.RandomInvert()(dagir.Input((28, 28, 3)))
    <Value random_invert float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        value_range: Range = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomPosterization(FloatAugmentation):
    """Leaves fewer bits to the values of images.  keras.layers.RandomPosterization.

    >>> layers.RandomPosterization(4)(dagir.Input((28, 28, 3)))
    <Value random_posterization float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor,
        value_range: Range = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class MixUp(FloatAugmentation):
    """Blends images with others of the batch.  keras.layers.MixUp.

    alpha: of the beta distribution that the shares are drawn from.

    >>> layers.MixUp()(dagir.Input((28, 28, 3)))
    <Value mix_up float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        alpha: Factor = 0.2,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomGrayscale(Augmentation):
    """Makes images grey.  keras.layers.RandomGrayscale.

    >>> layers.RandomGrayscale()(dagir.Input((28, 28, 3)))
    <Value random_grayscale float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor = 0.5,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)

    def call(self, data: Value, training: bool | None = None) -> Value:
        """x: number[n, h, w, c] -> the same values and dtype."""
        self.spatial_axes(data)
        return ops.identity(ops.cast(data, self.dtype) if data.dtype.is_float else data)
