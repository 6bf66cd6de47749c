"""Tensors of the ONNX graph that is written: their names, their types, and what is known of their numbers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dagir.ir.types import Array, TensorType
from dagir_onnx.views import Axes


@dataclass(frozen=True, slots=True)
class Tensor:
    """A name in the ONNX graph with its type; `make` gives the numbers of an initializer.

    is_derived: each call of `make` computes the numbers anew from those of another initializer. permuted: writes the
    tensor with its axes in another order, new ones where these are None, for what is computed from initializers in
    which that is done now. is_dequantized: it stands for codes. codes, scale: initializers whose product it is, with a
    scale for each place on the last axis.
    """

    name: str
    type: TensorType
    make: Callable[[], Array] | None = None
    is_derived: bool = False
    permuted: Callable[[Axes], Tensor] | None = None
    is_dequantized: bool = False
    codes: Tensor | None = None
    scale: Tensor | None = None

    @property
    def array(self) -> Array:
        """The numbers of a constant or parameter."""
        assert self.make is not None, f"{self.name} is no initializer"
        return self.make()

    @property
    def is_initializer(self) -> bool:
        """Whether the numbers are known when the graph is written."""
        return self.make is not None
