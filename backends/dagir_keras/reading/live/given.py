"""Layers and functions of Keras that a user gives for the names in a file: made from the file, then traced."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras.src.saving.keras_saveable import KerasSaveable

from dagir.errors import FileError
from dagir.ir.graph import snake_case
from dagir.ir.types import Array
from dagir.layers import Layer, activation
from dagir_keras.reading.custom_objects import CustomObjects, Held
from dagir_keras.reading.live.functions import TracedFunction, known_name
from dagir_keras.reading.live.introspection import array_of
from dagir_keras.reading.live.keras_internals import parts_in_file
from dagir_keras.reading.live.live_model import LiveReader
from dagir_keras.reading.problems import Refused

_OF_INPUTS = ("batch_input_shape", "input_shape", "batch_shape")  # of the first layer, in older files


class GivenKerasObjects:
    """Makes them for one file. objects: all that the file may name."""

    def __init__(self, objects: CustomObjects) -> None:
        self._reader = LiveReader(objects.without_keras_layers(), objects.problems)
        self._objects = {name: each for name, each in objects.items() if _is_of_keras(each)}
        self._held: dict[Layer, HeldLayer] = {}

    def layer(self, given: Any, config: dict[str, Any], path: str) -> Layer:
        """The layer for a class or a layer of Keras. Raises Refused."""
        source = given if isinstance(given, keras.layers.Layer) else self._made(given, config)
        if not isinstance(source, keras.layers.Layer):
            raise Refused(
                f"its class makes {type(source).__module__}.{type(source).__name__}, which is not of this Keras"
            )
        made = self._reader.layer(source, path)
        if made is None:
            raise Refused("a layer inside it cannot be taken")
        self._held[made] = HeldLayer(source)
        return made

    def _made(self, given: type, config: dict[str, Any]) -> Any:
        known = {key: part for key, part in config.items() if key not in _OF_INPUTS}
        try:
            with keras.saving.custom_object_scope(self._objects):
                return given.from_config(known)  # type: ignore[attr-defined]
        except Exception as error:  # whatever a user's class raises
            text = str(error).splitlines()[0] if str(error) else ""
            raise Refused(
                f"{given.__name__}.from_config raises {type(error).__name__}: {text[:160]}",
                "give a class whose get_config and from_config fit the file",
            ) from None

    def function(self, given: Callable[..., Any], path: str) -> Any:
        """A function on values for one on tensors of Keras."""
        name = known_name(given)
        if name is not None:
            return activation.get(name)
        return TracedFunction(given, self._reader, keras.layers.Layer(name=snake_case(path).strip("<>")), path)

    def held(self, layer: Layer) -> Held | None:
        """The layer of Keras behind one that was made here."""
        return self._held.get(layer)

    def finish(self) -> None:
        """Give every weight the numbers of its variable."""
        self._reader.assign()
        for variable, weight in self._reader.parameters.values():
            weight.assign(array_of(variable))
        self._reader.done = True


class HeldLayer:
    """A layer of Keras whose weights come from a file."""

    def __init__(self, source: Any) -> None:
        self.source = source

    def fill(self, read: Callable[[str], Mapping[str, Array]], where: str) -> None:
        """By structure, each part by its own `load_own_variables`. Raises FileError."""
        for path, part in _parts(self.source):
            if not hasattr(part, "load_own_variables"):
                continue
            arrays = read(path)
            try:
                part.load_own_variables(arrays)
            except Exception as error:  # whatever a user's class raises
                raise FileError(f"{where}: {path or 'itself'} does not take its weights: {_line(error)}") from None

    def fill_listed(self, arrays: Sequence[Array], where: str) -> None:
        """In the order of its weights. Raises FileError."""
        variables = [*self.source.trainable_weights, *self.source.non_trainable_weights]
        shapes = [tuple(variable.shape) for variable in variables]
        if shapes != [array.shape for array in arrays]:
            found = ", ".join(str(list(array.shape)) for array in arrays)
            raise FileError(f"{where} has weights {', '.join(str(list(s)) for s in shapes)}, the file has {found}")
        for variable, array in zip(variables, arrays, strict=True):
            variable.assign(np.asarray(array))


def _line(error: Exception) -> str:
    text = str(error).splitlines()[0] if str(error) else ""
    return f"{type(error).__name__}: {text[:200]}"


def _parts(source: Any) -> Iterator[tuple[str, Any]]:
    """A layer and what it holds, each once, with the paths that Keras gives them in a file."""
    seen: set[int] = set()
    waiting: list[tuple[str, Any]] = [("", source)]
    while waiting:
        path, part = waiting.pop(0)
        if isinstance(part, KerasSaveable):
            if id(part) in seen:
                continue
            seen.add(id(part))
            yield path, part
            inner = [(f"{path}/{name}".lstrip("/"), each) for name, each in parts_in_file(part)]
        else:
            inner = [(f"{path}/{name}", each) for name, each in _of_container(part)]
        waiting = [each for each in inner if isinstance(each[1], (KerasSaveable, list, tuple, dict))] + waiting


def _of_container(container: Any) -> Iterator[tuple[str, Any]]:
    used: dict[str, int] = {}
    for part in container.values() if isinstance(container, dict) else container:
        if isinstance(part, KerasSaveable):
            name = snake_case(type(part).__name__)
        elif isinstance(part, (list, tuple, dict)):
            name = "container"
        else:
            continue
        number = used[name] = used.get(name, -1) + 1
        yield (f"{name}_{number}" if number else name), part


def _is_of_keras(thing: Any) -> bool:
    return (isinstance(thing, type) and issubclass(thing, KerasSaveable)) or callable(thing)
