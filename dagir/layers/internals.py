"""What the floors above ask of a layer, and its users do not.

Functions, not methods: a user's subclass may have an attribute of any name that does not begin with "_".
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from dagir.ir.graph import Parameter
from dagir.layers.base import Layer
from dagir.support.location import LayerCall


def calls_of(layer: Layer) -> list[LayerCall]:
    """The calls of a layer in their order: the list itself, for those that put calls in or move them."""
    return layer._calls


def parts_of(layer: Layer) -> list[Layer]:
    """The layers that a layer tracks, each once, in the order in which they were set."""
    return list(layer._sublayers)


def own_weights(layer: Layer) -> list[Parameter]:
    """The weights that a layer made itself, without those of the layers inside."""
    return list(layer._weights)


def hold_weights(layer: Layer, weights: Iterable[Parameter]) -> None:
    """Make weights that neither the layer nor one inside it has its own, in their order."""
    known = set(layer.weights)
    layer._weights += [weight for weight in weights if weight not in known]


def arguments_of(layer: Layer) -> dict[str, Any]:
    """What `__init__` was given; nothing for a layer that was not made by its constructor."""
    found: dict[str, Any] = getattr(layer, "_init_arguments", {})
    return found


def called_function(layer: Layer) -> Any:
    """The function whose parameters the arguments of a call are bound to."""
    return layer._called()


def build_shapes(layer: Layer) -> dict[str, Any] | None:
    """What `build` was given, or would have been given by the first call; None for a layer that is not built."""
    if layer._build_shapes is not None:
        return layer._build_shapes
    if not layer.built or not layer._calls:
        return None
    call = layer._calls[0]
    return layer._shapes_of(call.args, call.kwargs)


def given_build_shapes(layer: Layer) -> dict[str, Any] | None:
    """What `build` was given; None for a layer that is not built, or that a call of Keras's built."""
    return layer._build_shapes if layer.built else None


def build_from(layer: Layer, shapes: dict[str, Any]) -> None:
    """Make the weights of a layer as `build` made them for these shapes."""
    layer._build_from(shapes)


def lend_weights(layer: Layer, weights: Sequence[Parameter] | None) -> None:
    """Let `add_weight` hand out these weights, which a file has, in place of new ones; None: make new ones again."""
    layer._stored_weights = weights


def track(layer: Layer, inner: Iterable[Layer]) -> None:
    """Count these layers among those inside a layer."""
    for part in inner:
        layer._track(part)


def forget_parts(layer: Layer) -> None:
    """Leave a layer no layers inside: those of a file are tracked one by one."""
    layer._sublayers = {}


def set_own_trainable(layer: Layer, trainable: bool) -> None:
    """Set the flag of a layer alone: `layer.trainable = ...` sets the layers inside too."""
    layer._trainable = trainable
