"""Shapes with sizes that are known at run time only, in a functional model: another value that has a size tells it.

A KerasTensor knows no number for such a size, and keras.ops.broadcast_to takes none but numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import reduce
from typing import Any, TypeAlias

import keras
import numpy as np
from keras import ops as K

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Constant, Graph, Node, Value
from dagir.ir.types import DType, Shape

Grown: TypeAlias = tuple[tuple[Value, ...], Callable[..., Any]]


@dataclass
class Witnesses:
    """Values of a functional model by their sizes: a value for each shape, a value and an axis for each named size."""

    by_shape: dict[Shape, Value] = field(default_factory=dict)
    by_size: dict[Dim, tuple[Value, int]] = field(default_factory=dict)

    def add(self, values: Sequence[Value]) -> None:
        """Take up what the inputs of the model, or a node, give."""
        for value in values:
            if value.dtype is DType.STRING:
                continue
            self.by_shape.setdefault(value.type.shape, value)
            for axis, size in enumerate(value.type.shape):
                if isinstance(size, SymbolicDim):
                    self.by_size.setdefault(size, (value, axis))


def in_order_of_need(graph: Graph) -> list[Node]:
    """The nodes; a broadcast to sizes that no value before it has comes last, with what depends on it."""
    known = {size for value in graph.inputs for size in value.type.shape}
    waiting: set[Value] = set()
    first, last = [], []
    for node in graph.nodes:
        unknown = isinstance(node.op, ops.BroadcastTo) and not known.issuperset(_named(node.op.target))
        if unknown or not waiting.isdisjoint(value for value in node.inputs if value is not None):
            waiting.update(node.outputs)
            last.append(node)
        else:
            known.update(size for value in node.outputs for size in value.type.shape)
            first.append(node)
    return [*first, *last]


def _named(shape: Shape) -> list[Dim]:
    return [size for size in shape if isinstance(size, SymbolicDim)]


def grown(node: Node, known: Witnesses) -> Grown | None:
    """What a node of named sizes reads, and the function that computes it with keras.ops; None where there is none."""
    (x,) = node.inputs if len(node.inputs) == 1 else (None,)
    if x is None or x.dtype is DType.STRING:
        return None
    if isinstance(node.op, ops.BroadcastTo):
        return _filled(node, x, known) or _broadcast(node, x, known)
    return _reshaped(node.op, x) if isinstance(node.op, ops.Reshape) else None


def _filled(node: Node, x: Value, known: Witnesses) -> Grown | None:
    """zeros_like, ones_like or full_like of a value that has the shape."""
    like = known.by_shape.get(node.output.type.shape)
    if like is None or not isinstance(x.source, Constant) or x.source.array.size != 1:
        return None
    number, dtype = x.source.array.reshape(()), str(x.dtype)
    if number == 0 and not np.signbit(np.asarray(number, "float64")):
        return (like,), lambda tensor: K.zeros_like(tensor, dtype=dtype)
    if number == 1:
        return (like,), lambda tensor: K.ones_like(tensor, dtype=dtype)
    return (like,), lambda tensor: K.full_like(tensor, number.item(), dtype=dtype)


def _broadcast(node: Node, x: Value, known: Witnesses) -> Grown | None:
    """where(no, x, x), for a `no` of the shape: it is exact for all numbers, and has the gradient of x."""
    target = node.output.type.shape
    whole = known.by_shape.get(target)
    if whole is not None:
        return (x, whole), lambda tensor, like: K.where(K.zeros_like(like, dtype="bool"), tensor, tensor)
    places = [axis for axis, size in enumerate(target) if isinstance(size, SymbolicDim)]
    found = [known.by_size.get(target[axis]) for axis in places]
    rank, fixed = len(target), tuple(1 if axis in places or not size else size for axis, size in enumerate(target))
    empty = tuple(slice(0 if size == 0 else None) for size in target)  # a file of Keras keeps no shape without elements

    def grow(tensor: Any, *witnesses: Any) -> Any:
        parts = [
            K.reshape(_no_along(witness, source[1]), [-1 if axis == place else 1 for axis in range(rank)])
            for place, source, witness in zip(places, found, witnesses, strict=True)
            if source is not None
        ]
        no = reduce(K.logical_or, [*parts, np.zeros(fixed, "bool")])
        return K.where(no[empty] if 0 in target else no, tensor, tensor)

    values = tuple(source[0] for source in found if source is not None)
    return ((x, *values), grow) if len(values) == len(places) else None


def _no_along(tensor: Any, axis: int) -> Any:
    """False for each element along an axis."""
    no = K.zeros_like(tensor, dtype="bool")
    others = tuple(other for other in range(len(tensor.shape)) if other != axis)
    return K.any(no, axis=others) if others else no


def _reshaped(op: ops.Reshape, x: Value) -> Grown | None:
    """keras.layers.Reshape, which keeps the first axis, and leaves one size open; or axes of size 1 moved."""
    shape = x.type.shape
    if -1 not in op.target and [size for size in shape if size != 1] == [size for size in op.target if size != 1]:
        dropped = tuple(axis for axis, size in enumerate(shape) if size == 1)
        made = tuple(axis for axis, size in enumerate(op.target) if size == 1)
        return (x,), lambda tensor: _with_ones(tensor, dropped, made)
    first, *rest = op.target
    unknown = [size for size in rest if isinstance(size, SymbolicDim) or size == -1]
    if not x.type.rank or first != shape[0] or len(unknown) > 1:
        return None
    target = tuple(-1 if isinstance(size, SymbolicDim) else size for size in rest)
    return (x,), keras.layers.Reshape(target, dtype=keras.DTypePolicy(str(x.dtype)))  # "int8" alone would quantize


def _with_ones(tensor: Any, dropped: tuple[int, ...], made: tuple[int, ...]) -> Any:
    """The tensor without some axes of size 1, then with others."""
    for axis in reversed(dropped):
        is_known = tensor.shape[axis] == 1  # else it follows from an equation that Keras does not know
        tensor = K.squeeze(tensor, axis) if is_known else K.take(tensor, 0, axis=axis)
    for axis in made:
        tensor = K.expand_dims(tensor, axis)
    return tensor


def as_output(tensor: Any, given: Any) -> Any:
    """A constant as an output of a functional model, which takes only what a step of it computes from the inputs."""
    return K.where(K.any(K.equal(given, given)), tensor, tensor)
