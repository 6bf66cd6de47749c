"""Compute in a narrow dtype."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from dagir import ops
from dagir.errors import DTypeError
from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ir.types import Array, DType
from dagir.passes.derived import Derived
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class Narrow(Pass):
    """y: f32 = op(x: f32, w: f32)   =>   y' = op(Cast(x), w'), y = Cast(y'): x', w' and y' of a narrow dtype

    A value is cast once, however many nodes read it. Inputs and outputs of the graph keep their dtypes, and so do the
    nodes in `wide`. Nodes with graphs inside, and ops that take no narrow floats, stay wide too.
    wide: nodes of the graph that is given. stored: weights of wide nodes that are narrow all the same, and widened
    where they are read. narrow_ends: whether inputs and outputs of float32 are narrow too. Numbers too large for the
    dtype become infinite: nodes that read such weights belong in `wide`.
    """

    name = "narrow"
    dtype: DType = DType.FLOAT16
    wide: frozenset[Node] = frozenset()
    stored: frozenset[Parameter] = frozenset()
    narrow_ends: bool = False

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        return _Narrowing(self, graph).run()


class _Narrowing:
    """The casts and the narrow weights that exist so far."""

    def __init__(self, step: Narrow, graph: Graph) -> None:
        self.step, self.graph = step, graph
        self.cast: dict[tuple[Value, DType], Value] = {}
        self.leaves: dict[Value, Value] = {}

    def run(self) -> Graph:
        """The new graph."""
        inputs = [self._end(value) for value in self.graph.inputs]
        narrow = rebuild(self.graph, self._transform, inputs=inputs)
        pairs = list(zip(self.graph.outputs, narrow.outputs, strict=True))
        outputs = [self._as(new, self._dtype_of_end(old), new.node) for old, new in pairs]
        return Graph(inputs, outputs, narrow.name)

    def _dtype_of_end(self, value: Value) -> DType:
        return self.step.dtype if self.step.narrow_ends and value.dtype is DType.FLOAT32 else value.dtype

    def _end(self, value: Value) -> Value:
        dtype = self._dtype_of_end(value)
        return value if dtype is value.dtype else Value(value.type.with_dtype(dtype), value.source, name=value.name)

    def _transform(self, node: Node, operands: Operands) -> Sequence[Value] | None:
        if stays_wide(node) or node in self.step.wide:
            return self._wide(node, operands)
        given = [self._narrow(old, new, node) for old, new in zip(node.inputs, operands, strict=True)]
        try:
            return copy_node(node, tuple(given), with_dtype(node.op, self.step.dtype)).outputs
        except DTypeError:
            return self._wide(node, operands)

    def _wide(self, node: Node, operands: Operands) -> Sequence[Value] | None:
        given = tuple([self._widened(old, new, node) for old, new in zip(node.inputs, operands, strict=True)])
        return None if given == node.inputs else copy_node(node, given).outputs

    def _narrow(self, old: Value | None, new: Value | None, reader: Node) -> Value | None:
        if old is None or new is None or old.dtype is not DType.FLOAT32:
            return new
        return (
            self._leaf(new) if is_leaf(new) and old not in self.graph.inputs else self._as(new, self.step.dtype, reader)
        )

    def _widened(self, old: Value | None, new: Value | None, reader: Node) -> Value | None:
        if old is None or new is None:
            return new
        if isinstance(new.source, Parameter) and new.source in self.step.stored and new.dtype is DType.FLOAT32:
            new = self._leaf(new)
        return self._as(new, old.dtype, reader)

    def _as(self, value: Value, dtype: DType, like: Node | None) -> Value:
        if value.dtype is dtype:
            return value
        if (value, dtype) not in self.cast:
            maker = value.node or like
            scope, location = (maker.scope, maker.location) if maker is not None else (None, None)
            kind = value.type.with_dtype(dtype)
            self.cast[value, dtype] = Node(ops.Cast(dtype), (value,), (kind,), scope=scope, location=location).outputs[
                0
            ]
        return self.cast[value, dtype]

    def _leaf(self, value: Value) -> Value:
        if value not in self.leaves:
            self.leaves[value] = narrow_leaf(value, self.step.dtype)
        return self.leaves[value]


def stays_wide(node: Node) -> bool:
    """Whether no pass narrows a node: it computes no float32, or has a graph inside."""
    values = [value for value in (*node.inputs, *node.outputs) if value is not None]
    return bool(node.op.graph_fields) or all(value.dtype is not DType.FLOAT32 for value in values)


def with_dtype(op: Op, dtype: DType) -> Op:
    """The op with a field of float32 as one of another dtype: a cast to float32, or what makes floats of nothing."""
    if getattr(op, "dtype", None) is DType.FLOAT32:
        return replace(op, dtype=dtype)  # type: ignore[call-arg]  # it has the field
    return op


def narrow_leaf(value: Value, dtype: DType) -> Value:
    """A weight or constant of float32 in another dtype; a weight is so each time that it is read."""
    source = value.source

    def rounded(array: Array) -> Array:
        with np.errstate(over="ignore"):
            return array.astype(dtype.numpy)

    if isinstance(source, Constant):
        return Constant(frozen(rounded(source.array))).value
    assert isinstance(source, Parameter)
    kind = value.type.with_dtype(dtype)
    return Derived(source.name, kind, lambda _, __: rounded(source.array), (value,), trainable=source.trainable).value
