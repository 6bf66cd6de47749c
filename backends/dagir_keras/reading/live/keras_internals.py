"""What is read of Keras's objects that has no public name, in one place: this is what a new Keras may change."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from keras.src.saving import saving_lib


def layers_inside(layer: Any, nested: bool = True) -> list[Any]:
    """The layers that a layer holds; nested: also those that these hold."""
    return list(layer._flatten_layers(include_self=False, recursive=nested))


def build_shapes_of(layer: Any) -> dict[str, Any]:
    """What `build` was given, by the names of its arguments; empty for a layer that was not built."""
    return dict(layer._build_shapes_dict or {})


def was_built(sequential: Any) -> bool:
    """Whether a Sequential has its graph."""
    return sequential._functional is not None


def takes_training(layer: Any) -> bool:
    """Whether `call` has an argument `training`."""
    return bool(layer._call_has_training_arg)


def input_structure(model: Any) -> Any:
    """The inputs of a functional model in the structure in which they were given."""
    return model._inputs_struct


def output_structure(model: Any) -> Any:
    """The outputs of a functional model in the structure in which they were given."""
    return model._outputs_struct


def nodes_by_depth(model: Any) -> Mapping[int, list[Any]]:
    """The nodes of a functional model, by their distance from the outputs."""
    found: Mapping[int, list[Any]] = model._nodes_by_depth
    return found


def history_of(tensor: Any) -> tuple[Any, int]:
    """The operation that made a KerasTensor, None for none, and which of its calls did."""
    operation, place, _ = tensor._keras_history
    return operation, place


def inbound_node(operation: Any, place: int) -> Any:
    """A call of an operation."""
    return operation._inbound_nodes[place]


def parts_in_file(saveable: Any) -> Iterator[tuple[str, Any]]:
    """What a layer holds, by attribute, in the order in which its weights are written to a file."""
    found: Iterator[tuple[str, Any]] = saving_lib._walk_saveable(saveable)
    return found


def forget_mask(tensor: Any) -> None:
    """Take away the mask that a tensor carries, if it carries one."""
    if getattr(tensor, "_keras_mask", None) is not None:
        tensor._keras_mask = None
