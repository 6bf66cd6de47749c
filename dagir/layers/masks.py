"""Which masks a layer's call gets and its outputs have, by Keras's rules."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from itertools import zip_longest
from typing import TYPE_CHECKING

import numpy as np

from dagir.ir.graph import Parameter, Structure, Value
from dagir.ir.nest import flatten, map_structure
from dagir.layers.arguments import bound_arguments, signature
from dagir.support.location import current_scope

if TYPE_CHECKING:
    from dagir.layers.base import Layer


_running: ContextVar[bool] = ContextVar("running", default=False)


@contextmanager
def as_it_runs() -> Iterator[None]:
    """Inside the `with` block, calls get the masks of a Keras model that is not functional: those at run time."""
    yield from _set_running(True)


@contextmanager
def as_it_is_written() -> Iterator[None]:
    """Inside the `with` block, calls get the masks of a functional Keras model: those from when it was built."""
    yield from _set_running(False)


def _set_running(whether: bool) -> Iterator[None]:
    token = _running.set(whether)
    try:
        yield
    finally:
        _running.reset(token)


def _keeps_written(layer: Layer, args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    """Whether a functional Keras model uses, for this call, the mask from when it was built.

    It does so for layer(x) if `call` takes a mask. In any other call the layer reads the masks of its inputs at run
    time, and MultiHeadAttention may have removed them.
    """
    scope = current_scope.get()
    outer = scope.parent if scope is not None else None
    written = not _running.get() if outer is None else getattr(outer.layer, "is_graph", False)
    single = len(args) == 1 and not kwargs and isinstance(args[0], Value)
    return written and single and "mask" in signature(layer._called()).parameters


def given_masks(layer: Layer, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
    """The masks that a call gets without being given them, by the rule of Keras's Layer.__call__.

    If only one argument holds tensors, its masks are `mask`. If several do, the masks of each are `<argument>_mask`,
    and `mask` is not set.
    """
    call = layer._called()
    if not _takes_masks(call):
        return {}
    bound = bound_arguments(call, args, kwargs)
    tensors = {name: part for name, part in bound.items() if _is_tensor_argument(part)}
    if len(tensors) == 1:
        of = _mask_of if _keeps_written(layer, args, kwargs) else _carried_mask_of
        wanted = {"mask": map_structure(of, next(iter(tensors.values())))}
    else:
        wanted = {f"{name}_mask": map_structure(_carried_mask_of, part) for name, part in tensors.items()}
    return {name: mask for name, mask in wanted.items() if mask is not None and bound.get(name, mask) is None}


@cache
def _takes_masks(call: object) -> bool:
    return any(name.endswith("mask") for name in signature(call).parameters)


def _is_tensor_argument(part: object) -> bool:
    """Whether an argument holds tensors by Keras's rule: all of its leaves are tensors or None."""
    if part is None or isinstance(part, (Value, Parameter, np.ndarray)):
        return part is not None
    nested = isinstance(part, (list, tuple, dict)) and len(part) > 0
    return nested and all(leaf is None or isinstance(leaf, (Value, Parameter, np.ndarray)) for leaf in flatten(part))


def attach_masks(layer: Layer, args: tuple[object, ...], kwargs: dict[str, object], outputs: Structure) -> None:
    """Set the masks of a call's outputs, from the mask of the call, else from that of the first argument."""
    inputs = args[0] if args else _first(layer._called(), kwargs)
    mask = carried = kwargs.get("mask")
    if mask is None:
        mask = carried = map_structure(_mask_of, inputs)
        if not _keeps_written(layer, args, kwargs):
            carried = map_structure(_carried_mask_of, inputs)
    if not any(leaf is not None for leaf in flatten(mask)) and not layer.has_mask_rule():
        return
    masks = flatten(layer.compute_mask(inputs, mask))
    same = all(one is other for one, other in zip(flatten(mask), flatten(carried), strict=True))
    run = masks if same else flatten(layer.compute_mask(inputs, carried))
    # a single mask belongs to the first output, as in Keras
    for value, found, other in zip_longest(flatten(outputs), masks, run):
        if value is not None and found is not None and value.mask is None:
            value.attach_mask(found, other, taken=other is None)


def _first(call: object, kwargs: dict[str, object]) -> object:
    """The argument of the first parameter; the first argument that is given, if that one is not."""
    named = (kwargs[name] for name in signature(call).parameters if name in kwargs)
    return next(named, next(iter(kwargs.values())))


def _mask_of(value: object) -> Value | None:
    return value.mask if isinstance(value, Value) else None


def _carried_mask_of(value: object) -> Value | None:
    return value.carried_mask if isinstance(value, Value) else None
