"""Drawn arguments for every public function of dagir.ops, a file for each family or two."""

from function_cases import (
    activation,
    bitwise,
    counting,
    elementwise,
    fft,
    linalg,
    logic,
    matrices,
    nn,
    numerics,
    reduce,
    scatter,
    shape,
    trigonometry,
)
from function_cases.table import FUNCTIONS, Function

__all__ = [
    "FUNCTIONS",
    "Function",
    "activation",
    "bitwise",
    "counting",
    "elementwise",
    "fft",
    "linalg",
    "logic",
    "matrices",
    "nn",
    "numerics",
    "reduce",
    "scatter",
    "shape",
    "trigonometry",
]
