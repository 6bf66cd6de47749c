"""Recurrent layers that keep their state from call to call: the state becomes inputs and outputs, or begins at zero.

A graph of values keeps nothing, so what a stateful layer of Keras remembers is handed in and out by who runs the graph.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal, TypeAlias, get_args

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Value
from dagir.ir.nest import flatten, pack
from dagir.layers.base import Layer
from dagir.layers.core import Input
from dagir.layers.internals import arguments_of, calls_of, parts_of
from dagir.layers.rnn import RNN
from dagir.layers.wrappers import Bidirectional
from dagir.modeling.model import Model
from dagir.modeling.retracing import By, Replay, _outermost
from dagir.ops.elementwise import identity
from dagir.support.did_you_mean import did_you_mean
from dagir.support.location import LayerCall

States: TypeAlias = Literal["inputs", "zeros"]


def check_states(states: object) -> None:
    """Raise ArgumentError unless `states` is one of the words, or None."""
    known = get_args(States)
    if states is not None and states not in known:
        raise ArgumentError(
            f"states is 'inputs' or 'zeros', got {states!r}",
            remedy=did_you_mean(states, known) if isinstance(states, str) else None,
        )


def without_states(model: Layer, states: States) -> Layer:
    """The model, or the layer, without stateful layers.

    states: "inputs": each state is a further input, `<layer>_state_<i>`, f[n, ...], and its last value a further
    output, `<layer>_new_state_<i>`; models inside that hold such layers are taken apart. "zeros": each call begins with
    states of zeros. Raises ArgumentError for a layer whose state cannot be an input.
    """
    carrying = list(_stateful(model))
    if not carrying:
        return model
    if states == "inputs" and not isinstance(model, Model):
        raise ArgumentError(
            f"states are inputs of a model, and {model.name!r} is a {type(model).__name__}",
            remedy="read a model that calls it, or begin each call with zeros: states='zeros'",
        )
    made = _with_inputs(model) if isinstance(model, Model) and states == "inputs" else model
    for layer in carrying:
        if not isinstance(layer, Bidirectional):
            _set(layer, "stateful", False)
    return made


def _stateful(layer: Layer) -> Iterator[Layer]:
    """The layers that keep a state, inside a layer, and those that hold them as their directions."""
    todo, seen = [layer], {layer}
    while todo:
        each = todo.pop()
        if keeps_state(each):
            yield each
        new = [part for part in parts_of(each) if part not in seen]
        seen.update(new)
        todo += new


def keeps_state(layer: object) -> bool:
    """Whether a layer is a recurrent one with stateful=True, or has such directions."""
    if isinstance(layer, Bidirectional):
        return keeps_state(layer.forward_layer)
    return isinstance(layer, RNN) and layer.stateful


def _with_inputs(model: Model) -> Model:
    expand: set[LayerCall] = set()
    found = list(_calls(model.graph, expand))
    _refuse_second_calls(found)
    carried = [_Carried(call) for call in found if call.kwargs.get("initial_state") is None]
    by: dict[Any, By] = {each.call: each for each in carried}
    replay = Replay(expand, by, nested=False)
    replay.run(model.graph, model.graph.inputs)
    return Model.from_graph(
        _extended(model.input, [state for each in carried for state in each.states]),
        _extended(replay.moved(model.output), [new for each in carried for new in each.new]),
        name=model.name,
        trainable=model.trainable,
        unused_inputs=True,
    )


def _calls(graph: Graph, expand: set[LayerCall]) -> Iterator[LayerCall]:
    """The calls of stateful layers in a graph and in the models that it calls, which are put into `expand`."""
    for call in dict.fromkeys(_outermost(node) for node in graph.nodes):
        if call is None:
            continue
        layer: Any = call.layer
        if keeps_state(layer):
            yield call
        elif isinstance(layer, Model) and any(_stateful(layer)):
            expand.add(call)
            yield from _calls(layer.graph, expand)
        elif inner := next(_stateful(layer), None):
            raise ArgumentError(
                f"the state of {type(inner).__name__} layer {inner.name!r} cannot be an input: it is within "
                f"{type(layer).__name__} layer {layer.name!r}, which runs it in its own way",
                remedy="begin each call with zeros: states='zeros'",
            )


def _refuse_second_calls(calls: Sequence[LayerCall]) -> None:
    seen: set[object] = set()
    for call in calls:
        if call.layer in seen:
            raise ArgumentError(
                f"stateful layer {call.layer.name!r} is called more than once: which call continues which, the graph "
                "does not tell",
                remedy="make a layer for each call, or begin each call with zeros: states='zeros'",
            )
        seen.add(call.layer)


class _Carried:
    """What stands for the call of a stateful layer: the same call with its states as inputs."""

    def __init__(self, call: LayerCall) -> None:
        self.call = call
        self.states: list[Value] = []
        self.new: list[Value] = []

    def __call__(self, sequences: Value, *args: Any, **kwargs: Any) -> Any:
        layer: Any = self.call.layer
        gives_states = layer.return_state
        calls_of(layer).clear()
        _set(layer, "return_state", True)
        options = {key: value for key, value in kwargs.items() if key != "initial_state"}
        count = len(flatten([part.state_size for part in _directions(layer)]))
        zeros = flatten(layer(sequences, **options))[-count:]  # for their types
        calls_of(layer).clear()
        self.states = [
            Input(batch_shape=zero.type.shape, dtype=zero.dtype, name=f"{layer.name}_state_{place}")
            for place, zero in enumerate(zeros)
        ]
        nested = [size for part in _directions(layer) for size in part.state_size]  # as Keras wants them
        found = flatten(layer(sequences, *args, initial_state=pack(nested, self.states), **options))
        outputs, finals = found[:-count], found[-count:]
        self.new = [identity(final) for final in finals]
        for place, new in enumerate(self.new):
            new.take_name(f"{layer.name}_new_state_{place}")
        return found if gives_states else outputs


def _directions(layer: Layer) -> list[Any]:
    return [layer.forward_layer, layer.backward_layer] if isinstance(layer, Bidirectional) else [layer]


def _set(layer: Layer, name: str, value: bool) -> None:
    """Set an argument of a recurrent layer, and of its directions, as if it had been made with it."""
    for each in dict.fromkeys((layer, *_directions(layer))):
        setattr(each, name, value)
        if name in arguments_of(each):
            arguments_of(each)[name] = value


def _extended(structure: Any, more: Sequence[Value]) -> Any:
    """The structure with more values: by name in a dict, else behind the others of a list."""
    if isinstance(structure, dict):
        return {**structure, **{value.name: value for value in more}}
    return [*flatten(structure), *more]
