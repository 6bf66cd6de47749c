"""Scenario 9: a residual network for 32x32 images in ten classes."""

from __future__ import annotations

import dagir


def build(K, L):
    inputs = K.Input(shape=(32, 32, 3), name="img")
    x = L.Conv2D(32, 3, activation="relu")(inputs)
    x = L.Conv2D(64, 3, activation="relu")(x)
    block_1 = L.MaxPooling2D(3)(x)
    x = L.Conv2D(64, 3, activation="relu", padding="same")(block_1)
    x = L.Conv2D(64, 3, activation="relu", padding="same")(x)
    block_2 = L.add([x, block_1])
    x = L.Conv2D(64, 3, activation="relu", padding="same")(block_2)
    x = L.Conv2D(64, 3, activation="relu", padding="same")(x)
    block_3 = L.add([x, block_2])
    x = L.Conv2D(64, 3, activation="relu")(block_3)
    x = L.GlobalAveragePooling2D()(x)
    x = L.Dense(256, activation="relu")(x)
    x = L.Dropout(0.5)(x)
    outputs = L.Dense(10, activation="softmax", name="classes")(x)
    return K.Model(inputs, outputs, name="toy_resnet")


def model():
    return build(dagir, dagir.layers)
