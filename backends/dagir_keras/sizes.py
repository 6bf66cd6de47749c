"""Shapes with sizes that are known at run time only: Keras takes one of them as -1, further ones must be computed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from keras import ops as K

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.data_sizes import made_in
from dagir.ir.dim_binding import SizeSource, size_sources
from dagir.ir.dims import Dim, SymbolicDim, symbols
from dagir.ir.graph import Graph, Op, Value


def sizes_to_compute(op: Op) -> set[str]:
    """The named sizes whose numbers Keras needs to run an op."""
    unknown = [size for name in op.shape_fields for size in getattr(op, name) if isinstance(size, SymbolicDim)]
    if isinstance(op, ops.Reshape) and len(unknown) == 1 and -1 not in op.target:
        return set()
    return {name for size in unknown for name in symbols(size)}


def sizes_told_outside(graph: Graph) -> set[str]:
    """The names that the ops of a graph, or of layer calls in it, need, and that no input of the graph tells."""
    names: set[str] = set()
    for node in graph.nodes:
        names |= sizes_told_outside(node.op.graph) if isinstance(node.op, ops.Call) else sizes_to_compute(node.op)
    return names - size_sources([value.type.shape for value in graph.inputs]).keys() - made_in(graph).keys()


def sources_among(names: set[str], inputs: Sequence[Value]) -> dict[str, tuple[Value, SizeSource]]:
    """For each name the input that has it as an axis. Raises UnsupportedOp where no input has it."""
    known = size_sources([value.type.shape for value in inputs])
    found = {name: (inputs[source.place], source) for name, source in known.items() if name in names}
    missing = sorted(names - found.keys())
    if missing:
        raise UnsupportedOp(
            f"Keras cannot work out the size {missing[0]!r} here: no input of this part of the model has it as an axis",
            remedy="use -1 for it, or do this outside of the layer",
        )
    return found


def solve_sizes(sources: Mapping[str, tuple[int, SizeSource]], tensors: Sequence[Any]) -> dict[str, Any]:
    """The number of each named size, computed from the shape of the tensor at its place."""
    return {name: source.solve(K.shape(tensors[place])[source.axis]) for name, (place, source) in sources.items()}


def with_numbers(op: Op, sizes: Mapping[str, Any]) -> Op:
    """The op with numbers, or integer tensors, in place of its named sizes."""
    fields = {name: tuple(number(size, sizes) for size in getattr(op, name)) for name in op.shape_fields}
    return replace(op, **fields)


def number(dim: Dim, sizes: Mapping[str, Any]) -> Any:
    """An int, or an integer tensor."""
    if isinstance(dim, int):
        return dim
    total: Any = 0
    for monomial, coefficient in dim.terms:
        product: Any = coefficient
        for atom in monomial:
            product = product * (sizes[atom] if isinstance(atom, str) else _applied(atom, sizes))
        total = total + product
    return total


def _applied(atom: Any, sizes: Mapping[str, Any]) -> Any:
    left, right = number(atom.left, sizes), number(atom.right, sizes)
    if atom.function == "floordiv":
        return left // right
    return K.minimum(left, right) if atom.function == "min" else K.maximum(left, right)
