"""Layers of a document: dagir's own are made again from their configuration, others become an OpaqueLayer.

A layer that is made again builds its weights through add_weight, which compares their types and returns the weights
of the file. No attribute is ever set by a name from the file.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any, TypeAlias

from dagir import layers as layer_classes
from dagir.errors import ArgumentError, DagirError
from dagir.ir.graph import Graph, Parameter
from dagir.ir.nest import flatten
from dagir.layers import Layer
from dagir.layers.internals import (
    build_from,
    calls_of,
    forget_parts,
    lend_weights,
    own_weights,
    parts_of,
    set_own_trainable,
    track,
)
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.serialization.class_names import given_class, is_named
from dagir.serialization.opaque import OpaqueLayer
from dagir.serialization.reading import Place, Record, index, shown
from dagir.serialization.structures import Decoder, decode_dtype
from dagir.support.location import LayerCall

GraphOf: TypeAlias = Callable[[int, Place], Graph]
_FAILURES = (  # what a constructor or `build` may raise for wrong arguments
    DagirError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    NotImplementedError,
    TypeError,
    ValueError,
)
_KINDS = ("layer", "custom", "input", "model", "sequential")
_BUILT_IN: dict[str, type[Layer]] = {
    name: found
    for name, found in vars(layer_classes).items()
    if name in layer_classes.__all__ and isinstance(found, type) and issubclass(found, Layer) and found is not Layer
}


class LayerRecord:
    """One layer of a document, without the parts that refer to others.

    A layer call holds it in place of the layer, until the layer is made.
    """

    def __init__(self, record: Record, number: int) -> None:
        self.place = record.place
        self.kind, self.class_name = record.take("kind", str), record.take("class", str)
        if self.kind not in _KINDS:
            raise (self.place / "kind").error(f"must be one of {', '.join(_KINDS)}, got {shown(self.kind)}")
        self.name = record.take("name", str)
        self.trainable = record.take("trainable", bool, True)
        self.dtype = decode_dtype(record.take("dtype", str, "float32"), self.place / "dtype")
        self.weights = record.take("weights", list, [])
        inner = record.take("layers", list, [])
        self.layers = [index(i, number, "layer", self.place / "layers" / n) for n, i in enumerate(inner)]
        stack = record.take("stack", list, [])
        self.stack = [index(i, number, "layer", self.place / "stack" / n) for n, i in enumerate(stack)]
        self.graph = record.take("graph", int, -1)
        self.config, self.build = record.raw("config"), record.raw("build")
        self.inputs, self.outputs = record.raw("inputs"), record.raw("outputs")
        record.done()

    def config_layers(self) -> set[int]:
        """The layers that the configuration refers to."""
        found: set[int] = set()
        pending = [self.config]
        while pending:
            data = pending.pop()
            if isinstance(data, list):
                pending.extend(data)
            elif isinstance(data, dict):
                pending.extend(data.values())
                found |= {data["layer"]} if isinstance(data.get("layer"), int) else set()
        return found


class Layers:
    """Makes the layers of a document. `made` has each of them at its number, None until then."""

    def __init__(self, records: Sequence[LayerRecord], custom: Mapping[str, type[Layer]]) -> None:
        self.records = records
        self.made: list[Layer | None] = [None] * len(records)
        names = {record.class_name for record in records if record.kind == "custom"}
        self._classes = [self._class(record, custom, names) for record in records]
        self._leave_opaque()
        self._remade: dict[int, list[Parameter]] = {}

    def make(self, decoder: Decoder, graph: GraphOf, calls: Sequence[LayerCall]) -> None:
        """Make all layers, and replace their records in the calls. Raises FileError."""
        self.decoder, self.graph = decoder, graph
        by_record = self._calls_of(calls)
        owned = self._owned()
        for number, record in enumerate(self.records):
            if record.kind in ("model", "sequential"):
                self.made[number] = self._model(record)
            elif self.made[number] is None and number not in owned:
                self._make(number)
            self._enter(number, by_record)
        for number in reversed(range(len(self.records))):
            self._build(number)
        for number, record in enumerate(self.records):
            self._enter(number, by_record)
            self._finish(number, record)

    def _class(self, record: LayerRecord, custom: Mapping[str, type[Layer]], names: Set[str]) -> type[Layer] | None:
        """The class or function that makes the layer from its configuration; None if only its graph is used."""
        if record.kind == "layer":
            if record.class_name not in _BUILT_IN:
                raise (record.place / "class").error(f"names the unknown layer {shown(record.class_name)}")
            return _BUILT_IN[record.class_name]
        found = given_class(record.class_name, custom, names) if record.kind == "custom" else None
        if found is None:
            return None
        if not isinstance(found, type) or not issubclass(found, Layer):
            raise ArgumentError(
                f"custom_objects has {found!r} for {record.class_name!r}, which is no subclass of Layer"
            )
        if record.config is None:
            raise record.place.error(
                f"the configuration of {record.class_name} was not plain data, so it is not in the file",
                f"leave {record.class_name!r} out of custom_objects: its graph is in the file",
            )
        return found

    def _leave_opaque(self) -> None:
        """A layer that is given one without its class cannot be made, nor can what it would make inside itself."""
        for number, record in enumerate(self.records):
            if any(self._is_opaque(inner) for inner in record.config_layers()):
                self._classes[number] = None

    def _is_opaque(self, number: int) -> bool:
        known = 0 <= number < len(self.records)
        return known and self._classes[number] is None and self.records[number].kind in ("layer", "custom")

    def _calls_of(self, calls: Sequence[LayerCall]) -> dict[object, list[LayerCall]]:
        found: dict[object, list[LayerCall]] = {}
        for call in calls:
            found.setdefault(call.layer, []).append(call)
        return found

    def _enter(self, number: int, by_record: dict[object, list[LayerCall]]) -> None:
        """Set the layer in its calls, as soon as it is made."""
        layer = self.made[number]
        if layer is not None:
            for call in by_record.pop(self.records[number], ()):
                call.layer = layer
                calls_of(layer).append(call)

    def _owned(self) -> set[int]:
        """The layers that another layer makes in its constructor or `build`: they are taken from it, not made here."""
        owned: set[int] = set()
        for record, cls in zip(self.records, self._classes, strict=True):
            if cls is not None:
                owned |= set(record.layers) - record.config_layers()
        return owned

    # ---- one layer

    def _weights(self, record: LayerRecord) -> list[Parameter]:
        place, known = record.place / "weights", self.decoder.parameters
        return [known[index(number, len(known), "parameter", place)] for number in record.weights]

    def _make(self, number: int) -> None:
        record, cls = self.records[number], self._classes[number]
        if cls is None:
            self.made[number] = self._opaque(record)
            return
        config = self._config(record)
        if any(isinstance(leaf, OpaqueLayer) for leaf in flatten(config)):  # it needs the inner class
            self.made[number] = self._opaque(record)
            return
        try:
            made = cls.from_config(config)
        except _FAILURES as error:
            raise record.place.error(f"{record.class_name} refuses its configuration: {error}") from None
        self._adopt(number, made)

    def _config(self, record: LayerRecord) -> dict[str, object]:
        data, place = self.decoder(record.config, record.place / "config"), record.place / "config"
        if data == {} and record.kind == "custom":  # its class is unknown, so it is not made
            return {}
        return expect_dict(data, place)

    def _opaque(self, record: LayerRecord) -> Layer:
        if record.kind == "input":
            raise record.place.error("is an InputLayer that no input belongs to")
        config = None if record.config is None else self._config(record)
        try:
            layer = OpaqueLayer(record.class_name, config, record.name, record.dtype, self._weights(record))
        except DagirError as error:
            raise record.place.error(error.summary) from None
        return layer

    def _adopt(self, number: int, made: object) -> None:
        """Use a new layer, and the layers inside it, as the layers with these numbers."""
        pending = [(number, made)]
        while pending:
            number, layer = pending.pop()
            record = self.records[number]
            if self.made[number] is layer or self.made[number] is not None or not isinstance(layer, Layer):
                continue
            wanted = self._classes[number]
            if type(layer) is not wanted and (record.kind != "custom" or not is_named(type(layer), record.class_name)):
                raise record.place.error(f"is a {record.class_name}, its configuration makes a {type(layer).__name__}")
            layer.name = record.name
            self.made[number] = layer
            self._remade[number] = self._weights(record)
            lend_weights(layer, self._remade[number])
            pending.extend(zip(record.layers, parts_of(layer), strict=False))

    def _build(self, number: int) -> None:
        layer, record = self.made[number], self.records[number]
        if number not in self._remade or layer is None:
            return
        if not layer.built and not own_weights(layer) and record.build is not None:
            shapes = expect_dict(self.decoder(record.build, record.place / "build"), record.place / "build")
            arrays = [(weight, weight.array) for weight in self._remade[number]]
            try:
                build_from(layer, shapes)
            except _FAILURES as error:
                raise record.place.error(f"{record.class_name} cannot be built again: {error}") from None
            for weight, array in arrays:  # a build may set weights; those of the file win
                weight.assign(array)
        layer.built = layer.built or record.build is not None
        for inner, found in zip(record.layers, parts_of(layer), strict=False):
            if self.made[inner] is None:
                self._adopt(inner, found)

    def _finish(self, number: int, record: LayerRecord) -> None:
        layer = self.made[number]
        if layer is None:
            raise record.place.error(
                f"{record.class_name} {record.name!r} was not made by the layer that holds it",
                "leave the class of that layer out of custom_objects" if record.kind == "custom" else None,
            )
        if number in self._remade:
            lend_weights(layer, None)
            if own_weights(layer) != self._remade[number]:
                raise (record.place / "weights").error(
                    f"{record.class_name} {record.name!r} makes {len(own_weights(layer))} weights again, "
                    f"stored are {len(record.weights)}"
                )
        elif record.kind != "input":
            track(layer, (found for inner in record.layers if (found := self.made[inner]) is not None))
        set_own_trainable(layer, record.trainable)
        layer.__dict__.pop("layers", None)

    # ---- models

    def _model(self, record: LayerRecord) -> Model:
        inputs = self.decoder(record.inputs, record.place / "inputs")
        outputs = self.decoder(record.outputs, record.place / "outputs")
        graph = self.graph(record.graph, record.place / "graph")
        if [*graph.inputs] != flatten(inputs) or [*graph.outputs] != flatten(outputs):
            raise record.place.error("its inputs or outputs are not those of its graph")
        try:
            how: dict[str, Any] = {"name": record.name, "unused_inputs": True}
            if record.kind == "sequential":
                stack = [self._inner(i, record) for i in record.stack]
                model: Model = Sequential.from_graph(inputs, outputs, graph, stack=stack, **how)
            else:
                model = Model.from_graph(inputs, outputs, graph, **how)
        except DagirError as error:
            raise record.place.error(f"is no sound model: {error}") from None
        forget_parts(model)
        return model

    def _inner(self, number: int, record: LayerRecord) -> Layer:
        found = self.made[number]
        if found is None:
            raise (record.place / "stack").error(f"refers to layer {number}, which comes later")
        return found


def expect_dict(data: object, place: Place) -> dict[str, object]:
    """`data`, if it is a dict with names as keys and something in it. Raises FileError."""
    if not isinstance(data, dict) or not data or not all(isinstance(key, str) for key in data):
        raise place.error(f"must be a dict with names as keys, got {shown(data)}")
    return data
