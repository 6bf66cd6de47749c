"""Replace activations and normalizations that are written as formulas by their ops."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from math import pi, sqrt

from dagir import ops
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, emit, rebuild
from dagir.passes.formulas import close, number, product, total
from dagir.passes.pipeline import Pass


@dataclass(frozen=True)
class Recognize(Pass):
    """x * sigmoid(x)                                             =>   Silu(x); with hard_sigmoid: HardSilu(x)

    0.5 * x * (1 + erf(x / sqrt(2)))                           =>   Gelu(x)
    0.5 * x * (1 + tanh(sqrt(2/pi) * (x + 0.044715 * x**3)))   =>   Gelu(x, approximate)
    (x - mean(x)) / sqrt(variance(x) + epsilon)                =>   LayerNorm(x), over the last axes
    LayerNorm(x) * gamma + beta                                =>   LayerNorm(x, gamma, beta)

    The order and the brackets of the products and sums do not matter. onnxruntime recognizes some of these by itself,
    each in one form only. A tanh form that it did not recognize took 1.2 times as long.
    """

    name = "recognize"

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        return rebuild(graph, _recognize)


def _recognize(node: Node, operands: Operands) -> Sequence[Value] | None:
    if not isinstance(node.op, (ops.Multiply, ops.Divide, ops.Add)) or not node.output.dtype.is_float:
        return None
    current = node if operands == node.inputs else Node(node.op, operands, (node.output.type,))
    for rule in _RULES:
        found = rule(current)
        if found is not None:
            op, *inputs = found
            made = emit(node, op, *inputs)
            return [made] if made.type == node.output.type else None
    return None


Found = tuple[Op, *tuple[Value | None, ...]]


def _activation(node: Node) -> Found | None:
    """Silu, HardSilu or Gelu: x times a factor that is a function of x."""
    if isinstance(node.op, ops.Add):
        return None
    coefficient, factors = product(node.output)
    if len(factors) != 2:
        return None
    for x, bell in (factors, factors[::-1]):
        made = bell.node
        if made is not None and made.inputs[:1] == (x,) and coefficient == 1:
            if isinstance(made.op, ops.Sigmoid):
                return ops.Silu(), x
            if isinstance(made.op, ops.HardSigmoid):
                return ops.HardSilu(), x
        gelu = _gelu(coefficient, x, bell)
        if gelu is not None:
            return gelu, x
    return None


def _gelu(coefficient: float, x: Value, bell: Value) -> Op | None:
    """The Gelu op if bell is c + c * erf(...), or the same with tanh, and coefficient * c is 0.5; otherwise None."""
    constant, terms = total(bell)
    if len(terms) != 1:
        return None
    scale, curves = product(terms[0])
    if len(curves) != 1 or curves[0].node is None or not close(scale, constant) or not close(coefficient * scale, 0.5):
        return None
    curve = curves[0].node
    (inner,) = curve.inputs[:1]
    if inner is None:
        return None
    inside, factors = product(inner)
    if isinstance(curve.op, ops.Erf) and close(inside, sqrt(0.5)) and factors == [x]:
        return ops.Gelu()
    if isinstance(curve.op, ops.Tanh) and close(inside, sqrt(2 / pi)) and _is_cubic(factors, x):
        return ops.Gelu(approximate=True)
    return None


def _is_cubic(factors: list[Value], x: Value) -> bool:
    """Whether the product is x + 0.044715 * x**3, or x * (1 + 0.044715 * x**2)."""
    rest = [factor for factor in factors if factor is not x]
    if len(rest) != 1 or len(factors) > 2:
        return False
    constant, terms = total(rest[0])
    power = 3 - (len(factors) - 1)
    if len(factors) == 1:
        if constant != 0 or len(terms) != 2 or x not in terms:
            return False
        terms = [terms[1 - terms.index(x)]]
    elif constant != 1 or len(terms) != 1:
        return False
    scale, parts = product(terms[0])
    return close(scale, 0.044715) and parts == [x] * power


def _layer_norm(node: Node) -> Found | None:
    """A layer norm: x - mean(x), divided by its root mean square."""
    if isinstance(node.op, ops.Add):
        return None
    pairs = [node.inputs] if isinstance(node.op, ops.Divide) else [node.inputs, node.inputs[::-1]]
    for distance, root in pairs:
        kind = ops.Sqrt if isinstance(node.op, ops.Divide) else ops.Rsqrt
        if root is None or distance is None or root.node is None or not isinstance(root.node.op, kind):
            continue
        mean, (inner,) = _mean_of(distance), root.node.inputs
        if mean is None or inner is None:
            continue
        epsilon, terms = total(inner)
        if len(terms) != 1 or epsilon < 0:
            continue
        x, axes = mean
        rank = x.type.rank
        trailing = axes == tuple(range(rank - len(axes), rank)) and all(isinstance(x.type.shape[a], int) for a in axes)
        if trailing and _is_variance(terms[0], x, axes):
            return ops.LayerNorm(axes, epsilon), x
    return None


def _mean_of(distance: Value) -> tuple[Value, tuple[int, ...]] | None:
    """x and the axes if the value is x - mean(x, axes, keepdims=True); otherwise None."""
    if distance.node is None or not isinstance(distance.node.op, ops.Subtract):
        return None
    x, mean = distance.node.inputs
    if mean is None or x is None or mean.node is None or not isinstance(mean.node.op, ops.ReduceMean):
        return None
    return (x, mean.node.op.axes) if mean.node.op.keepdims and mean.node.inputs[0] is x else None


def _is_variance(value: Value, x: Value, axes: tuple[int, ...]) -> bool:
    """Whether a value is the mean square of x - mean(x); the difference may be computed by one node or by several."""
    node = value.node
    if node is None or not isinstance(node.op, (ops.Variance, ops.ReduceMean)):
        return False
    (source,) = node.inputs
    if source is None or node.op.axes != axes or not node.op.keepdims:
        return False
    if isinstance(node.op, ops.Variance):
        return source is x
    coefficient, factors = product(source)
    return coefficient == 1 and len(factors) == 2 and all(_mean_of(factor) == (x, axes) for factor in factors)


def _scaled_norm(node: Node) -> Found | None:
    """A norm without gamma, times a weight of the shape of gamma; or a norm without beta, plus such a weight."""
    if isinstance(node.op, ops.Divide):
        return None
    for normed, vector in (node.inputs, node.inputs[::-1]):
        inner = normed.node if normed is not None else None
        if inner is None or vector is None or not isinstance(inner.op, ops.LayerNorm) or not is_leaf(vector):
            continue
        x, gamma, beta = (*inner.inputs, None, None)[:3]
        assert x is not None
        rank, axes = x.type.rank, inner.op.axes
        if number(vector) is not None or vector.type.shape != tuple(x.type.shape[axis] for axis in axes):
            continue
        if axes != tuple(range(rank - len(axes), rank)):  # a vector broadcasts along the last axes
            continue
        if isinstance(node.op, ops.Multiply) and gamma is None and beta is None:
            return replace(inner.op), x, vector
        if isinstance(node.op, ops.Add) and beta is None:
            return replace(inner.op), x, gamma, vector
    return None


_RULES: tuple[Callable[[Node], Found | None], ...] = (_activation, _layer_norm, _scaled_norm)
