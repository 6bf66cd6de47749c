"""Scenario 18: the recurrent layers that the guide names, ConvLSTM2D over pictures and LSTM and GRU after it."""

from __future__ import annotations

import dagir


def build(K, L):
    frames = K.Input(shape=(None, 10, 10, 1), name="frames")
    x = L.ConvLSTM2D(6, 3, padding="same", return_sequences=True)(frames)
    x = L.BatchNormalization()(x)
    x = L.ConvLSTM2D(4, 3, strides=2, return_sequences=True)(x)
    x = L.TimeDistributed(L.MaxPooling2D(2))(x)
    x = L.TimeDistributed(L.Flatten())(x)
    x = L.Bidirectional(L.GRU(5, return_sequences=True))(x)
    x = L.Dropout(0.3)(L.LSTM(6)(x))
    return K.Model(frames, L.Dense(3, activation="softmax")(x), name="frames_model")


def model():
    return build(dagir, dagir.layers)
