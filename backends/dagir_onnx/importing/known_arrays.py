"""Numbers that are known while a graph is read: of weights and constants, and of what is computed from these alone."""

from __future__ import annotations

from math import prod

from dagir.errors import DagirError
from dagir.ir.graph import Constant, Node, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.types import Array
from dagir.runtime.node_evaluation import evaluate_node
from dagir_onnx.importing.tensors import FOLDED

_DEEPEST = 64  # nodes behind a value that are computed: settings of operators are behind a few


def known_array(value: Value) -> Array | None:
    """The numbers of a value; None where they depend on an input, or are too many to compute."""
    source = value.source
    if isinstance(source, (Constant, Parameter)):
        return source.array
    nodes = _behind(value)
    if nodes is None:
        return None
    arrays: dict[Value, Array] = {}
    for node in nodes:
        operands = [None if each is None else _array(each, arrays) for each in node.inputs]
        try:
            arrays.update(zip(node.outputs, evaluate_node(node, operands), strict=True))
        except (DagirError, ValueError, ArithmeticError):  # a division by zero: where the model runs, it has a place
            return None
    return arrays[value]


def known_constant(value: Value) -> Value:
    """A value that is computed from constants, as a constant; others as they are."""
    found = None if is_leaf(value) else known_array(value)
    return value if found is None else Constant(found).value


def _array(value: Value, arrays: dict[Value, Array]) -> Array:
    source = value.source
    return source.array if isinstance(source, (Constant, Parameter)) else arrays[value]


def _behind(value: Value) -> list[Node] | None:
    """The nodes that a value comes from, in order, if they are few, small, and read weights and constants alone."""
    pending, found = [value], dict[int, Node]()
    while pending:
        each = pending.pop()
        if is_leaf(each):
            continue
        node = each.node
        if node is None or node.op.random or node.op.graph_fields or len(found) > _DEEPEST:
            return None
        if not all(_is_small(output) for output in node.outputs):
            return None
        if node.serial not in found:
            found[node.serial] = node
            pending += [operand for operand in node.inputs if operand is not None]
    return [found[serial] for serial in sorted(found)]


def _is_small(value: Value) -> bool:
    sizes = [size for size in value.type.shape if isinstance(size, int)]
    return len(sizes) == value.ndim and prod(sizes) <= FOLDED


__all__ = ["known_array", "known_constant"]
