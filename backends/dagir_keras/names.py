"""Names of operations: Keras names raw operations itself, and may give one the name of a layer."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

import keras

from dagir.ir.graph import Node
from dagir.ir.naming import Namer

_OF_A_TENSOR = re.compile(r"(_output_0|:0)$")  # what exporters put behind the name of a node


def layer_name(node: Node) -> str:
    """The name of the layer for a node: that of the layer it is of, or its own, as far as Keras takes it."""
    if node.scope is not None:
        return node.scope.layer.name
    return model_name(_OF_A_TENSOR.sub("", node.name or "")) or node.op.op_name


def model_name(name: str) -> str:
    """The name as far as TensorFlow takes it for a scope."""
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
