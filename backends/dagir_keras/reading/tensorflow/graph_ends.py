"""Where a graph of a file begins and ends: by its signature, by its placeholders and sinks, or by the user's names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.dims import SymbolicDim, symbols
from dagir.ir.graph import Constant, Value
from dagir.layers.core import Input
from dagir.modeling.input_shapes import resize_inputs
from dagir.modeling.model import Model
from dagir.serialization.reading import shown
from dagir.support.did_you_mean import did_you_mean
from dagir_keras.reading.tensorflow.concrete import input_dtype
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, Output, output_count
from dagir_keras.reading.tensorflow.messages import Message

_PLACEHOLDERS = ("Placeholder", "PlaceholderV2")
_NO_RESULTS = (
    *("NoOp", "Const", "Assert", "PlaceholderWithDefault", "VarHandleOp", "Variable", "VariableV2", "Print"),
    *("Enter", "Switch", "NextIteration", "LoopCond", "RefEnter", "RefSwitch", "RefNextIteration"),
    *("SaveV2", "RestoreV2", "ShardedFilename", "HashTableV2", "HashTable"),
)
_NO_RESULTS_BEGIN = ("Assign", "LookupTableImport", "InitializeTable", "WriteSummary", "Resource", "MergeV2", "Save")
_UNKNOWN_RANK = "give its shape: from_tensorflow(..., inputs={{{!r}: (None, 224, 224, 3)}})"


@dataclass(frozen=True)
class Entrance:
    """An input: its name, its node, and the type that the file tells. shape: -1 for a free size, None for no rank."""

    name: str
    node: str
    dtype: int | str
    shape: tuple[int, ...] | None

    @classmethod
    def told(cls, name: str, node: str, info: Message) -> Entrance:
        """The input that a message with a dtype and a shape tells of."""
        return cls(name, node, info.get("dtype", 0), _sizes(info.get("shape")))


def _sizes(shape: Message | None) -> tuple[int, ...] | None:
    if shape is None or shape.get("unknown_rank") or not shape:
        return None
    return tuple(each.get("size", 0) for each in shape["dims"])


def place_of(text: str) -> Output:
    """The node and which of its outputs a name such as "logits:0" means."""
    name, _, index = text.partition(":")
    if index and not index.isdecimal():
        raise ArgumentError(
            f"{shown(text)} is no name of a tensor", remedy="write node, or node:1 for its second output"
        )
    return name, int(index or 0)


def given_by_user(inputs: Any) -> dict[str, Any]:
    """What the user says of inputs, by their names: a shape, an array, or None. Raises ArgumentError."""
    if inputs is None:
        return {}
    if isinstance(inputs, str):
        return {_plain(inputs): None}
    if isinstance(inputs, Mapping):
        return {_plain(name): each for name, each in inputs.items()}
    if isinstance(inputs, Sequence) and all(isinstance(each, str) for each in inputs):
        return {_plain(name): None for name in inputs}
    raise ArgumentError(
        f"inputs of a file are names, or shapes or arrays by name, got {type(inputs).__name__}",
        remedy="inputs={'x': (None, 224, 224, 3)}",
    )


def _plain(name: object) -> str:
    return str(name).removesuffix(":0")


def placeholders(graph: GraphFunction) -> list[Entrance]:
    """The inputs of a graph without a signature, in the order of their nodes."""
    return [entrance_at(node) for node in graph.nodes.values() if node.op in _PLACEHOLDERS]


def entrance_at(node: GraphNode) -> Entrance:
    """An input in place of a node."""
    tells = node.op in _PLACEHOLDERS or node.op == "PlaceholderWithDefault"
    told = node.attributes.get("shape" if tells else "_output_shapes", {})
    shape = told.get("shape") or next(iter(told.get("list", {}).get("shape", [])), None)
    kinds = (node.attributes.get(key, {}).get("type") for key in ("dtype", "DstT", "Tout", "out_type", "T"))
    return Entrance(node.name, node.name, next((kind for kind in kinds if kind), 1), _sizes(shape))


def sinks(graph: GraphFunction) -> dict[str, Output]:
    """The results of a graph without a signature: all outputs of the nodes of which nothing reads an output."""
    read = {name for node in graph.nodes.values() for name, _ in node.inputs}
    read |= {name for name in graph.after if name in graph.nodes and graph.nodes[name].op == "Identity"}  # of branches
    found: dict[str, Output] = {}
    for node in graph.nodes.values():
        if node.name in read or node.op in (*_NO_RESULTS, *_PLACEHOLDERS) or node.op.startswith(_NO_RESULTS_BEGIN):
            continue
        if "Summary" in node.op:
            continue
        for place in range(output_count(node)):
            found[f"{node.name}:{place}" if place else node.name] = (node.name, place)
    return found


def named_outputs(graph: GraphFunction, names: Any, where: str) -> dict[str, Output]:
    """The tensors that the user names. Raises ArgumentError for a node that is not there."""
    listed = [names] if isinstance(names, str) else list(names)
    if not listed:
        raise ArgumentError("outputs has no names", remedy="outputs=['logits']")
    found = {_plain(name): place_of(str(name)) for name in listed}
    for name, _ in found.values():
        require_node(graph, name, where)
    return found


def require_node(graph: GraphFunction, name: str, where: str) -> GraphNode:
    """The node of a name. Raises ArgumentError."""
    if name not in graph.nodes:
        raise ArgumentError(
            f"{where}: has no node {shown(name)}",
            remedy=did_you_mean(name, graph.nodes) or f"its placeholders are {_listed(placeholders(graph))}",
        )
    return graph.nodes[name]


def _listed(entrances: Sequence[Entrance]) -> str:
    return ", ".join(shown(each.name) for each in entrances[:8]) or "none"


def inputs_at(entrances: Sequence[Entrance], given: Mapping[str, Any], where: str, one_batch: bool) -> dict[str, Value]:
    """An Input for each, or a constant where the user gives an array. one_batch: whether all have the same first size.

    Raises ArgumentError for a name that is none of theirs, and for an unknown rank.
    """
    names = [each.name for each in entrances]
    for name in given:
        if name not in names:
            listed = f"its inputs are {_listed(entrances)}"
            raise ArgumentError(f"{where}: has no input {shown(name)}", remedy=did_you_mean(name, names) or listed)
    free = [each for each in entrances if each.shape and each.shape[0] < 0]
    return {each.name: _value(each, given.get(each.name), where, one_batch or len(free) < 2) for each in entrances}


def _value(entrance: Entrance, given: Any, where: str, has_batch: bool) -> Value:
    dtype = input_dtype(entrance.name, entrance.dtype)
    if isinstance(given, (np.ndarray, np.generic, int, float, bool)):
        return Constant(np.asarray(given).astype(dtype)).value
    if given is not None:
        return Input(batch_shape=tuple(given), dtype=dtype, name=entrance.name)
    if entrance.shape is None:
        raise ArgumentError(
            f"{where}: the input {shown(entrance.name)} has no known rank", remedy=_UNKNOWN_RANK.format(entrance.name)
        )
    sizes = [
        size if size >= 0 else "batch" if axis == 0 and has_batch else f"{_identifier(entrance.name)}_{axis}"
        for axis, size in enumerate(entrance.shape)
    ]
    return Input(batch_shape=sizes, dtype=dtype, name=entrance.name)


def _identifier(name: str) -> str:
    plain = "".join(each if each.isalnum() else "_" for each in name)
    return plain if plain.isidentifier() else f"_{plain}"


def with_one_batch(model: Model) -> Model:
    """The model with one name for the first sizes of its inputs, if they must all be equal as its ops are."""
    firsts = [value.type.shape[0] for value in model.inputs if value.type.rank]
    names = {str(size) for size in firsts if isinstance(size, SymbolicDim) and symbols(size) == {str(size)}}
    if len(names) < 2 or len(names) < len({str(size) for size in firsts if isinstance(size, SymbolicDim)}):
        return model
    if len(set(map(_classes(model, names).__getitem__, names))) > 1:
        return model
    shapes: dict[str, list[Any]] = {}
    for name, value in zip(model.input_names, model.inputs, strict=True):
        if value.type.rank and str(value.type.shape[0]) in names:
            shapes[name] = ["batch", *(s if isinstance(s, int) else str(s) for s in value.type.shape[1:])]
    return resize_inputs(model, shapes)


def _classes(model: Model, names: set[str]) -> dict[str, str]:
    """For each name, one that stands for all that are equal to it."""
    found = {name: name for name in names}
    for left, right in _equalities(model, names):
        old, new = found[left], found[right]
        found = {name: new if stands == old else stands for name, stands in found.items()}
    return found


def _equalities(model: Model, names: set[str]) -> Iterator[tuple[str, str]]:
    for node in model.graph.nodes:
        for equation in node.equations:
            pair = (str(equation.left), str(equation.right))
            if names.issuperset(pair):
                yield pair


__all__ = [
    "Entrance",
    "entrance_at",
    "given_by_user",
    "inputs_at",
    "named_outputs",
    "place_of",
    "placeholders",
    "require_node",
    "sinks",
    "with_one_batch",
]
