"""Products with a weight are linear maps: one matrix product, whose weight onnxruntime packs once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

from dagir import ops
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.passes.derived import reshaped
from dagir.passes.pipeline import Pass
from dagir.passes.uses import count_uses


@dataclass(frozen=True)
class LinearProducts(Pass):
    """MatMul(x, w)                             =>   Linear(x, w), for a weight w[i, o]

    Einsum("abc,cde->abde", x, w) + bias[d, e]  =>   Reshape(Linear(x, w[c, d*e], bias[d*e]))
    Einsum("abcd,cde->abe", x, w)               =>   Linear(Reshape(x), w[c*d, e])

    Only if the axes that are summed over are the last axes of x and the first of w, and the others keep their order.
    """

    name = "linear-products"

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        uses = count_uses(graph)
        split: dict[Value, Value] = {}  # reshaped result -> the linear map that made it

        def rewrite(node: Node, operands: Operands) -> Sequence[Value] | None:
            if isinstance(node.op, ops.MatMul):
                return _matmul(node, operands)
            if isinstance(node.op, ops.Einsum):
                return _einsum(node, node.op, operands, split)
            if isinstance(node.op, ops.Add):
                for old, made, bias in zip(node.inputs, operands, operands[::-1], strict=True):
                    if made in split and bias is not None and old is not None and uses[old] == 1:
                        return _biased(node, made, split[made], bias)
            return None

        return rebuild(graph, rewrite)


def _matmul(node: Node, operands: Operands) -> Sequence[Value] | None:
    x, w = operands
    if x is None or w is None or not is_leaf(w) or is_leaf(x) or w.type.rank != 2 or x.type.rank < 2:
        return None
    return [emit(node, ops.Linear(), x, w)] if w.dtype.is_float else None


def _einsum(node: Node, op: ops.Einsum, operands: Operands, split: dict[Value, Value]) -> Sequence[Value] | None:
    letters = _linear_letters(op.equation) if len(operands) == 2 and node.output.dtype.is_float else None
    if letters is None:
        return None
    (kept, summed, free), (x, w) = letters, operands
    if x is None or w is None or not is_leaf(w) or is_leaf(x):
        return None
    sizes = [int(size) for size in w.type.shape if isinstance(size, int)]
    batch = x.type.shape[: len(kept)]
    inner, outer = prod(sizes[: len(summed)]), prod(sizes[len(summed) :])
    flat = x if len(summed) == 1 else emit(node, ops.Reshape((*batch, inner)), x, named=False)
    kernel = w if w.type.rank == 2 else reshaped(w, (inner, outer))
    product = emit(node, ops.Linear(), flat, kernel, named=len(free) == 1)
    if len(free) == 1:
        return [product]
    found = emit(node, ops.Reshape((*batch, *sizes[len(summed) :])), product)
    split[found] = product
    return [found]


def _linear_letters(equation: str) -> tuple[str, str, str] | None:
    """The kept, summed and free axes of "kept summed, summed free -> kept free"; None for any other equation."""
    left, result = equation.split("->")
    if "." in left:
        return None
    data, kernel = left.split(",")
    summed = "".join(letter for letter in kernel if letter in data)
    kept, free = data[: len(data) - len(summed)], kernel[len(summed) :]
    if not summed or not free or (data, kernel, result) != (kept + summed, summed + free, kept + free):
        return None
    once = len(set(data)) == len(data) and len(set(kernel)) == len(kernel)
    return (kept, summed, free) if once else None


def _biased(node: Node, made: Value, product: Value, bias: Value) -> Sequence[Value] | None:
    """Move the bias into the linear map, before the result is reshaped."""
    assert product.node is not None
    x, w = product.node.inputs
    free = made.type.shape[product.type.rank - 1 :]
    if not is_leaf(bias) or bias.type.shape[-len(free) :] != free or any(n != 1 for n in bias.type.shape[: -len(free)]):
        return None
    if bias.type.rank > made.type.rank:
        return None
    flat = reshaped(bias, product.type.shape[-1:])
    linear = emit(product.node, ops.Linear(), x, w, flat)
    return [emit(node, ops.Reshape(made.type.shape), linear)]
