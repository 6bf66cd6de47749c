"""What a model, or the file of one, holds, as typed data: its layers as a tree, its weights, its inputs and outputs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from hashlib import sha256
from math import prod
from typing import TypeAlias

import numpy as np

from dagir.display.layer_graph import Part, anatomy
from dagir.ir.diagnostics import op_text
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.nest import flatten
from dagir.ir.types import Array, type_of
from dagir.layers.base import Layer
from dagir.layers.internals import calls_of, parts_of
from dagir.layers.unknown import unknown_layers
from dagir.modeling.model import Model
from dagir.ops.call import Call, graphs_of, parameters_of

Sizes: TypeAlias = tuple[int | str | None, ...]

SCHEMA = 2
"""The version of `Contents.to_dict`; it grows where a field changes its meaning or goes."""

_LONGEST = 200
"""The characters of an op with its attributes up to which they are shown."""
_MOST_NUMBERS = 8
"""The elements of a constant up to which they are shown."""


@dataclass(frozen=True)
class TensorEntry:
    """A tensor. dtype and shape: None where the file does not tell them; so is a size that has neither number nor name.

    name: in the interface, or in a file that names its tensors.
    """

    dtype: str | None
    shape: Sizes | None
    name: str | None = None

    def __str__(self) -> str:
        sizes = "?" if self.shape is None else ", ".join("?" if size is None else str(size) for size in self.shape)
        return f"{self.dtype or '?'}[{sizes}]"


@dataclass(frozen=True)
class WeightEntry:
    """A weight, once however many layers use it. trainable: None where the format does not tell.

    parameters: its elements. bytes: what they take. is_setting: of axes, shapes or indices, which files of ONNX have
    beside their weights; no parameter of the model.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    parameters: int
    bytes: int
    trainable: bool | None = None
    is_setting: bool = False


@dataclass(frozen=True)
class LayerEntry:
    """A layer, a node outside of layers, or the body of a branch or loop.

    inputs: the names of what it is called on, in its first call. outputs: of its first call. calls: how often it is
    called in its model. ops: what it computes, each op once with its attributes. weights: names of those that it uses,
    and of those inside it. parameters, bytes: theirs. shared_with: the path of the entry that is the same layer, and
    shows what is inside. layers: what is inside.
    """

    name: str
    kind: str
    inputs: tuple[str, ...] = ()
    outputs: tuple[TensorEntry, ...] = ()
    calls: int = 1
    ops: tuple[str, ...] = ()
    weights: tuple[str, ...] = ()
    parameters: int = 0
    bytes: int = 0
    trainable: bool | None = None
    shared_with: str | None = None
    layers: tuple[LayerEntry, ...] = ()


@dataclass(frozen=True)
class Contents:
    """What a model holds. op_counts: how often each op occurs, bodies included. facts: (label, text), as the opset."""

    name: str
    inputs: tuple[TensorEntry, ...]
    outputs: tuple[TensorEntry, ...]
    layers: tuple[LayerEntry, ...]
    weights: tuple[WeightEntry, ...]
    op_counts: Mapping[str, int]
    facts: tuple[tuple[str, str], ...] = ()

    @property
    def parameters(self) -> int:
        """The elements of all weights, each once; without settings."""
        return sum(weight.parameters for weight in self.weights if not weight.is_setting)

    @property
    def bytes(self) -> int:
        """What all weights take, each once; without settings."""
        return sum(weight.bytes for weight in self.weights if not weight.is_setting)

    @property
    def trainable_parameters(self) -> int | None:
        """The elements of the weights that are trained; None where the format does not tell."""
        if any(weight.trainable is None for weight in self.weights):
            return None
        return sum(weight.parameters for weight in self.weights if weight.trainable)

    def to_dict(self) -> dict[str, object]:
        """The same as what JSON can hold."""
        return {
            "schema": SCHEMA,
            "name": self.name,
            "inputs": [asdict(each) for each in self.inputs],
            "outputs": [asdict(each) for each in self.outputs],
            "layers": [asdict(each) for each in self.layers],
            "weights": [asdict(each) for each in self.weights],
            "parameters": self.parameters,
            "trainable_parameters": self.trainable_parameters,
            "bytes": self.bytes,
            "op_counts": dict(self.op_counts),
            "facts": dict(self.facts),
        }


def contents_of(subject: Model | Graph) -> Contents:
    """What a model holds.

    >>> x = dagir.Input((3,), name="x")
    >>> found = contents_of(dagir.Model(x, layers.Dense(2, name="head")(x)))
    >>> [(each.name, each.kind, each.parameters, str(each.outputs[0])) for each in found.layers]
    [('x', 'InputLayer', 0, 'float32[batch, 3]'), ('head', 'Dense', 8, 'float32[batch, 2]')]
    """
    graph = subject if isinstance(subject, Graph) else subject.graph
    names = {weight: name for name, weight in weights_of(subject).items()}
    layers = _Reader(names).entries(subject, "")
    counts = Counter(
        type(node.op).__name__ for each in graphs_of(graph) for node in each.nodes if not isinstance(node.op, Call)
    )
    unknown = unknown_layers(graphs_of(graph))
    inputs, outputs = _interface(subject)
    return Contents(
        subject.name,
        inputs,
        outputs,
        layers,
        tuple(_weight(name, weight) for weight, name in names.items()),
        dict(counts.most_common()),
        tuple((f"opaque {layer.name}", f"{layer.original}: {layer.why}") for layer in unknown),
    )


def tensor(value: Value, name: str | None = None) -> TensorEntry:
    """A value of a graph: a named size by its name, a computed one by its formula."""
    sizes = tuple(size if isinstance(size, int) else str(size) for size in value.type.shape)
    return TensorEntry(str(value.dtype), sizes, name)


def _interface(subject: Model | Graph) -> tuple[tuple[TensorEntry, ...], tuple[TensorEntry, ...]]:
    if isinstance(subject, Graph):
        return tuple(tensor(v, v.name) for v in subject.inputs), tuple(tensor(v, v.name) for v in subject.outputs)
    ends = ((subject.inputs, subject.input_names), (subject.outputs, subject.output_names))
    inputs, outputs = (tuple(map(tensor, values, names)) for values, names in ends)
    return inputs, outputs


def weights_of(subject: Model | Graph) -> dict[str, Parameter]:
    """Every weight, those that nobody reads too, by the name that it has in `contents_of`."""
    graph = subject if isinstance(subject, Graph) else subject.graph
    own = [] if isinstance(subject, Graph) else subject.weights
    namer = Namer()
    return {namer(weight.name): weight for weight in dict.fromkeys([*own, *parameters_of(graph)])}


def shortened(text: str) -> str:
    """The text of an attribute, or of a long one the beginning, and a digest that tells it from others."""
    if len(text) <= _LONGEST:
        return text
    return f"{text[:_LONGEST]}... (sha256 {sha256(text.encode(errors='surrogatepass')).hexdigest()[:16]})"


def _weight(name: str, weight: Parameter) -> WeightEntry:
    elements = prod(weight.shape)
    taken = elements * weight.dtype.numpy.itemsize
    return WeightEntry(name, str(weight.dtype), tuple(weight.shape), elements, taken, weight.trainable)


class _Reader:
    """Reads layers into entries, and knows those that it has seen by their paths."""

    def __init__(self, names: Mapping[Parameter, str]) -> None:
        self._names = names
        self._paths: dict[Layer, str] = {}
        self._nodes: dict[Layer, list[Node]] = {}

    def entries(self, subject: Model | Graph, path: str) -> tuple[LayerEntry, ...]:
        graph = subject if isinstance(subject, Graph) else subject.graph
        for layer, nodes in _nodes_by_layer(graph).items():
            self._nodes.setdefault(layer, nodes)
        parts = anatomy(subject).parts
        return tuple(self._entry(part, f"{path}/{part.name}" if path else part.name) for part in parts)

    def _entry(self, part: Part, path: str) -> LayerEntry:
        layer = part.operation if isinstance(part.operation, Layer) else None
        known = path if layer is None else self._paths.setdefault(layer, path)
        first = part.calls[0] if part.calls else None
        return self._made(
            part.name,
            part.kind,
            part.weights,
            part.operation,
            inputs=() if first is None else tuple(source.part.name for source in first.sources if source is not None),
            outputs=() if first is None else tuple(map(tensor, first.outputs)),
            calls=len(part.calls),
            trainable=part.trainable,
            shared_with=None if known == path else known,
            layers=self._inside(part, path) if known == path else (),
        )

    def _made(
        self,
        name: str,
        kind: str,
        weights: Sequence[Parameter],
        operation: object = None,
        *,
        inputs: tuple[str, ...] = (),
        outputs: tuple[TensorEntry, ...] = (),
        calls: int = 1,
        trainable: bool | None = None,
        shared_with: str | None = None,
        layers: tuple[LayerEntry, ...] = (),
    ) -> LayerEntry:
        sizes = [_weight(name, weight) for weight in weights]
        return LayerEntry(
            name,
            kind,
            inputs,
            outputs,
            calls,
            tuple(dict.fromkeys(_text(node) for node in self._nodes_of(operation))),
            tuple(self._names.get(weight, weight.name) for weight in weights),
            sum(each.parameters for each in sizes),
            sum(each.bytes for each in sizes),
            trainable,
            shared_with,
            layers,
        )

    def _nodes_of(self, operation: object) -> list[Node]:
        if isinstance(operation, Node):
            return [] if isinstance(operation.op, Call) else [operation]
        return self._nodes.get(operation, []) if isinstance(operation, Layer) else []

    def _inside(self, part: Part, path: str) -> tuple[LayerEntry, ...]:
        """The layers of a nested model, those that a layer holds, and the bodies of branches and loops."""
        if part.inner is not None:
            return self.entries(part.inner, path)
        held = parts_of(part.operation) if isinstance(part.operation, Layer) else []
        bodies = self._bodies(self._nodes_of(part.operation), path)
        return (*(self._held(layer, f"{path}/{layer.name}") for layer in held), *bodies)

    def _held(self, layer: Layer, path: str) -> LayerEntry:
        """A layer inside a layer, which is in no graph of its own."""
        known = self._paths.setdefault(layer, path)
        inside: tuple[LayerEntry, ...] = ()
        if known == path and isinstance(layer, Model) and layer.has_graph:
            inside = self.entries(layer, path)
        elif known == path:
            inside = tuple(self._held(each, f"{path}/{each.name}") for each in parts_of(layer))
        calls = calls_of(layer)
        outputs = [each for each in flatten(calls[0].outputs) if isinstance(each, Value)] if calls else []
        return self._made(
            layer.name,
            getattr(layer, "class_name", None) or type(layer).__name__,
            layer.weights,
            layer,
            outputs=tuple(map(tensor, outputs)),
            calls=len(calls),
            trainable=bool(layer.trainable_weights) if layer.weights else None,
            shared_with=None if known == path else known,
            layers=inside,
        )

    def _bodies(self, nodes: Iterable[Node], path: str) -> tuple[LayerEntry, ...]:
        found = []
        for node in nodes:
            for name, body in _bodies_of(node.op):
                weights = parameters_of(body)
                outputs = tuple(map(tensor, body.outputs))
                inside = self.entries(body, f"{path}/{name}")
                found.append(self._made(name, "Body", weights, outputs=outputs, layers=inside))
        return tuple(found)


def _bodies_of(op: Op) -> list[tuple[str, Graph]]:
    """The bodies of a branch or a loop, by the names of its fields; a nested model is none."""
    return [] if isinstance(op, Call) else [(name, getattr(op, name)) for name in op.graph_fields]


def _nodes_by_layer(graph: Graph) -> dict[Layer, list[Node]]:
    """The nodes that each layer wrote, also through the layers inside it; nested models have theirs in other graphs."""
    found: dict[Layer, list[Node]] = {}
    for node in graph.nodes:
        scope = node.scope
        while scope is not None:
            if isinstance(scope.layer, Layer) and not isinstance(node.op, Call):
                found.setdefault(scope.layer, []).append(node)
            scope = scope.parent
    return found


def _text(node: Node) -> str:
    """The op with its attributes, and the constants that it reads: small ones as they are, others by a digest."""
    constants = [
        value.source.array for value in node.inputs if value is not None and isinstance(value.source, Constant)
    ]
    shown = "".join(f" with {_numbers(array)}" for array in constants)
    return shortened(op_text(node.op)) + shown


def _numbers(array: Array) -> str:
    if array.size <= _MOST_NUMBERS:
        return f"{array.tolist()!r}"
    return f"{type_of(array)} (sha256 {sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]})"
