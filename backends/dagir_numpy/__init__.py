"""The NumPy reference interpreter of dagir."""

from dagir_numpy import (
    activation,
    attention,
    bidirectional,
    bitwise,
    conv,
    cumulative,
    elementwise,
    gradients,
    linear,
    logic,
    lookup,
    matrices,
    norm,
    pool,
    random,
    reduce,
    resize,
    rnn,
    scan,
    scatter,
    shape,
    sorting,
    trigonometry,
)
from dagir_numpy.backend import NumpyBackend
from dagir_numpy.interpreter import evaluate

backend = NumpyBackend()

__all__ = [
    "activation",
    "attention",
    "backend",
    "bidirectional",
    "bitwise",
    "conv",
    "cumulative",
    "elementwise",
    "evaluate",
    "gradients",
    "linear",
    "logic",
    "lookup",
    "matrices",
    "norm",
    "pool",
    "random",
    "reduce",
    "resize",
    "rnn",
    "scan",
    "scatter",
    "shape",
    "sorting",
    "trigonometry",
]
