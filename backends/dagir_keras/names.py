"""Names of operations: Keras names raw operations itself, and may give one the name of a layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import keras

from dagir.ir.graph import Node
from dagir.ir.naming import Namer

_SCOPE = re.compile(r"[A-Za-z0-9_.>-]+")  # what TensorFlow takes for the scope of a layer
_ROOT_SCOPE = re.compile(r"[A-Za-z0-9.][A-Za-z0-9_.>-]*")  # and for that of a model
_LOSS = re.compile(r"[A-Za-z0-9_./>-]+")  # and within the name of a loss
_OF_A_TENSOR = re.compile(r"(_output_0|:0)$")  # what exporters put behind the name of a node


def layer_name(node: Node) -> str:
    """The name of the layer for a node: that of the layer it is of, or its own, as far as Keras takes it."""
    if node.scope is not None:
        return node.scope.layer.name
    return _replaced(_OF_A_TENSOR.sub("", node.name or "")) or node.op.op_name


def scope_name(name: str) -> str | None:
    """The name of a layer or a weight where TensorFlow takes it for a scope, else one like it.

    None where nothing is left of it: Keras then makes a name.
    """
    return name if _SCOPE.fullmatch(name) else _replaced(name) or None


def root_scope_name(name: str) -> str | None:
    """The name of a model where TensorFlow takes it for a scope, else one like it, as `scope_name`."""
    return name if _ROOT_SCOPE.fullmatch(name) else _replaced(name) or None


def output_keys(structure: Any) -> dict[Any, Any]:
    """For the keys of a dict of outputs, those that its Keras model has.

    Keras makes a scope of the name of each loss, and thus could not train a model with others.
    """
    keys = list(structure) if isinstance(structure, dict) else []
    refused = [key for key in keys if isinstance(key, str) and not _LOSS.fullmatch(key)]
    namer = Namer(key for key in keys if key not in refused)
    return {key: namer(_replaced(key) or "output") if key in refused else key for key in keys}


def as_keras_has(structure: Any) -> Any:
    """The structure of outputs with the keys of `output_keys`."""
    keys = output_keys(structure)
    return {keys[key]: part for key, part in structure.items()} if keys else structure


def _replaced(name: str) -> str:
    """The name with an underscore for what no scope has in it, and without what no scope begins with."""
    return re.sub(r"[^A-Za-z0-9_.>-]+", "_", name).lstrip("_>-").rstrip("_")


def distinguish(outputs: Iterable[Any], unnamed: Iterable[Any]) -> None:
    """Give raw operations that compute these KerasTensors names that no layer and no other operation has.

    unnamed: layers that are treated as operations, for the user did not name them.
    """
    operations, free = _operations(outputs), set(map(id, unnamed))
    named = [each for each in operations if isinstance(each, keras.layers.Layer) and id(each) not in free]
    namer, kept = Namer(layer.name for layer in named), set(map(id, named))
    for operation in reversed(operations):
        if id(operation) not in kept:
            operation.name = namer(operation.name)


def _operations(outputs: Iterable[Any]) -> list[Any]:
    """Every operation once, beginning at the outputs."""
    found: dict[int, Any] = {}
    pending, seen = list(outputs), set()
    while pending:
        tensor = pending.pop()
        history = getattr(tensor, "_keras_history", None)
        if history is None or (id(history.operation), history.node_index) in seen:
            continue
        seen.add((id(history.operation), history.node_index))
        found.setdefault(id(history.operation), history.operation)
        pending.extend(history.operation._inbound_nodes[history.node_index].input_tensors)
    return list(found.values())
