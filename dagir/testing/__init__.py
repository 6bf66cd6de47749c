"""Hypothesis strategies for ops and graphs, and assertions, for our tests and those of users. Needs hypothesis.

max_steps, min_steps: how many layers a drawn model has. depth: how deep models may be nested. max_rank, min_rank: of
shapes. seed: of the random weights and arrays. shape: a tuple of sizes, or a strategy for one.
"""

import importlib

from dagir.support.extras import needed

with needed("dagir.testing"):
    importlib.import_module("hypothesis")

from dagir.testing import (
    activation,
    attention,
    bitwise,
    control_flow,
    conv,
    cumulative,
    data_sizes,
    elementwise,
    fft,
    gradients,
    grids,
    linear,
    logic,
    lookup,
    matrices,
    norm,
    pool,
    quantization,
    random,
    reduce,
    regions,
    resize,
    rnn,
    sampling,
    scatter,
    shape,
    sorting,
    splitting,
    trigonometry,
)
from dagir.testing.cases import OpCase, arrays, cases, covered, shapes, strategy_for
from dagir.testing.comparison import assert_close, assert_equivalent
from dagir.testing.drawing import feeds_for, graphs, models, ops, randomize

__all__ = [
    "OpCase",
    "activation",
    "arrays",
    "assert_close",
    "assert_equivalent",
    "attention",
    "bitwise",
    "cases",
    "control_flow",
    "conv",
    "covered",
    "cumulative",
    "data_sizes",
    "elementwise",
    "feeds_for",
    "fft",
    "gradients",
    "graphs",
    "grids",
    "linear",
    "logic",
    "lookup",
    "matrices",
    "models",
    "norm",
    "ops",
    "pool",
    "quantization",
    "random",
    "randomize",
    "reduce",
    "regions",
    "resize",
    "rnn",
    "sampling",
    "scatter",
    "shape",
    "shapes",
    "sorting",
    "splitting",
    "strategy_for",
    "trigonometry",
]
