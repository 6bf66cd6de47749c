"""Call k of a layer: the order of a layer's calls is that of its own list, whatever the order of the graph's nodes.

It is the order in which the calls were written; for a model of Keras it is the order of Keras's own call numbers. A
reader or a replay that makes calls in another order sorts them with `restore_order`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagir.ir.graph import Value
from dagir.ir.nest import flatten
from dagir.layers.base import Layer
from dagir.layers.internals import calls_of
from dagir.support.location import LayerCall, current_scope


def in_call_order(calls: Iterable[LayerCall]) -> list[LayerCall]:
    """Calls sorted by the order of each layer's calls; a call inside another one is sorted by the outer call first.

    A call comes after the call that contains it.
    """
    found = list(calls)
    places = places_of(found)
    keys: dict[LayerCall | None, tuple[int, ...]] = {None: ()}

    def key(call: LayerCall) -> tuple[int, ...]:
        chain: list[LayerCall] = []
        scope: LayerCall | None = call
        while scope not in keys:
            assert scope is not None
            chain.append(scope)
            scope = scope.parent
        for each in reversed(chain):
            keys[each] = (*keys[each.parent], places.get(each, 0))
        return keys[call]

    return sorted(found, key=key)


def places_of(calls: Iterable[LayerCall]) -> dict[LayerCall, int]:
    """For every call of these layers, its place among the calls of its layer."""
    layers: dict[object, None] = {}
    for call in calls:
        scope: LayerCall | None = call
        while scope is not None:
            layers[scope.layer] = None
            scope = scope.parent
    return {call: place for layer in layers for place, call in enumerate(_calls_of(layer))}


def call_behind(outputs: object) -> LayerCall | None:
    """The layer call, directly inside the current one, that made these values; None if no layer made them."""
    for value in flatten(outputs):
        if isinstance(value, Value) and value.node is not None and value.node.scope is not None:
            return value.node.scope.within(current_scope.get())
    return None


def _calls_of(layer: Any) -> list[LayerCall]:
    return calls_of(layer) if isinstance(layer, Layer) else []


def restore_order(made: Iterable[tuple[LayerCall, object]]) -> None:
    """Sort calls that were repeated by their keys. The calls of each layer keep the set of places that they have."""
    keys: dict[Any, dict[LayerCall, Any]] = {}
    for call, key in made:
        keys.setdefault(call.layer, {})[call] = key
    for layer, known in keys.items():
        calls = calls_of(layer)
        places = [place for place, call in enumerate(calls) if call in known]
        for place, call in zip(places, sorted((calls[place] for place in places), key=known.__getitem__), strict=True):
            calls[place] = call
