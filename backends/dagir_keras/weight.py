"""The Keras layers of a bare weight: one of Keras's own where it can hold it, else Weight."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import keras


class TableOfOneRow:
    """A bare float weight as a keras.layers.Embedding of one row, which plain Keras loads and trains."""

    def __init__(self, shape: Sequence[int], name: str | None, dtype: str, trainable: bool) -> None:
        self.shape = tuple(shape)
        options = {"embeddings_initializer": "zeros", "name": name, "dtype": dtype, "trainable": trainable}
        self.layer = keras.layers.Embedding(1, prod(self.shape), **options)

    def __call__(self, index: Any) -> Any:
        """The weight as a KerasTensor. index: a KerasTensor that is 0, see first_index."""
        return keras.ops.reshape(self.layer(index), self.shape)

    @property
    def value(self) -> keras.Variable:
        """The variable: the elements in one row."""
        return self.layer.embeddings


def first_index(given: Any) -> Any:
    """The number 0 from a KerasTensor of numbers: a functional model takes only what a step of it computes."""
    return keras.ops.sum(keras.ops.zeros_like(given, dtype="int32"))


@keras.saving.register_keras_serializable(package="dagir")
class Weight(keras.layers.Layer):
    """Yields its weight, whatever it is called on: a functional model takes only what a step of it has computed.

    weight_shape: of the weight, all sizes known.
    """

    def __init__(self, weight_shape: Sequence[int], dtype: Any = None, **kwargs: Any) -> None:
        policy = keras.DTypePolicy(dtype) if isinstance(dtype, str) else dtype  # "int8" alone would quantize
        super().__init__(dtype=policy, **kwargs)
        self.autocast = False
        self.supports_masking = True  # it does not read what it is called on, so a mask is not lost
        self.weight_shape = tuple(weight_shape)

    def share(self, variable: keras.Variable) -> None:
        """Take a variable that another layer owns, in place of one of its own."""
        self.value = variable

    def build(self, shape: Any) -> None:
        """Make the weight: zeros, until it is assigned."""
        if not hasattr(self, "value"):
            self.value = self.add_weight(shape=self.weight_shape, initializer="zeros", name="value")

    def call(self, tensor: Any) -> Any:
        """The weight as a tensor."""
        return keras.ops.convert_to_tensor(self.value)

    def compute_output_spec(self, tensor: Any) -> Any:
        """The type of the weight."""
        return keras.KerasTensor(self.weight_shape, dtype=self.compute_dtype)

    def compute_mask(self, tensor: Any, previous_mask: Any) -> None:
        """None."""

    def get_config(self) -> dict[str, Any]:
        """The shape, and the dtype by its name, beside what every layer has."""
        return {**super().get_config(), "dtype": self.compute_dtype, "weight_shape": list(self.weight_shape)}
