"""Scenario 7: three models called on one input, averaged."""

from __future__ import annotations

import dagir


def member(K, L, name):
    inputs = K.Input(shape=(128,))
    return K.Model(inputs, L.Dense(1)(inputs), name=name)


def build(K, L):
    members = [member(K, L, f"member_{number}") for number in range(3)]
    inputs = K.Input(shape=(128,), name="features")
    return K.Model(inputs, L.average([each(inputs) for each in members]), name="ensemble")


def model():
    return build(dagir, dagir.layers)
