"""Triangles of matrices."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array
from dagir_numpy.rules import rules


@rules.rule(ops.Tril)
def tril(op: ops.Tril, x: Array) -> Array:
    return np.tril(x, op.k)


@rules.rule(ops.Triu)
def triu(op: ops.Triu, x: Array) -> Array:
    return np.triu(x, op.k)
