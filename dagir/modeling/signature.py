"""The inputs and outputs of a model, and their names."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dagir.ir.graph import Graph, Node, Value
from dagir.ir.naming import Namer
from dagir.ir.nest import map_structure
from dagir.ir.types import TensorType


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of a model: names, types, and the structures that hold them."""

    inputs: tuple[tuple[str, TensorType], ...]
    outputs: tuple[tuple[str, TensorType], ...]
    input_structure: object
    output_structure: object


def signature_of(graph: Graph, input_structure: object, output_structure: object) -> Signature:
    """The signature of a graph whose inputs and outputs are in these structures."""
    inputs = _input_names(_named(input_structure, graph.inputs))
    namer = Namer(inputs)  # an output may be an input: ONNX needs a name of its own
    outputs = [namer(name or output_name(value)) for name, value in _named(output_structure, graph.outputs)]
    return Signature(
        tuple((name, value.type) for name, value in zip(inputs, graph.inputs, strict=True)),
        tuple((name, value.type) for name, value in zip(outputs, graph.outputs, strict=True)),
        map_structure(lambda _: None, input_structure),
        map_structure(lambda _: None, output_structure),
    )


def _input_names(named: Sequence[tuple[str | None, Value]]) -> list[str]:
    """Inputs keep their names, dicts give their keys; values at which a model was cut get unused names."""
    cut = [name is None and value.node is not None and value.explicit_name is None for name, value in named]
    namer = Namer(name or value.name for (name, value), is_cut in zip(named, cut, strict=True) if not is_cut)
    return [
        namer(value.name) if is_cut else name or value.name for (name, value), is_cut in zip(named, cut, strict=True)
    ]


def _named(structure: object, values: Sequence[Value]) -> list[tuple[str | None, Value]]:
    if isinstance(structure, dict) and not any(isinstance(part, (dict, list, tuple)) for part in structure.values()):
        return list(zip(map(str, structure), values, strict=True))
    return [(None, value) for value in values]


def output_name(value: Value) -> str:
    """The name that the user gave the value, else the name of the outermost layer that made it."""
    node: Node | None = value.node
    if value.explicit_name or node is None:
        return value.name
    scope = node.scope
    while scope is not None and scope.parent is not None:
        scope = scope.parent
    return scope.layer.name if scope is not None else node.op.op_name
