"""Trained on real data through the Keras lowering, the network answers alike on every backend, to the last sample."""

from __future__ import annotations

import numpy as np
from sklearn.datasets import load_digits

import dagir
from dagir import layers


def network():
    image = dagir.Input(shape=(8, 8, 1), name="image")
    x = layers.Conv2D(16, 3, padding="same", name="conv")(image)
    x = layers.BatchNormalization(name="norm")(x)
    x = layers.ReLU()(x)
    x = layers.MaxPooling2D(2)(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.2)(x)
    return dagir.Model(image, layers.Dense(10, activation="softmax", name="digit")(x), name="digits")


def test_digits_have_one_accuracy_on_every_backend():
    import keras

    keras.utils.set_random_seed(7)
    images, labels = load_digits(return_X_y=True)
    mixed = np.random.default_rng(7).permutation(len(labels))  # in the set's own order the last digits are strangers'
    images, labels = (images[mixed] / 16).reshape(-1, 8, 8, 1).astype("float32"), labels[mixed]
    train, test = slice(0, 1400), slice(1400, None)

    model = network()
    trained = dagir.lower(model, "keras")
    before = [weight.array.copy() for weight in model.weights]
    trained.artifact.compile(optimizer=keras.optimizers.Adam(0.004), loss="sparse_categorical_crossentropy")
    trained.artifact.fit(images[train], labels[train], epochs=12, batch_size=32, verbose=0)
    trained.pull()
    assert all(not np.array_equal(old, new.array) for old, new in zip(before, model.weights, strict=True))

    answers = {name: dagir.lower(model, name)(images[test]).argmax(-1) for name in ("numpy", "onnx", "keras")}
    answers["trained"] = trained(images[test]).argmax(-1)
    correct = {name: int((found == labels[test]).sum()) for name, found in answers.items()}
    assert len(set(correct.values())) == 1, correct
    assert all(np.array_equal(found, answers["trained"]) for found in answers.values())
    # It learns some 96 in 100 from whatever weights, whatever the kernels round to: far above, and no threshold.
    assert correct["onnx"] / len(labels[test]) > 0.9, correct
