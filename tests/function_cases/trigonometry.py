"""Trigonometric and hyperbolic functions."""

from __future__ import annotations

from function_cases.table import binary, unary

unary("arcsin", "arccos", "arctanh", low=-0.9, high=0.9)
unary("arctan", "arcsinh", low=-30, high=30)
unary("sinh", "cosh", "sinc")
unary("deg2rad", "rad2deg", low=-360, high=360)
unary("arccosh", low=1.1, high=30)
binary("arctan2", "hypot")
