"""Reads a Keras model or layer in memory: by the same table as files, along the nodes of Keras's graph.

A layer that is not in the table, such as one that a user wrote, is traced: its `call` runs on traced tensors, and each
operation in it becomes a node. Weights are not copied: the arrays are the memory of the variables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import keras

from dagir.errors import DagirError, UnsupportedLayer
from dagir.ir.graph import Parameter, Value
from dagir.ir.nest import flatten, flatten_sorted, map_structure
from dagir.layers import Layer
from dagir.layers.core import Input
from dagir.layers.internals import calls_of, set_own_trainable
from dagir.layers.masks import as_it_is_written, as_it_runs
from dagir.modeling.call_order import call_behind, restore_order
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.support.location import LayerCall, current_scope
from dagir_keras.reading import config_values
from dagir_keras.reading.custom_objects import CustomObjects
from dagir_keras.reading.layer_calls import call_layer
from dagir_keras.reading.layers import known_layers, make_layer, own_rule, refuse_by_name
from dagir_keras.reading.live.attempts import run_method
from dagir_keras.reading.live.functions import TracedFunction, known_name
from dagir_keras.reading.live.introspection import (
    array_of,
    array_of_tensor,
    blank_of,
    has_call_of,
    has_graph,
    in_order_of,
    input_of,
    is_keras_class,
    is_keras_operation,
    is_layer_of_keras,
    is_traceable,
    map_shapes,
    merged_weights,
    nodes_between,
    part_of,
    placeholder_of,
    record_of,
    weight_of,
    with_functions,
)
from dagir_keras.reading.live.keras_internals import (
    build_shapes_of,
    history_of,
    input_of_stack,
    input_structure,
    layers_inside,
    output_structure,
    takes_training,
    was_built,
)
from dagir_keras.reading.live.own_models import (
    Given,
    build_stack,
    inputs_in_place_of,
    is_own_model,
    refuse_without_shapes,
)
from dagir_keras.reading.live.quantized_layers import assign_quantized, holds_quantized, quantized_record
from dagir_keras.reading.live.reader import Checkpoint
from dagir_keras.reading.live.traced_layer import TracedKerasLayer, make_traced_layer, outputs_beside, tensors_of
from dagir_keras.reading.live.traced_tensors import Traced
from dagir_keras.reading.operations import RUNS_FUNCTIONS, make_operation
from dagir_keras.reading.own_layers import OwnLayer, own_layer
from dagir_keras.reading.problems import Problems, Refused
from dagir_keras.reading.quantized import Quantized
from dagir_keras.traced import TracedLayer
from dagir_keras.weight import Weight


class LiveReader:
    """The layers, models and weights that were made so far, one for each of Keras. See `reader` for its methods."""

    def __init__(self, custom: CustomObjects, problems: Problems) -> None:
        self.custom, self.problems, self.done = custom, problems, False
        self._layers: dict[int, tuple[Any, Layer | None]] = {}
        self.parameters: dict[int, tuple[Any, Parameter]] = {}
        self._owners: dict[int, tuple[Any, Layer, int]] = {}
        self._begin: dict[int, Value] = {}  # the user's inputs in place of those of the outermost model
        self._own_layers: dict[int, tuple[Any, OwnLayer]] = {}

    def top(self, source: Any, given: Given | None) -> Any:
        """The model or layer for the outermost one of Keras. given: the inputs of a model without a graph."""
        if is_own_model(source):
            return self._subclassed(source, given)
        if given is not None:
            build_stack(source, given.inputs)
            self._begin = inputs_in_place_of(source, given.inputs)
        made = self.layer(source, "")
        if made is not None and not isinstance(source, keras.Model) and source.built:
            self._build(made, source)
        return made

    def assign(self) -> None:
        """Give every weight of every layer its array. Raises UnsupportedLayer where they do not fit."""
        for source, made in self._layers.values():
            if made is None or isinstance(made, (Model, TracedKerasLayer)) or not source.weights or not made.weights:
                continue
            if isinstance(made, Quantized):
                assign_quantized(source, made)
            else:
                self._assign(source, made)

    def _assign(self, source: Any, made: Layer) -> None:
        traced = {weight for _, weight in self.parameters.values()}  # have theirs, in an order of their own
        held, own = merged_weights(source), made.weights
        if self._holds_traced(source):  # layers inside get their weights separately, or when they run
            held, own = self._not_of_layers_inside(source, held, own)
        variables = [variable for variable in held if id(variable) not in self.parameters]
        weights = [weight for weight in own if weight not in traced]
        if [tuple(variable.shape) for variable in variables] != [weight.shape for weight in weights]:
            raise UnsupportedLayer(
                f"layer {source.name!r} ({type(source).__name__}) has other weights in Keras than in dagir",
                facts=[
                    ("Keras", ", ".join(f"{v.path} {list(v.shape)}" for v in source.weights)),
                    ("dagir", ", ".join(f"{weight.name} {list(weight.shape)}" for weight in made.weights)),
                ],
            )
        for variable, weight in zip(variables, weights, strict=True):
            weight.assign(array_of(variable))

    def _not_of_layers_inside(self, source: Any, held: list[Any], own: list[Parameter]) -> tuple[list[Any], list[Any]]:
        """Variables and weights without those of layers that were taken as such; the cell of an LSTM was not."""
        found = [(inner, self.layer_so_far(inner)) for inner in layers_inside(source)]
        inside = [(inner, made) for inner, made in found if made is not None]
        variables = {id(variable) for inner, _ in inside for variable in inner.weights}
        weights = {weight for _, made in inside for weight in made.weights}
        return [each for each in held if id(each) not in variables], [each for each in own if each not in weights]

    def _holds_traced(self, source: Any) -> bool:
        inside = (self.layer_so_far(inner) for inner in layers_inside(source))
        return any(isinstance(made, TracedKerasLayer) for made in inside)

    # ---- layers

    def layer(self, source: Any, path: str) -> Layer | None:
        """The layer for a Keras layer, the same at every call; None where it is refused."""
        if id(source) not in self._layers:
            made = None
            with self.problems.at(path or source.name, type(source).__name__), _apart():
                made = self._make(source, path)
            self._layers[id(source)] = source, made
            others = (TracedKerasLayer, Model, Quantized)
            if not (made is None or isinstance(made, others) or self._holds_traced(source)):
                for place, variable in enumerate(source.weights):
                    self._owners.setdefault(id(variable), (variable, made, place))
        return self._layers[id(source)][1]

    def layer_so_far(self, source: Any) -> Layer | None:
        """The layer for a Keras layer that was read already, else None."""
        return self._layers.get(id(source), (source, None))[1]

    def _make(self, source: Any, path: str) -> Layer | None:
        record = record_of(source)
        if own_rule(record, self.custom) is None:
            if isinstance(source, keras.Sequential) and has_call_of(source, keras.Sequential):
                return self._sequential(source, path)
            if has_graph(source):
                return self._functional(source, path)
            if source.quantization_mode is not None:
                record = quantized_record(record, source)
            elif holds_quantized(source) and is_traceable(source):
                return make_traced_layer(source, self, path)  # dagir's layer of that name makes its own parts
            if is_keras_class(type(source)):
                refuse_by_name(type(source).__name__)
            made_of_sizes = any(isinstance(leaf, Traced) for leaf in flatten(record["config"]))  # within a call
            if type(source).__name__ not in known_layers() or not is_layer_of_keras(source) or made_of_sizes:
                return make_traced_layer(source, self, path)
            record = with_functions(record, source)
        try:
            made = make_layer(record, self.custom, lambda part, key: self._part(part, source, key, path))
        except (Refused, DagirError):  # dagir's layer refuses an argument; perhaps the call can be traced
            if own_rule(record, self.custom) is not None or not is_traceable(source):
                raise
            return make_traced_layer(source, self, path)
        made.trainable = source.trainable
        return made

    def _part(self, part: Any, source: Any, key: str, path: str) -> Any:
        """The layer or function under a key of a layer's configuration."""
        if not callable(part) or isinstance(part, keras.layers.Layer):
            return self._inner(source, key, path)
        name = known_name(part)
        if name is not None:
            return config_values.activation(name)
        return TracedFunction(part, self, source, path or source.name)

    def _inner(self, source: Any, key: str, path: str) -> Layer:
        found = part_of(source, key)
        made = self.layer(found, f"{path}/{key}".lstrip("/")) if isinstance(found, keras.layers.Layer) else None
        if made is None:
            raise Refused(f"its {key} cannot be taken")
        return made

    def _build(self, made: Layer, source: Any) -> None:
        """Call a layer once, so that its weights are there, and forget the call."""
        shapes = build_shapes_of(source)
        if isinstance(made, (TracedKerasLayer, Model)) or not shapes:
            return
        dtype = "int32" if isinstance(source, keras.layers.Embedding) else source.compute_dtype
        values = [map_shapes(shape, lambda s: Input(batch_shape=s, dtype=dtype)) for shape in shapes.values()]
        names = [name.removesuffix("_shape") for name in shapes]
        made(values[0], **dict(zip(names[1:], values[1:], strict=True)))
        calls_of(made).clear()

    # ---- models

    def _sequential(self, source: Any, path: str) -> Layer | None:
        stack: list[Any] = [self.layer(inner, f"{path}/{inner.name}".lstrip("/")) for inner in source.layers]
        if any(inner is None for inner in stack):
            return None
        made = Sequential(name=source.name)
        for inner in stack:
            made.add(inner)
        if path and not was_built(source):
            return made
        begin = input_of_stack(source)
        if begin is None:
            raise Refused(
                "it was never built, so the shape of its input is not known",
                "call the model once, begin it with an Input, or give from_keras(model, inputs=dagir.Input(...))",
            )
        made.set_graph(*self._stacked(stack, begin, any_batch=True), unused_inputs=True)
        for inner, layer in zip(source.layers, stack, strict=True):
            if layer.weights and not inner.weights:
                raise Refused(f"Keras never built its layer {inner.name!r}", "call the model once")
        set_own_trainable(made, bool(source.trainable))
        return made

    def _stacked(self, stack: Sequence[Any], tensor: Any, any_batch: bool) -> tuple[Value, Any]:
        """The input and the output of a stack of layers. The batch that built it is no bound, if the layers allow."""
        begin = value = self._input(tensor, any_batch)
        try:
            for inner in stack:
                value = call_layer(inner, [value], {})
        except (Refused, DagirError):
            if not any_batch or not isinstance((*tensor.shape, None)[0], int):
                raise
            for inner in stack:
                calls_of(inner).clear()
            return self._stacked(stack, tensor, any_batch=False)
        return begin, value

    def _input(self, tensor: Any, any_batch: bool) -> Value:
        given = self._begin.get(id(tensor))
        return input_of(tensor, any_batch) if given is None else given

    def _functional(self, source: Any, path: str) -> Layer | None:
        inputs: dict[int, tuple[Any, Value | None]] = {
            id(tensor): (tensor, self._input(tensor, any_batch=bool(path))) for tensor in source.inputs
        }
        nodes = in_order_of(source, nodes_between(inputs, source.outputs))
        found = self.evaluate(inputs, nodes, source.outputs, path)
        by_id = {id(tensor): value for tensor, value in zip(source.outputs, found, strict=True)}
        outputs = map_structure(lambda tensor: by_id[id(tensor)], output_structure(source))
        if self.problems.count:  # the graph may hold placeholders
            return None
        begin = map_structure(lambda tensor: inputs[id(tensor)][1], input_structure(source))
        how: dict[str, Any] = {"name": source.name, "trainable": bool(source.trainable), "unused_inputs": True}
        return Model.from_graph(begin, outputs, **how)

    def _subclassed(self, source: Any, given: Given | None) -> Model:
        if given is None:
            raise refuse_without_shapes(source)
        with as_it_runs():
            outputs = tensors_of(self.trace(source, source.name, given.args, given.kwargs))
        return Model.from_graph(given.inputs, outputs, name=source.name, unused_inputs=True)

    # ---- the graph of Keras

    def trace(self, source: Any, path: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        """The values that the call of a Keras layer gives for these, run on traced tensors. Raises Refused."""
        if not source.built:
            source(*map_structure(blank_of, list(args)), **map_structure(blank_of, dict(kwargs)))
        options = dict(kwargs)
        if takes_training(source):
            options["training"] = False
        return self.run(source, path, source.call, args, options)

    def run(
        self, source: Any, path: str, method: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> Any:
        """The values that a method of a Keras layer, such as call or compute_mask, gives for these. Raises Refused."""
        return run_method(self, source, path, method, args, kwargs)

    def evaluate(
        self, known: dict[int, tuple[Any, Value | None]], nodes: Sequence[Any], outputs: Sequence[Any], path: str
    ) -> list[Value | None]:
        """The values of KerasTensors, computed from the known ones; None for a refused one."""
        made: list[tuple[LayerCall, int]] = []
        for node in nodes:
            operation = node.operation
            where = f"{path}/{operation.name}".lstrip("/")
            found: list[Any] = []
            with self.problems.at(where, type(operation).__name__):
                found = self._outputs(node, known, where)
            call = call_behind(found)
            made += [] if call is None else [(call, history_of(node.outputs[0])[1])]
            found = found or list(map(placeholder_of, node.outputs))
            known.update({id(t): (t, value) for t, value in zip(node.outputs, found, strict=True)})
        restore_order(made)
        return [known[id(tensor)][1] for tensor in outputs]

    def _outputs(self, node: Any, known: Mapping[int, tuple[Any, Value | None]], where: str) -> list[Any]:
        args, kwargs = (
            map_structure(lambda leaf: self._leaf(leaf, known), part)
            for part in (list(node.arguments.args), dict(node.arguments.kwargs))
        )
        own = self._own(node.operation) if isinstance(node.operation, (TracedLayer, Weight)) else None
        if own is not None:
            return flatten_sorted(own.run(*args, **kwargs))
        if isinstance(node.operation, keras.layers.Layer):
            layer = self.layer(node.operation, where)
            return [] if layer is None else outputs_beside(node.outputs, layer, call_layer(layer, args, kwargs))
        kind = type(node.operation)
        if not is_keras_operation(kind) or kind.__name__ in RUNS_FUNCTIONS:  # or a subclass, whatever its name
            return flatten_sorted(tensors_of(self.run(node.operation, where, node.operation.call, args, kwargs)))
        return flatten_sorted(make_operation(record_of(node.operation))(*args, **kwargs))

    def _own(self, source: Any) -> OwnLayer | None:
        """What was made of a Keras layer that dagir defines; None for one without a configuration, which is traced."""
        if id(source) not in self._own_layers:
            record = record_of(source)
            if record["config"].keys() == {"name"}:
                return None
            made = own_layer(record)
            for weight, variable in zip(made.weights, source.weights, strict=True):
                weight.assign(array_of(variable))
            self._own_layers[id(source)] = source, made
        return self._own_layers[id(source)][1]

    def _leaf(self, leaf: Any, known: Mapping[int, tuple[Any, Value | None]]) -> Any:
        if isinstance(leaf, keras.KerasTensor):
            return known[id(leaf)][1]
        if isinstance(leaf, keras.Variable):
            return self.parameter(leaf).value
        if keras.ops.is_tensor(leaf):
            return array_of_tensor(leaf)
        return leaf

    def checkpoint(self) -> Checkpoint:
        """What was read so far, for `restore`."""
        known = [made for _, made in self._layers.values() if made is not None]
        maps = (self._layers, self.parameters, self._owners, self._own_layers)
        calls = [(layer, len(calls_of(layer))) for layer in known]
        return Checkpoint(tuple(dict(each) for each in maps), self.problems.found, calls)

    def restore(self, to: Checkpoint) -> None:
        """Forget what was read since, or come back to it."""
        self._layers, self.parameters, self._owners, self._own_layers = (dict(each) for each in to.maps)
        self.problems.become(to.problems)
        for layer, count in to.calls:
            del calls_of(layer)[count:]

    @contextmanager
    def forgets_on_failure(self) -> Iterator[None]:
        """Forget the weights that were met within it, if it fails."""
        before = dict(self.parameters)
        try:
            yield
        except Exception:
            self.parameters = before
            raise

    def traced_weights(self, variables: Iterable[Any]) -> list[Parameter]:
        """The weights that traced calls have read, of those for the variables, in the order in which they were read."""
        wanted = {id(variable) for variable in variables}
        return [weight for variable, weight in self.parameters.values() if id(variable) in wanted]

    def parameter(self, variable: Any) -> Parameter:
        """The weight for a variable, the same each time."""
        _, made, place = self._owners.get(id(variable), (None, None, 0))
        if made is not None and place < len(made.weights):  # a weight of a layer that was read already
            return made.weights[place]
        if id(variable) not in self.parameters:
            self.parameters[id(variable)] = variable, weight_of(variable)
        return self.parameters[id(variable)][1]


@contextmanager
def _apart() -> Iterator[None]:
    """Within it, layers do not belong to the traced call: a model that a call uses has a graph of its own."""
    token = current_scope.set(None)
    try:
        with as_it_is_written():
            yield
    finally:
        current_scope.reset(token)
