"""Weights that a pass makes from others."""

from __future__ import annotations

from dagir.graph import Initializer, Parameter
from dagir.types import Array, TensorType


class Derived(Parameter):
    """A weight made from others whenever it is read, and kept by nobody: a pass doubles no memory.

    The weights that it is made from may belong to other graphs, and stay as they are.
    """

    __slots__ = ("_make",)

    def __init__(self, name: str, type: TensorType, make: Initializer, *, trainable: bool = True) -> None:
        super().__init__(name, type, trainable=trainable)
        self._make = make

    @property
    def array(self) -> Array:
        """The numbers, computed now."""
        return self._make(self.shape, self.dtype)
