"""Scenario 8: text of unknown length in two inputs, tags in a third; two outputs."""

from __future__ import annotations

import dagir


def build(K, L, words=10_000, tags=12, departments=4, ids="int32"):
    """ids: None leaves the dtype out, as the guide does: floats, which Embedding casts."""
    title = K.Input(shape=(None,), name="title", dtype=ids)
    body = K.Input(shape=(None,), name="body", dtype=ids)
    flags = K.Input(shape=(tags,), name="tags")
    title_features = L.LSTM(128)(L.Embedding(words, 64)(title))
    body_features = L.LSTM(32)(L.Embedding(words, 64)(body))
    x = L.concatenate([title_features, body_features, flags])
    priority = L.Dense(1, activation="sigmoid", name="priority")(x)
    department = L.Dense(departments, activation="softmax", name="department")(x)
    return K.Model(
        inputs=[title, body, flags], outputs={"priority": priority, "department": department}, name="tickets"
    )


def model():
    return build(dagir, dagir.layers)
