"""Weights that onnxruntime reads where they lie: it may rearrange some, and the answers are the same."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops


@st.composite
def broadcast_weights(draw):
    """The shape of a tensor, two permutations of its axes, and the shape of a weight of more than 1 KB beside it."""
    rank = draw(st.integers(2, 3))
    shape = tuple(draw(st.sampled_from([20, 20, 36])) for _ in range(rank))
    perms = [(0, *(axis + 1 for axis in draw(st.permutations(range(rank))))) for _ in range(2)]
    turned = [shape[axis - 1] for axis in perms[0][1:]]
    whole = draw(st.lists(st.booleans(), min_size=rank, max_size=rank))
    weight = tuple(size if keeps else 1 for size, keeps in zip(turned, whole, strict=True))
    return shape, perms, weight[draw(st.integers(0, rank - 1)) :]


@given(broadcast_weights())
def test_weights_between_transposes(case):
    """onnxruntime moves the Transposes together, and the weights between them with them."""
    shape, (there, back), size = case
    rng = np.random.default_rng(0)
    weight = rng.normal(size=size).astype("float32")
    x = dagir.Input(shape, name="x")
    y = ops.transpose(ops.relu(ops.transpose(x, there) * weight + weight), back)
    model = dagir.Model(x, y)
    fed = rng.normal(size=(2, *shape)).astype("float32")
    wanted, found = (dagir.lower(model, backend)(fed) for backend in ("numpy", "onnx"))
    np.testing.assert_allclose(found, wanted, 1e-5, 1e-6)


def test_weights_of_a_body():
    """A branch reads a weight of the graph around it."""
    weight = np.random.default_rng(0).normal(size=(20, 20)).astype("float32")
    x = dagir.Input((20, 20), name="x")

    def turned(h):
        return ops.transpose(ops.transpose(h, (0, 2, 1)) * weight, (0, 2, 1))

    positive = ops.greater(ops.sum(x), 0.0)
    model = dagir.Model(x, ops.cond(positive, lambda: turned(x), lambda: turned(ops.relu(x))))
    fed = np.random.default_rng(1).normal(size=(2, 20, 20)).astype("float32")
    for each in (fed, -fed):
        wanted, found = (dagir.lower(model, backend)(each) for backend in ("numpy", "onnx"))
        np.testing.assert_allclose(found, wanted, 1e-5, 1e-6)
