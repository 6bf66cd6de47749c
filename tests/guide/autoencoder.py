"""Scenarios 5 and 6: an encoder and a decoder, each a model, chained by calling them on a new input."""

from __future__ import annotations

import dagir


def encoder(K, L):
    image = K.Input(shape=(28, 28, 1), name="original_img")
    x = L.Conv2D(16, 3, activation="relu")(image)
    x = L.Conv2D(32, 3, activation="relu")(x)
    x = L.MaxPooling2D(3)(x)
    x = L.Conv2D(32, 3, activation="relu")(x)
    x = L.Conv2D(16, 3, activation="relu")(x)
    return K.Model(image, L.GlobalMaxPooling2D()(x), name="encoder")


def decoder(K, L):
    code = K.Input(shape=(16,), name="encoded_img")
    x = L.Reshape((4, 4, 1))(code)
    x = L.Conv2DTranspose(16, 3, activation="relu")(x)
    x = L.Conv2DTranspose(32, 3, activation="relu")(x)
    x = L.UpSampling2D(3)(x)
    x = L.Conv2DTranspose(16, 3, activation="relu")(x)
    return K.Model(code, L.Conv2DTranspose(1, 3, activation="relu")(x), name="decoder")


def build(K, L):
    image = K.Input(shape=(28, 28, 1), name="img")
    return K.Model(image, decoder(K, L)(encoder(K, L)(image)), name="autoencoder")


def one_graph(K, L):
    """Scenario 5: one graph of layers, of which two models are made."""
    image = K.Input(shape=(28, 28, 1), name="img")
    x = L.Conv2D(16, 3, activation="relu")(image)
    x = L.Conv2D(32, 3, activation="relu")(x)
    x = L.MaxPooling2D(3)(x)
    x = L.Conv2D(32, 3, activation="relu")(x)
    x = L.Conv2D(16, 3, activation="relu")(x)
    code = L.GlobalMaxPooling2D()(x)
    x = L.Reshape((4, 4, 1))(code)
    x = L.Conv2DTranspose(16, 3, activation="relu")(x)
    x = L.Conv2DTranspose(32, 3, activation="relu")(x)
    x = L.UpSampling2D(3)(x)
    x = L.Conv2DTranspose(16, 3, activation="relu")(x)
    restored = L.Conv2DTranspose(1, 3, activation="relu")(x)
    return K.Model(image, code, name="encoder"), K.Model(image, restored, name="autoencoder")


def model():
    return build(dagir, dagir.layers)
