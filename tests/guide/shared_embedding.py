"""Scenario 10: one embedding on two inputs of unknown length."""

from __future__ import annotations

import dagir


def build(K, L):
    shared = L.Embedding(1000, 128)
    first = K.Input(shape=(None,), dtype="int32", name="first")
    second = K.Input(shape=(None,), dtype="int32", name="second")
    return K.Model([first, second], [shared(first), shared(second)], name="shared_embedding")


def model():
    return build(dagir, dagir.layers)
