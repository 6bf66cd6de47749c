"""Taking models apart: `extract` gives other inputs and outputs, `replace` puts other layers in."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeAlias

from dagir.errors import ArgumentError, InvalidGraph
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.nest import Rows, flatten, map_structure
from dagir.layers import InputLayer, Layer
from dagir.modeling.call_order import in_call_order
from dagir.modeling.model import Model
from dagir.modeling.retracing import Replay, _outermost
from dagir.ops import Call
from dagir.support.did_you_mean import did_you_mean
from dagir.support.frameworks import takes_a_model
from dagir.support.location import LayerCall


@dataclass(frozen=True)
class Found:
    """A value of a model, and the calls of the nested models that contain it, outermost first."""

    value: Value
    calls: tuple[LayerCall, ...] = ()


Place: TypeAlias = "Found | Rows[Place] | Mapping[str, Place]"  # a layer's several outputs in their structure
Part: TypeAlias = Value | Layer | str
Parts: TypeAlias = "Part | Rows[Parts] | Mapping[str, Parts]"
Replacement: TypeAlias = Value | Callable[..., object]


def extract(model: Model, outputs: Parts, inputs: Parts | None = None, name: str | None = None) -> Model:
    """A model over the same nodes and weights, from other inputs to other outputs.

    outputs, inputs: Values, layers, names of values or layers ("dense_1", or "encoder/conv2d" inside a nested model
    or layer; "dense:1" is the second call of a shared layer), names of inputs and outputs as models show them ("enc_1"
    is the second output of a layer enc, where no layer is called so), or structures of them. A layer of several outputs
    stands for all of them, as `layer.output` has them; as inputs, for those that the outputs need. What is inside a
    nested model is computed as it is there, from this model's inputs. Raises ArgumentError with the nearest names.

    >>> x = dagir.Input((3,), name="x")
    >>> model = dagir.Model(x, ops.tanh(layers.Dense(2, name="head")(x)))
    >>> dagir.extract(model, outputs="head")
    <Model functional_features: x -> head>
    """
    _check(model, "extract")
    wanted = map_structure(lambda leaf: resolve(model, leaf), outputs)
    sources, spare = (None, set()) if inputs is None else _sources(model, inputs)
    expand = {call for found in flatten([wanted, sources]) if found is not None for call in found.calls}
    label = name or f"{model.name}_features"
    if not expand:
        return _between(model, Replay(), wanted, sources, spare, label)
    try:
        return _between(model, Replay(expand, nested=False), wanted, sources, spare, label)
    except InvalidGraph:  # the names differ only in the names of the models
        return _between(model, Replay(expand), wanted, sources, spare, label)


def _between(model: Model, replay: Replay, wanted: Any, sources: Any, spare: set[Found], name: str) -> Model:
    if replay.expand:
        replay.run(model.graph, model.graph.inputs)

    def final(found: Found) -> Value:
        return replay.values.get(found.value, found.value)

    outputs = map_structure(final, wanted)
    if sources is None:
        return Model(_needed_inputs(model.input, flatten(outputs)), outputs, name=name)
    inputs = map_structure(final, sources)
    return Model(_needed_inputs(inputs, flatten(outputs), set(map(final, spare))), outputs, name=name)


def _sources(model: Model, inputs: Any) -> tuple[Any, set[Found]]:
    """The values at which the new model begins, and its outputs; a layer with several outputs gives all of them."""
    several: set[Found] = set()

    def read(leaf: object) -> Place:
        found = resolve(model, leaf)
        if isinstance(found, Found):
            return found
        several.update(flatten(found))
        return flatten(found)

    if type(inputs) not in (list, tuple):
        return map_structure(read, inputs), several
    spliced: list[Any] = []
    for part in inputs:
        found = map_structure(read, part)
        spliced += found if isinstance(found, list) and not isinstance(part, list) else [found]
    return type(inputs)(spliced), several


def replace(model: Model, parts: Mapping[Part, Replacement], name: str | None = None) -> Model:
    """A model in which some layers are replaced. All other layers are the same ones, called again, with the same
    weights.

    parts: from what is replaced (a layer, its name, or a Value that it returned) to its replacement: a layer, a model
    or a function, which is called with the arguments of the old layer, or a Value. Raises ArgumentError.

    >>> x = dagir.Input((3,), name="x")
    >>> model = dagir.Model(x, layers.Dense(2, name="head")(x), name="net")
    >>> dagir.replace(model, {"head": layers.Dense(5, name="wider")})
    <Model net: x -> wider>
    """
    _check(model, "replace")
    by: dict[LayerCall | Node, Callable[..., object]] = {}
    for key, part in parts.items():
        found = flatten(resolve(model, key))[0]
        node = found.value.node
        if found.calls or node is None:
            raise ArgumentError(f"{key!r} is no layer of model {model.name!r} itself, so it is not replaced")
        by[_outermost(node) or node] = _function(part)
    replay = Replay(by=by)
    replay.run(model.graph, model.graph.inputs)
    outputs = replay.moved(model.output)
    return Model(_needed_inputs(model.input, flatten(outputs)), outputs, name=name or model.name)


def _function(part: object) -> Callable[..., object]:
    if isinstance(part, Value):
        return lambda *_, **__: part
    if not callable(part):
        raise ArgumentError(f"a layer is replaced by a layer, a model, a function or a Value, got {part!r}")
    return part


def _check(model: object, what: str) -> None:
    if not isinstance(model, Model):
        raise takes_a_model(what, model)


def resolve(model: Model, leaf: object) -> Place:
    """Where a Value, a layer or a name is in a model: a Found, or for a layer's several outputs a structure of these.

    Raises ArgumentError with the nearest names.
    """
    if isinstance(leaf, Value):
        return _by_value(model, leaf) or Found(leaf)
    if isinstance(leaf, Layer):
        matches = _by_layer(model, leaf)
        if not matches:
            raise ArgumentError(f"layer {leaf.name!r} is not called in model {model.name!r}")
        return _only(matches, leaf.name, None)
    if not isinstance(leaf, str):
        raise ArgumentError(f"a part of a model is given as a Value, a layer or a name, got {leaf!r}")
    name, place = _split(leaf)
    known = _names(model)
    matches = known.get(leaf, []) or known.get(name, [])
    if not matches:
        raise _unknown(model, name, known)
    return _only(matches, name, None if leaf in known else place)


def _split(text: str) -> tuple[str, int | None]:
    name, colon, number = text.rpartition(":")
    return (name, int(number)) if colon and number.isdecimal() else (text, None)


def _only(matches: Sequence[Place], name: str, place: int | None) -> Place:
    if place is None and len(matches) > 1:
        raise ArgumentError(
            f"{name!r} is called {len(matches)} times",
            remedy=f"say which call: {name}:0 to {name}:{len(matches) - 1}, or give the Value",
        )
    if place is not None and place >= len(matches):
        raise ArgumentError(f"{name!r} is called {len(matches)} times, there is no call {place}")
    return matches[place or 0]


def _unknown(model: Model, name: str, known: Mapping[str, object]) -> ArgumentError:
    alike = [full for full in known if full.rsplit("/", 1)[-1] == name.rsplit("/", 1)[-1]]  # what people remember
    listed = did_you_mean(name, known, instead=alike[:3]) or f"it has {', '.join(list(known)[:8])}"
    return ArgumentError(f"model {model.name!r} has no layer or value {name!r}", remedy=listed)


def _names(model: Model, prefix: str = "", above: tuple[LayerCall, ...] = ()) -> dict[str, list[Place]]:
    """Every name in a model, those of nested models with their path before them: what `resolve` gives, once each."""
    names: dict[str, dict[tuple[Value, ...], Place]] = {}
    graph: Graph = model.graph
    calls = _calls(graph)
    inputs = list(zip(model.input_names, graph.inputs, strict=True))
    named: list[tuple[str, Any]] = [*inputs, *((value.name, value) for value in graph.inputs if value.is_input)]
    named += [(v.explicit_name, v) for node in graph.nodes for v in node.outputs if v.explicit_name is not None]
    named += [(call.path, call.outputs) for call in calls if _are_values(call.outputs)]
    for name, outputs in named:
        names.setdefault(f"{prefix}{name}", {}).setdefault(tuple(flatten(outputs)), _found(outputs, above))
    for shown in (list(zip(model.output_names, graph.outputs, strict=True)), _numbered(calls)):
        known = set(names)  # what has a name of its own is not taken for the output of something else
        for name, value in shown:
            if f"{prefix}{name}" not in known:
                names.setdefault(f"{prefix}{name}", {}).setdefault((value,), Found(value, above))
    listed = {name: list(found.values()) for name, found in names.items()}
    for call in calls:
        if _is_nested(call):
            inner = _names(call.layer, f"{prefix}{call.path}/", (*above, call))  # type: ignore[arg-type]
            for name, found in inner.items():
                listed.setdefault(name, []).extend(found)
    return listed


def _numbered(calls: Sequence[LayerCall]) -> list[tuple[str, Value]]:
    """The outputs of layers with several, but for the first, as a model that has them all shows them: "enc_1"."""
    several = [(call.path, flatten(call.outputs)) for call in calls if _are_values(call.outputs)]
    return [(f"{path}_{place}", value) for path, values in several for place, value in enumerate(values) if place]


def _found(outputs: object, above: tuple[LayerCall, ...]) -> Place:
    """The outputs in their structure; a list of one becomes its only entry."""
    leaves = flatten(outputs)
    return Found(leaves[0], above) if len(leaves) == 1 else map_structure(lambda value: Found(value, above), outputs)


def _are_values(outputs: object) -> bool:
    leaves = flatten(outputs)
    return bool(leaves) and all(isinstance(leaf, Value) for leaf in leaves)


def _calls(graph: Graph) -> list[LayerCall]:
    """Every layer call of a graph, nested ones too; the calls of one layer in the order of that layer."""
    calls: dict[LayerCall, None] = {}
    for node in graph.nodes:
        scope = node.scope
        while scope is not None and scope not in calls:
            calls[scope] = None
            scope = scope.parent
    return in_call_order(calls)


def _is_nested(call: LayerCall) -> bool:
    """Whether a call is of a model, and the graph has it as one Call node, so that it can be expanded."""
    first = next((value for value in flatten(call.outputs) if isinstance(value, Value)), None)
    node = first.node if first is not None else None
    return isinstance(call.layer, Model) and call.parent is None and node is not None and isinstance(node.op, Call)


def _nested(model: Model) -> list[LayerCall]:
    calls = dict.fromkeys(node.scope for node in model.graph.nodes if node.scope is not None)
    return [call for call in in_call_order(calls) if _is_nested(call)]


def _by_value(model: Model, value: Value, above: tuple[LayerCall, ...] = ()) -> Found | None:
    graph = model.graph
    if value in graph.inputs or (value.node is not None and value.node in set(graph.nodes)):
        return Found(value, above)
    for call in _nested(model):
        found = _by_value(call.layer, value, (*above, call))  # type: ignore[arg-type]
        if found is not None:
            return found
    return None


def _by_layer(model: Model, layer: Layer, above: tuple[LayerCall, ...] = ()) -> list[Place]:
    if isinstance(layer, InputLayer):
        found = _by_value(model, layer.output)
        return [] if found is None else [found]
    calls = [call for call in _calls(model.graph) if call.layer is layer]
    found_here = [_found(call.outputs, above) for call in calls]
    for call in _nested(model):
        found_here += _by_layer(call.layer, layer, (*above, call))  # type: ignore[arg-type]
    return found_here


def _needed_inputs(inputs: object, outputs: Sequence[Value], spare: Set[Value] | None = None) -> Any:
    """The inputs that the outputs need. Of inputs that the user gave, only spare ones may be left out."""
    values = flatten(inputs)
    nodes = Graph(values, outputs).nodes
    needed = {value for node in nodes for value in node.inputs if value is not None} | set(outputs)
    if spare is not None:
        needed |= set(values) - spare
    return _pruned(inputs, needed, outermost=True)


def _pruned(part: Any, needed: Set[Value], outermost: bool = False) -> Any:
    """A structure without the values that nobody needs, and without what is empty then; the only one of a list alone.

    An empty list where nothing is left.
    """
    values = flatten(part)
    if all(value in needed or not isinstance(value, Value) for value in values):
        return part
    if not isinstance(part, (dict, list, tuple)):
        return []
    if isinstance(part, dict):
        kept = {key: _pruned(inner, needed) for key, inner in part.items()}
        return {key: inner for key, inner in kept.items() if inner != []}
    if outermost:
        left = [value for value in values if value in needed]
    else:
        left = [inner for inner in (_pruned(each, needed) for each in part) if inner != []]
    return left[0] if len(left) == 1 else left
