"""Call: a graph used as one op. A model that is called as a layer is a Call in the graph of the outer model."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dagir.errors import DTypeError, ShapeError
from dagir.ir.data_sizes import escaping, fresh_size, made_in
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import Dim, SymbolicDim, evaluate, substitute, symbols
from dagir.ir.graph import Graph, Node, Op, Parameter, Value, apply_node
from dagir.ir.rounding import ROUNDED
from dagir.ir.traversal import reached
from dagir.ir.types import Equations, Inferred, TensorType

__all__ = [
    "Call",
]


@dataclass(frozen=True)
class Call(Op):
    """xs: the types of the graph's inputs -> the types of its outputs, its named sizes bound by xs.

    sizes: the names here of the sizes that data decide inside and that outputs have, in their order; without them
    they have the names that they have inside.
    """

    rounding = ROUNDED
    operands = ("*xs",)
    size_fields = ("sizes",)
    graph_fields = ("graph",)
    graph: Graph = field(hash=True)
    sizes: tuple[int | SymbolicDim, ...] = ()

    def infer(self, *xs: TensorType) -> Inferred:
        """The inner output types in terms of the outer sizes."""
        equations = Equations()
        if len(xs) != len(self.graph.inputs):
            raise ShapeError(f"{self.graph.name} takes {len(self.graph.inputs)} inputs, got {len(xs)}")
        sizes = bind_sizes(equations, self.graph.name, [value.type for value in self.graph.inputs], xs)
        keep_equations(equations, self.graph, sizes)
        sizes |= self.renamed()
        return equations.inferred(*[substitute_type(value.type, sizes) for value in self.graph.outputs])

    def renamed(self) -> dict[str, Dim]:
        """What the sizes are called here that data decide inside. Raises ShapeError."""
        names = escaping(self.graph)
        if not self.sizes:
            return {}
        if len(names) != len(self.sizes):
            raise ShapeError(f"{self.graph.name} gives {len(names)} sizes that data decide, not {len(self.sizes)}")
        return dict(zip(names, self.sizes, strict=True))


def keep_equations(equations: Equations, graph: Graph, sizes: dict[str, Dim]) -> None:
    """Take over what the nodes of a graph leave open about its inputs, named sizes replaced. Raises ShapeError."""
    made = made_in(graph)
    for node in graph.nodes:
        for equation in node.equations:
            if made and not made.keys().isdisjoint(symbols(equation.left) | symbols(equation.right)):
                continue  # it is checked inside, where these sizes are known
            if equations.equate(substitute(equation.left, sizes), substitute(equation.right, sizes)) is None:
                raise ShapeError(f"{graph.name} needs {equation}, which these inputs contradict")


def bind_sizes(
    equations: Equations, name: str, declared: Sequence[TensorType], given: Sequence[TensorType]
) -> dict[str, Dim]:
    """What each named size of `declared` is, for inputs of the types `given`. Raises ShapeError, DTypeError."""
    for index, (inner, outer) in enumerate(zip(declared, given, strict=True)):
        if inner.dtype is not outer.dtype:
            raise DTypeError(f"input {index} of {name} has dtype {inner.dtype}, got {outer.dtype}")
        if inner.rank != outer.rank:
            raise ShapeError(f"input {index} of {name} has rank {inner.rank}, got {outer}")
    sources = size_sources([inner.shape for inner in declared])
    sizes = {symbol: source.solve(given[source.place].shape[source.axis]) for symbol, source in sources.items()}
    for index, (inner, outer) in enumerate(zip(declared, given, strict=True)):
        for axis, (size, actual) in enumerate(zip(inner.shape, outer.shape, strict=True)):
            expected = substitute(size, sizes)
            if equations.equate(expected, actual) is None:
                raise ShapeError(
                    f"input {index} of {name} is {inner}, got {outer}",
                    marks={index: [axis]},
                    remedy=f"axis {axis} must have size {expected}",
                )
    return sizes


def substitute_type(type: TensorType, sizes: dict[str, Dim]) -> TensorType:
    """The type with named sizes replaced."""
    if not any(isinstance(size, SymbolicDim) for size in type.shape):
        return type
    return type.with_shape(tuple(substitute(size, sizes) for size in type.shape))


def evaluate_shape(type: TensorType, sizes: dict[str, int]) -> tuple[int, ...]:
    """The shape when every named size is known."""
    return tuple(evaluate(size, sizes) for size in type.shape)


def call(graph: Graph, inputs: Sequence[Value]) -> tuple[Value, ...]:
    """Apply a graph to values, as one node. Returns its outputs."""
    sizes = tuple([fresh_size(name) for name in escaping(graph)])
    return apply_node(Call(graph, sizes), tuple(inputs)).outputs


def inner_graphs(op: Op) -> list[Graph]:
    """The graphs that an op holds: that of a nested model, its branches or its body."""
    return [getattr(op, name) for name in op.graph_fields]


def graphs_of(graph: Graph) -> Iterator[Graph]:
    """The graph and all graphs inside its ops, each once."""
    return reached([graph], lambda each: [inner for node in each.nodes for inner in inner_graphs(node.op)])


def parameters_of(graph: Graph) -> list[Parameter]:
    """Every parameter of a graph and of the graphs inside it, once. What a body takes as an input is not its own."""
    found: dict[Parameter, None] = {}
    for each in graphs_of(graph):
        given = {value.source for value in each.inputs}
        found.update(dict.fromkeys(weight for weight in each.parameters if weight not in given))
    return list(found)


def first_of(graph: Graph, kinds: tuple[type[Op], ...]) -> Node | None:
    """The first node with one of these ops, in the graph or in a graph inside it; None if there is none."""
    nodes = (node for each in graphs_of(graph) for node in each.nodes)
    return next((node for node in nodes if isinstance(node.op, kinds)), None)
