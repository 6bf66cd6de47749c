"""Functions of matrices: the determinant."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule

_LARGEST = 4


@rule("Det")
def _determinant(call: NodeCall) -> Value:
    """Of small matrices, as the sum over the first row and the determinants of what is left; else by elimination."""
    x = call.input(0)
    rows, columns = x.type.shape[-2:]
    if not isinstance(rows, int) or rows != columns or not 1 <= rows <= _LARGEST:
        return ops.det(x)
    entries = [[x[..., i, j] for j in range(rows)] for i in range(rows)]
    return _expanded(entries)


def _expanded(entries: list[list[Value]]) -> Value:
    first, *rest = entries
    if not rest:
        return first[0]
    total: Value | None = None
    for place, entry in enumerate(first):
        minor = [[row[column] for column in range(len(row)) if column != place] for row in rest]
        term = ops.multiply(entry, _expanded(minor))
        total = term if total is None else (ops.subtract if place % 2 else ops.add)(total, term)
    assert total is not None
    return total
