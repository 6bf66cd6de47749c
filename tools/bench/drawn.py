"""Models for the benches of the proof: from the public strategy, and with what it draws seldom."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Iterator

import hypothesis
import numpy as np
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from dagir import layers
from dagir.errors import DagirError
from dagir.layers import Input
from dagir.modeling.model import Model
from dagir.precision.narrowing import narrowed_model
from dagir.testing import models, randomize


def drawn(count, seed, **kwargs):
    """Models from the public strategy, the same for the same seed."""
    return collect(models(**kwargs), count, seed)


def focused(count, seed):
    """Models with masks over padded steps, gates, pads and gelus."""
    return collect(st.one_of(_sequences(), _images()), count, seed)


def controlled(count, seed):
    """Models with branches and loops."""
    return drawn(count, seed, control_flow=True, min_steps=4, max_steps=14)


def narrow(count, seed, precision="float16"):
    """Models of the public strategy in a narrow dtype; those that have nothing to narrow are left out."""
    found = []
    for model in drawn(count, seed, min_steps=4, max_steps=14):
        with contextlib.suppress(DagirError):
            found.append(narrowed_model(model, precision, seed=seed).model)
    return found


DRAWN = {"control-flow": controlled, "float16": narrow, "bfloat16": functools.partial(narrow, precision="bfloat16")}
"""Kinds of models beside the usual ones, by name."""


def collect(strategy, count, seed):
    """What a strategy draws, the same for the same seed."""
    found = []

    @hypothesis.seed(seed)
    @settings(max_examples=count, phases=[Phase.generate], database=None, deadline=None,
              suppress_health_check=list(HealthCheck))  # fmt: skip
    @given(strategy)
    def keep(example):
        found.append(example)

    keep()
    return found


@st.composite
def _sequences(draw):
    """Masked steps, recurrent layers, then attention or a pool."""
    size = st.integers(2, 4)
    if draw(st.booleans()):
        source = Input(("time",), dtype="int32", name="ids")
        x = layers.Embedding(11, draw(size), mask_zero=True)(source)
    else:
        source = Input(("time", draw(size)), name="steps")
        x = layers.Masking()(source)
    for _ in range(draw(st.integers(0, 2))):
        x = draw(st.sampled_from([_gates, _both_ways, _gelu, _attention, _norm]))(draw(size), x)
    kind = draw(st.sampled_from([layers.LSTM, layers.GRU, layers.GlobalAveragePooling1D]))
    x = kind()(x) if kind is layers.GlobalAveragePooling1D else kind(draw(size))(x)
    return _finished(draw, source, layers.Dense(draw(size))(x))


def _gates(size, x):
    kind = layers.LSTM if size % 2 else layers.GRU
    return kind(size, return_sequences=True)(x)


def _both_ways(size, x):
    kind = layers.GRU if size % 2 else layers.LSTM
    return layers.Bidirectional(kind(size, return_sequences=True))(x)


def _gelu(size, x):
    return layers.TimeDistributed(layers.Dense(size, activation="gelu"))(x)


def _attention(size, x):
    return layers.MultiHeadAttention(2, size)(x, x)


def _norm(size, x):
    return layers.LayerNormalization()(x)


@st.composite
def _images(draw):
    """Convolutions and pools that pad, with gelus and normalizations."""
    size = st.integers(2, 4)
    source = Input((draw(st.sampled_from([5, 7, 8])), 6, draw(size)), name="image")
    x = source
    for _ in range(draw(st.integers(1, 3))):
        move = draw(st.sampled_from(["conv", "conv", "pool", "norm"]))
        if move == "conv":
            strides = draw(st.integers(1, 2))
            activation = draw(st.sampled_from(["gelu", "gelu", "relu", None]))
            x = layers.Conv2D(draw(size), draw(size), strides=strides, padding="same", activation=activation)(x)
        elif move == "pool":
            kind = draw(st.sampled_from([layers.MaxPooling2D, layers.AveragePooling2D]))
            x = kind(draw(st.integers(2, 3)), strides=draw(st.integers(1, 2)), padding="same")(x)
        else:
            x = layers.BatchNormalization()(x)
    x = layers.Dense(draw(size), activation="gelu")(layers.GlobalAveragePooling2D()(x))
    return _finished(draw, source, layers.Dense(draw(size))(x))


def _finished(draw, source, output):
    model = Model(source, output)
    randomize(model, draw(st.integers(0, 2**16)))
    return model


def guide() -> Iterator[Model]:
    """The guide's networks, from tests/guide, with random biases too."""
    from guide import autoencoder, ensemble, mnist, shared_embedding, tickets, toy_resnet

    for module in (mnist, autoencoder, ensemble, tickets, toy_resnet, shared_embedding):
        model = module.model()
        rng = np.random.default_rng(1)
        for weight in model.weights:
            weight.assign(weight.array + rng.normal(0, 0.05, weight.shape))
        yield model
