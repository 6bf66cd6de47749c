"""Nodes and graphs of a document: each node is made by its op's own shape rule, from values that exist already."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dagir.errors import DagirError, InvalidGraph
from dagir.ir.dims import MAX_TERMS, SymbolicDim, weight_of
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.op import inferred
from dagir.ir.types import Inferred
from dagir.ops.call import inner_graphs
from dagir.serialization.fields import decode, field_types
from dagir.serialization.op_names import known_names, op_named
from dagir.serialization.reading import Place, Record, expect, index, shown
from dagir.serialization.structures import check_sizes
from dagir.support import limits
from dagir.support.did_you_mean import did_you_mean
from dagir.support.location import LayerCall, Location

_REGISTERED = "import the module that registers it before the file is loaded; dagir-convert takes it with --custom"
_RULE_FAILURES = (DagirError, ArithmeticError, AssertionError, AttributeError, LookupError, TypeError, ValueError)


class Nodes:
    """Makes the nodes in order, and each graph when a node needs it, or at the end. Adds the new values to `values`."""

    def __init__(
        self,
        graphs: Sequence[Record],
        values: list[Value],
        calls: Sequence[LayerCall],
        location: Callable[[Record], Location | None],
    ) -> None:
        self.values, self.calls, self.location = values, calls, location
        self._sides = [_sides(record) for record in graphs]
        self._graphs: dict[int, Graph] = {}
        self._inlined: dict[Graph, int] = {}

    def make(self, records: Sequence[Record]) -> None:
        """Every node. Raises FileError."""
        for record in records:
            self.values.extend(self._node(record).outputs)

    def graph(self, number: int, place: Place) -> Graph:
        """The graph of a number, over values that exist already. Raises FileError."""
        index(number, len(self._sides), "graph", place)
        if number not in self._graphs:
            name, inputs, outputs, where = self._sides[number]
            try:
                self._graphs[number] = Graph(
                    self._listed(inputs, where / "inputs"), self._listed(outputs, where / "outputs"), name
                )
            except InvalidGraph as error:
                raise where.error(error.summary) from None
            limits.spend("nodes", len(self._graphs[number].nodes), where)  # many graphs may share the same nodes
        return self._graphs[number]

    def _listed(self, numbers: list[object], place: Place) -> list[Value]:
        return [self.values[index(number, len(self.values), "value", place / i)] for i, number in enumerate(numbers)]

    def _node(self, record: Record) -> Node:
        op = self._op(record)
        place = record.place / "in"
        operands: list[Value | None] = [
            None if number is None else self.values[index(number, len(self.values), "value", place / i)]
            for i, number in enumerate(record.take("in", list))
        ]
        call = record.take("call", int, -1)
        scope = None if call == -1 else self.calls[index(call, len(self.calls), "call", record.place / "call")]
        name: Any = record.raw("name")
        if name is not None:
            expect(name, str, record.place / "name")
        location = self.location(record)
        record.done()
        limits.spend("nodes", self._count(op), record.place)
        found = _infer(op, operands, record.place)
        return Node(
            op, tuple(operands), found.types, scope=scope, location=location, equations=found.equations, name=name
        )

    def _count(self, op: Op) -> int:
        """The number of nodes after nested calls are inlined: graphs that call graphs can double it at each level."""
        return sum(map(self._count_of, inner_graphs(op))) if op.graph_fields else 1

    def _count_of(self, graph: Graph) -> int:
        if graph not in self._inlined:  # the graphs inside it were counted when its nodes were made
            self._inlined[graph] = 1 + sum(self._count(node.op) for node in graph.nodes)
        return self._inlined[graph]

    def _op(self, record: Record) -> Op:
        name = record.take("op", str)
        op = op_named(name)
        if op is None:
            remedy = did_you_mean(name, known_names()) if ">" not in name else _REGISTERED
            raise (record.place / "op").error(f"names the unknown op {shown(name)}", remedy)
        given = Record(record.take("fields", dict, {}), record.place / "fields")
        fields: dict[str, object] = {}
        for field, (hint, optional) in field_types(op).items():
            if given.has(field):
                fields[field] = decode(given.raw(field), hint, given.place / field, self.graph)
            elif not optional:
                raise given.place.error(f"has no {field!r}")
        given.done()
        try:
            return op(**fields)
        except _RULE_FAILURES as error:
            raise record.place.error(f"{name} refuses its fields: {_reason(error)}") from None


def _sides(record: Record) -> tuple[str, list[object], list[object], Place]:
    name = record.take("name", str)
    inputs, outputs = record.take("inputs", list), record.take("outputs", list)
    record.done()
    return name, inputs, outputs, record.place


def _infer(op: Op, operands: Sequence[Value | None], place: Place) -> Inferred:
    try:
        found = inferred(op, [None if value is None else value.type for value in operands])
    except _RULE_FAILURES as error:
        raise place.error(f"{type(op).__name__} refuses its operands: {_reason(error)}") from None
    for type_ in found.types:
        check_sizes(type_.shape, place)
        limits.spend("terms", sum(max(weight_of(size) - 1, 0) for size in type_.shape), place)
        if any(isinstance(size, SymbolicDim) and len(size.terms) > MAX_TERMS for size in type_.shape):
            raise place.error("has a size that is an expression of too many terms")
    return found


def _reason(error: Exception) -> str:
    return error.summary if isinstance(error, DagirError) else str(error) or type(error).__name__
