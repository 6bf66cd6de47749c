"""A graph on Keras, one node after the other: each value is a point, also within layers and in bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import ops as K

from dagir.ir.graph import Constant, Parameter, Value
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.modeling.subgraph import cut_out
from dagir.runtime.backend import Executable, signature
from dagir.runtime.probes import Body, Points, body_of, holds_bodies
from dagir_keras import engine
from dagir_keras.results import results_of
from dagir_keras.rules import rules
from dagir_keras.sizes import sizes_to_compute, with_numbers


class NodeByNode(Executable):
    """The rules of Keras over the graph of some points.

    weights: the numbers that the target has for weights; by default they are those of the graph. lower: makes the
    executable of a part, and gets its weights.
    """

    def __init__(
        self, points: Points, weights: Mapping[Parameter, Array], lower: Callable[[Model, Any], Executable]
    ) -> None:
        super().__init__(points.graph, signature(points.graph))
        self.artifact = points.graph
        self._inside, self._weights, self._lower = points, weights, lower

    def points(self) -> Mapping[str, str]:
        """Every point, under its own name."""
        return {name: name for name in self._inside.values}

    def observe(self, arrays: Sequence[Array], names: Sequence[str]) -> list[Array]:
        """The arrays of the points."""
        return self._evaluated(arrays, [self._inside.values[name] for name in names])

    def part(self, model: Model, inputs: Mapping[str, str], output: str, sizes: Mapping[str, int]) -> Executable:
        """A Keras model of what the graph has between the points."""
        names = [name for name, _ in self.signature.inputs]
        values = {**dict(zip(names, self._inside.graph.inputs, strict=True)), **self._inside.values}
        cut = {values[point]: source for point, source in zip(inputs.values(), model.inputs, strict=True)}
        return self._lower(cut_out(cut, values[output], sizes), self._weights)

    def body(self, point: str, body: Body, arrays: Sequence[Array]) -> Executable | None:
        """The body that its own graph has there."""
        node = self._inside.values[point].node
        if node is None or not holds_bodies(node) or body.field not in node.op.graph_fields:
            return None
        return NodeByNode(body_of(node, body.field).points, self._weights, self._lower)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        return self._evaluated(arrays, self.artifact.outputs)

    def _evaluated(self, arrays: Sequence[Array], wanted: Sequence[Value]) -> list[Array]:
        """The loop. It keeps a tensor for each value."""
        sizes = self.bind(arrays)
        tensors = (K.convert_to_tensor(array) for array in engine.held(self.signature.inputs, arrays))
        values: dict[Value, Any] = dict(zip(self.artifact.inputs, tensors, strict=True))

        def read(value: Value) -> Any:
            return values[value] if value in values else self._leaf(value)

        for node in self.artifact.nodes:
            operands = [None if value is None else read(value) for value in node.inputs]
            op = with_numbers(node.op, sizes) if sizes_to_compute(node.op) else node.op
            results = results_of(node, op, rules[type(op)], operands)
            values.update(zip(node.outputs, results, strict=True))
        return [engine.to_numpy(read(value), value.type) for value in wanted]

    def _leaf(self, value: Value) -> Any:
        source = value.source
        assert isinstance(source, (Constant, Parameter))
        array = self._weights.get(source, source.array) if isinstance(source, Parameter) else source.array
        return K.convert_to_tensor(array, dtype=str(value.dtype))
