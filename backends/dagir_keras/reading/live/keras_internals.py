"""What is read of Keras's objects that has no public name, in one place: this is what a new Keras may change.

Each is looked up by `internal` or `of_module`, whose error names what is gone, and the version that has it no more.
"""

from __future__ import annotations

import importlib
import inspect
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras

from dagir_keras.reading.problems import KerasChanged

_TRIED = "3.8 to 3.15"
_ABSENT = object()


def internal(owner: Any, name: str) -> Any:
    """An attribute of an object of Keras. Raises KerasChanged where it has none."""
    found = getattr(owner, name, _ABSENT)
    if found is _ABSENT:
        bases = (owner if isinstance(owner, type) else type(owner)).__mro__
        cls = next((base for base in bases if base.__module__.startswith("keras.")), bases[0])  # not a user's own
        raise _changed(f"{cls.__module__}.{cls.__qualname__}.{name}")
    return found


def of_module(path: str, name: str = "") -> Any:
    """A module of Keras, or what it has under a name. Raises KerasChanged where there is none."""
    try:
        module = importlib.import_module(path)
    except ImportError as error:
        raise _changed(path) from error
    if name and not hasattr(module, name):
        raise _changed(f"{path}.{name}")
    return getattr(module, name) if name else module


def defined_in(owner: Any, name: str) -> Any:
    """What a class or module has under a name, as it is written there. Raises KerasChanged where there is none."""
    found = inspect.getattr_static(owner, name, _ABSENT)
    if found is _ABSENT:
        where = f"{owner.__module__}.{owner.__qualname__}" if isinstance(owner, type) else owner.__name__
        raise _changed(f"{where}.{name}")
    return found


def _changed(what: str) -> KerasChanged:
    return KerasChanged(
        f"Keras {keras.__version__} has no {what}, by which dagir reads models in memory",
        remedy=f"install one of Keras {_TRIED}; or save the model, and read the file: dagir.from_keras(path)",
    )


def layers_inside(layer: Any, nested: bool = True) -> list[Any]:
    """The layers that a layer holds; nested: also those that these hold."""
    return list(internal(layer, "_flatten_layers")(include_self=False, recursive=nested))


def build_shapes_of(layer: Any) -> dict[str, Any]:
    """What `build` was given, by the names of its arguments; empty for a layer that was not built."""
    return dict(internal(layer, "_build_shapes_dict") or {})


def was_built(sequential: Any) -> bool:
    """Whether a Sequential has its graph."""
    return internal(sequential, "_functional") is not None


def input_of_stack(sequential: Any) -> Any:
    """The KerasTensor with which a Sequential begins, also one whose outputs Keras found no shapes for; else None."""
    if was_built(sequential):
        return sequential.inputs[0]
    first = next(iter(internal(sequential, "_layers")), None)
    return first.output if isinstance(first, keras.layers.InputLayer) else None


def takes_training(layer: Any) -> bool:
    """Whether `call` has an argument `training`."""
    return bool(internal(layer, "_call_has_training_arg"))


def input_structure(model: Any) -> Any:
    """The inputs of a functional model in the structure in which they were given."""
    return internal(model, "_inputs_struct")


def output_structure(model: Any) -> Any:
    """The outputs of a functional model in the structure in which they were given."""
    return internal(model, "_outputs_struct")


def nodes_by_depth(model: Any) -> Mapping[int, list[Any]]:
    """The nodes of a functional model, by their distance from the outputs."""
    found: Mapping[int, list[Any]] = internal(model, "_nodes_by_depth")
    return found


def history_of(tensor: Any) -> tuple[Any, int]:
    """The operation that made a KerasTensor, None for none, and which of its calls did."""
    operation, place, _ = internal(tensor, "_keras_history")
    return operation, place


def inbound_node(operation: Any, place: int) -> Any:
    """A call of an operation."""
    return internal(operation, "_inbound_nodes")[place]


def parts_in_file(saveable: Any) -> Iterator[tuple[str, Any]]:
    """What a layer holds, by attribute, in the order in which its weights are written to a file."""
    found: Iterator[tuple[str, Any]] = of_module("keras.src.saving.saving_lib", "_walk_saveable")(saveable)
    return found


def forget_mask(tensor: Any) -> None:
    """Take away the mask that a tensor carries, if it carries one."""
    if getattr(tensor, "_keras_mask", None) is not None:
        tensor._keras_mask = None


def mask_of(tensor: Any) -> Any:
    """The mask that a tensor carries, or None."""
    return getattr(tensor, "_keras_mask", None)


def set_mask(tensor: Any, mask: Any) -> None:
    """Let a tensor carry a mask."""
    tensor._keras_mask = mask


@contextmanager
def calling(layer: Any, training: bool) -> Iterator[None]:
    """Within it, the layers that `layer` calls are called as its own `__call__` would: they get this `training`."""
    context = internal(layer, "_get_call_context")()
    before = getattr(context, "training", None)
    context.training = training
    try:
        yield
    finally:
        context.training = before
        internal(layer, "_maybe_reset_call_context")()
