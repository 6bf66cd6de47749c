"""Random augmentation of images: the identity at inference, Keras's own layer when it trains."""

from __future__ import annotations

from typing import Unpack

from dagir import ops
from dagir.errors import DTypeError, ShapeError
from dagir.ir.graph import Value
from dagir.ir.types import Sizes
from dagir.layers.argument_types import BoxOptions, Factor, FillValue, LayerOptions, Range, UnnamedOptions
from dagir.layers.pooling import checked_data_format
from dagir.layers.resizing import ImageLayer

__all__ = [
    "AugMix",
    "CutMix",
    "RandAugment",
    "RandomCrop",
    "RandomElasticTransform",
    "RandomErasing",
    "RandomFlip",
    "RandomGaussianBlur",
    "RandomPerspective",
    "RandomRotation",
    "RandomSharpness",
    "RandomShear",
    "RandomTranslation",
    "RandomZoom",
]


class Augmentation(ImageLayer):
    """The same images, cast to the layer's dtype. The arguments are for training, which Keras does."""

    def __init__(
        self, *, data_format: str | None = None, bounding_box_format: str | None = None, **kwargs: Unpack[LayerOptions]
    ) -> None:
        super().__init__(**kwargs)
        self.data_format = checked_data_format(data_format)

    def call(self, data: Value, training: bool | None = None) -> Value:
        """x: number[n, h, w, c] -> f[n, h, w, c], the same values."""
        self.spatial_axes(data)
        return ops.identity(ops.cast(data, self.dtype))


class FloatAugmentation(Augmentation):
    """For integers Keras 3.15 declares floats, and gives the integers back."""

    def check_dtype(self, inputs: object) -> None:
        """Raise DTypeError for integers."""
        if isinstance(inputs, Value) and not inputs.dtype.is_float:
            raise DTypeError(
                f"{type(self).__name__} takes floats, got {inputs.dtype}: Keras declares floats and yields integers",
                remedy="cast the images first: ops.cast(images, 'float32'), or layers.Rescaling(1.0)",
            )


class RandomFlip(Augmentation):
    """Mirrors images, across or upside down.  keras.layers.RandomFlip.

    mode: "horizontal", "vertical" or "horizontal_and_vertical".

    >>> layers.RandomFlip()(dagir.Input((28, 28, 3)))
    <Value random_flip float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        mode: str = "horizontal_and_vertical",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomRotation(Augmentation):
    """Turns images by a random part of a full turn.  keras.layers.RandomRotation.

    >>> layers.RandomRotation(0.1)(dagir.Input((28, 28, 3)))
    <Value random_rotation float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: FillValue = 0.0,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomZoom(Augmentation):
    """Zooms into images or out of them.  keras.layers.RandomZoom.

    height_factor, width_factor: shares of the size; None takes the height's.

    >>> layers.RandomZoom(0.1)(dagir.Input((28, 28, 3)))
    <Value random_zoom float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor | None = None,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: FillValue = 0.0,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomTranslation(Augmentation):
    """Moves images.  keras.layers.RandomTranslation.

    height_factor, width_factor: shares of the size.

    >>> layers.RandomTranslation(0.1, 0.1)(dagir.Input((28, 28, 3)))
    <Value random_translation float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        height_factor: Factor,
        width_factor: Factor,
        fill_mode: str = "reflect",
        interpolation: str = "bilinear",
        seed: int | None = None,
        fill_value: FillValue = 0.0,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomShear(Augmentation):
    """Slants images.  keras.layers.RandomShear.

    x_factor, y_factor: the slant along each axis.

    >>> layers.RandomShear(0.2)(dagir.Input((28, 28, 3)))
    <Value random_shear float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        x_factor: Factor = 0.0,
        y_factor: Factor = 0.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: FillValue = 0.0,
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomPerspective(Augmentation):
    """Looks at images from another side.  keras.layers.RandomPerspective.

    scale: how far corners move.

    >>> layers.RandomPerspective()(dagir.Input((28, 28, 3)))
    <Value random_perspective float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = 1.0,
        interpolation: str = "bilinear",
        fill_value: FillValue = 0.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomElasticTransform(Augmentation):
    """Bends images.  keras.layers.RandomElasticTransform.

    scale: how far points move.

    >>> layers.RandomElasticTransform()(dagir.Input((28, 28, 3)))
    <Value random_elastic_transform float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = 1.0,
        interpolation: str = "bilinear",
        fill_mode: str = "reflect",
        fill_value: FillValue = 0.0,
        value_range: Range = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomGaussianBlur(Augmentation):
    """Blurs images.  keras.layers.RandomGaussianBlur.

    kernel_size: in pixels. sigma: of the Gaussian, in pixels.

    >>> layers.RandomGaussianBlur()(dagir.Input((28, 28, 3)))
    <Value random_gaussian_blur float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        kernel_size: Sizes = 3,
        sigma: Factor = 1.0,
        value_range: Range = (0, 255),
        data_format: str | None = None,
        seed: int | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomSharpness(Augmentation):
    """Sharpens images or blurs them.  keras.layers.RandomSharpness.

    >>> layers.RandomSharpness(0.2)(dagir.Input((28, 28, 3)))
    <Value random_sharpness float32[batch, 28, 28, 3]>
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


class RandomErasing(Augmentation):
    """Puts rectangles over images.  keras.layers.RandomErasing.

    scale: the share of the image that is covered, (least, most).

    >>> layers.RandomErasing()(dagir.Input((28, 28, 3)))
    <Value random_erasing float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        scale: Factor = (0.02, 0.33),
        fill_value: FillValue | None = None,
        value_range: Range = (0, 255),
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class CutMix(Augmentation):
    """Puts parts of images into others.  keras.layers.CutMix.

    >>> layers.CutMix()(dagir.Input((28, 28, 3)))
    <Value cut_mix float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        factor: Factor = 1.0,
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class AugMix(Augmentation):
    """Mixes images with chains of augmentations of them.  keras.layers.AugMix.

    num_chains: how many chains. chain_depth: augmentations in each. alpha: how evenly they are mixed. all_ops:
    whether all augmentations are drawn.

    >>> layers.AugMix()(dagir.Input((28, 28, 3)))
    <Value aug_mix float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        value_range: Range = (0, 255),
        num_chains: Factor = 3,
        chain_depth: Factor = 3,
        factor: Factor = 0.3,
        alpha: Factor = 1.0,
        all_ops: bool = True,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandAugment(Augmentation):
    """Applies random augmentations.  keras.layers.RandAugment.

    num_ops: augmentations of each image.

    >>> layers.RandAugment()(dagir.Input((28, 28, 3)))
    <Value rand_augment float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        value_range: Range = (0, 255),
        num_ops: Factor = 2,
        factor: Factor = 0.5,
        interpolation: str = "bilinear",
        seed: int | None = None,
        data_format: str | None = None,
        **kwargs: Unpack[BoxOptions],
    ) -> None:
        super().__init__(data_format=data_format, **kwargs)


class RandomCrop(FloatAugmentation):
    """A part of images, of a given size; images that have it already.  keras.layers.RandomCrop.

    Keras 3.15 crops in training and leaves images as they are at inference, though it declares the size for both.
    height, width: in pixels.

    >>> layers.RandomCrop(28, 28)(dagir.Input((28, 28, 3)))
    <Value random_crop float32[batch, 28, 28, 3]>
    """

    def __init__(
        self,
        height: int,
        width: int,
        seed: int | None = None,
        data_format: str | None = None,
        name: str | None = None,
        **kwargs: Unpack[UnnamedOptions],
    ) -> None:
        super().__init__(data_format=data_format, name=name, **kwargs)
        self.height, self.width = height, width

    def call(self, data: Value, training: bool | None = None) -> Value:
        """x: f[n, height, width, c] -> the same values."""
        sizes = tuple(data.type.shape[axis] for axis in self.spatial_axes(data))
        if sizes != (self.height, self.width):
            raise ShapeError(
                f"RandomCrop yields {self.height}x{self.width} in training, at inference Keras leaves {sizes} as it is",
                remedy="use layers.CenterCrop or layers.Resizing, or crop before the model",
            )
        return ops.identity(ops.cast(data, self.dtype))
