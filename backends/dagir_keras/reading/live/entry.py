"""The way in for what Keras holds in memory: one reader a model, or several where the inputs must be found out."""

from __future__ import annotations

from typing import Any

from dagir_keras.reading.custom_objects import CustomObjects
from dagir_keras.reading.live.keras_patches import check_keras
from dagir_keras.reading.live.live_model import LiveReader
from dagir_keras.reading.live.own_models import Given, is_own_model, on_documented_input, read_own_model


def read_live(source: Any, custom: CustomObjects, inputs: Any = None) -> Any:
    """The Model of a keras.Model, the Layer of a keras.Layer. Raises UnsupportedLayer with all refused layers."""
    check_keras()
    if is_own_model(source):
        return read_own_model(source, inputs, lambda given: _read(source, custom, given))
    if inputs is None:
        return _read(on_documented_input(source), custom, None)
    return _read(source, custom, Given(inputs))


def _read(source: Any, custom: CustomObjects, given: Given | None) -> Any:
    own = custom.without_keras_layers()
    problems = own.problems
    reader = LiveReader(own, problems)
    made = None
    with problems.at(source.name, type(source).__name__):
        made = reader.top(source, given)
    problems.require_none(f"{type(source).__name__} {source.name!r}")
    reader.assign()
    reader.done = True
    return made
