"""Inputs that are no dense tensors are refused by name; every keras.Sequential can confirm what was read of it."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as kl

import dagir
from dagir.errors import ArgumentError, UnsupportedLayer


def network(option, kind):
    x = keras.Input((4,), name="special", **{option: True})
    y = keras.Input((4,), name="plain")
    if kind == "functional":
        return keras.Model([x, y], kl.Dense(2)(y))
    if kind == "sequential":
        return keras.Sequential([x, kl.Dense(2)])
    inner = keras.Model([x, y], kl.Dense(2)(y), name="inner")
    other = keras.Input((4,), name="special_too", **({} if option == "optional" else {option: True}))
    return keras.Model([other, y], inner([other, y]))


@pytest.mark.parametrize("suffix", [None, "keras", "h5"])
@pytest.mark.parametrize("kind", ["functional", "sequential", "nested"])
@pytest.mark.parametrize("option", ["sparse", "ragged", "optional"])
def test_an_input_that_is_not_a_dense_tensor_is_refused(option, kind, suffix, tmp_path):
    source = network(option, kind)
    if suffix is not None:
        source.save(tmp_path / f"m.{suffix}")
        source = tmp_path / f"m.{suffix}"
    with pytest.raises(UnsupportedLayer, match=rf"'special(_too)?' has {option}=True|{option}=True"):
        dagir.from_keras(source)
    with pytest.raises(ArgumentError, match=option):
        dagir.Input((4,), **{option: True})


def stacks():
    """Stacks by every way in which Keras learns what goes in."""
    x = keras.Input((4,))
    called = keras.Sequential([kl.Dense(3), kl.Dense(2)])
    called(np.zeros((1, 4), "float32"))
    built = keras.Sequential([kl.Dense(3), keras.Sequential([kl.Dense(3)])])
    built.build((None, 4))
    elsewhere = keras.Sequential([keras.Input((4,)), kl.Dense(3)])
    keras.Model(x, elsewhere(kl.Dense(4)(x)))
    return {
        "input first": keras.Sequential([keras.Input((4,)), kl.Dense(3), kl.BatchNormalization()]),
        "called": called,
        "built": built,
        "called elsewhere": elsewhere,
        "two outputs": keras.Sequential(
            [keras.Input((4,)), keras.Model(x, {"a": kl.Dense(3)(x), "b": kl.Dense(2)(x)})]
        ),
        "in a model": keras.Model(x, keras.Sequential([kl.Dense(3)])(x)),
    }


@pytest.mark.parametrize("how", stacks())
def test_a_stack_confirms_what_was_read_of_it(how, tmp_path):
    judge = stacks()[how]
    assert dagir.verify(dagir.from_keras(judge), judge).ok
    judge.save(tmp_path / "m.keras")
    assert dagir.verify(dagir.from_keras(tmp_path / "m.keras"), tmp_path / "m.keras").ok


@pytest.mark.parametrize("how", ["input first", "called", "built"])
def test_a_stack_tells_a_misreading(how):
    judge = stacks()[how]
    model = dagir.from_keras(judge)
    model.weights[0].assign(model.weights[0].numpy() + 1)
    report = dagir.verify(model, judge)
    assert not report.ok
    assert report.first_divergence is not None
