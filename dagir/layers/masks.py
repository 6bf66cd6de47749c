"""How masks come to a layer's call and to its outputs: as they do in Keras."""

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
    """Within it, calls find the masks that a model of Keras finds that is no graph, and is never written as one."""
    yield from _set_running(True)


@contextmanager
def as_it_is_written() -> Iterator[None]:
    """Within it, calls find the masks that a functional model of Keras finds, whatever model runs it."""
    yield from _set_running(False)


def _set_running(whether: bool) -> Iterator[None]:
    token = _running.set(whether)
    try:
        yield
    finally:
        _running.reset(token)


def _keeps_written(layer: Layer, args: tuple[object, ...], kwargs: dict[str, object]) -> bool:
    """Whether a functional Keras model keeps, for this call, the mask from when it was written.

    It does so for layer(x), where `call` takes a mask; in any other call the layer looks at its inputs as it runs, from
    which MultiHeadAttention may have taken theirs.
    """
    scope = current_scope.get()
    outer = scope.parent if scope is not None else None
    written = not _running.get() if outer is None else getattr(outer.layer, "is_graph", False)
    single = len(args) == 1 and not kwargs and isinstance(args[0], Value)
    return written and single and "mask" in signature(layer._called()).parameters


def given_masks(layer: Layer, args: tuple[object, ...], kwargs: dict[str, object]) -> dict[str, object]:
    """The masks that a call takes, and gets although it was not given them, by the rule of Keras's Layer.__call__.

    Where one argument alone holds tensors its masks are `mask`; where several do, those of each are `<argument>_mask`,
    and `mask` is not filled.
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
    """Whether Keras counts an argument among those that hold tensors: all of its leaves are tensors or None."""
    if part is None or isinstance(part, (Value, Parameter, np.ndarray)):
        return part is not None
    nested = isinstance(part, (list, tuple, dict)) and len(part) > 0
    return nested and all(leaf is None or isinstance(leaf, (Value, Parameter, np.ndarray)) for leaf in flatten(part))


def attach_masks(layer: Layer, args: tuple[object, ...], kwargs: dict[str, object], outputs: Structure) -> None:
    """Give the outputs of a call their masks: from the mask of the call, or else that of the first argument."""
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
    # one mask is that of the first output, as in Keras
    for value, found, other in zip_longest(flatten(outputs), masks, run):
        if value is not None and found is not None and value.mask is None:
            value.attach_mask(found, other, taken=other is None)


def _first(call: object, kwargs: dict[str, object]) -> object:
    """What the first parameter gets; the first that is given, for a call that names none of them."""
    named = (kwargs[name] for name in signature(call).parameters if name in kwargs)
    return next(named, next(iter(kwargs.values())))


def _mask_of(value: object) -> Value | None:
    return value.mask if isinstance(value, Value) else None


def _carried_mask_of(value: object) -> Value | None:
    return value.carried_mask if isinstance(value, Value) else None
