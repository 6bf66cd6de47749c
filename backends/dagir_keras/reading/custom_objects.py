"""What a user gives for the names in a file: layers, functions, and the functions of lambdas, whose code is never run.

A name is looked up as Keras writes it ("package>name"), then without the package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from dagir import layers
from dagir.errors import ArgumentError, DagirError
from dagir.ir.types import Array
from dagir.layers import Layer, activation
from dagir.support.frameworks import is_keras_layer, is_keras_layer_class
from dagir_keras.reading.problems import Problems, Refused
from dagir_keras.reading.records import is_code, is_object

LAMBDA = "<lambda>"
GIVE = "pass custom_objects={{{0!r}: the function}}"


class Held(Protocol):
    """A layer of Keras whose weights come from a file: they are put into its variables."""

    def fill(self, read: Callable[[str], Mapping[str, Array]], where: str) -> None:
        """By structure. read: the arrays of a group, by its path below that of the layer. Raises FileError."""

    def fill_listed(self, arrays: Sequence[Array], where: str) -> None:
        """In the order of its weights. Raises FileError."""


class KerasObjects(Protocol):
    """What makes layers and functions of dagir from those of Keras; see reading/live/given.py."""

    def layer(self, given: Any, config: dict[str, Any], path: str) -> Layer:
        """The layer for a class or a layer of Keras. Raises Refused."""

    def function(self, given: Callable[..., Any], path: str) -> Any:
        """A function on values for one on tensors of Keras."""

    def held(self, layer: Layer) -> Held | None:
        """The layer of Keras behind one that was made here."""

    def finish(self) -> None:
        """Give every weight the numbers of its variable."""


class CustomObjects(dict[str, Any]):
    """The objects by name. inputs: of a subclassed model, which does not tell its own."""

    def __init__(
        self,
        given: Mapping[str, Any] | None,
        inputs: Any = None,
        keras: Callable[[CustomObjects], KerasObjects] | None = None,
    ) -> None:
        super().__init__(given or {})
        self.inputs, self.problems = inputs, Problems()
        self.folder: str | None = None  # of the file that is read
        self.opaque: Mapping[str, Sequence[Any]] | None = None  # shapes of layers that may stay opaque; None: none may
        self._make = keras
        self._keras: KerasObjects | None = None
        self._held: dict[Layer, Held] = {}
        found = self.get(LAMBDA)
        self._lambdas: list[Any] | None = list(found) if isinstance(found, (list, tuple)) else None
        self._used = 0

    @property
    def keras(self) -> KerasObjects:
        """The reader of Keras objects. Raises Refused where Keras is not in use."""
        if self._keras is None:
            if self._make is None or sys.modules.get("keras") is None:
                raise Refused("it is made of Keras objects, and Keras is not imported")
            self._keras = self._make(self)
        return self._keras

    def held(self, layer: Layer) -> Held | None:
        """What takes the weights of a layer in its own way, as a layer of Keras behind it does; None for all others."""
        found = self._held.get(layer)
        return found if found is not None or self._keras is None else self._keras.held(layer)

    def hold(self, layer: Layer, held: Held) -> None:
        """Let a layer take its weights from files in a way of its own."""
        self._held[layer] = held

    def finish(self) -> None:
        """After the weights: those of Keras layers move into ours. Raises ArgumentError for lambdas left over."""
        if self._keras is not None:
            self._keras.finish()
        if self._lambdas is not None and self._used < len(self._lambdas):
            raise ArgumentError(
                f"custom_objects[{LAMBDA!r}] has {len(self._lambdas)} functions, and the file has {self._used} lambdas",
                remedy="give one for each lambda in the order of the file, or one function for all",
            )

    def without_keras_layers(self) -> CustomObjects:
        """The same for a model in memory, whose Keras layers are there."""
        kept = {name: each for name, each in self.items() if not is_of_keras(each)}
        return CustomObjects(kept, self.inputs, self._make)

    # ---- functions

    def named(self, *names: Any) -> Any:
        """What is given under the first of some names, or None."""
        for name in names:
            if isinstance(name, str):
                for each in (name, name.rpartition(">")[2]):
                    if each in self:
                        return self[each]
        return None

    def function_of(self, data: Any) -> Any:
        """The function that is given for the one that a configuration names, or None."""
        if isinstance(data, str):
            return self._next_lambda() if data == LAMBDA else self.named(data)
        if is_object(data) and data["class_name"] == "function":
            if data["config"] == LAMBDA:
                return self._next_lambda()
            return self.named(data.get("registered_name"), data["config"])
        if is_code(data):
            return self._next_lambda()
        return None

    def _next_lambda(self) -> Any:
        """The function for the next lambda of the file. Raises Refused where fewer are given."""
        if self._lambdas is None:
            return self.get(LAMBDA)
        self._used += 1
        if self._used > len(self._lambdas):
            raise Refused(
                f"it is lambda {self._used} of the file, and custom_objects[{LAMBDA!r}] has {len(self._lambdas)}",
                "give one for each lambda in the order of the file, or one function for all",
            )
        return self._lambdas[self._used - 1]

    def with_functions(self, config: dict[str, Any]) -> dict[str, Any]:
        """A configuration with the functions that are given in place of their names."""
        return {key: self._replaced(key, part) for key, part in config.items()}

    def _replaced(self, key: str, part: Any) -> Any:
        acts = key.endswith("activation")
        names_one = isinstance(part, str) or is_code(part)
        if not (acts and names_one) and not (is_object(part) and _is_function(part)):
            return part
        found = self.function_of(part)
        if found is None or isinstance(found, str):
            return part if found is None else found
        return self.on_values(found, key) if acts else found

    def on_values(self, function: Any, what: str) -> Any:
        """A function of the user's, of dagir or of Keras, as one on values. Raises Refused."""
        if isinstance(function, str) or not callable(function) or isinstance(function, type):
            raise Refused(f"custom_objects has {function!r} for its {what}, which is no function")
        if activation.name_of_keras(function) is not None:
            return activation.get(function)
        return OwnFunction(function, self)

    def lambda_layer(self, config: dict[str, Any], own: Any = None) -> Layer:
        """The layer for a Lambda of Keras, with the function that is given for it. Raises Refused."""
        function = own if own is not None else self.function_of(config.get("function"))
        name = config.get("name")
        if function is None:
            raise no_function(config)
        mask = config.get("mask")
        if mask is not None and (mask := self.function_of(mask)) is None:
            raise Refused("its mask is a function, which no file holds", GIVE.format("its name"))
        arguments = config.get("arguments")
        return layers.Lambda(
            self.on_values(function, "function"),
            mask=None if mask is None else self.on_values(mask, "mask"),
            arguments=arguments if isinstance(arguments, dict) else None,
            name=name if isinstance(name, str) else None,
        )


def is_of_keras(given: Any) -> bool:
    """Whether what is given is a layer of Keras, or a class of such."""
    return is_keras_layer_class(given) if isinstance(given, type) else is_keras_layer(given)


def no_function(config: Mapping[str, Any]) -> Refused:
    """The refusal of a Lambda for which no function is given, with what to pass."""
    function = config.get("function")
    name: Any = function
    if isinstance(function, dict) and is_object(function) and not is_code(function):
        name = function["config"]
    if isinstance(name, str) and name != LAMBDA:
        give = GIVE.format(name)
        return Refused(f"it calls the Python function {name[:60]!r}, which no file holds", f"{give}, or {_WRITE}")
    give = f"{GIVE.format(LAMBDA)}, a list of one for each lambda in order, or by the name of the layer"
    return Refused(
        "it holds the byte code of a Python function, which is never run", f"{give}; or {_WRITE}", unsafe=True
    )


_WRITE = "write it with keras.ops in a Layer subclass, and convert the model from memory"


def _is_function(part: Mapping[str, Any]) -> bool:
    return part["class_name"] in ("function", "__lambda__")


class OwnFunction:
    """A function of the user's on values: called on them, or, where it is written with Keras, traced."""

    def __init__(self, function: Callable[..., Any], objects: CustomObjects) -> None:
        self.function, self.objects, self.__wrapped__ = function, objects, function
        self.__name__ = str(getattr(function, "__name__", type(function).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function gives for values."""
        try:
            return self.function(*args, **kwargs)
        except DagirError as error:
            if "Keras" not in error.summary and "TensorFlow" not in error.summary:
                raise
        return self.objects.keras.function(self.function, self.__name__)(*args, **kwargs)
