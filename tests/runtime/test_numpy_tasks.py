"""What the NumPy interpreter prepares for nodes and does in one step gives what the long way gives."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.errors import ShapeError
from dagir_numpy import correlation, shape
from dagir_numpy.plan import plan_of


def prepared(model):
    return {type(step.nodes[0].op).__name__: step.task is not None for step in plan_of(model.graph).steps}


def test_nodes_that_need_more_than_their_rule_are_not_prepared():
    x = dagir.Input((6, 4), name="x")
    tokens = ops.cast(ops.squeeze(ops.expand_dims(x[:, 1:], 1), 1), "float16")
    model = dagir.Model(x, [tokens, layers.Dense(3)(x), ops.cond(ops.any(x > 0), lambda: x, lambda: -x)])
    assert prepared(model) == {
        **dict.fromkeys(("Slice", "ExpandDims", "Squeeze", "Greater", "ReduceAny"), True),
        **dict.fromkeys(("Cast", "Linear", "If"), False),
    }


def test_an_error_of_a_prepared_node_names_it():
    x = dagir.Input(("time", 4), name="x")
    model = dagir.Model(x, ops.squeeze(ops.transpose(x, (0, 2, 1)), 2))
    with pytest.raises(ShapeError) as caught:
        dagir.lower(model, "numpy")(np.zeros((2, 3, 4), "float32"))
    assert "squeeze" in str(caught.value).lower()


@pytest.mark.parametrize("mode", ["reflect", "symmetric", "edge", "wrap"])
def test_pads_take_what_numpy_takes(mode):
    x = np.random.default_rng(0).normal(size=(5, 4, 6)).astype("float32")
    op = ops.Pad(((0, 0), (2, 3), (-1, 4)), mode, 0.0)
    wanted = np.pad(x, ((0, 0), (2, 3), (0, 4)), mode)[:, :, 1:]
    np.testing.assert_array_equal(shape.pad(op, x), wanted)


@pytest.mark.parametrize("stride", [1, 2])
def test_a_convolution_in_one_block_is_that_in_many(monkeypatch, stride):
    rng = np.random.default_rng(0)
    x, w = (rng.normal(size=size).astype("float32") for size in ((2, 9, 11, 3), (3, 2, 3, 4)))
    op, found = ops.Conv((stride, stride), "valid", (1, 1), 1, "channels_last"), []
    for rows in (correlation.LEAST_ROWS, 4):
        monkeypatch.setattr(correlation, "LEAST_ROWS", rows)
        monkeypatch.setattr(correlation, "GATHERED", 1)
        starts: list[int] = []
        found.append(correlation.correlate(op, x, w, lambda block, start, s=starts: s.append(start)))
        assert (len(starts) == 1) == (rows > 4)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-5, atol=1e-5)
