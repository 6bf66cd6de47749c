"""For tests, ours and others': hypothesis strategies of ops and graphs, and assertions. Needs hypothesis."""

from dagir.testing import (
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
    shape,
    trigonometry,
)
from dagir.testing.cases import OpCase, arrays, cases, covered, shapes, strategy_for
from dagir.testing.comparison import assert_close, assert_equivalent

__all__ = [
    "OpCase",
    "activation",
    "arrays",
    "assert_close",
    "assert_equivalent",
    "attention",
    "bitwise",
    "cases",
    "conv",
    "covered",
    "elementwise",
    "linear",
    "logic",
    "norm",
    "pool",
    "random",
    "reduce",
    "resize",
    "rnn",
    "shape",
    "shapes",
    "strategy_for",
    "trigonometry",
]
