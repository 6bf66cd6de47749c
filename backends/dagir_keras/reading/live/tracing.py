"""The call of a Keras layer on traced tensors: each operation becomes nodes of the graph at once."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from traceback import walk_tb
from typing import Any

import keras
import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.operands import as_value
from dagir.ir.traversal import values_behind
from dagir.layers import Layer
from dagir.support.location import Location
from dagir_keras.reading.layer_calls import call_layer
from dagir_keras.reading.live import tensorflow_functions
from dagir_keras.reading.live.branches import NOT_THE_USERS
from dagir_keras.reading.live.control_flow import FUNCTIONS, is_control, run_function, run_operation
from dagir_keras.reading.live.introspection import (
    array_of_tensor,
    is_keras_operation,
    placeholder_of,
    record_of,
    trains_by_default,
)
from dagir_keras.reading.live.keras_internals import forget_mask
from dagir_keras.reading.live.reader import Reader
from dagir_keras.reading.live.traced_layer import TracedKerasLayer
from dagir_keras.reading.live.traced_sizes import OF_SIZES, elements_of, sizes_of
from dagir_keras.reading.live.traced_tensors import Size, Traced, as_size, dim_of, is_size
from dagir_keras.reading.operations import make_operation, operation
from dagir_keras.reading.problems import Problem, Problems, Refused, Untraceable

_OF_LISTS = ("Array", "ConvertToTensor")
_SIZES_STAY = {"Arange", "GetItem", "Slice"}  # operations with sizes as arguments, not only as fields


class CallTracer:
    """Makes nodes of the operations of one call, for the layer at `path`."""

    def __init__(self, reader: Reader, path: str) -> None:
        self.reader, self.path = reader, path
        self._failures: dict[Value, tuple[Problem, ...]] = {}
        self.refused: Refused | None = None  # the first operation that was refused

    def operation(self, operation: Any, spec: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The outputs of an operation or layer, as traced tensors and sizes; placeholders for a refused one."""
        where = f"{self.path}/{operation.name}".lstrip("/")
        noted = Problems()
        made = None
        with noted.at(where, type(operation).__name__):
            made = self._made(operation, where, args, kwargs)
        if made is not None:
            return map_structure(traced, made)
        return self._placeholders(operation, spec, args, kwargs, noted)

    def of_weights(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """The outputs of an operation on weights alone; None where it is refused, and Keras computes a constant."""
        with Problems().at(self.path, type(operation).__name__), self.reader.forgets_on_failure():
            return map_structure(traced, self._made(operation, self.path, args, kwargs))

    def function(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The output of a function of Keras on sizes, weights and tensors with numbers."""
        if name in FUNCTIONS:
            return map_structure(traced, run_function(name, args, kwargs, self._with_dims, traced))
        if name == "__getitem__":
            subject, key = (map_structure(self._with_dims, part) for part in args)
            return traced(as_value(subject)[key])
        given = inspect.signature(function).bind(*args, **kwargs).arguments
        found = {key: map_structure(self._with_dims, part) for key, part in given.items() if part is not None}
        if name == "identity":
            name, found["N"] = "eye", found.pop("n")
        made: Callable[..., Any] | None = getattr(ops, name, None) or getattr(ops.image, name, None)
        if made is None:
            raise Refused(f"dagir has no keras.ops.{name} on sizes that are known at run time only")
        return traced(made(**found))

    def of_tensorflow(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The output of a function of TensorFlow on traced tensors, sizes and weights. Raises OutsideTable."""
        return tensorflow_functions.run(name, function, args, kwargs, self._value)

    def weight(self, variable: Any) -> Any:
        """A weight as a traced tensor."""
        return Traced(self.reader.parameter(variable).value)

    def outputs(self, result: Any) -> Any:
        """The values of what the call returned. Refused operations that they need become problems."""
        values = map_structure(self._returned, result)
        for problem in self._needed([leaf for leaf in flatten(values) if isinstance(leaf, Value)]):
            self.reader.problems.note(problem)
        return values

    # ---- operations

    def _made(self, operation: Any, where: str, args: Any, kwargs: Any) -> Any:
        if isinstance(operation, keras.layers.Layer):
            layer = self.reader.layer(operation, where)
            given, options = (map_structure(self._value, part) for part in (list(args), dict(kwargs)))
            if isinstance(operation, keras.layers.MultiHeadAttention):
                _take_masks([*args[:3], *(kwargs.get(name) for name in ("query", "value", "key"))])
            return None if layer is None else self._called(layer, given, options)
        if not is_keras_operation(type(operation)):  # a subclass of keras.Operation, whatever its name
            given, options = (map_structure(self._value, part) for part in (list(args), dict(kwargs)))
            return self.reader.run(operation, where, operation.call, given, options)
        kind = type(operation).__name__
        of_sizes = _of_sizes(kind, operation, args, kwargs)
        if of_sizes is not None:
            return of_sizes
        if is_control(kind):
            return run_operation(kind, _fields(operation), args, kwargs, self._with_dims, traced)
        if kind in _OF_LISTS and isinstance(args[0], (list, tuple)):
            made = self._stacked(operation, args[0])
        else:
            made = self._of_keras(operation, kind, args, kwargs)
        sizes = sizes_of(kind, _fields(operation), args, kwargs) if isinstance(made, Value) else None
        if sizes is None:
            return made
        return Traced(made, sizes) if sizes.ndim else sizes.item()

    def _called(self, layer: Layer, args: Any, kwargs: Any) -> Any:
        if not isinstance(layer, TracedKerasLayer):
            return call_layer(layer, args, kwargs)
        if trains_by_default(layer.source):
            kwargs = {**kwargs, "training": None}
        return layer.restored(call_layer(layer, args, kwargs))

    def _stacked(self, source: Any, parts: Any) -> Value:
        """A tensor of a list of numbers, sizes and tensors, one within another."""
        values = [self._stacked(None, part) if isinstance(part, (list, tuple)) else self._value(part) for part in parts]
        made: Value = operation("Stack", {"axis": 0}, source.name if source is not None else "stack")(values)
        wanted = source.dtype if source is not None else None
        return made if wanted is None else ops.cast(made, str(keras.backend.standardize_dtype(wanted)))

    def _of_keras(self, operation: Any, kind: str, args: Any, kwargs: Any) -> Any:
        read = self._with_dims if kind in _SIZES_STAY else self._value
        given, options = (map_structure(read, part) for part in (list(args), dict(kwargs)))
        if kind == "GetItem" and isinstance(args[0], Traced):
            given[0] = args[0].value  # which may be a tensor of sizes itself
        try:
            return self._function_of(operation, kind)(*given, **options)
        except TypeError:
            sizes = [leaf for leaf in flatten([_fields(operation), args, kwargs]) if isinstance(leaf, Size)]
            if not sizes:
                raise
            raise Refused(
                f"the {kind} in its call takes a number, and got the size {sizes[0].dim}, known at run time only",
                "give the input a fixed size there, or compute it with other operations",
            ) from None

    def _placeholders(self, operation: Any, spec: Callable[..., Any], args: Any, kwargs: Any, noted: Problems) -> Any:
        """Values in place of refused ones, so that operations on them are read too."""
        try:
            outputs = spec(*args, **kwargs)
        except Exception:  # Keras cannot infer shapes that depend on sizes
            outputs = None
        if outputs is None or not all(isinstance(leaf, keras.KerasTensor) for leaf in flatten(outputs)):
            raise noted.as_refusal()

        self.refused = self.refused or noted.as_refusal()

        def placeholder(tensor: Any) -> Traced:
            made = placeholder_of(tensor)
            self._failures[made] = noted.found
            return Traced(made)

        return map_structure(placeholder, outputs)

    def _needed(self, outputs: list[Value]) -> list[Problem]:
        """The problems of the placeholders that outputs are computed from: dead code is no matter."""
        seen = set(values_behind(outputs)) if self._failures else set()
        found = {id(noted): noted for value, noted in self._failures.items() if value in seen}
        return [problem for noted in found.values() for problem in noted]

    # ---- arguments

    def _value(self, leaf: Any) -> Any:
        if isinstance(leaf, Traced):
            return leaf.value
        if isinstance(leaf, keras.KerasTensor):
            raise Refused("it uses a tensor that belongs to another graph")
        if isinstance(leaf, keras.Variable):
            return self.reader.parameter(leaf).value
        if tensorflow_functions.is_variable(leaf):
            return self.reader.parameter(tensorflow_functions.own_variable(leaf)).value
        return array_of_tensor(leaf) if keras.ops.is_tensor(leaf) else leaf

    def _returned(self, leaf: Any) -> Any:
        return leaf.dim if isinstance(leaf, Size) else self._value(leaf)

    def _with_dims(self, leaf: Any) -> Any:
        """The same, sizes as sizes."""
        if isinstance(leaf, slice):
            return slice(*map(self._with_dims, (leaf.start, leaf.stop, leaf.step)))
        found = elements_of(leaf)
        return found if isinstance(found, tuple) else dim_of(leaf) if is_size(leaf) else self._value(leaf)

    def _function_of(self, source: Any, kind: str) -> Callable[..., Any]:
        """The function of an operation, whose fields may hold sizes and tensors."""
        fields = _fields(source)
        tensors = (keras.KerasTensor, keras.Variable, np.ndarray)
        if not any(isinstance(leaf, tensors) or keras.ops.is_tensor(leaf) for leaf in flatten(fields)):
            return make_operation(record_of(source))
        return operation(kind, map_structure(self._with_dims, fields), source.name)


def traced(made: Any) -> Any:
    """The traced tensor of a value, or the Size of a size."""
    return Traced(made) if isinstance(made, Value) else as_size(made)


def _of_sizes(kind: str, operation: Any, args: Any, kwargs: Any) -> Any:
    """The size that an operation on sizes alone gives; None for any other operation."""
    if kwargs or not args or not all(map(is_size, args)):
        return None
    if kind in OF_SIZES:
        return OF_SIZES[kind](*map(dim_of, args))
    keeps = kind in ("Cast", "ConvertToTensor") and operation.dtype in (None, "int32", "int64")
    return dim_of(args[0]) if keeps else None


def _fields(source: Any) -> Mapping[str, Any]:
    """The constructor arguments of an operation, which it has as attributes of the same names."""
    names = list(inspect.signature(type(source).__init__).parameters)[1:]
    return {name: getattr(source, name) for name in names if name != "name" and hasattr(source, name)}


def untraceable(source: Any, error: Exception, reason: str, remedy: str | None) -> Untraceable:
    """The exception for a layer whose call raised an error, with the line of the call, and a rule as the remedy."""
    rule = f"give a rule: custom_objects={{{type(source).__name__!r}: a dagir Layer class}}"
    remedy = f"{remedy}; or {rule}" if remedy else rule
    return Untraceable(f"its call cannot be traced: {reason}{_line_of(error)}", remedy)


def _line_of(error: Exception) -> str:
    """The innermost line of the error outside dagir and the frameworks."""
    lines = [
        (frame.f_globals.get("__name__", ""), Location(frame.f_code.co_filename, line))
        for frame, line in walk_tb(error.__traceback__)
    ]
    own = [line for module, line in lines if module.partition(".")[0] not in NOT_THE_USERS]
    return f", at {own[-1]}" if own else ""


def _take_masks(tensors: list[Any]) -> None:
    """Remove the masks of tensors, as MultiHeadAttention does when it runs, but not when Keras infers shapes."""
    for tensor in tensors:
        forget_mask(tensor)
