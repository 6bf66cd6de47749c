"""How masks come to a layer's call and to its outputs: as they do in Keras."""

from __future__ import annotations

from itertools import zip_longest
from typing import TYPE_CHECKING, Any

from dagir.graph import Value
from dagir.layers.arguments import signature
from dagir.origin import current_scope
from dagir.structure import flatten, map_structure

if TYPE_CHECKING:
    from dagir.layers.base import Layer


def _keeps_written(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    """Whether a functional Keras model keeps, for this call, the mask from when it was written.

    It does so for layer(x), where `call` takes a mask; in any other call the layer looks at its inputs as it runs, from
    which MultiHeadAttention may have taken theirs.
    """
    scope = current_scope.get()
    outer = scope.parent if scope is not None else None
    written = outer is None or getattr(outer.layer, "is_graph", False)
    single = len(args) == 1 and not kwargs and isinstance(args[0], Value)
    return written and single and "mask" in signature(type(layer).call).parameters


def given_mask(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """The mask that `call` gets for its first argument."""
    return map_structure(_mask_of if _keeps_written(layer, args, kwargs) else _carried_mask_of, args[0])


def attach_masks(layer: Layer, args: tuple[Any, ...], kwargs: dict[str, Any], outputs: Any) -> None:
    """Give the outputs of a call their masks."""
    inputs = args[0] if args else next(iter(kwargs.values()))
    mask = carried = kwargs.get("mask")
    if mask is None:
        mask = carried = map_structure(_mask_of, inputs)
        if not _keeps_written(layer, args, kwargs):
            carried = map_structure(_carried_mask_of, inputs)
    if not any(leaf is not None for leaf in flatten(mask)) and not _makes_masks(type(layer)):
        return
    masks = flatten(layer.compute_mask(inputs, mask))
    same = all(one is other for one, other in zip(flatten(mask), flatten(carried), strict=True))
    run = masks if same else flatten(layer.compute_mask(inputs, carried))
    # one mask is that of the first output, as in Keras
    for value, found, other in zip_longest(flatten(outputs), masks, run):
        if value is not None and found is not None and value.mask is None:
            value.attach_mask(found, other, taken=other is None)


def _mask_of(value: Any) -> Value | None:
    return value.mask if isinstance(value, Value) else None


def _carried_mask_of(value: Any) -> Value | None:
    return value.carried_mask if isinstance(value, Value) else None


def _makes_masks(cls: type[Layer]) -> bool:
    from dagir.layers.base import Layer

    return cls.compute_mask is not Layer.compute_mask
