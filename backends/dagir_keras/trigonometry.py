"""Trigonometric and hyperbolic functions and their inverses."""

from __future__ import annotations

from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules

for _op, _function in {
    ops.Sin: K.sin,
    ops.Cos: K.cos,
    ops.Tan: K.tan,
    ops.Arcsin: K.arcsin,
    ops.Arccos: K.arccos,
    ops.Arctan: K.arctan,
    ops.Sinh: K.sinh,
    ops.Cosh: K.cosh,
    ops.Arcsinh: K.arcsinh,
    ops.Arccosh: K.arccosh,
    ops.Arctanh: K.arctanh,
    ops.Arctan2: K.arctan2,
}.items():
    rules.rule(_op)(lambda op, *xs, function=_function: function(*xs))
