"""Layers around another layer or a function: Wrapper, SpectralNormalization, Lambda."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any, Self, Unpack

from dagir import initializers, ops
from dagir.errors import ArgumentError, FileError
from dagir.ir.graph import Parameter, Structure, Value
from dagir.layers.argument_types import BuildShape, LayerOptions, Mask
from dagir.layers.base import Layer
from dagir.layers.core import positive_int

__all__ = [
    "Lambda",
    "SpectralNormalization",
    "Wrapper",
]


class Wrapper(Layer):
    """A layer around another one, `layer`: the base of layers that change one.  keras.layers.Wrapper.

    >>> class Twice(layers.Wrapper):
    ...     def call(self, inputs):
    ...         return self.layer(self.layer(inputs))
    >>> Twice(layers.Dense(4))(dagir.Input((4,)))
    <Value twice/dense float32[batch, 4]>
    """

    def __init__(self, layer: Layer, **kwargs: Unpack[LayerOptions]) -> None:
        if not isinstance(layer, Layer):
            raise ArgumentError(f"{type(self).__name__} takes a layer, got {layer!r}")
        super().__init__(**kwargs)
        self.layer = layer

    def build(self, input_shape: BuildShape) -> None:
        """The weights of the layer inside."""
        self._build_inner(self.layer, input_shape)


class SpectralNormalization(Wrapper):
    """In training, the kernel of the layer is divided by its largest singular value, which Keras estimates.

    At inference the kernel is used as it is, so the result is that of the layer itself.
    keras.layers.SpectralNormalization.
    power_iterations: of the estimate.

    >>> layers.SpectralNormalization(layers.Dense(8))(dagir.Input((4,)))
    <Value spectral_normalization float32[batch, 8]>
    """

    def __init__(self, layer: Layer, power_iterations: int = 1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(layer, **kwargs)
        self.power_iterations = positive_int("SpectralNormalization", "power_iterations", power_iterations)

    def build(self, input_shape: BuildShape) -> None:
        """vector_u [1, o], where Keras keeps its estimate, for a kernel [..., o]."""
        super().build(input_shape)
        kernel = next((w for w in map(self.layer.__dict__.get, ("kernel", "embeddings")) if w is not None), None)
        if not isinstance(kernel, Parameter):
            raise ArgumentError(f"{type(self.layer).__name__} has no kernel and no embeddings to normalize")
        self._weights.append(kernel)  # as in Keras, whose attribute `kernel` makes it a weight of this layer
        normal = initializers.TruncatedNormal(stddev=0.02)
        self.vector_u = self.add_weight((1, kernel.shape[-1]), normal, trainable=False, name="vector_u")

    def check_dtype(self, inputs: object) -> None:
        """The wrapped layer decides."""

    def call(self, inputs: Value, training: bool | None = None) -> Value:
        """x: t[*s] -> what the layer gives, in the dtype of x."""
        y: Value = self.layer(inputs)
        return ops.identity(y) if y.dtype is inputs.dtype else ops.cast(y, inputs.dtype)  # without y's mask


class Lambda(Layer):
    """A Python function as a layer. It is run once for each call, with Values, and becomes part of the graph.

    No file holds the function itself: a model is saved with the graph that the function computed, and a file that
    names a Python function is not loaded. output_shape is not needed, for shapes are inferred. mask: a Value, or
    f(inputs, mask); arguments: keyword arguments of the function.  keras.layers.Lambda.

    >>> layers.Lambda(ops.square)(dagir.Input((4,)))
    <Value lambda float32[batch, 4]>
    """

    def __init__(
        self,
        function: Callable[..., Any],
        output_shape: object = None,
        mask: Mask | Callable[..., Mask] = None,
        arguments: Mapping[str, object] | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        if not callable(function):
            raise ArgumentError(
                f"Lambda takes a function, got {type(function).__name__}",
                remedy="a function cannot be read from a file: define it in Python and build the model in memory",
            )
        self.function, self.mask, self.arguments = function, mask, dict(arguments or {})
        self.supports_masking = mask is not None
        named = inspect.signature(function).parameters
        self._wants = tuple(name for name in ("mask", "training") if name in named)

    def check_dtype(self, inputs: object) -> None:
        """The function decides."""

    def call(self, inputs: Structure, mask: Structure | None = None, training: bool | None = None) -> Any:
        """What the function returns for the inputs."""
        context = {"mask": mask, "training": training}
        return self.function(inputs, **self.arguments, **{name: context[name] for name in self._wants})

    def compute_mask(self, inputs: Structure, mask: Mask = None) -> Mask:
        """What the `mask` argument says."""
        return self.mask(inputs, mask) if callable(self.mask) else self.mask

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """Raises FileError for a function that is stored as code or as a name: it is never looked up or run."""
        if not callable(config.get("function")):
            raise FileError(
                "a Lambda layer holds a Python function, which dagir never loads from a file",
                remedy="build the model in Python, where layers.Lambda is traced, or write a dagir.Layer in its place",
            )
        return cls(**config)
