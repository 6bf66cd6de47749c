"""Convolutions, pools and normalizations as functions; their layers have tests of their own with more arguments."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.table import function

_SIZES = st.sampled_from([5, 7])


def image(draw: Any, rank: int, channels: int) -> Any:
    return draw(testing.arrays((draw(st.sampled_from([1, 3])), *(draw(_SIZES) for _ in range(rank)), channels)))


def sliding(draw: Any) -> dict[str, Any]:
    """Strides or dilation, not both: Keras takes one of them."""
    options = draw(st.sampled_from([{"strides": 2}, {"strides": 1}]))
    return {**options, "padding": draw(st.sampled_from(["valid", "same"]))}


@function("conv")
def conv(draw: Any) -> Any:
    rank = draw(st.integers(1, 2))
    return (image(draw, rank, 4), draw(testing.arrays((*(3,) * rank, draw(st.sampled_from([4, 2])), 6)))), sliding(draw)


@function("depthwise_conv")
def depthwise_conv(draw: Any) -> Any:
    rank = draw(st.integers(1, 2))
    return (image(draw, rank, 3), draw(testing.arrays((*(3,) * rank, 3, 2)))), sliding(draw)


@function("separable_conv")
def separable_conv(draw: Any) -> Any:
    rank = draw(st.integers(1, 2))
    kernels = draw(testing.arrays((*(3,) * rank, 3, 2))), draw(testing.arrays((*(1,) * rank, 6, 4)))
    return (image(draw, rank, 3), *kernels), sliding(draw)


@function("max_pool", "average_pool")
def pool(draw: Any) -> Any:
    options = {"strides": draw(st.sampled_from([None, 1])), "padding": draw(st.sampled_from(["valid", "same"]))}
    return (image(draw, draw(st.integers(1, 2)), 3), 2), options


@function("batch_normalization")
def batch_normalization(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(2)))
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    mean, offset, scale = (draw(testing.arrays((x.shape[axis],))) for _ in range(3))
    return (x, mean, draw(testing.arrays((x.shape[axis],), low=0.1)), axis), {"offset": offset, "scale": scale}


@function("layer_normalization")
def layer_normalization(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1, 3, st.sampled_from([3, 5]))))
    gamma, beta = (draw(testing.arrays(x.shape[-1:])) for _ in range(2))
    return (x,), {"gamma": gamma, "beta": beta, "epsilon": 1e-2}


@function("rms_normalization")
def rms_normalization(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1, 3, st.sampled_from([3, 5]))))
    return (x + np.float32(0.5),), {"scale": draw(testing.arrays(x.shape[-1:])), "epsilon": 1e-2}
