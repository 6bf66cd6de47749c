"""A model as a graph of layers: its parts, each once, and the connections of each of their calls.

Summaries and drawings both show this.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.nest import flatten, flatten_sorted
from dagir.ir.types import TensorType
from dagir.layers.base import Layer
from dagir.layers.internals import parts_of
from dagir.modeling.call_order import in_call_order
from dagir.modeling.keras_order import event_of, events_in_order, operations_in_keras_order
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.ops.call import Call
from dagir.support.location import LayerCall


@dataclass(frozen=True)
class Source:
    """The source of a tensor: a part, the number of its call, and the number of the output of that call."""

    part: Part
    call: int = 0
    output: int = 0

    def __str__(self) -> str:
        return f"{self.part.name}[{self.call}][{self.output}]"


@dataclass(frozen=True)
class PartCall:
    """One call of a part. sources: of each tensor that goes in, None for constants, weights and a model's inputs."""

    values: tuple[Value, ...]
    sources: tuple[Source | None, ...]
    outputs: tuple[Value, ...]


@dataclass(eq=False)
class Part:
    """A layer, an operation outside of layers, or an input. inner: the parts of a nested model."""

    operation: object
    name: str
    kind: str
    inner: Model | Graph | None = None
    calls: list[PartCall] = field(default_factory=list)

    @property
    def weights(self) -> list[Parameter]:
        """Its weights, each once."""
        if isinstance(self.operation, Layer):
            return self.operation.weights
        if isinstance(self.inner, Graph):
            return list(self.inner.parameters)
        used = self.operation.inputs if isinstance(self.operation, Node) else ()
        found = [value.source for value in used if value is not None and isinstance(value.source, Parameter)]
        return list(dict.fromkeys(found))

    @property
    def trainable(self) -> bool | None:
        """Whether training changes any of its weights; None if it has none."""
        weights = self.weights
        if not weights:
            return None
        if isinstance(self.operation, Layer):
            return bool(self.operation.trainable_weights)
        return any(weight.trainable for weight in weights)

    @property
    def input_types(self) -> list[tuple[TensorType, ...]]:
        """The types that go in, for each way in which it is called."""
        return _distinct(call.values for call in self.calls)

    @property
    def output_types(self) -> list[tuple[TensorType, ...]]:
        """The types that come out, for each way in which it is called."""
        return _distinct(call.outputs for call in self.calls)


@dataclass(frozen=True)
class Anatomy:
    """The parts in Keras's order. exits: the source of each output of the model."""

    name: str
    parts: tuple[Part, ...]
    inputs: tuple[Value, ...] = ()
    exits: tuple[Source | None, ...] = ()

    @property
    def is_chain(self) -> bool:
        """Whether each part but the first is called once, on the part before it and nothing else."""
        if any(len(part.calls) > 1 for part in self.parts):
            return False
        before: Part | None = None
        for part in self.parts:
            found = [source.part for call in part.calls for source in call.sources if source is not None]
            if found != ([] if before is None else [before]):
                return False
            before = part
        return True

    def entries(self, index: int) -> list[tuple[Part, int]]:
        """The parts that read input `index`, each with the place of the argument."""
        value = self.inputs[index]
        own = [(part, 0) for part in self.parts if any(value in call.outputs for call in part.calls)]
        if own:
            return own
        return [
            (part, place)
            for part in self.parts
            for place in sorted({i for call in part.calls for i, each in enumerate(call.values) if each is value})
        ]


def anatomy(subject: Model | Graph) -> Anatomy:
    """The parts of a model. A model that has no graph yet has parts without calls."""
    if isinstance(subject, Model) and not subject.has_graph:
        return Anatomy(subject.name, tuple(_part(layer, Namer()) for layer in _inside(subject)))
    graph = subject if isinstance(subject, Graph) else subject.graph
    operations: Sequence[Any]
    if isinstance(subject, Sequential):
        operations = subject.layers
    else:
        outputs = flatten_sorted(subject.output) if isinstance(subject, Model) else None
        operations = operations_in_keras_order(graph, outputs)
    namer = Namer(operation.name for operation in operations if isinstance(operation, Layer))
    parts = {operation: _part(operation, namer) for operation in operations}
    reader = _Reader(graph, parts)
    exits = tuple(reader.source(value) for value in graph.outputs)
    return Anatomy(subject.name, tuple(parts.values()), graph.inputs, exits)


def count(weights: Iterable[Parameter]) -> int:
    """The number of elements in weights."""
    return sum(prod(weight.shape) for weight in weights)


def size(weights: Iterable[Parameter]) -> int:
    """The bytes that weights take."""
    return sum(prod(weight.shape) * weight.dtype.numpy.itemsize for weight in weights)


def _inside(model: Model) -> list[Layer]:
    return model.layers if isinstance(model, Sequential) else parts_of(model)


def _part(operation: Any, namer: Namer) -> Part:
    if isinstance(operation, Node):
        inner = operation.op.graph if isinstance(operation.op, Call) else None
        wanted = operation.name or (inner.name if inner is not None else operation.op.op_name)
        return Part(operation, namer(wanted), type(operation.op).__name__, inner)
    if isinstance(operation, Value):
        return Part(operation, namer(operation.name), "Input")
    kind = getattr(operation, "class_name", None) or type(operation).__name__
    return Part(operation, operation.name, kind, operation if isinstance(operation, Model) else None)


class _Reader:
    """Finds the calls of the parts of one graph, those of each part in the order of the layer's own calls."""

    def __init__(self, graph: Graph, parts: dict[Any, Part]) -> None:
        self._inputs = set(graph.inputs)
        self._places: dict[Any, tuple[Part, int, tuple[Value, ...]]] = {}
        found: list[tuple[Part, tuple[Value, ...], tuple[Value, ...]]] = []
        numbers: Counter[Any] = Counter()
        events = events_in_order(graph)
        calls = in_call_order(event for event in events if isinstance(event, LayerCall))
        others = [event for event in events if not isinstance(event, LayerCall)]
        for event in (*others, *calls):
            part = parts.get(events[event])
            if part is None:  # the input of a Sequential, which Keras does not list
                continue
            values, outputs = _ends(event, part)
            self._places[event] = (part, numbers[part], outputs)
            numbers[part] += 1
            found.append((part, values, outputs))
        for part, values, outputs in found:  # after all calls are known: an earlier one may read a later one
            part.calls.append(PartCall(values, tuple(map(self.source, values)), outputs))

    def source(self, value: Value) -> Source | None:
        """The part and call that made a value; None if none in this graph did."""
        found = self._places.get(event_of(value, self._inputs))
        if found is None:
            return None
        part, call, outputs = found
        place = next((index for index, output in enumerate(outputs) if output is value), 0)
        return Source(part, call, place)


def _ends(event: object, part: Part) -> tuple[tuple[Value, ...], tuple[Value, ...]]:
    """The values that an event reads (for a model in the order of its inputs), and those that it makes."""
    if isinstance(event, Node):
        return tuple(value for value in event.inputs if value is not None and _is_data(value)), event.outputs
    if isinstance(event, Value):
        return (), (event,)
    assert isinstance(event, LayerCall)
    values = [leaf for leaf in flatten([event.args, event.kwargs]) if isinstance(leaf, Value)]
    outputs = tuple(leaf for leaf in flatten(event.outputs) if isinstance(leaf, Value))
    if isinstance(part.inner, Model) and part.inner.has_graph:
        given = event.args[0] if event.args else event.kwargs.get("inputs")
        try:
            arranged = part.inner.arrange_inputs(given)
            values = arranged if all(isinstance(value, Value) for value in arranged) else values
        except (ArgumentError, KeyError):  # traced again for another structure: the order of the call
            return tuple(values), outputs
    return tuple(values), outputs


def _is_data(value: Value) -> bool:
    return value.node is not None or value.is_input


def _distinct(calls: Iterable[tuple[Value, ...]]) -> list[tuple[TensorType, ...]]:
    return list(dict.fromkeys(tuple(value.type for value in values) for values in calls))
