"""From the configuration of a Keras model to a model of dagir: layers are made, then called in an order that works."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagir import layers
from dagir.errors import FileError
from dagir.graph import Value
from dagir.layers import Layer
from dagir.layers.core import Input
from dagir.model import Model, Sequential
from dagir.serialization.reading import shown
from dagir.structure import flatten, map_structure
from dagir_keras.reading import values
from dagir_keras.reading.calls import call_layer
from dagir_keras.reading.layers import make_layer
from dagir_keras.reading.operations import is_operation, make_operation
from dagir_keras.reading.problems import Problems, Refused

Record = Mapping[str, Any]
_MODELS = {"Functional", "Model", "Sequential"}


@dataclass
class Made:
    """What was made of a model's record: its layers by name, and what was made of the models among them."""

    record: Record
    model: Model
    layers: dict[str, Layer] = field(default_factory=dict)
    nested: dict[str, Made] = field(default_factory=dict)


@dataclass(frozen=True)
class _Reference:
    """A tensor of the configuration: output `tensor` of call `node` of a layer."""

    layer: str
    node: int
    tensor: int


class NetworkReader:
    """Reads the records of one file. Raises FileError for what is damaged; the rest is noted in `problems`."""

    def __init__(self, source: str, custom: Mapping[str, Any], problems: Problems) -> None:
        self.source, self.custom, self.problems = source, custom, problems
        self._shared: dict[int, tuple[Layer, Made | None]] = {}

    def model(self, record: Record, path: str = "") -> Made | None:
        """The model of a record; None where it cannot be taken."""
        config, kind = record.get("config"), record.get("class_name")
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            raise self._damaged(path, "is no model: its configuration has no layers")
        made = self._sequential(config, path) if kind == "Sequential" else self._functional(config, path)
        if made is None:
            return None
        made.record = record
        if config.get("trainable") is False:
            made.model.trainable = False
        return made

    def _damaged(self, path: str, what: str) -> FileError:
        return FileError(f"{self.source}: model {path or '(the outermost)'} {what}")

    # ---- layers

    def _layer(self, record: Any, path: str, made: Made | None = None) -> Layer | None:
        """The layer of a record, one for all records that say they share it; None where it cannot be taken."""
        if not isinstance(record, dict):
            raise self._damaged(path, f"holds {shown(record)} in place of a layer")
        shared = record.get("shared_object_id")
        if isinstance(shared, int) and shared in self._shared:
            layer, inner = self._shared[shared]
        else:
            layer_or_none, inner = self._made(record, path)
            if layer_or_none is None:
                return None
            layer = layer_or_none
            if isinstance(shared, int):
                self._shared[shared] = layer, inner
        if made is not None:
            made.layers[layer.name] = layer
            if inner is not None:
                made.nested[layer.name] = inner
        return layer

    def _made(self, record: dict[str, Any], path: str) -> tuple[Layer | None, Made | None]:
        kind = str(record.get("class_name"))
        if is_model(record, self.custom):
            made = self.model(record, path)
            return (None, None) if made is None else (made.model, made)
        with self.problems.at(path, kind):
            return make_layer(record, self.custom, lambda part, key: self._inner(part, f"{path}/{key}")), None
        return None, None

    def _inner(self, record: Any, path: str) -> Layer:
        found = self._layer(record, path)
        if found is None:
            raise Refused("a layer inside it cannot be taken")
        return found

    # ---- Sequential

    def _sequential(self, config: dict[str, Any], path: str) -> Made | None:
        name = str(config.get("name", "sequential"))
        made = Made(config, Sequential(name=name))
        stack: list[Layer] = []
        source: Value | None = None
        complete = True
        for place, record in enumerate(config["layers"]):
            if isinstance(record, dict) and record.get("class_name") == "InputLayer" and place == 0:
                source = self._input(record["config"], path)
                continue
            layer = self._layer(record, f"{path}/{_name_of(record)}".lstrip("/"), made)
            complete = complete and layer is not None
            if layer is not None:
                stack.append(layer)
        if source is None:
            source = self._unnamed_input(config, name, stack)
        if not complete:
            return None
        return self._stacked(made, source, stack, path)

    def _unnamed_input(self, config: dict[str, Any], name: str, stack: Sequence[Layer]) -> Value | None:
        first = config["layers"][0].get("config", {}) if config["layers"] and stack else {}
        shape = config.get("build_input_shape") or first.get("batch_input_shape")
        if not isinstance(shape, list):
            return None
        dtype = first.get("dtype") if "batch_input_shape" in first else None
        return Input(batch_shape=shape, dtype=dtype if isinstance(dtype, str) else stack[0].dtype, name=f"{name}_input")

    def _stacked(self, made: Made, source: Value | None, stack: Sequence[Layer], path: str) -> Made | None:
        with self.problems.at(path or made.model.name, "Sequential"):
            assert isinstance(made.model, Sequential)
            if source is None and not path:
                raise Refused("it was never built, so the shape of its input is not known", _BUILD)
            if not stack:
                raise Refused("it holds no layers")
            for layer in stack:
                made.model.add(layer)
            if source is not None:
                self._close(made.model, source, stack)
            return made
        return None

    def _close(self, model: Sequential, source: Value, stack: Sequence[Layer]) -> None:
        value: Any = source
        for layer in stack:
            value = call_layer(layer, [value], {})
        model._source = source
        model._set_graph(source, value)

    # ---- functional models

    def _functional(self, config: dict[str, Any], path: str) -> Made | None:
        made = Made(config, Model.__new__(Model))
        calls = _Calls(self.source, path)
        for record in config["layers"]:
            self._add(record, calls, made, path)
        calls.run(self.problems)
        inputs = calls.structure(config.get("input_layers"))
        outputs = calls.structure(config.get("output_layers"), outer=True)
        if any(leaf is None for leaf in flatten([inputs, outputs])):
            return None
        with self.problems.at(path or str(config.get("name")), "Functional"):
            Layer.__init__(made.model, name=str(config.get("name", "functional")))
            made.model._set_graph(inputs, outputs, unused_inputs=True)
            return made
        return None

    def _add(self, record: Any, calls: _Calls, made: Made, path: str) -> None:
        if not isinstance(record, dict) or not isinstance(record.get("config"), dict):
            raise self._damaged(path, f"holds {shown(record)} in place of a layer")
        name = _name_of(record)
        nodes = record.get("inbound_nodes", [])
        if not isinstance(nodes, list):
            raise self._damaged(path, f"says that layer {name!r} is called {shown(nodes)}")
        where = f"{path}/{name}".lstrip("/")
        kind = str(record.get("class_name"))
        run: Callable[..., Any] | None = None
        if kind == "InputLayer":
            with self.problems.at(where, kind):
                value = self._input({**record["config"], "name": name}, where)
                calls.add_input(name, value)
                return
            calls.add_input(name, None)
            return
        if is_operation(record):
            with self.problems.at(where, kind):
                run = make_operation({**record, "name": name})
        else:
            layer = self._layer(record, where, made)
            run = None if layer is None else _calling(layer)
        calls.add(name, where, kind, run, nodes, is_model(record, self.custom) and kind != "Sequential")

    def _input(self, config: Any, path: str) -> Value:
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if not isinstance(shape, list):
            raise self._damaged(path, f"has an input of shape {shown(shape)}")
        for option in ("sparse", "ragged", "optional"):
            if config.get(option):
                raise Refused(f"it is a {option} input", "dagir's inputs are dense, and each is fed")
        dtype = config.get("dtype")
        name = config.get("name")
        return Input(batch_shape=shape, dtype=dtype if isinstance(dtype, str) else None, name=name)


_BUILD = "call the model once, or begin it with an Input, before it is saved"


def is_model(record: Record, custom: Mapping[str, Any]) -> bool:
    """Whether a record is that of a functional or Sequential model of Keras itself."""
    kind, module = record.get("class_name"), record.get("module")
    ours = module is None or str(module).split(".")[0] in ("keras", "tensorflow")
    return kind in _MODELS and ours and record.get("registered_name") in (None, kind) and kind not in custom


def _name_of(record: Any) -> str:
    if not isinstance(record, dict):
        return "?"
    config = record.get("config")
    name = record.get("name") or (config.get("name") if isinstance(config, dict) else None)
    return str(name or record.get("class_name"))


def _calling(layer: Layer) -> Callable[..., Any]:
    return lambda *args, **kwargs: call_layer(layer, args, kwargs)


@dataclass
class _Call:
    owner: str
    path: str
    kind: str
    run: Callable[..., Any] | None
    args: Any
    kwargs: Any
    waits: int = 0


class _Calls:
    """The calls of one functional model, run as soon as what they read is there."""

    def __init__(self, source: str, path: str) -> None:
        self.source, self.path = source, path
        self.calls: dict[str, list[_Call]] = {}
        self.outputs: dict[tuple[str, int], list[Value | None]] = {}
        self._begins_with_one: set[str] = set()  # models: Keras counts their calls from 1 in places
        self._is_model: set[str] = set()

    def add_input(self, name: str, value: Value | None) -> None:
        """An input of the model."""
        self._once(name)
        self.calls[name] = []
        self.outputs[name, 0] = [value]

    def add(
        self, name: str, path: str, kind: str, run: Callable[..., Any] | None, nodes: list[Any], is_model: bool
    ) -> None:
        """A layer or an operation with its calls."""
        self._once(name)
        self.calls[name] = [_Call(name, path, kind, run, *self._arguments(node, path)) for node in nodes]
        if is_model:
            self._is_model.add(name)

    def _once(self, name: str) -> None:
        if name in self.calls:
            raise self._damaged(f"has two layers of the name {name!r}")

    def _damaged(self, what: str) -> FileError:
        return FileError(f"{self.source}: model {self.path or '(the outermost)'} {what}")

    def _arguments(self, node: Any, path: str) -> tuple[Any, Any]:
        if isinstance(node, dict):
            return self._decode(node.get("args", []), path), self._decode(node.get("kwargs", {}), path)
        if not isinstance(node, list):
            raise self._damaged(f"says that layer {path!r} is called on {shown(node)}")
        if node and isinstance(node[0], str):
            node = [node]
        parts, options = [], {}
        for entry in node:
            if not isinstance(entry, list) or len(entry) not in (3, 4):
                raise self._damaged(f"says that layer {path!r} is called on {shown(entry)}")
            parts.append(self._reference(entry[:3], path))
            options = entry[3] if len(entry) == 4 and isinstance(entry[3], dict) else {}
        return [parts[0] if len(parts) == 1 else parts], self._decode(options, path)

    def _decode(self, data: Any, path: str) -> Any:
        if isinstance(data, list):
            return [self._decode(part, path) for part in data]
        if not isinstance(data, dict):
            return data
        if not values.is_object(data):
            return {key: self._decode(part, path) for key, part in data.items()}
        if data["class_name"] == "__keras_tensor__":
            return self._reference(data["config"].get("keras_history"), path)
        try:
            return values.plain(data)
        except Refused as refused:
            return refused

    def _reference(self, data: Any, path: str) -> _Reference:
        if (
            not isinstance(data, list)
            or len(data) != 3
            or not isinstance(data[0], str)
            or not all(isinstance(part, int) and 0 <= part < 1 << 31 for part in data[1:])
        ):
            raise self._damaged(f"says that layer {path!r} reads {shown(data)}")
        return _Reference(*data)

    # ---- running

    def run(self, problems: Problems) -> None:
        """Run every call. Raises FileError where one reads what does not exist, or waits for itself."""
        self._settle_models()
        waiting: dict[tuple[str, int], list[tuple[str, int]]] = {}
        ready: deque[tuple[str, int]] = deque()
        for name, calls in self.calls.items():
            for place, call in enumerate(calls):
                needed = {self._checked(leaf, call) for leaf in _references([call.args, call.kwargs])}
                needed |= {(name, place - 1)} if place else set()
                needed -= self.outputs.keys()
                call.waits = len(needed)
                for key in needed:
                    waiting.setdefault(key, []).append((name, place))
                if not needed:
                    ready.append((name, place))
        done = 0
        while ready:
            key = ready.popleft()
            done += 1
            call = self.calls[key[0]][key[1]]
            self.outputs[key] = self._outputs(call, problems)
            for name, place in waiting.pop(key, ()):
                later = self.calls[name][place]
                later.waits -= 1
                if not later.waits:
                    ready.append((name, place))
        if done != sum(map(len, self.calls.values())):
            stuck = next(call.owner for calls in self.calls.values() for call in calls if call.waits)
            raise self._damaged(f"has a cycle: layer {stuck!r} needs its own output")

    def _settle_models(self) -> None:
        """Keras 2 counted the calls of a nested model from 1: found by a reference past its last call."""
        for calls in self.calls.values():
            for call in calls:
                for leaf in _references([call.args, call.kwargs]):
                    if leaf.layer in self._is_model and leaf.node == len(self.calls[leaf.layer]):
                        self._begins_with_one.add(leaf.layer)

    def _checked(self, reference: _Reference, call: _Call) -> tuple[str, int]:
        if reference.layer not in self.calls:
            raise self._damaged(f"says that layer {call.owner!r} reads layer {reference.layer!r}, which does not exist")
        node = reference.node - (reference.layer in self._begins_with_one)
        key = (reference.layer, node)
        if key not in self.outputs and not 0 <= node < len(self.calls[reference.layer]):
            raise self._damaged(
                f"says that layer {call.owner!r} reads call {reference.node} of layer {reference.layer!r}, "
                f"which is called {len(self.calls[reference.layer])} times"
            )
        return key

    def _outputs(self, call: _Call, problems: Problems) -> list[Value | None]:
        with problems.at(call.path, call.kind):
            for leaf in flatten([call.args, call.kwargs]):
                if isinstance(leaf, Refused):
                    raise leaf
            args, kwargs = (self._filled(part, call) for part in (call.args, call.kwargs))
            lost = any(leaf is _LOST for leaf in flatten([args, kwargs]))
            if call.run is not None and not lost:
                return list(flatten(call.run(*args, **kwargs)))
        return []

    def _filled(self, structure: Any, call: _Call) -> Any:
        def fill(leaf: Any) -> Any:
            if not isinstance(leaf, _Reference):
                return leaf
            found = self.outputs[self._checked(leaf, call)]
            if not found:
                return _LOST
            if leaf.tensor >= len(found):
                raise self._damaged(f"says that layer {call.owner!r} reads output {leaf.tensor} of {leaf.layer!r}")
            return _LOST if found[leaf.tensor] is None else found[leaf.tensor]

        return map_structure(fill, structure)

    def structure(self, data: Any, outer: bool = False) -> Any:
        """The values of input_layers or output_layers, in their structure; None for a value that is missing.

        outer: the calls of nested models count from 1 there, since Keras counts a model's own graph as its first.
        """
        if isinstance(data, dict):
            return {key: self.structure(part, outer) for key, part in data.items()}
        if not isinstance(data, list):
            raise self._damaged(f"has {shown(data)} among its inputs or outputs")
        if len(data) != 3 or not isinstance(data[0], str):
            return [self.structure(part, outer) for part in data]
        reference = self._reference(data, "outputs")
        shift = 1 if outer and reference.layer in self._is_model and reference.node else 0
        found = self.outputs.get((reference.layer, reference.node - shift))
        if found is None:
            raise self._damaged(f"names {shown(data)} among its inputs or outputs, which does not exist")
        return found[reference.tensor] if reference.tensor < len(found) else None


_LOST = object()


def _references(structure: Any) -> list[_Reference]:
    return [leaf for leaf in flatten(structure) if isinstance(leaf, _Reference)]


__all__ = ["Made", "NetworkReader", "is_model", "layers"]
