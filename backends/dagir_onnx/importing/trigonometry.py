"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

from collections.abc import Callable

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.registry import Rule, rule


def _unary(function: Callable[[Value], Value]) -> Rule:
    return lambda call: function(call.input(0))


for _name, _function in {
    "Acos": ops.arccos,
    "Acosh": ops.arccosh,
    "Asin": ops.arcsin,
    "Asinh": ops.arcsinh,
    "Atan": ops.arctan,
    "Atanh": ops.arctanh,
    "Cos": ops.cos,
    "Cosh": ops.cosh,
    "Sin": ops.sin,
    "Sinh": ops.sinh,
    "Tan": ops.tan,
}.items():
    rule(_name)(_unary(_function))
