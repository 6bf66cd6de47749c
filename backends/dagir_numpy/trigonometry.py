"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir_numpy.rules import rules

for _op, _ufunc in {
    ops.Sin: np.sin,
    ops.Cos: np.cos,
    ops.Tan: np.tan,
    ops.Arcsin: np.arcsin,
    ops.Arccos: np.arccos,
    ops.Arctan: np.arctan,
    ops.Sinh: np.sinh,
    ops.Cosh: np.cosh,
    ops.Arcsinh: np.arcsinh,
    ops.Arccosh: np.arccosh,
    ops.Arctanh: np.arctanh,
    ops.Arctan2: np.arctan2,
}.items():
    rules.rule(_op)(lambda op, *xs, ufunc=_ufunc: ufunc(*xs))
