"""Looking at a model: the table that summary prints."""

from __future__ import annotations

import pytest

import dagir
from dagir import layers, ops
from guide import autoencoder, mnist, shared_embedding, tickets


def summary(model, **options):
    lines = []
    model.summary(print_fn=lambda text, **_: lines.append(text), **options)
    return "\n".join(lines)


def test_counts_are_those_of_the_guide():
    text = summary(mnist.model())
    for count in ("50,240", "4,160", "650", "Total params: 55,050 (215.04 KB)"):
        assert count in text
    assert "(batch, 784)" in text


def test_sizes_have_their_names_and_connections_are_told():
    text = summary(tickets.model(), line_length=120)
    assert "(batch, title_dim1, 64)" in text
    assert "lstm[0][0]" in text


def test_a_nested_model_can_be_expanded():
    model = autoencoder.model()
    assert "conv2d_3" not in summary(model)
    assert "conv2d_3" in summary(model, expand_nested=True)


def test_a_shared_layer_is_one_row():
    text = summary(shared_embedding.model(), line_length=120)
    assert text.count("(Embedding)") == 1


def test_frozen_weights_are_counted_apart():
    x = dagir.Input((4,), name="x")
    y = layers.BatchNormalization()(layers.Dense(3, trainable=False)(x))
    text = summary(dagir.Model(x, y))
    assert "Trainable params: 6 " in text
    assert "Non-trainable params: 21 " in text


def test_ops_of_no_layer_have_rows():
    x = dagir.Input((4,), name="x")
    assert "Tanh" in summary(dagir.Model(x, ops.tanh(layers.Dense(3)(x))))


def test_a_range_that_names_no_layer_is_refused():
    with pytest.raises(dagir.ArgumentError):
        mnist.model().summary(layer_range=["nothing", "dense"])


@pytest.mark.parametrize("network", [mnist, autoencoder, tickets, shared_embedding], ids=lambda module: module.__name__)
def test_every_count_that_keras_prints_is_printed(network):
    import keras

    keras.utils.clear_session()
    theirs = network.build(keras, keras.layers)
    lines = []
    theirs.summary(print_fn=lambda text, **_: lines.append(text), line_length=150)
    ours = summary(network.build(dagir, layers), line_length=150)
    for layer in theirs.layers:
        row = next(line for line in ours.splitlines() if f"{layer.name} (" in line)
        assert f" {layer.count_params():,} " in row
    totals = [line.strip() for line in "\n".join(lines).splitlines() if "params:" in line]
    assert len(totals) == 3
    for total in totals:
        assert total in ours
