"""From the configuration of a Keras model to a model of dagir: layers are made, then called in Keras's order."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagir.errors import FileError, UnsupportedLayer
from dagir.ir.graph import Graph, Value, snake_case
from dagir.ir.nest import flatten, map_structure
from dagir.layers import Layer
from dagir.layers.core import Input
from dagir.layers.unknown import UnknownLayer
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.custom_objects import CustomObjects
from dagir_keras.reading.files.graph_calls import Calls
from dagir_keras.reading.files.keras2 import call_as_written, counts_from_zero
from dagir_keras.reading.files.opaque_layers import OpaqueLayers, Told
from dagir_keras.reading.files.tensorflow_layers import is_tensorflow_layer, make_tensorflow_layer, settled
from dagir_keras.reading.layer_calls import call_layer
from dagir_keras.reading.layers import is_unregistered, make_layer, own_rule
from dagir_keras.reading.operations import is_operation, make_operation
from dagir_keras.reading.own_layers import is_own, own_layer
from dagir_keras.reading.problems import LOAD, RULE, Problems, Refused, refuse_input

Record = Mapping[str, Any]
_SUBCLASS = "is a subclass of keras.Model, and its file does not hold its call"
_MODELS = {"Functional", "Model", "Sequential"}


@dataclass(frozen=True)
class Parts:
    """The layers of a model by name, and what was made of the models among them."""

    layers: dict[str, Layer] = field(default_factory=dict)
    nested: dict[str, ReadModel] = field(default_factory=dict)


@dataclass
class ReadModel:
    """A model that was read: its record, its layers by name, and the models among these."""

    record: Record
    model: Model
    layers: dict[str, Layer] = field(default_factory=dict)
    nested: dict[str, ReadModel] = field(default_factory=dict)
    alone: Layer | None = None  # that is the whole of a subclassed model


class NetworkReader:
    """Reads the records of one file. Raises FileError for damage; refused layers become `problems`."""

    def __init__(self, source: str, custom: CustomObjects, problems: Problems) -> None:
        self.source, self.custom, self.problems = source, custom, problems
        self.opaque = None if custom.opaque is None else OpaqueLayers(problems, custom.opaque)
        self._shared: dict[int, tuple[Layer, ReadModel | None]] = {}
        self._opened: dict[
            int, tuple[Graph, int]
        ] = {}  # graphs by identity, each with its number of nodes, nested models expanded

    def model(self, record: Record, path: str = "") -> ReadModel | None:
        """The model of a record; None where it is refused."""
        config, kind = record.get("config"), record.get("class_name")
        if (
            not path
            and isinstance(config, dict)
            and not is_model(record, self.custom)
            and own_rule(record, self.custom)
        ):
            return self._alone(record, config)
        if not isinstance(config, dict) or not isinstance(config.get("layers"), list):
            if not path and isinstance(kind, str) and kind not in _MODELS:
                if self.opaque is not None:
                    return self._whole(record, kind, self.opaque)
                raise UnsupportedLayer(
                    f"{self.source}: {kind} {_SUBCLASS}",
                    remedy=f"{RULE.format(kind)}, or {LOAD}",
                )
            raise self._damaged(path, "is no model: its configuration has no layers")
        made = self._sequential(config, path) if kind == "Sequential" else self._functional(config, path)
        if made is None:
            return None
        made.record = record
        self._spend(made.model, path)
        if config.get("trainable") is False:
            made.model.trainable = False
        return made

    def _whole(self, record: Record, kind: str, opaque: OpaqueLayers) -> ReadModel | None:
        """A subclassed model as one opaque layer."""
        with self.problems.at(kind, kind):
            inputs = _built_for(record) if self.custom.inputs is None else self.custom.inputs
            layer = opaque.layer(snake_case(kind), kind, f"{kind} {_SUBCLASS}")
            outputs = opaque.outputs(layer, inputs, {})[0]
            model = Model.from_graph(inputs, outputs, name=snake_case(kind), unused_inputs=True)
            return ReadModel({"class_name": "Functional", "config": {"layers": []}}, model)
        return None

    def _alone(self, record: Record, config: dict[str, Any]) -> ReadModel | None:
        """A subclassed model of the user's, called on inputs of the shapes for which it was built."""
        name = str(config.get("name") or record.get("class_name"))
        with self.problems.at(name, str(record.get("class_name"))):
            layer = make_layer(record, self.custom, self._inner)
            inputs = self.custom.inputs
            if inputs is None:
                inputs = _built_for(record)
            outputs = call_layer(layer, [inputs], {})
            model = Model.from_graph(inputs, outputs, name=name, unused_inputs=True)
            return ReadModel(record, model, {layer.name: layer}, alone=layer)
        return None

    def _spend(self, model: Model, path: str) -> None:
        """Count the nodes of a model against the budget: each call of a nested model repeats its nodes."""
        if "graph" not in vars(model):
            return
        graph = model.graph
        inner = [getattr(node.op, "graph", None) for node in graph.nodes]
        count = sum(self._opened.get(id(each), (None, 1))[1] for each in inner)
        self._opened[id(graph)] = graph, count
        if not path:
            limits.spend("nodes", count, f"the model with {count:,} nodes")

    def _damaged(self, path: str, what: str) -> FileError:
        return FileError(f"{self.source}: model {path or '(the outermost)'} {what}")

    # ---- layers

    def _layer(self, record: Any, path: str, into: Parts | ReadModel | None = None) -> Layer | None:
        """The layer of a record, one for all records that say they share it; None where it cannot be taken."""
        if not isinstance(record, dict):
            raise self._damaged(path, f"holds {shown(record)} in place of a layer")
        shared = record.get("shared_object_id")
        if isinstance(shared, int) and shared in self._shared:
            layer, inner = self._shared[shared]
        else:
            layer_or_none, inner = self._layer_or_model(record, path)
            if layer_or_none is None:
                return None
            layer = layer_or_none
            if isinstance(shared, int):
                self._shared[shared] = layer, inner
        if into is not None:
            into.layers[layer.name] = layer
            if inner is not None:
                into.nested[layer.name] = inner
        return layer

    def _layer_or_model(self, record: dict[str, Any], path: str) -> tuple[Layer | None, ReadModel | None]:
        kind = str(record.get("class_name"))
        if is_model(record, self.custom):
            made = self.model(record, path)
            return (None, None) if made is None else (made.model, made)
        before = self.problems.count
        with self.problems.at(path, kind):
            return make_layer(record, self.custom, lambda part, key: self._inner(part, f"{path}/{key}")), None
        reason = None if self.opaque is None else self.opaque.taken(before)
        if self.opaque is None or reason is None:
            return None, None
        return self.opaque.layer(path, kind, reason.reason), None

    def _inner(self, record: Any, path: str) -> Any:
        if callable(record):  # a function of the user's
            return record
        found = self._layer(record, path)
        if found is None:
            raise Refused("a layer inside it cannot be taken")
        return found

    # ---- Sequential

    def _sequential(self, config: dict[str, Any], path: str) -> ReadModel | None:
        name = str(config.get("name", "sequential"))
        made = ReadModel(config, Sequential(name=name))
        stack: list[Layer] = []
        calls: list[Callable[..., Any]] = []
        source: Value | None = None
        complete = True
        for place, record in enumerate(config["layers"]):
            if isinstance(record, dict) and record.get("class_name") == "InputLayer" and place == 0:
                with self.problems.at(f"{path}/{_name_of(record)}".lstrip("/"), "InputLayer"):
                    source = self._input(record.get("config"), path, nested=True)  # its first batch is no bound
                    continue
                complete = False
                continue
            where = f"{path}/{_name_of(record)}".lstrip("/")
            layer = self._layer(record, where, made)
            complete = complete and layer is not None
            if layer is not None:
                stack.append(layer)
                call = _calling(layer, record)
                told = _built_shape(config["layers"][place + 1 : place + 2])
                kind = str(record.get("class_name"))
                calls.append(
                    call if self.opaque is None else self._guarded(self.opaque, layer, call, where, kind, told)
                )
        if not complete:
            return None
        if source is None:
            source = self._unnamed_input(config, name, stack)
        return self._stacked(made, source, stack, calls, path)

    def _guarded(
        self, opaque: OpaqueLayers, layer: Layer, call: Callable[..., Any], path: str, kind: str, told: Told
    ) -> Callable[..., Any]:
        """The call of a layer of a stack: of an opaque one, of what it gives by the next layer."""

        def run(value: Any) -> Any:
            unknown = layer if isinstance(layer, UnknownLayer) else opaque.behind(path, kind, value)
            return call(value) if unknown is None else opaque.outputs(unknown, value, told)[0]

        return run

    def _unnamed_input(self, config: dict[str, Any], name: str, stack: Sequence[Layer]) -> Value | None:
        first = config["layers"][0]["config"] if config["layers"] and stack else {}
        shape = config.get("build_input_shape") or first.get("batch_input_shape")
        if not _is_shape(shape):
            return _input_like(stack[0], name) if stack else None
        dtype = first.get("dtype") if "batch_input_shape" in first else None
        kind = dtype if isinstance(dtype, str) else stack[0].dtype
        return Input(batch_shape=[None, *shape[1:]] if shape else shape, dtype=kind, name=f"{name}_input")

    def _stacked(
        self,
        made: ReadModel,
        source: Value | None,
        stack: Sequence[Layer],
        calls: Sequence[Callable[..., Any]],
        path: str,
    ) -> ReadModel | None:
        with self.problems.at(path or made.model.name, "Sequential"):
            assert isinstance(made.model, Sequential)
            if source is None and not path:
                raise Refused("it was never built, so the shape of its input is not known", _BUILD)
            if not stack:
                raise Refused("it holds no layers")
            for layer in stack:
                made.model.add(layer)
            if source is not None:
                self._close(made.model, source, calls)
            return made
        return None

    def _close(self, model: Sequential, source: Value, calls: Sequence[Callable[..., Any]]) -> None:
        value: Any = source
        for call in calls:
            value = call(value)
        model.set_graph(source, value, unused_inputs=True)

    # ---- functional models

    def _functional(self, config: dict[str, Any], path: str) -> ReadModel | None:
        parts = Parts()
        calls = Calls(self.source, path, not counts_from_zero(config), self.opaque)
        for record in config["layers"]:
            self._add(record, calls, parts, path)
        calls.run(self.problems, config.get("output_layers"))
        inputs = calls.structure(config.get("input_layers"))
        outputs = calls.structure(config.get("output_layers"), outer=True)
        if self.problems.count or any(leaf is None for leaf in flatten([inputs, outputs])):
            return None
        with self.problems.at(path or str(config.get("name")), "Functional"):
            name = str(config.get("name", "functional"))
            model = Model.from_graph(inputs, outputs, name=name, unused_inputs=True)
            return ReadModel(config, model, parts.layers, parts.nested)
        return None

    def _add(self, record: Any, calls: Calls, into: Parts, path: str) -> None:
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
                value = self._input({**record["config"], "name": name}, where, nested=bool(path))
                calls.add_input(name, value)
                return
            calls.add_input(name, None)
            return
        if is_operation(record):
            with self.problems.at(where, kind):
                run = make_operation({**record, "name": name})
        elif is_tensorflow_layer(record, self.custom):
            with self.problems.at(where, kind):
                run = make_tensorflow_layer({**record, "name": name})
        elif is_own(record):
            with self.problems.at(where, kind):
                own = into.layers[name] = own_layer(record)
                run = own.run
        else:
            layer = self._layer(record, where, into)
            run = layer if isinstance(layer, UnknownLayer) else None if layer is None else _calling(layer, record)
        calls.add(name, where, kind, run, nodes, is_model(record, self.custom) and kind != "Sequential")
        calls.built[name] = _built_shape([record])

    def _input(self, config: Any, path: str, nested: bool) -> Value:
        """An input of the outermost model, or of a nested one, which takes any batch size in Keras."""
        if not isinstance(config, dict):
            raise self._damaged(path, f"has an input whose config is {shown(config)}")
        shape = config.get("batch_shape", config.get("batch_input_shape"))
        if not _is_shape(shape):
            raise self._damaged(path, f"has an input of shape {shown(shape)}")
        if nested:
            shape = [None, *shape[1:]] if shape else shape
        for option in ("sparse", "ragged", "optional"):
            if config.get(option):
                refuse_input(str(config.get("name")), option)
        dtype = config.get("dtype")
        name = config.get("name")
        return Input(batch_shape=shape, dtype=dtype if isinstance(dtype, str) else None, name=name)


def _built_for(record: Record) -> Any:
    """Inputs of the shapes in the build_config of a subclassed model. Raises Refused."""
    found = record.get("build_config")
    shapes = found.get("input_shape") if isinstance(found, dict) else None
    made = _inputs_of(shapes)
    if made is None:
        raise Refused(
            "it is a subclass of keras.Model, and its file does not tell the shapes of its inputs",
            "give dagir.from_keras(path, custom_objects=..., inputs=dagir.Input(...))",
        )
    return made


def _inputs_of(shapes: Any) -> Any:
    if _is_shape(shapes) and shapes:
        return Input(batch_shape=[None, *shapes[1:]])
    if isinstance(shapes, list) and shapes and all(_is_shape(shape) and shape for shape in shapes):
        return [_inputs_of(shape) for shape in shapes]
    if isinstance(shapes, dict) and shapes and all(_is_shape(shape) and shape for shape in shapes.values()):
        return {name: Input(batch_shape=[None, *shape[1:]], name=name) for name, shape in shapes.items()}
    return None


def _built_shape(records: Sequence[Any]) -> Told:
    """The shape of the input for which the first of these layers was built, as the output 0 of what is before it."""
    built = records[0].get("build_config") if records and isinstance(records[0], dict) else None
    shape = built.get("input_shape") if isinstance(built, dict) else None
    return {0: (shape, None)} if _is_shape(shape) and shape else {}


def _is_shape(data: Any) -> bool:
    return isinstance(data, list) and all(size is None or (type(size) is int and size >= 0) for size in data)


def _input_like(layer: Layer, name: str) -> Value | None:
    """An input like the inputs of a model: in Keras 2, a Sequential may begin with a model."""
    if not isinstance(layer, Model) or "graph" not in vars(layer) or len(layer.graph.inputs) != 1:
        return None
    own = layer.graph.inputs[0]
    return Input(batch_shape=[None, *own.type.shape[1:]], dtype=own.dtype, name=f"{name}_input")


_BUILD = "call the model once, or begin it with an Input, before it is saved"


def is_model(record: Record, custom: CustomObjects) -> bool:
    """Whether a record is that of a functional or Sequential model of Keras itself."""
    kind, module = str(record.get("class_name")), record.get("module")
    if is_unregistered(record):
        return False
    ours = module is None or str(module).split(".")[0] in ("keras", "tensorflow")
    return kind in _MODELS and ours and record.get("registered_name") in (None, kind) and kind not in custom


def _name_of(record: Any) -> str:
    if not isinstance(record, dict):
        return "?"
    config = record.get("config")
    name = record.get("name") or (config.get("name") if isinstance(config, dict) else None)
    return str(name or record.get("class_name"))


def _calling(layer: Layer, record: Record) -> Callable[..., Any]:
    call = call_as_written(record)
    return lambda *args, **kwargs: call(layer, *map_structure(settled, [args, kwargs]))
