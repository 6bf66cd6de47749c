"""Training through the Keras lowering is training in Keras: the same losses from the same weights, epoch by epoch."""

from __future__ import annotations

import keras
import numpy as np
import pytest

import dagir
from dagir import layers
from guide import mnist, tickets, toy_resnet


def same_start(network):
    """The network in Keras and in dagir, with the same weights."""
    keras.utils.set_random_seed(3)
    keras.utils.clear_session()
    theirs = network.build(keras, keras.layers)
    dagir.clear_session()
    ours = network.build(dagir, dagir.layers)
    ours.set_weights(theirs.get_weights())
    return theirs, ours


def without_dropout(network):
    """Dropout draws from a seed that each model has for itself, so losses could not be compared."""

    class Quiet:
        @staticmethod
        def build(K, L):
            class NoDropout:
                def __getattr__(self, name):
                    return (lambda rate: lambda x: x) if name == "Dropout" else getattr(L, name)

            return network.build(K, NoDropout())

    return Quiet


def check_same_losses(theirs, ours, x, y, epochs=2, batch_size=64, validation_split=0.2, **options):
    histories = []
    for model in (theirs, ours):
        model.compile(optimizer=keras.optimizers.RMSprop(1e-3), **options)
        arguments = {"epochs": epochs, "batch_size": batch_size, "validation_split": validation_split}
        histories.append(model.fit(x, y, shuffle=False, verbose=0, **arguments).history)
    for key in histories[0]:
        np.testing.assert_allclose(histories[1][key], histories[0][key], rtol=1e-4, err_msg=key)
    assert histories[1]["loss"][-1] < histories[1]["loss"][0]
    for weight, variable in zip(ours.weights, theirs.weights, strict=True):
        np.testing.assert_allclose(weight.array, np.asarray(variable), rtol=1e-3, atol=1e-5, err_msg=weight.name)


def test_mnist_shaped():
    theirs, ours = same_start(mnist)
    rng = np.random.default_rng(0)
    y = rng.integers(0, 10, 512)
    x = (rng.normal(size=(512, 784)) + y[:, None] / 5).astype("float32")
    check_same_losses(theirs, ours, x, y, loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    np.testing.assert_allclose(ours.evaluate(x, y, verbose=0), theirs.evaluate(x, y, verbose=0), rtol=1e-4)
    expected = theirs.predict(x[:70], verbose=0)
    for backend in ("numpy", "onnx", "keras"):
        np.testing.assert_allclose(ours.predict(x[:70], backend=backend), expected, atol=1e-5)


def test_cifar_shaped():
    theirs, ours = same_start(without_dropout(toy_resnet))
    rng = np.random.default_rng(1)
    y = rng.integers(0, 10, 64)
    x = (rng.normal(size=(64, 32, 32, 3)) * 0.1 + y[:, None, None, None] / 10).astype("float32")
    target = keras.utils.to_categorical(y, 10)
    check_same_losses(theirs, ours, x, target, batch_size=16, loss="categorical_crossentropy", metrics=["acc"])


@pytest.mark.parametrize("by", ["name", "list"])
def test_ticket_shaped(by):
    class Small:
        @staticmethod
        def build(K, L):
            return tickets.build(K, L, words=100)

    theirs, ours = same_start(Small)
    rng = np.random.default_rng(2)
    feeds = {
        "title": rng.integers(0, 100, (96, 10), dtype="int32"),
        "body": rng.integers(0, 100, (96, 20), dtype="int32"),
        "tags": rng.integers(0, 2, (96, 12)).astype("float32"),
    }
    targets = {
        "priority": rng.random((96, 1)).astype("float32"),
        "department": keras.utils.to_categorical(rng.integers(0, 4, 96), 4),
    }
    losses = {"priority": "binary_crossentropy", "department": "categorical_crossentropy"}
    weights = {"priority": 1.0, "department": 0.2}
    inputs = feeds if by == "name" else [feeds[name] for name in ("title", "body", "tags")]
    check_same_losses(theirs, ours, inputs, targets, batch_size=32, loss=losses, loss_weights=weights)


@pytest.mark.parametrize("form", ["list of losses", "dataset of tuples", "dataset of dicts"])
def test_tickets_as_the_guide_feeds_them(form):
    import tensorflow as tf

    class Small:
        @staticmethod
        def build(K, L):
            return tickets.build(K, L, words=50, ids=None)

    models = same_start(Small)
    rng = np.random.default_rng(3)
    titles, bodies = (rng.integers(0, 50, (64, steps), dtype="int32") for steps in (10, 20))
    x = {"title": titles, "body": bodies, "tags": rng.integers(0, 2, (64, 12)).astype("float32")}
    y = {
        "priority": rng.random((64, 1)).astype("float32"),
        "department": keras.utils.to_categorical(rng.integers(0, 4, 64), 4),
    }
    losses, weights = ["binary_crossentropy", "categorical_crossentropy"], [1.0, 0.2]
    by_name = {"loss": dict(zip(y, losses, strict=True)), "loss_weights": dict(zip(y, weights, strict=True))}
    histories = []
    for model in models:
        if form == "list of losses":
            model.compile(optimizer=keras.optimizers.RMSprop(1e-3), loss=losses[::-1], loss_weights=weights[::-1])
            data = {"x": x, "y": y, "batch_size": 32}
        else:
            model.compile(optimizer=keras.optimizers.RMSprop(1e-3), **by_name)
            given = tuple(x.values()) if form == "dataset of tuples" else x
            data = {"x": tf.data.Dataset.from_tensor_slices((given, y)).batch(32)}
        histories.append(model.fit(**data, epochs=2, shuffle=False, verbose=0).history)
    for key in histories[0]:
        np.testing.assert_allclose(histories[1][key], histories[0][key], rtol=1e-4, err_msg=key)
    feeds = {key: array.astype("float32") for key, array in x.items()}
    for model, read in ((models[0], dagir.from_keras(models[0])), (dagir.to_keras(models[1]), models[1])):
        assert dagir.verify(read, ["onnx", model], inputs=feeds).ok
        expected, found = model.predict(x, verbose=0), dagir.lower(read, "onnx")(feeds)
        for key in expected:
            np.testing.assert_allclose(found[key], expected[key], atol=1e-5, err_msg=key)


def test_frozen_layers_stay_frozen():
    model = mnist.model()
    model.layers[1].trainable = False
    frozen, free = model.layers[1].kernel.array.copy(), model.layers[2].kernel.array.copy()
    rng = np.random.default_rng(0)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    model.fit(rng.normal(size=(64, 784)).astype("float32"), rng.integers(0, 10, 64), verbose=0)
    assert np.array_equal(model.layers[1].kernel.array, frozen)
    assert not np.array_equal(model.layers[2].kernel.array, free)
    assert len(model.trainable_weights) == 4


@pytest.mark.parametrize("whole", [False, True], ids=["layer", "part of a model"])
def test_what_an_attention_makes_inside_is_frozen_with_it(whole):
    """Keras makes the layers inside in `build`, and lets a flag that is False already stand without setting theirs."""
    x = dagir.Input((4, 6), name="x")
    attended = layers.MultiHeadAttention(2, 8, name="attend")(x, x)
    model = dagir.Model(x, layers.Dense(2)(layers.GlobalAveragePooling1D(name="features")(attended)))
    backbone = dagir.extract(model, outputs="features") if whole else model.get_layer("attend")
    backbone.trainable = False
    if whole:
        model = dagir.Model(x, layers.Dense(2)(backbone(x)))
    assert len(dagir.to_keras(model).trainable_weights) == len(model.trainable_weights) == 2
    before = [weight.numpy() for weight in backbone.weights]
    model.compile("adam", "mse")
    rng = np.random.default_rng(0)
    model.fit(rng.normal(size=(8, 4, 6)).astype("float32"), rng.normal(size=(8, 2)), verbose=0)
    for weight, earlier in zip(backbone.weights, before, strict=True):
        np.testing.assert_array_equal(weight.numpy(), earlier, err_msg=weight.name)
    backbone.trainable = True
    model.compile("adam", "mse")
    assert len(dagir.to_keras(model).trainable_weights) == len(model.weights)


def test_dropout_and_normalization_behave_as_in_training():
    keras.utils.set_random_seed(5)
    x = dagir.Input((32,), name="x")
    y = layers.Dropout(0.5)(layers.BatchNormalization(momentum=0.5)(layers.Dense(16)(x)))
    model = dagir.Model(x, layers.Dense(1)(y))
    model.compile(optimizer=keras.optimizers.SGD(0.0), loss="mse")
    data = np.random.default_rng(0).normal(2, 1, (64, 32)).astype("float32")
    mean = model.get_layer("batch_normalization").moving_mean
    model.fit(data, np.zeros((64, 1), "float32"), epochs=3, verbose=0)
    assert np.abs(mean.array).max() > 0.1  # the moving mean has moved, and came back
    first = model.evaluate(data, np.zeros((64, 1)), verbose=0)
    assert first == model.evaluate(data, np.zeros((64, 1)), verbose=0)  # no dropout outside of training


def test_a_dataset_feeds_as_in_keras():
    import tensorflow as tf

    model = mnist.model()
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(64, 784)).astype("float32"), rng.integers(0, 10, 64)
    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    history = model.fit(
        tf.data.Dataset.from_tensor_slices((x, y)).batch(16), epochs=3, shuffle=False, verbose=0
    ).history["loss"]
    assert history[-1] < history[0]


def test_what_was_learned_survives_an_interruption():
    model = mnist.model()
    before = model.weights[0].array.copy()

    class Stop(keras.callbacks.Callback):
        def on_epoch_end(self, epoch, logs=None):
            raise KeyboardInterrupt

    model.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
    with pytest.raises(KeyboardInterrupt):
        model.fit(np.ones((32, 784), "float32"), np.zeros(32), epochs=9, verbose=0, callbacks=[Stop()])
    assert not np.array_equal(model.weights[0].array, before)


def test_fit_before_compile_says_so():
    with pytest.raises(dagir.ArgumentError, match="model 'mnist_model' is not compiled"):
        mnist.model().fit(np.ones((1, 784)), np.zeros(1))
