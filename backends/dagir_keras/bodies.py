"""The graphs inside ops, run with tensors of Keras; and ops that hold graphs as steps of a functional model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops as K

from dagir.ir.data_sizes import told_by
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Constant, Graph, Op, Parameter, Value
from dagir.ir.types import DType
from dagir_keras.results import results_of
from dagir_keras.rules import rules
from dagir_keras.sizes import sizes_to_compute, with_numbers

Run: TypeAlias = Callable[[Any, Sequence[Any]], "tuple[Any, ...]"]
Specs: TypeAlias = Callable[[Any, Sequence[Any]], "list[Any]"]


class _BodyOperation(keras.Operation):
    """An op that holds graphs as a step of a functional model. run: computes it; specs: the KerasTensors it gives."""

    def __init__(self, op: Op, run: Run, specs: Specs) -> None:
        super().__init__()
        self.op, self.run, self.specs = op, run, specs

    def call(self, *xs: Any) -> Any:
        """The outputs of the op."""
        return self.run(self.op, _tensors(xs))

    def compute_output_spec(self, *xs: Any) -> Any:
        """A KerasTensor for each output."""
        return tuple(self.specs(self.op, xs))


def apply_bodies(op: Op, xs: Sequence[Any], run: Run, specs: Specs) -> tuple[Any, ...]:
    """The outputs of an op that holds graphs: on KerasTensors by an Operation, else at once."""
    if any(isinstance(x, keras.KerasTensor) for x in xs):
        return tuple(_BodyOperation(op, run, specs)(*xs))
    return run(op, _tensors(xs))


def spec(shape: Sequence[Dim | None], dtype: Any) -> Any:
    """A KerasTensor: None for a size that is known at run time only."""
    sizes = tuple([None if isinstance(d, SymbolicDim) else d for d in shape])
    name = str(dtype) if isinstance(dtype, DType) else keras.backend.standardize_dtype(dtype)
    return keras.KerasTensor(sizes, dtype=name)


def _tensors(xs: Sequence[Any]) -> list[Any]:
    return [None if x is None else K.convert_to_tensor(x) for x in xs]


def sizes_of(graph: Graph, shapes: Sequence[Sequence[Any]]) -> dict[str, Any]:
    """The numbers of the named sizes that the inputs of a graph have. shapes: those of the first inputs."""
    sources = size_sources([value.type.shape for value in graph.inputs[: len(shapes)]])
    return {name: source.solve(shapes[source.place][source.axis]) for name, source in sources.items()}


def evaluate(graph: Graph, tensors: Sequence[Any], sizes: dict[str, Any]) -> list[Any]:
    """The outputs of a graph of ops, without layer calls, for tensors. It keeps a tensor for each value."""
    values: dict[Value, Any] = dict(zip(graph.inputs, tensors, strict=True))

    def read(value: Value) -> Any:
        return values[value] if value in values else _leaf(value)

    sizes = dict(sizes)
    for node in graph.nodes:
        operands = [None if value is None else read(value) for value in node.inputs]
        op = with_numbers(node.op, sizes) if sizes_to_compute(node.op) else node.op
        results = results_of(node, op, rules[type(op)], operands)
        values.update(zip(node.outputs, results, strict=True))
        for name, source in told_by(node).items():
            sizes[name] = source.solve(K.shape(results[source.place])[source.axis])
    return [read(value) for value in graph.outputs]


def _leaf(value: Value) -> Any:
    """The tensor of a parameter or constant."""
    assert isinstance(value.source, (Constant, Parameter))
    return K.convert_to_tensor(value.source.array, dtype=str(value.dtype))
