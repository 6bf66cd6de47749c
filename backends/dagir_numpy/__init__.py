"""The NumPy reference interpreter of dagir."""

from dagir_numpy import (
    activation,
    attention,
    bitwise,
    conv,
    elementwise,
    linear,
    logic,
    norm,
    pool,
    random,
    reduce,
    resize,
    rnn,
    scan,
    shape,
    trigonometry,
)
from dagir_numpy.backend import NumpyBackend
from dagir_numpy.interpreter import evaluate

backend = NumpyBackend()

__all__ = [
    "activation",
    "attention",
    "backend",
    "bitwise",
    "conv",
    "elementwise",
    "evaluate",
    "linear",
    "logic",
    "norm",
    "pool",
    "random",
    "reduce",
    "resize",
    "rnn",
    "scan",
    "shape",
    "trigonometry",
]
