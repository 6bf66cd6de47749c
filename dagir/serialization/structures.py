"""Structures as JSON: arguments of calls, configurations, inputs and outputs of models.

Numbers, strings, true, false, null and lists are written as they are; anything else is an object with one key that
says what it is: {"tuple": [...]}, {"dict": [[key, value], ...]}, {"value": 3}, {"layer": 0}, {"function": "relu"}.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Parameter, Value
from dagir.ir.types import Array, DType, TensorType
from dagir.layers import Layer
from dagir.serialization.fields import decode_dim, decode_float, encode_dim, encode_number
from dagir.serialization.reading import MAX_DEPTH, Place, Record, expect, index, shown

FUNCTIONS: dict[str, Callable[..., object]] = {
    name: function
    for name, function in vars(ops).items()
    if name in ops.__all__ and callable(function) and not isinstance(function, type)
}
_NAMES = {function: name for name, function in FUNCTIONS.items()}


class NotPlain(Exception):
    """A structure holds an object that a file cannot hold."""


class Encoder:
    """Writes structures. values, parameters, layers: their numbers; tensor: the name under which an array is kept."""

    def __init__(
        self,
        values: Mapping[Value, int],
        parameters: Mapping[Parameter, int],
        layers: Mapping[Any, int],
        tensor: Callable[[Array, str], str],
    ) -> None:
        self.values, self.parameters, self.layers, self.tensor = values, parameters, layers, tensor

    def lenient(self, structure: object) -> object:
        """A structure for the arguments of a call: objects that cannot be written are marked as lost."""
        return self.encode(structure, lambda leaf: {"lost": type(leaf).__name__})

    def strict(self, structure: object) -> Any:
        """A structure that is written whole. Raises NotPlain."""

        def refuse(leaf: object) -> object:
            raise NotPlain(type(leaf).__name__)

        return self.encode(structure, refuse)

    def encode(self, part: Any, other: Callable[[Any], Any]) -> Any:
        """A structure; other: what is written for a leaf that a file cannot hold."""
        if isinstance(part, list):
            return [self.encode(item, other) for item in part]
        if isinstance(part, tuple):
            return {"tuple": [self.encode(item, other) for item in part]}
        if isinstance(part, dict):
            items = part.items()
            return {"dict": [[self.encode(key, other), self.encode(item, other)] for key, item in items]}
        found = self._scalar(part)
        return other(part) if found is NotPlain else found

    def _scalar(self, leaf: Any) -> Any:
        if isinstance(leaf, np.generic) and not isinstance(leaf, np.void):
            leaf = leaf.item()
        if isinstance(leaf, DType):
            return {"dtype": str(leaf)}
        if leaf is None or type(leaf) in (bool, str):
            return leaf
        if type(leaf) in (int, float):
            number = encode_number(leaf)
            return {"float": number} if isinstance(number, str) else number
        if isinstance(leaf, SymbolicDim):
            return {"size": encode_dim(leaf)}
        return self._reference(leaf)

    def _reference(self, leaf: Any) -> Any:
        if isinstance(leaf, Value) and leaf in self.values:
            return {"value": self.values[leaf]}
        if isinstance(leaf, Parameter) and leaf in self.parameters:
            return {"parameter": self.parameters[leaf]}
        if isinstance(leaf, np.ndarray) and leaf.dtype.name in set(DType):
            return {"tensor": self.tensor(leaf, "array")}
        if isinstance(leaf, Layer) and leaf in self.layers:
            return {"layer": self.layers[leaf]}
        if callable(leaf) and leaf.__hash__ and leaf in _NAMES:
            return {"function": _NAMES[leaf]}
        return NotPlain


class Decoder:
    """Reads structures. Every reference is to something that was made already."""

    def __init__(
        self,
        values: Sequence[Value],
        parameters: Sequence[Parameter],
        layers: Sequence[Layer | None],
        tensors: Mapping[str, Array],
    ) -> None:
        self.values, self.parameters, self.layers, self.tensors = values, parameters, layers, tensors

    def __call__(self, data: Any, place: Place, depth: int = 0) -> Any:
        """The structure of the JSON data. Raises FileError."""
        if depth > MAX_DEPTH:
            raise place.error(f"is nested deeper than {MAX_DEPTH}")
        if isinstance(data, list):
            return [self(part, place / i, depth + 1) for i, part in enumerate(data)]
        if not isinstance(data, dict):
            return decode_float(data, place) if isinstance(data, float) else data
        if len(data) != 1:
            raise place.error(f"must be an object of one key, got {shown(list(data))}")
        ((kind, content),) = data.items()
        read = self._readers.get(kind)
        if read is None:
            raise place.error(f"has the unknown kind {shown(kind)}")
        return read(self, content, place / kind, depth)

    def _tuple(self, content: object, place: Place, depth: int) -> object:
        items = enumerate(expect(content, list, place))
        return tuple([self(part, place / i, depth + 1) for i, part in items])

    def _dict(self, content: object, place: Place, depth: int) -> object:
        found: dict[object, object] = {}
        for i, pair in enumerate(expect(content, list, place)):
            if len(expect(pair, list, place / i)) != 2:
                raise (place / i).error(f"must be a key and a value, got {shown(pair)}")
            key = self(pair[0], place / i, depth + 1)
            if not isinstance(key, (str, int, float, bool, tuple, type(None))) or key in found:
                raise (place / i).error(f"has the key {shown(key)}, which is no key or stands twice")
            found[key] = self(pair[1], place / i, depth + 1)
        return found

    def _value(self, content: object, place: Place, _: int) -> Value:
        return self.values[index(content, len(self.values), "value", place)]

    def _parameter(self, content: object, place: Place, _: int) -> Parameter:
        return self.parameters[index(content, len(self.parameters), "parameter", place)]

    def _layer(self, content: object, place: Place, _: int) -> Layer:
        found = self.layers[index(content, len(self.layers), "layer", place)]
        if found is None:
            raise place.error(f"refers to layer {content}, which comes later")
        return found

    def _tensor(self, content: object, place: Place, _: int) -> Array:
        name = expect(content, str, place)
        if name not in self.tensors:
            raise place.error(f"refers to the tensor {shown(name)}, which the file does not hold")
        return self.tensors[name]

    def _function(self, content: object, place: Place, _: int) -> Callable[..., object]:
        name = expect(content, str, place)
        if name not in FUNCTIONS:
            raise place.error(f"refers to the function {shown(name)}, which dagir.ops does not have")
        return FUNCTIONS[name]

    def _dtype(self, content: object, place: Place, _: int) -> DType:
        return decode_dtype(content, place)

    def _float(self, content: object, place: Place, _: int) -> float:
        return decode_float(content, place)

    def _size(self, content: object, place: Place, _: int) -> object:
        return decode_dim(content, place)

    def _lost(self, content: object, place: Place, _: int) -> Value:
        """A value without a source: the call that reads it is lowered as nodes, not as a layer of the target."""
        return Value(TensorType(DType.FLOAT32, ()), name=f"lost {expect(content, str, place)}")

    _readers: ClassVar[dict[str, Callable[[Decoder, Any, Place, int], Any]]] = {
        "tuple": _tuple,
        "dict": _dict,
        "value": _value,
        "parameter": _parameter,
        "layer": _layer,
        "tensor": _tensor,
        "function": _function,
        "dtype": _dtype,
        "float": _float,
        "size": _size,
        "lost": _lost,
    }


def encode_type(type: TensorType) -> dict[str, object]:
    """A type as JSON."""
    return {"dtype": str(type.dtype), "shape": [encode_dim(size) for size in type.shape]}


def decode_type(record: Record) -> TensorType:
    """The type that `encode_type` wrote. Raises FileError."""
    dtype = decode_dtype(record.take("dtype", str), record.place / "dtype")
    place = record.place / "shape"
    shape = tuple([decode_dim(size, place / i) for i, size in enumerate(record.take("shape", list))])
    check_sizes(shape, place)
    return TensorType(dtype, shape)


def decode_dtype(data: object, place: Place) -> DType:
    """A dtype by its name. Raises FileError."""
    try:
        return DType.of(expect(data, str, place))
    except ArgumentError as error:
        raise place.error(error.summary, error.remedy) from None


def check_sizes(shape: Sequence[object], place: Place) -> None:
    """Raise FileError where a known size is negative or has more than 63 bits."""
    for size in shape:
        if isinstance(size, int) and not 0 <= size < 2**63:
            raise place.error(f"has the size {size}")
