"""Activation functions."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.table import function, unary

unary("relu", "sigmoid", "tanh", "softplus", "softsign", "silu", "swish", "hard_sigmoid", "selu", low=-30, high=30)
unary("hard_silu", "hard_swish", "relu6", "hard_tanh", "tanh_shrink", "log_sigmoid", low=-30, high=30)
unary("sparse_plus", "sparse_sigmoid", "squareplus", "gelu", "elu", "celu", "leaky_relu")
unary("hard_shrink", "soft_shrink")


@function("threshold")
def threshold(draw: Any) -> Any:
    return (draw(testing.arrays(testing.shapes())), 0.7, draw(st.sampled_from([0.0, -2.0]))), {}


@function("glu")
def glu(draw: Any) -> Any:
    shape = list(draw(testing.shapes(1, 3)))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    shape[axis] *= 2
    return (draw(testing.arrays(shape)),), {"axis": axis}


@function("softmax", "log_softmax")
def softmax(draw: Any) -> Any:
    shape = draw(testing.shapes(1, 3, st.sampled_from([2, 3, 5])))
    return (draw(testing.arrays(shape)),), {"axis": draw(st.integers(-len(shape), len(shape) - 1))}


def nearest_probabilities(x: Any, axis: int) -> Any:
    """Sparsemax by bisection: keras.ops.sparsemax sums cumulative sums (Keras 3.15), see tests/upstream."""
    low, high = x.min(axis, keepdims=True) - 1.0, x.max(axis, keepdims=True)
    for _ in range(60):
        middle = (low + high) / 2
        above = np.maximum(x - middle, 0).sum(axis, keepdims=True) > 1
        low, high = np.where(above, middle, low), np.where(above, high, middle)
    return np.maximum(x - low, 0).astype(x.dtype)


@function("sparsemax", judge=nearest_probabilities)
def sparsemax(draw: Any) -> Any:
    shape = draw(testing.shapes(1, 3))
    return (draw(testing.arrays(shape, low=-1, high=1)),), {"axis": draw(st.integers(-len(shape), len(shape) - 1))}
