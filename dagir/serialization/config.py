"""The architecture of a model as plain data, and models from such data: get_config, from_config, clone.

The data holds each layer's class and configuration once, and the calls that connect them; no weights.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from dagir import layers as layer_classes
from dagir.errors import ArgumentError, FileError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value, apply_node
from dagir.ir.nest import flatten
from dagir.ir.types import Array, DType
from dagir.layers import Input, Layer
from dagir.layers.internals import calls_of
from dagir.modeling.call_order import places_of, restore_order
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.serialization.class_names import class_names, given_class
from dagir.serialization.fields import decode, encode, field_types
from dagir.serialization.op_names import name_of, op_named
from dagir.serialization.opaque import OpaqueLayer
from dagir.serialization.reading import Place
from dagir.serialization.structures import Decoder, Encoder
from dagir.support.did_you_mean import nearest
from dagir.support.frameworks import takes_a_model
from dagir.support.location import LayerCall


def architecture(model: Model) -> dict[str, Any]:
    """The layers of a model and their connections, as JSON data. Raises ArgumentError for other data."""
    writer = _Writer()
    root = writer.layer(model)
    writer.name_classes()
    return {"name": model.name, "trainable": model.trainable, "layers": writer.layers, "model": root} | (
        {"arrays": {name: _listed(array) for name, array in writer.kept.items()}} if writer.kept else {}
    )


def from_architecture(config: Mapping[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None) -> Model:
    """The model of such data, with new weights. custom_objects: classes by name. Raises ArgumentError."""
    arrays = {name: np.asarray(e["data"], DType.of(e["dtype"]).numpy) for name, e in config.get("arrays", {}).items()}
    kept = {name: array.reshape(config["arrays"][name]["shape"]) for name, array in arrays.items()}
    return _Reader(config["layers"], kept, custom_objects or {}).model(config["model"])


def clone(model: Model, custom_objects: Mapping[str, type[Layer]] | None = None) -> Model:
    """The same architecture with new weights; shared layers stay shared. Raises ArgumentError.

    custom_objects: classes of custom layers by name.

    >>> x = dagir.Input((3,), name="x")
    >>> model = dagir.Model(x, layers.Dense(2)(x))
    >>> dagir.clone(model).weights[0] is model.weights[0]
    False
    """
    if not isinstance(model, Model):
        raise takes_a_model("clone", model)
    writer = _Writer(keep_objects=True)
    root = writer.layer(model)
    known = {name: cls for cls, name in writer.name_classes().items()}
    return _Reader(writer.layers, writer.kept, {**known, **(custom_objects or {})}).model(root)


def _listed(array: Array) -> dict[str, object]:
    data = array.astype(np.float64).tolist() if array.dtype.kind not in "iub" else array.tolist()
    return {"dtype": str(DType.of(array.dtype)), "shape": list(array.shape), "data": data}


class _Writer:
    """Writes layers in an order in which they can be made. keep_objects: objects without a JSON form stay."""

    def __init__(self, keep_objects: bool = False) -> None:
        self.keep_objects = keep_objects
        self.layers: list[dict[str, Any]] = []
        self.numbers: dict[Layer, int] = {}
        self.kept: dict[str, Any] = {}
        self._names: dict[int, str] = {}  # by identity: the objects are kept alive
        self._parameters: dict[Parameter, Any] = {}

    def layer(self, layer: Layer) -> int:
        """The number of a layer, written if it was not yet."""
        if layer not in self.numbers:
            record = self._record(layer)
            self.numbers[layer] = len(self.layers)
            self.layers.append(record)
        return self.numbers[layer]

    def name_classes(self) -> dict[type, str]:
        """Write the classes of custom layers by names that tell them apart, from those of dagir too."""
        names = class_names(self.numbers, taken=layer_classes.__all__)
        for layer, number in self.numbers.items():
            if self.layers[number]["class"] == type(layer).__name__:  # not one that is written as a plain model
                self.layers[number]["class"] = names.get(type(layer), type(layer).__name__)
        return names

    def _record(self, layer: Layer) -> dict[str, object]:
        if isinstance(layer, OpaqueLayer):
            raise ArgumentError(
                f"layer {layer.name!r} was loaded without its class {layer.class_name}, so it cannot be made anew",
                remedy=f"dagir.load(path, custom_objects={{{layer.class_name!r}: {layer.class_name}}})",
            )
        base = {"class": type(layer).__name__, "name": layer.name, "trainable": layer.trainable}
        if isinstance(layer, Sequential):
            begin = layer.input_value
            source = None if begin is None else _input_config(begin)
            return base | {"input": source, "stack": [self.layer(inner) for inner in layer.layers]}
        if isinstance(layer, Model) and type(layer).call is Model.call:
            return base | {"class": "Model"} | self._graph(layer)
        config = layer.get_config()
        for value in config.values():
            for leaf in flatten(value):
                if isinstance(leaf, Layer):
                    self.layer(leaf)
        return base | {"config": {key: self._encode(value, {}, layer, key) for key, value in config.items()}}

    def _graph(self, model: Model) -> dict[str, object]:
        values = {value: number for number, value in enumerate(model.graph.inputs)}
        events: list[dict[str, object]] = []
        done: set[LayerCall] = set()
        places = places_of(node.scope for node in model.graph.nodes if node.scope is not None)
        for node in model.graph.nodes:
            call = node.scope.within(None) if node.scope is not None else None
            if call is None or not isinstance(call.layer, Layer):
                events.append(self._node(node, values, model))
                self._number(node.outputs, values)
            elif call not in done:
                done.add(call)
                events.append(self._call(call, call.layer, values, model, places.get(call, 0)))
                self._number([v for v in flatten(call.outputs) if isinstance(v, Value)], values)
        return {
            "input_layers": [_input_config(value) for value in model.graph.inputs],
            "inputs": self._encode(model.input, values, model, "inputs"),
            "calls": events,
            "outputs": self._encode(model.output, values, model, "outputs"),
        }

    def _number(self, made: Any, values: dict[Value, int]) -> None:
        for value in made:
            values.setdefault(value, len(values))

    def _call(
        self, call: LayerCall, layer: Layer, values: dict[Value, int], model: Model, number: int
    ) -> dict[str, object]:
        record = {"layer": self.layer(layer), "args": self._encode(list(call.args), values, model, layer.name)}
        if call.kwargs:
            record["kwargs"] = self._encode(call.kwargs, values, model, layer.name)
        return {**record, "number": number} if number else record

    def _node(self, node: Node, values: dict[Value, int], model: Model) -> dict[str, object]:
        op = type(node.op)
        known = name_of(op)
        if known is None:
            raise ArgumentError(
                f"op {op.__name__} is not one of dagir.ops, so a configuration cannot hold it",
                remedy='decorate its class with @dagir.register_op("your_package")',
            )
        operands = [self._operand(value) for value in node.inputs]
        record = {"op": known, "args": self._encode(operands, values, model, node.op.op_name)}
        fields = {name: encode(getattr(node.op, name), hint, _no_graph) for name, (hint, _) in field_types(op).items()}
        named: dict[str, object] = {} if node.name is None else {"name": node.name}
        return {**record, **named, "fields": fields} if fields else {**record, **named}

    def _operand(self, value: Value | None) -> object:
        if value is not None and isinstance(value.source, Constant):
            return value.source.array
        if value is not None and isinstance(value.source, Parameter):
            if not self.keep_objects:
                raise ArgumentError(f"weight {value.name!r} belongs to no layer, so no configuration can make it again")
            return self._parameters.setdefault(value.source, _anew(value.source))
        return value

    def _encode(self, part: Any, values: Mapping[Value, int], layer: Layer, what: str) -> Any:
        def other(leaf: object) -> Any:
            if isinstance(leaf, Value):
                raise ArgumentError(
                    f"model {layer.name!r} begins or ends inside layer {what!r}, so it is more than calls of layers",
                    remedy="keep it with model.save(path)",
                )
            if not self.keep_objects:
                raise ArgumentError(
                    f"{what!r} of layer {layer.name!r} holds {leaf!r}, which is no plain data",
                    remedy="let get_config return numbers, strings, lists, dicts, layers and functions of dagir.ops",
                )
            return self._keep(leaf, what)

        return Encoder(values, {}, self.numbers, self._keep).encode(part, other)

    def _keep(self, thing: object, _: str) -> Any:
        name = self._names.setdefault(id(thing), str(len(self.kept)))
        self.kept[name] = thing
        return name if isinstance(thing, np.ndarray) else {"tensor": name}


def _anew(weight: Parameter) -> Parameter:
    array = None if weight.initializer is not None else weight.array
    return Parameter(weight.name, weight.type, weight.initializer, array=array, trainable=weight.trainable)


def _no_graph(graph: Graph) -> int:
    raise ArgumentError(f"graph {graph.name!r} belongs to no model, so a configuration cannot hold it")


def _input_config(value: Value) -> dict[str, object]:
    sizes = [str(s) if isinstance(s, SymbolicDim) and str(s).isidentifier() else s for s in value.type.shape]
    shape = [None if isinstance(size, SymbolicDim) else size for size in sizes]
    return {"name": value.name.replace("/", "_"), "batch_shape": shape, "dtype": str(value.dtype)}


class _Reader:
    """Makes the layers in order, then calls them."""

    def __init__(self, records: Any, kept: Mapping[str, Any], custom: Mapping[str, type[Layer]]) -> None:
        self.records, self.kept, self.custom = records, kept, custom
        self.layers: list[Layer] = []
        self.place = Place("configuration")

    def model(self, root: int) -> Model:
        """The model of this number."""
        try:
            for record in self.records:
                self.layers.append(self._layer(record))
            found = self.layers[root]
        except (KeyError, IndexError, FileError) as error:
            raise ArgumentError(f"the configuration is damaged: {error}") from error
        if not isinstance(found, Model):
            raise ArgumentError("the configuration is that of a layer, not of a model")
        return found

    def _layer(self, record: Mapping[str, Any]) -> Layer:
        made = self._made(record)
        made.name = record["name"]
        if not record["trainable"]:
            made.trainable = False
        return made

    def _made(self, record: Mapping[str, Any]) -> Layer:
        if "stack" in record:
            source = [] if record["input"] is None else [Input(**record["input"])]
            return Sequential([*source, *(self.layers[i] for i in record["stack"])], name=record["name"])
        if "calls" in record:
            return self._graph(record)
        cls = self._class(record["class"], record["name"])
        decoder = Decoder([], [], self.layers, self.kept)
        config = {key: decoder(value, self.place / key) for key, value in record["config"].items()}
        try:
            return cls.from_config(config)
        except TypeError as error:
            raise ArgumentError(
                f"{cls.__name__}.from_config refuses what its get_config gave: {error}",
                remedy="let get_config return every argument of __init__",
            ) from error

    def _class(self, name: str, layer: str) -> type[Layer]:
        found = given_class(name, self.custom, {record["class"] for record in self.records})
        found = found or getattr(layer_classes, name, None)
        if isinstance(found, type) and issubclass(found, Layer):
            return found
        near = nearest(name, [*self.custom, *layer_classes.__all__])
        hint = f", or is {' or '.join(near)} meant?" if near else ""
        raise ArgumentError(
            f"layer {layer!r} is of the class {name}, which is not known",
            remedy=f"pass custom_objects={{{name!r}: {name}}}{hint}",
        )

    def _graph(self, record: Mapping[str, Any]) -> Model:
        values: list[Value] = [Input(**entry) for entry in record["input_layers"]]
        decoder = Decoder(values, [], self.layers, self.kept)
        made: list[tuple[LayerCall, int]] = []
        for number, event in enumerate(record["calls"]):
            place = self.place / "calls" / number
            args = decoder(event["args"], place / "args")
            if "op" in event:
                values.extend(self._op(event, place, args))
                continue
            kwargs = decoder(event.get("kwargs", {"dict": []}), place / "kwargs")
            layer = self.layers[event["layer"]]
            values.extend(dict.fromkeys(flatten(layer(*args, **kwargs))))
            made.append((calls_of(layer)[-1], int(event.get("number", 0))))
        restore_order(made)
        inputs = decoder(record["inputs"], self.place / "inputs")
        return Model(inputs, decoder(record["outputs"], self.place / "outputs"), name=record["name"])

    def _op(self, event: Mapping[str, Any], place: Place, args: list[Any]) -> tuple[Value, ...]:
        cls = op_named(event["op"])
        if cls is None:
            raise ArgumentError(f"the configuration names the unknown op {event['op']!r}")
        hints = field_types(cls)
        given = event.get("fields", {})
        fields = {name: decode(given[name], hints[name][0], place / name, _graph_number) for name in given}
        operands = [_value(arg) for arg in args]
        return apply_node(cls(**fields), tuple(operands), event.get("name")).outputs


def _graph_number(number: int, place: Place) -> Graph:
    raise place.error(f"refers to graph {number}, which a configuration does not hold")


def _value(arg: Any) -> Value | None:
    if isinstance(arg, np.ndarray):
        return Constant(arg).value
    return arg.value if isinstance(arg, Parameter) else arg
