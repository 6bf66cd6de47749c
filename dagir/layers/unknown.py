"""Layers whose meaning is not known: they can be shown, and cut away, but not run."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from dagir.ir.dims import SymbolicDim, symbol
from dagir.ir.graph import Graph, Op, Value, apply_node
from dagir.ir.rounding import ROUNDED
from dagir.ir.types import DType, TensorType
from dagir.layers.base import Layer

_NO_SHAPE = symbol("unknown_shape")
UNKNOWN = TensorType(DType.FLOAT32, (_NO_SHAPE,))
"""The type of a value of which nothing is known."""


@dataclass(frozen=True)
class Opaque(Op):
    """xs: any -> `types`, as they are told: no backend has a rule for it."""

    rounding = ROUNDED
    operands = ("*xs",)
    class_name: str
    types: tuple[TensorType, ...]

    def infer(self, *xs: TensorType) -> tuple[TensorType, ...]:
        """The types that were told."""
        return self.types


class UnknownLayer(Layer):
    """A layer of a class that is not known here. why: why it is not."""

    def __init__(self, class_name: str, why: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.original, self.why = class_name, why
        self.types: tuple[TensorType, ...] = (UNKNOWN,)  # of what the next call gives

    @property
    def class_name(self) -> str:
        """The class, as summaries and plots show it."""
        return f"{self.original} (opaque)"

    def check_dtype(self, inputs: object) -> None:
        """Nothing is known of it."""

    def call(self, *values: Value) -> list[Value]:
        """Values of the types that were told."""
        return list(apply_node(Opaque(self.original, self.types), values).outputs)


def is_unknown(values: Iterable[Value]) -> bool:
    """Whether nothing is known of one of these values."""
    return any(_NO_SHAPE in value.type.shape for value in values)


def type_told(shape: Sequence[Any], dtype: DType, inputs: Sequence[Value], name: str) -> TensorType:
    """A type by a shape as Keras tells it, None for a size that is free. The first axis is that of the inputs."""
    sizes: list[Any] = list(shape)
    for axis, size in enumerate(sizes):
        if isinstance(size, str):
            sizes[axis] = symbol(size)
        elif size is None:
            known = axis == 0 and inputs and inputs[0].type.shape and not is_unknown(inputs[:1])
            sizes[axis] = inputs[0].type.shape[0] if known else _free(name, axis)
    return TensorType(dtype, tuple(sizes))


def _free(name: str, axis: int) -> SymbolicDim:
    plain = "".join(each if each.isascii() and each.isalnum() else "_" for each in name)
    return symbol(f"n_{plain}_dim{axis}")


def unknown_layers(graphs: Iterable[Graph]) -> list[UnknownLayer]:
    """The unknown layers that these graphs call, each once."""
    found: dict[UnknownLayer, None] = {}
    for graph in graphs:
        for node in graph.nodes:
            if isinstance(node.op, Opaque) and node.scope is not None and isinstance(node.scope.layer, UnknownLayer):
                found[node.scope.layer] = None
    return list(found)
