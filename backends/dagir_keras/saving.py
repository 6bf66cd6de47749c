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
    """Raise BackendError, before anything is written, for layers that Keras could not read again.

    It writes a layer once, and reads one for each place that holds it: each model, and each layer around it.
    """
    owners: dict[int, keras.layers.Layer] = {}
    places: dict[int, keras.Model] = {}
    for layer, place in _held_layers(model):
        if layer.weights and places.setdefault(id(layer), place) is not place:
            raise BackendError(
                f"layer {layer.name!r} is in model {place.name!r} and in {places[id(layer)].name!r}: "
                "a .keras file holds its weights for one of them only",
                remedy="write a .dagir or an .onnx file",
            )
        for variable in [] if isinstance(layer, keras.Model) else layer.weights:
            owner = owners.setdefault(id(variable), layer)
            if owner is not layer:
                raise BackendError(
                    f"layer {layer.name!r} shares weight {variable.path!r} with {owner.name!r}: a .keras file cannot",
                    remedy="write a .dagir or an .onnx file",
                )
        if isinstance(layer, TracedLayer):
            try:
                layer.get_config()
            except FileError as error:
                raise BackendError(error.summary, facts=error.facts, remedy=error.remedy) from None


def _held_layers(model: keras.Model) -> Iterator[tuple[keras.layers.Layer, keras.Model]]:
    """The layers and models of a model and of the models in it, each with its model; not what is in other layers."""
    pending, seen = [model], set()
    while pending:
        place = pending.pop(0)
        if id(place) not in seen:
            seen.add(id(place))
            pending += [layer for layer in place.layers if isinstance(layer, keras.Model)]
            yield from ((layer, place) for layer in place.layers)
