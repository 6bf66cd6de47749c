"""save: a model becomes a document (plain JSON data) and tensors, and these become a file."""

from __future__ import annotations

import json
import os
import zlib
from typing import Any

from dagir.errors import FileError
from dagir.ir.diagnostics import describe
from dagir.ir.graph import Graph, Node, Op, Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.types import Array
from dagir.layers import InputLayer, Layer
from dagir.layers.internals import build_shapes, own_weights, parts_of
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.serialization.class_names import class_names, is_exported
from dagir.serialization.collecting import Collection
from dagir.serialization.container import checksum, write
from dagir.serialization.fields import encode, field_types
from dagir.serialization.formats import DAGIR, refuse_other_suffix
from dagir.serialization.op_names import name_of
from dagir.serialization.opaque import OpaqueLayer
from dagir.serialization.reading import Place, refuse_halves
from dagir.serialization.structures import Encoder, NotPlain, encode_type
from dagir.support.location import LayerCall, Location

FORMAT, VERSION = "dagir", 1


def save(model: Model, path: str | os.PathLike[str], overwrite: bool = True) -> None:
    """Write a model to one file, which is also a valid safetensors file. Raises FileError; no half file is left.

    Raises ArgumentError where the path names a file of Keras or ONNX.

    The graph, the layers with their configurations, and all weights are in it. Custom layers are kept as the graph
    that they traced. Locations are kept as file name and line, without folders.
    overwrite: whether a file that exists is replaced.

    >>> x = dagir.Input((3,), name="x")
    >>> dagir.save(dagir.Model(x, layers.Dense(2)(x), name="net"), "net.dagir")
    >>> dagir.load("net.dagir").name
    'net'
    """
    name = os.fspath(path)
    if not isinstance(model, Model):
        raise FileError(f"{name}: save takes a Model, got {type(model).__name__}")
    refuse_other_suffix(name, DAGIR)
    writer = Writer(Collection(model), name)
    training = writer.training(model)
    document = {"model": writer.parts.layers[model], **training, **writer.document()}
    refuse_halves(document, Place(name))
    text = json.dumps(document, separators=(",", ":"), allow_nan=False)
    metadata = {
        "format": FORMAT,
        "version": str(VERSION),
        "graph": text,
        "graph_crc32": f"{zlib.crc32(text.encode()):08x}",
    }
    write(name, writer.tensors, metadata, overwrite=overwrite)


class Writer:
    """Writes the document of a Collection, with its numbers of values, layers, calls and graphs."""

    def __init__(self, parts: Collection, path: str) -> None:
        self.path, self.parts = path, parts
        self.tensors: dict[str, Array] = {}
        self.locations: dict[str, int] = {}
        self._names: dict[Any, str] = {}
        self._namer = Namer(["__metadata__"])
        parts = self.parts
        self._cut = {value: name for model in parts.layers if isinstance(model, Model) for value, name in _cut(model)}
        self.class_names = class_names(parts.layers)
        self.encode = Encoder(parts.values, parts.parameters, parts.layers, self._tensor)

    def document(self) -> dict[str, Any]:
        """The document, in the order in which it is read."""
        parts = self.parts
        parameters = [self._parameter(weight) for weight in parts.parameters]
        constants = [self._tensor(constant.array, "constant") for constant in parts.constants]
        document = {
            "inputs": [self._free(value) for value in parts.free],
            "parameters": parameters,
            "constants": constants,
            "graphs": [self._graph(graph) for graph in parts.graphs],
            "nodes": [self._node(node) for node in parts.nodes],
            "calls": [self._call(call) for call in parts.calls],
            "layers": [self._layer(layer) for layer in parts.layers],
            "masks": [[parts.values[value], parts.values[mask]] for value, mask in parts.masked()],
        }
        document["locations"] = list(self.locations)
        document["checksums"] = {name: checksum(array) for name, array in self.tensors.items()}
        return document

    def training(self, model: Model) -> dict[str, Any]:
        """The compile arguments and the training progress; the arrays are tensors of the file."""
        state = model.training_state
        if state is None:
            return {}
        tensors = [self._tensor(array, f"training/{i}") for i, array in enumerate(state.arrays)]
        config = json.dumps(state.config, allow_nan=False)
        return {"training": {"backend": state.backend, "config": config, "tensors": tensors}}

    def _tensor(self, array: Array, wanted: str) -> str:
        """The name of an array in the file: one array is one tensor, however often it is used."""
        place = array.__array_interface__["data"][0] if array.size else id(array)
        key = (place, array.shape, array.strides, array.dtype)
        if key not in self._names:
            self._names[key] = self._namer(wanted.encode("utf-8", "replace").decode())
            self.tensors[self._names[key]] = array
        return self._names[key]

    def _parameter(self, weight: Parameter) -> dict[str, Any]:
        record = {"name": weight.name, "tensor": self._tensor(weight.array, weight.name)}
        return record if weight.trainable else {**record, "trainable": False}

    def _free(self, value: Value) -> dict[str, object]:
        record = {"name": self._cut.get(value, value.name), **encode_type(value.type)}
        call = value.source
        if isinstance(call, LayerCall) and type(call.layer) is InputLayer and call.layer in self.parts.layers:
            record["layer"] = self.parts.layers[call.layer]  # not there if only the call of a layer mentions it
            record |= self._at(call.location)
        return record

    def _at(self, location: Location | None) -> dict[str, int]:
        if location is None:
            return {}
        text = location.short.encode("utf-8", "replace").decode()  # the name of a file may not be valid text
        return {"at": self.locations.setdefault(text, len(self.locations))}

    def _graph(self, graph: Graph) -> dict[str, object]:
        values = self.parts.values
        inputs, outputs = ([values[value] for value in side] for side in (graph.inputs, graph.outputs))
        return {"name": graph.name, "inputs": inputs, "outputs": outputs}

    def _node(self, node: Node) -> dict[str, object]:
        values = self.parts.values
        record: dict[str, object] = {"op": self._op_name(node)}
        record["in"] = [None if value is None else values[value] for value in node.inputs]
        fields = self._fields(node)
        if fields:
            record["fields"] = fields
        if node.scope is not None:
            record["call"] = self.parts.calls[node.scope]
        if node.name is not None:
            record["name"] = node.name
        return record | self._at(node.location)

    def _op_name(self, node: Node) -> str:
        name = name_of(type(node.op))
        if name is None:
            raise FileError(
                f"{self.path}: op {type(node.op).__name__} is not one of dagir.ops, so a file cannot hold it",
                facts=[("node", describe(node))],
                remedy='decorate its class with @dagir.register_op("your_package")',
            )
        return name

    def _fields(self, node: Node) -> dict[str, object]:
        found: dict[str, object] = {}
        op: Op = node.op
        for name, (hint, _) in field_types(type(op)).items():
            try:
                found[name] = encode(getattr(op, name), hint, self.parts.graphs.__getitem__)
            except TypeError:
                raise FileError(
                    f"{self.path}: the field {name} of an op holds {getattr(op, name)!r}, which it does not declare",
                    facts=[("node", describe(node))],
                ) from None
        return found

    def _call(self, call: LayerCall) -> dict[str, object]:
        record: dict[str, object] = {"layer": self.parts.layers[call.layer]}
        if call.parent is not None:
            record["parent"] = self.parts.calls[call.parent]
        record["args"] = self.encode.lenient(list(call.args))
        if call.kwargs:
            record["kwargs"] = self.encode.lenient(call.kwargs)
        record["outputs"] = self.encode.lenient(call.outputs)
        return record | self._at(call.location)

    # ---- layers

    def _layer(self, layer: Any) -> dict[str, Any]:
        cls = type(layer)
        record: dict[str, Any] = {
            "kind": "custom",
            "class": self.class_names.get(cls, cls.__name__),
            "name": layer.name,
        }
        if not isinstance(layer, Layer):
            return record
        record["weights"] = [self.parts.parameters[weight] for weight in own_weights(layer)]
        record["layers"] = [self.parts.layers[inner] for inner in parts_of(layer)]
        record["trainable"], record["dtype"] = layer.trainable, str(layer.dtype)
        if isinstance(layer, Model):
            return record | self._model(layer)
        if type(layer) is InputLayer:
            return record | {"kind": "input"}
        record["config"] = self._config(layer)
        if isinstance(layer, OpaqueLayer):
            return record | {"class": layer.class_name}
        shapes = build_shapes(layer)
        if shapes is not None:
            record["build"] = self.encode.lenient(shapes)
        if is_exported(cls) and record["config"] is not None:
            record["kind"] = "layer"
        return record

    def _model(self, model: Model) -> dict[str, object]:
        record: dict[str, object] = {"kind": "model", "graph": self.parts.graphs[model.graph]}
        record["inputs"], record["outputs"] = self.encode.strict(model.input), self.encode.strict(model.output)
        if isinstance(model, Sequential):
            stack = [self.parts.layers[layer] for layer in model.layers]
            record |= {"kind": "sequential", "stack": stack}
        return record

    def _config(self, layer: Layer) -> object:
        """The configuration; None if a file cannot hold it: then only the graph of the layer is loaded."""
        if isinstance(layer, OpaqueLayer):
            config = layer.saved_config
            return None if config is None else self.encode.strict(config)
        try:
            config = layer.get_config()
            kept = {key: _without_initializer(key, value) for key, value in config.items()}
            return self.encode.strict(kept)
        except (NotPlain, NotImplementedError):
            return None


def _cut(model: Model) -> list[tuple[Value, str]]:
    """The values at which a model was cut out of another one, by unique names."""
    names = zip(model.inputs, model.input_names, strict=True)
    return [(value, name) for value, name in names if value.node is not None]


def _without_initializer(key: str, value: object) -> object:
    """The argument; None for an initializer that is a function, because the file has the weights."""
    return None if key.endswith("initializer") and callable(value) else value
