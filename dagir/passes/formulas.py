"""Read products and sums out of a graph, independent of the order and the brackets in which they are written."""

from __future__ import annotations

from math import isclose, isnan

from dagir import ops
from dagir.ir.graph import Constant, Value

_MOST = 8  # factors or terms of a formula that is looked for


def number(value: Value | None) -> float | None:
    """The value of a constant of one element; None for anything else, and for NaN."""
    if value is None or not isinstance(value.source, Constant) or value.source.array.size != 1:
        return None
    found = float(value.source.array.reshape(()))
    return None if isnan(found) else found


def close(a: float, b: float) -> bool:
    """Whether two coefficients are equal up to their rounding to float32."""
    return isclose(a, b, rel_tol=1e-6)


def product(value: Value) -> tuple[float, list[Value]]:
    """The coefficient and the factors of a product; a value that is not a product is its own single factor."""
    coefficient, factors, pending = 1.0, list[Value](), [value]
    while pending and len(factors) + len(pending) <= _MOST:
        each = pending.pop()
        known, node = number(each), each.node
        operands = [] if node is None else [operand for operand in node.inputs if operand is not None]
        op = None if node is None else node.op
        if known is not None:
            coefficient *= known
        elif isinstance(op, ops.Multiply):
            pending += operands
        elif isinstance(op, ops.Divide) and (divisor := number(operands[1])):
            coefficient /= divisor
            pending.append(operands[0])
        elif isinstance(op, ops.Negative):
            coefficient = -coefficient
            pending += operands
        elif isinstance(op, ops.Square):
            pending += operands * 2
        elif isinstance(op, ops.Power) and number(operands[1]) in (2.0, 3.0):
            pending += operands[:1] * int(number(operands[1]) or 0)
        else:
            factors.append(each)
    return coefficient, factors + pending


def total(value: Value) -> tuple[float, list[Value]]:
    """The constant and the terms of a sum; a value that is not a sum is its own single term."""
    constant, terms, pending = 0.0, list[Value](), [value]
    while pending and len(terms) + len(pending) <= _MOST:
        each = pending.pop()
        known, node = number(each), each.node
        if known is not None:
            constant += known
        elif node is not None and isinstance(node.op, ops.Add):
            pending += [operand for operand in node.inputs if operand is not None]
        else:
            terms.append(each)
    return constant, terms + pending
