"""The base of quantized layers: which weights Keras stores for them, in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dagir.errors import DTypeError, FileError
from dagir.ir.graph import Parameter, Value
from dagir.ir.nest import flatten
from dagir.ir.types import Array, DType
from dagir.layers import Layer
from dagir_keras.reading.quantized.schemes import Scheme

GROUPS = "g_idx"


class Quantized(Layer):
    """A layer with the weights of a quantized layer of Keras, under Keras's names for them.

    scheme: a `Scheme` as plain data. adapter: the rank and the alpha of a low-rank adapter (LoRA), or None.
    """

    order: ClassVar[Mapping[str, tuple[str, ...]]]  # by mode: the names in the order of a file

    def __init__(self, scheme: Mapping[str, Any], adapter: tuple[int, float] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.scheme = Scheme.of(scheme)
        self.adapter = None if adapter is None or self.scheme.mode not in ("int8", "int4") else adapter
        self.absent: set[str] = set()  # of those in `order`, which this layer does not have

    @property
    def stored(self) -> list[str]:
        """The names of what a file has of this layer; some have no weight here, since nothing reads them."""
        return [name for name in self.order[self.scheme.mode] if name not in self.absent]

    def named_weights(self) -> dict[str, Parameter]:
        """The weights by name; those of an adapter too, which no file has: Keras merges them when it saves."""
        names = [*self.stored, "lora_kernel_a", "lora_kernel_b", "lora_embeddings_a", "lora_embeddings_b"]
        found = {name: vars(self).get(name) for name in names}
        return {name: weight for name, weight in found.items() if isinstance(weight, Parameter)}

    def check(self, name: str, array: Array, where: str) -> None:
        """Raise FileError for an array that is not what the layer computes with."""
        weight = self.named_weights().get(name)
        if weight is not None and weight.dtype.is_integer and weight.dtype.numpy != array.dtype:
            raise FileError(f"{where}: {name} is {array.dtype}, and codes of {weight.dtype} are expected")
        block = self.scheme.block
        if weight is None and name == GROUPS and block and not np.array_equal(array, np.arange(array.size) // block):
            raise FileError(f"{where}: its groups are no blocks of {block} that follow each other")

    def check_dtype(self, inputs: object) -> None:
        """Keras computes nothing sensible from integers here: its scale of them is an integer."""
        for value in flatten(inputs):
            if isinstance(value, Value) and not value.dtype.is_float:
                raise DTypeError(f"quantized layer {self.name!r} takes floats, got {value.dtype}")
        super().check_dtype(inputs)

    def _add(self, name: str, shape: tuple[Any, ...], dtype: DType | None = None, trainable: bool = False) -> None:
        kind = self.dtype if dtype is None else dtype
        start = "glorot_uniform" if trainable and len(shape) > 1 else "ones" if kind.is_float else "zeros"
        setattr(self, name, self.add_weight(shape, start, dtype=kind, trainable=trainable, name=name))
