"""The shape and the dtype of a traced tensor, with the attributes of those that TensorFlow's tensors have."""

from __future__ import annotations

import math
import sys
from typing import Any

import keras


class TensorShape(tuple[Any, ...]):
    """The sizes of axes, as a tuple. One that is known at run time only is a size of the traced call, never None."""

    __slots__ = ()

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self)

    ndims = rank

    @property
    def dims(self) -> list[Any]:
        """The sizes as a list."""
        return list(self)

    def as_list(self) -> list[Any]:
        """The sizes as a list."""
        return list(self)

    def is_fully_defined(self) -> bool:
        """Whether all sizes are known now."""
        return all(isinstance(size, int) for size in self)

    def num_elements(self) -> int | None:
        """The number of elements, where all sizes are known."""
        return math.prod(self) if self.is_fully_defined() else None

    def with_rank(self, rank: int) -> TensorShape:
        """The same. Raises ValueError where the rank is another."""
        self.assert_has_rank(rank)
        return self

    def assert_has_rank(self, rank: int) -> None:
        """Raise ValueError where the rank is another."""
        if len(self) != rank:
            raise ValueError(f"Shape {tuple(self)} must have rank {rank}")

    def concatenate(self, other: Any) -> TensorShape:
        """The sizes of both."""
        return TensorShape((*self, *other))

    def __add__(self, other: Any) -> TensorShape:
        return self.concatenate(other)

    def __radd__(self, other: Any) -> TensorShape:
        return TensorShape((*other, *self))

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        return TensorShape(found) if isinstance(key, slice) else found


class DTypeName(str):
    """The name of a dtype; on TensorFlow it has the attributes of tf.DType: is_floating, as_numpy_dtype, min, max."""

    __slots__ = ()

    def __getattr__(self, name: str) -> Any:
        tensorflow = sys.modules.get("tensorflow")
        if name.startswith("_") or tensorflow is None or keras.backend.backend() != "tensorflow":
            raise AttributeError(f"'str' object has no attribute {name!r}")
        return getattr(tensorflow.as_dtype(str(self)), name)
