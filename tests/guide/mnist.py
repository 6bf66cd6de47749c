"""Scenario 1: the first network, a perceptron for flattened 28x28 images."""

from __future__ import annotations

import dagir


def build(K, L):
    inputs = K.Input(shape=(784,), name="img")
    x = L.Dense(64, activation="relu")(inputs)
    x = L.Dense(64, activation="relu")(x)
    outputs = L.Dense(10, activation="softmax")(x)
    return K.Model(inputs=inputs, outputs=outputs, name="mnist_model")


def model():
    return build(dagir, dagir.layers)
