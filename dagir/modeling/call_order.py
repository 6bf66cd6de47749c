"""Call k of a layer: the order of a layer's calls is that of its own list, whatever the order of the graph's nodes.

It is the order in which they were written, and for a model of Keras that of Keras's own numbers, `layer[k][0]`. What
makes calls again in another order, a reader or a replay, puts them back by `restore_order`.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dagir.ir.graph import Value
from dagir.ir.nest import flatten
from dagir.support.location import LayerCall, current_scope


def in_call_order(calls: Iterable[LayerCall]) -> list[LayerCall]:
    """Calls sorted so that those of one layer stand in its order, calls within others by these first.

    A call comes after the one that it is within.
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
    """For every call of the layers that are called here: which call of its layer it is."""
    layers: dict[object, None] = {}
    for call in calls:
        scope: LayerCall | None = call
        while scope is not None:
            layers[scope.layer] = None
            scope = scope.parent
    return {call: place for layer in layers for place, call in enumerate(getattr(layer, "_calls", ()))}


def call_behind(outputs: object) -> LayerCall | None:
    """The layer call, directly within the present one, that made these values; None where no layer did."""
    for value in flatten(outputs):
        if isinstance(value, Value) and value.node is not None and value.node.scope is not None:
            return value.node.scope.within(current_scope.get())
    return None


def restore_order(made: Iterable[tuple[LayerCall, object]]) -> None:
    """Put calls that were made again into the order of their keys; each layer's take the places that they have."""
    keys: dict[Any, dict[LayerCall, Any]] = {}
    for call, key in made:
        keys.setdefault(call.layer, {})[call] = key
    for layer, known in keys.items():
        calls = layer._calls
        places = [place for place, call in enumerate(calls) if call in known]
        for place, call in zip(places, sorted((calls[place] for place in places), key=known.__getitem__), strict=True):
            calls[place] = call
