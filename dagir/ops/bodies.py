"""Bodies: the graphs inside an op. Nothing is captured by magic: what a body reads from outside is an operand."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from operator import attrgetter

from dagir.errors import DTypeError, ShapeError
from dagir.ir.data_sizes import escaping, made_in
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import SymbolicDim, symbols
from dagir.ir.graph import Constant, Graph, Node, Value
from dagir.ir.traversal import makers, reached, values_behind
from dagir.ir.types import DType, Equations, TensorType

__all__ = ["captured", "check_bodies", "check_scalar", "check_state", "close", "tracing_body"]

_DEEPEST = 48  # bodies within bodies: each is lowered within the one around it

_depth: ContextVar[int] = ContextVar("dagir_body_depth", default=0)


@contextmanager
def tracing_body() -> Iterator[Callable[[str], str]]:
    """While a body is traced: the function that names its inputs apart from those of the bodies around it."""
    depth = _depth.get()
    token = _depth.set(depth + 1)
    try:
        yield lambda name: f"{name}_in_{depth}" if depth else name
    finally:
        _depth.reset(token)


def close(
    inputs: Sequence[Value],
    outputs: Sequence[Value],
    name: str,
    since: int | None = None,
    near: Sequence[Value] = (),
) -> Graph:
    """The graph from `inputs` to `outputs`. Its further inputs are the outer values that it reads.

    A size that it computes with, or that its inputs are made of, and that these do not tell, comes from a value behind
    them or `near`, which becomes an input too. since: nodes made from this serial number on are inside, even if they
    depend on no input. Without it they stay outside, so that a loop does not compute them at each step. Raises
    ShapeError.
    """
    outer = captured(inputs, outputs, since)
    graph = Graph([*inputs, *outer], outputs, name)
    return Graph([*inputs, *outer, *_bearers(graph, near)], outputs, name)


def captured(inputs: Sequence[Value], outputs: Sequence[Value], since: int | None = None) -> list[Value]:
    """The outer values that are outputs, or that are read by nodes inside."""
    nodes = reached([value.node for value in outputs if value.node is not None], makers)
    inside: set[Value] = set(inputs)
    found: dict[Value, None] = {}
    for node in sorted(nodes, key=attrgetter("serial")):
        read = [value for value in node.inputs if value is not None]
        if not inside.isdisjoint(read) or (since is not None and node.serial >= since):
            inside.update(node.outputs)
            found.update(dict.fromkeys(value for value in read if value not in inside))
    found.update(dict.fromkeys(value for value in outputs if value not in inside))
    return [value for value in found if not isinstance(value.source, Constant)]


def _bearers(graph: Graph, near: Sequence[Value]) -> list[Value]:
    """Outer values that have the sizes which the body computes with, and which its inputs do not tell."""
    named = {name for node in graph.nodes for name in _sizes_of(node)}
    named |= {name for value in graph.inputs for size in value.type.shape for name in symbols(size)}
    missing = named - size_sources([value.type.shape for value in graph.inputs]).keys() - made_in(graph).keys()
    if not missing:
        return []
    known = [value for value in values_behind([*graph.inputs, *near]) if value not in graph.inputs]
    sources = size_sources([value.type.shape for value in known])
    if unknown := sorted(missing - sources.keys()):
        raise ShapeError(
            f"{graph.name} computes with the size {unknown[0]!r}, which none of the values that it reads has",
            remedy="let it read a value that has this size as an axis",
        )
    return list(dict.fromkeys(known[sources[name].place] for name in sorted(missing)))


def _sizes_of(node: Node) -> set[str]:
    sizes = [size for name in node.op.shape_fields for size in getattr(node.op, name)]
    return {name for size in sizes if isinstance(size, SymbolicDim) for name in symbols(size)}


def check_bodies(*bodies: Graph) -> None:
    """Raise ShapeError where bodies are nested too deep, or give a size that the data decide in them alone.

    The depth of a graph is noted in it: inner ones come first.
    """
    for body in bodies:
        if decided := escaping(body):
            raise ShapeError(
                f"{body.name} gives a value of the size {decided[0]}, which the data decide in it",
                remedy="give arrays of sizes that are known outside: mask in place of selecting, or select outside",
            )
        held = [getattr(node.op, name) for node in body.nodes for name in node.op.graph_fields]
        body.__dict__.setdefault("_bodies_within", 1 + max((_depth_of(inner) for inner in held), default=0))
        if _depth_of(body) > _DEEPEST:
            raise ShapeError(
                f"branches and loops are nested more than {_DEEPEST} deep", remedy="compute the inner ones outside"
            )


def _depth_of(graph: Graph) -> int:
    found: int = graph.__dict__.get("_bodies_within", 0)
    return found


def check_scalar(what: str, found: TensorType, dtype: DType, remedy: str, place: int | None = None) -> None:
    """Raise DTypeError or ShapeError unless this is a scalar of the dtype."""
    marks: dict[int, list[int]] = {} if place is None else {place: []}
    if found.dtype is not dtype:
        raise DTypeError(f"{what} is {dtype}, got {found.dtype}", remedy=remedy)
    if found.rank:
        raise ShapeError(f"{what} is a scalar, got shape {list(found.shape)}", marks=marks, remedy=remedy)


def check_state(equations: Equations, place: int, before: TensorType, after: TensorType) -> None:
    """Raise DTypeError or ShapeError unless a step gives a state the type that it had."""
    if before.dtype is not after.dtype:
        raise DTypeError(
            f"state {place} is {before.dtype}, a step makes it {after.dtype}",
            remedy=f"cast it in the step: ops.cast(state, {str(before.dtype)!r})",
        )
    fits = before.rank == after.rank and all(
        equations.equate(a, b) is not None for a, b in zip(before.shape, after.shape, strict=True)
    )
    if not fits:
        raise ShapeError(
            f"state {place} has shape {list(before.shape)}, a step makes it {list(after.shape)}",
            remedy="a step must give each state the shape that it had; check state_size, or the initial state",
        )
