"""Questions about the layers, operations, tensors and variables of Keras in memory."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterable, Mapping
from typing import Any

import keras
import numpy as np

from dagir.ir.graph import Parameter, Value
from dagir.ir.nest import flatten
from dagir.ir.types import Array, DType, TensorType
from dagir.layers.core import Input
from dagir_keras.reading.live.keras_internals import (
    history_of,
    inbound_node,
    layers_inside,
    nodes_by_depth,
    of_module,
)
from dagir_keras.reading.problems import Refused, refuse_input

_IMAGES = "keras.src.layers.preprocessing.image_preprocessing.base_image_preprocessing_layer"
_AUGMENTING = (_IMAGES, "BaseImagePreprocessingLayer")


def array_of(variable: Any) -> Array:
    """The numbers of a Keras variable: its memory itself, which an assignment to it leaves unchanged.

    A copy on PyTorch, which assigns in place. JAX gives a view, and never donates memory that has one.
    """
    if keras.backend.backend() == "jax":
        return np.asarray(variable.value)
    try:
        return np.asarray(memoryview(variable.value.read_value()))
    except (AttributeError, TypeError, ValueError, BufferError):  # bfloat16, or another backend of Keras
        return np.asarray(keras.ops.convert_to_numpy(variable))


def weight_of(variable: Any) -> Parameter:
    """A weight for a variable of Keras, or of TensorFlow."""
    name = getattr(variable, "path", None) or str(variable.name).removesuffix(":0")
    kind = TensorType(DType.of(keras.backend.standardize_dtype(variable.dtype)), tuple(variable.shape))
    return Parameter(name, kind, array=array_of(variable), trainable=bool(variable.trainable))


def array_of_tensor(tensor: Any) -> Array:
    """The numbers of a tensor of Keras's backend."""
    return np.asarray(keras.ops.convert_to_numpy(tensor))


def foreign_variables(source: Any) -> list[Any]:
    """The variables of TensorFlow that a layer, or one inside it, has as attributes: Keras does not list them."""
    tensorflow = sys.modules.get("tensorflow")
    if tensorflow is None:
        return []
    owners = [source, *layers_inside(source)]
    found = (leaf for owner in owners for part in vars(owner).values() for leaf in _leaves_of(part))
    known = {id(getattr(variable, "_value", None)) for variable in source.variables}
    each = {id(leaf): leaf for leaf in found if isinstance(leaf, tensorflow.Variable) and id(leaf) not in known}
    return list(each.values())


def _leaves_of(part: Any) -> Iterable[Any]:
    """A thing, or what is in a list, a tuple or a dictionary of things."""
    return flatten(part) if isinstance(part, (list, tuple, dict)) else (part,)


def merged_weights(source: Any) -> list[Any]:
    """The variables of a layer. LoRA adapters are left out, and merged into the weight that they adapt."""
    if not getattr(source, "lora_enabled", False):
        return list(source.weights)
    adapted = {id(getattr(source, f"_{name}", None)): name for name in ("kernel", "embeddings")}
    adapters = {
        id(part) for name, part in vars(source).items() if name.startswith("lora_") and name[-2:] in ("_a", "_b")
    }
    kept = [variable for variable in source.weights if id(variable) not in adapters]
    return [keras.Variable(getattr(source, adapted[id(v)]), name=v.name) if id(v) in adapted else v for v in kept]


def has_graph(source: Any) -> bool:
    functional = of_module("keras.src.models.functional", "Functional")
    return isinstance(source, functional) and has_call_of(source, functional)


def has_call_of(source: Any, cls: Any) -> bool:
    """Whether a layer has the call of this class, overridden neither in its own class nor in the object."""
    return type(source).call is cls.call and "call" not in vars(source)


def is_layer_of_keras(source: Any) -> bool:
    """Whether a layer is of a class of Keras, with the call of that class."""
    return is_keras_class(type(source)) and "call" not in vars(source)


def is_keras_class(cls: type) -> bool:
    return _is_of(cls, "keras.src.layers.", "keras.src.applications.")


def is_keras_operation(cls: type) -> bool:
    """Whether a class of operations is one of keras.ops."""
    return _is_of(cls, "keras.src.ops.")


def _is_of(cls: type, *packages: str) -> bool:
    """Whether a module of these packages has this class under its name: the class's own word for it is not enough."""
    module = str(cls.__module__)
    return module.startswith(packages) and getattr(sys.modules.get(module), cls.__name__, None) is cls


def is_traceable(source: Any) -> bool:
    return not isinstance(source, (keras.layers.RNN, of_module(*_AUGMENTING)))


def trains_by_default(source: Any) -> bool:
    """Whether its `call` says training=True where nobody asks: Keras writes that into every call of it."""
    return isinstance(source, of_module(*_AUGMENTING))


def record_of(source: Any) -> dict[str, Any]:
    """The record that a file would have of a layer or an operation."""
    cls = type(source)
    registered = keras.saving.get_registered_name(cls)
    module = "keras.layers" if is_keras_class(cls) else cls.__module__
    try:
        config = _config_of(source)
    except Exception:  # a layer of the user's without one
        config = None
    if not isinstance(config, dict):  # also where a user's `get_config` returns nothing
        config = {"name": source.name}
    if "vocabulary" in config and config["vocabulary"] is None and hasattr(source, "get_vocabulary"):
        config["vocabulary"] = source.get_vocabulary(include_special_tokens=False)
    return {
        "module": module,
        "class_name": cls.__name__,
        "config": config,
        "name": source.name,
        "registered_name": None if registered == cls.__name__ else registered,
    }


def _config_of(source: Any) -> Any:
    """The configuration. A Keras layer with a function that has none is described with linear activations."""
    try:
        return source.get_config()
    except Exception:
        if is_keras_operation(type(source)):  # Keras describes no operation that got a number of NumPy, or a function
            return {"name": source.name, **_arguments_of(source)}
        if not is_keras_class(type(source)):
            raise
        return _linear(source).get_config()


def _arguments_of(operation: Any) -> dict[str, Any]:
    """The constructor arguments of an operation, which it has as attributes of the same names."""
    names = list(inspect.signature(type(operation).__init__).parameters)[1:]
    found = {name: getattr(operation, name) for name in names if name != "name" and hasattr(operation, name)}
    return {name: part.item() if isinstance(part, np.generic) else part for name, part in found.items()}


def _linear(source: Any) -> Any:
    """A copy with linear activations, only to read its configuration. It shares all else, and is never run."""
    alike = object.__new__(type(source))
    vars(alike).update(vars(source))
    for name, part in vars(source).items():
        if name.endswith("activation"):
            vars(alike)[name] = keras.activations.linear
        elif name in ("cell", "layer", "forward_layer", "backward_layer") and is_keras_class(type(part)):
            vars(alike)[name] = _linear(part)
        elif name == "cells":
            vars(alike)[name] = [_linear(cell) if is_keras_class(type(cell)) else cell for cell in part]
    return alike


def with_functions(record: dict[str, Any], source: Any) -> dict[str, Any]:
    """The record of a Keras layer with its activation functions themselves, where a file would have their names."""
    config = record["config"]
    found = {key: getattr(source, key, config[key]) for key in config if key.endswith("activation")}
    return {**record, "config": {**config, **found}}


def part_of(source: Any, key: str) -> Any:
    """The layer that a configuration has under this key."""
    name, _, place = key.partition("[")
    if isinstance(source, keras.layers.Bidirectional) and name == "layer":
        name = "forward_layer"
    found = getattr(source, name, None)
    return found[int(place.rstrip("]"))] if place and found is not None else found


def dtype_of(source: Any) -> DType:
    name = source.compute_dtype or "float32"
    return DType.of(source.variable_dtype if source.dtype_policy.name.startswith("mixed_") else name)


def input_of(tensor: Any, any_batch: bool) -> Value:
    """An Input like that of Keras. any_batch: whatever batch size Keras has for it, as where a model is called.

    Raises Refused where it may be sparse, ragged or left out.
    """
    operation = history_of(tensor)[0]
    for option in ("sparse", "ragged", "optional"):
        if getattr(tensor, option, False) or getattr(operation, option, False):
            refuse_input(_input_name(tensor), option)
    shape = list(tensor.shape)
    if any_batch and shape:
        shape[0] = None
    return Input(batch_shape=shape, dtype=tensor.dtype, name=_input_name(tensor))


def placeholder_of(tensor: Any) -> Value:
    """A value in place of a refused one, so that the rest is read too, and one error has all problems."""
    return Input(batch_shape=list(tensor.shape), dtype=tensor.dtype)


def _input_name(tensor: Any) -> str:
    operation = history_of(tensor)[0]
    return str(operation.name if operation is not None else tensor.name).replace("/", "_")


def nodes_between(known: Mapping[int, Any], outputs: Iterable[Any]) -> list[Any]:
    """The nodes between known tensors and outputs, each after those it reads."""
    order: list[Any] = []
    seen: set[int] = set()
    for output in outputs:
        stack = [(output, False)]
        while stack:
            tensor, finished = stack.pop()
            if id(tensor) in known:
                continue
            operation, place = history_of(tensor)
            if operation is None:
                raise Refused("it uses a tensor that belongs to another graph")
            node = inbound_node(operation, place)
            if finished:
                if id(node) not in seen:
                    seen.add(id(node))
                    order.append(node)
                continue
            if id(node) not in seen:
                stack.append((tensor, True))
                stack.extend((read, False) for read in node.input_tensors)
    return order


def in_order_of(model: Any, nodes: list[Any]) -> list[Any]:
    """Nodes of a functional model in the order in which it runs them."""
    by_depth = nodes_by_depth(model)
    ordered = [node for depth in sorted(by_depth, reverse=True) for node in by_depth[depth]]
    places = {id(node): place for place, node in enumerate(ordered)}
    return sorted(nodes, key=lambda node: places[id(node)])


def map_shapes(shapes: Any, make: Any) -> Any:
    """The structure of shapes, with `make` applied to each: a shape is a list or tuple of sizes."""
    if isinstance(shapes, dict):
        return {key: map_shapes(part, make) for key, part in shapes.items()}
    if all(size is None or isinstance(size, int) for size in shapes):
        return make(list(shapes))
    return [map_shapes(part, make) for part in shapes]


def blank_of(leaf: Any) -> Any:
    """A tensor that Keras builds a layer with, for a value."""
    return keras.KerasTensor(leaf.shape, dtype=str(leaf.dtype)) if isinstance(leaf, Value) else leaf
