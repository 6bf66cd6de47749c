"""Saving a keras.Model: checks that Keras can read it again, and writes it into reproductions."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import keras

from dagir.errors import BackendError, FileError
from dagir.runtime.backend import Kept
from dagir_keras.traced import TracedLayer

MODEL_FILE = "model.keras"


def how_to_run() -> Kept:
    """How to run the file that a folder holds."""
    return Kept(f'dagir.backend("keras").open("{MODEL_FILE}", model)(list(feeds.values()))')


def keep(model: keras.Model, folder: Path) -> Kept:
    """Write a model into a folder. Raises BackendError for what Keras cannot save."""
    check_savable(model)
    model.save(folder / MODEL_FILE)
    return how_to_run()


def check_savable(model: keras.Model) -> None:
    """Raise BackendError, before anything is written, for a traced layer that Keras could not read again."""
    owners: dict[int, keras.layers.Layer] = {}
    for layer in _outer_layers(model):
        for variable in layer.weights:
            owner = owners.setdefault(id(variable), layer)
            if owner is not layer and isinstance(owner, TracedLayer) | isinstance(layer, TracedLayer):
                raise BackendError(
                    f"layer {layer.name!r} shares weight {variable.path!r} with {owner.name!r}: a .keras file cannot",
                    remedy="write a .dagir or an .onnx file",
                )
        if isinstance(layer, TracedLayer):
            try:
                layer.get_config()
            except FileError as error:
                raise BackendError(error.summary, facts=error.facts, remedy=error.remedy) from None


def _outer_layers(model: keras.Model) -> Iterator[keras.layers.Layer]:
    """The layers of a model and of the models in it, each once, but not what is inside other layers."""
    pending, seen = list(model.layers), set()
    while pending:
        layer = pending.pop(0)
        if id(layer) in seen:
            continue
        seen.add(id(layer))
        if isinstance(layer, keras.Model):
            pending.extend(layer.layers)
        else:
            yield layer
