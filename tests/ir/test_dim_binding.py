"""Sizes that follow from an axis: of an input of `time + 2` steps, `time` is what is left."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.errors import FeedError, InvalidGraph
from dagir.ir.dim_binding import SizeSource, size_sources
from dagir.ir.dims import symbol

time, batch = symbol("time"), symbol("batch")


def test_sources_of_sizes():
    assert size_sources([(batch, time * 2 + 1, 3), (batch, time)]) == {
        "batch": SizeSource(0, 0),
        "time": SizeSource(1, 1),
    }
    (source,) = size_sources([(4, time * 2 + 1)]).values()
    assert source == SizeSource(0, 1, 2, 1)
    assert source.solve(9) == 4
    assert source.solve(batch * 2 + 1) == batch
    assert not size_sources([(time // 2, batch * time, 7)])


def each_step(shape):
    x = dagir.Input(batch_shape=shape, name="x")
    return dagir.Model(x, layers.TimeDistributed(layers.Dense(4))(x))


@pytest.mark.parametrize("backend", ["numpy", "onnx", "keras"])
def test_a_model_of_a_derived_size_runs(backend):
    model = each_step((batch, 2 * time + 1, 3))
    run = dagir.lower(model, backend)
    for steps in (1, 5, 9):
        assert run(np.ones((2, steps, 3), "float32")).shape == (2, steps, 4)
    with pytest.raises(FeedError, match=r"must have size 2\*time \+ 1, which is 7; got 8"):
        run(np.ones((2, 8, 3), "float32"))


def test_a_size_below_the_least():
    with pytest.raises(FeedError, match=r"must have size time \+ 2, at least 2; got 1"):
        dagir.lower(each_step((batch, time + 2, 3)), "numpy")(np.ones((2, 1, 3), "float32"))


@pytest.mark.parametrize("backend", ["numpy", "onnx", "keras"])
def test_a_model_of_a_derived_size_is_called_on_another(backend):
    """The model's `time` is not the caller's."""
    inner = each_step((batch, time + 2, 3))
    steps = dagir.Input(("time", 3), name="steps")
    outer = dagir.Model(steps, inner(layers.ZeroPadding1D(2)(steps)))
    assert outer.outputs[0].type.shape == (batch, time + 4, 4)
    assert dagir.lower(outer, backend)(np.ones((2, 5, 3), "float32")).shape == (2, 9, 4)


def test_a_size_that_does_not_follow_is_refused():
    x = dagir.Input(batch_shape=(batch, time // 2, 3), name="x")
    with pytest.raises(InvalidGraph, match=r"'x' has the size time//2, from which 'time' does not follow"):
        dagir.Model(x, layers.Dense(2)(x))
    y = dagir.Input(batch_shape=(batch, time, 3), name="y")
    model = dagir.Model([x, y], [layers.Dense(2)(x), layers.Dense(2)(y)])
    first, second = dagir.lower(model, "numpy")([np.ones((1, 3, 3), "float32"), np.ones((1, 7, 3), "float32")])
    assert (first.shape, second.shape) == ((1, 3, 2), (1, 7, 2))
