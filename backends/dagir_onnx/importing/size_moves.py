"""Moving sizes while the graph is read: operators that gather, join and reshape tensors of sizes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from dagir.ir.types import Array, DType, normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.tensors import FOLDED, Tensor, constant_of, entries, sized

Folder = Callable[[NodeCall], "Tensor | Sequence[Tensor] | None"]
"""Gives the outputs of a node that computes with sizes; None where the node belongs into the graph."""


def known_entries(call: NodeCall) -> list[Array] | None:
    """The inputs as arrays of ints and sizes, if all of them are known."""
    found = [None if each is None or each.dtype.is_float else entries(each) for each in call.tensors]
    listed = [each for each in found if each is not None]
    return listed if listed and len(listed) == len(found) else None


def dtype_of_first(call: NodeCall) -> DType:
    given = call.tensors[0]
    assert given is not None
    return given.dtype


def _of_first(function: Callable[[NodeCall, Array], Array | None]) -> Folder:
    """A folder of an operator that moves the elements of its first input."""

    def fold(call: NodeCall) -> Tensor | None:
        given = call.tensor(0)
        known = None if given is None else entries(given)
        made = None if known is None else function(call, known)
        return None if made is None else sized(made, dtype_of_first(call))

    return fold


def _gather(call: NodeCall, known: Array) -> Array | None:
    indices = call.array(1)
    if indices is None:
        return None
    axis = normalize_axis(call.attribute("axis", 0), known.ndim)
    return np.asarray(known.take(indices.astype(np.int64), axis), object)


def _slice(call: NodeCall, known: Array) -> Array | None:
    parts = [call.setting(name) for name in ("starts", "ends")]
    if any(part is None or constant_of(part) is None for part in parts):
        return None
    starts, ends = (np.asarray(constant_of(part)).tolist() for part in parts)
    axes = call.axes() or tuple(range(len(starts)))
    steps = call.ints(4, "steps") if call.tensor(4) is not None else (1,) * len(starts)
    keys = [slice(None)] * known.ndim
    for axis, start, end, step in zip(axes, starts, ends, steps, strict=True):
        size = known.shape[axis]
        last = None if step < 0 and end < -size else end
        keys[axis] = slice(start if step > 0 or start >= -size else 0, last, step)
    return known[tuple(keys)]


def _squeeze(call: NodeCall, known: Array) -> Array:
    axes = call.axes()
    return np.squeeze(known, None if axes is None else tuple(axes))


def _unsqueeze(call: NodeCall, known: Array) -> Array:
    return np.expand_dims(known, call.axes() or ())


def _reshape(call: NodeCall, known: Array) -> Array | None:
    shape = call.setting("shape")
    target = None if shape is None else constant_of(shape)
    if target is None:
        return None
    zero = call.attribute("allowzero", 0)
    return known.reshape([known.shape[axis] if size == 0 and not zero else size for axis, size in enumerate(target)])


def _expand(call: NodeCall, known: Array) -> Array | None:
    target = call.array(1)
    if target is None or math.prod(target.tolist()) > FOLDED:
        return None
    return np.broadcast_to(known, np.broadcast_shapes(known.shape, tuple(target.tolist())))


def _concat(call: NodeCall) -> Tensor | None:
    known = known_entries(call)
    if known is None or sum(each.size for each in known) > FOLDED:
        return None
    return sized(np.concatenate(known, call.attribute("axis", 1)), dtype_of_first(call))


def _split(call: NodeCall) -> Sequence[Tensor] | None:
    given = call.tensor(0)
    known = None if given is None else entries(given)
    parts = call.setting("split")
    if known is None:
        return None
    axis = normalize_axis(call.attribute("axis", 0), known.ndim)
    if parts is None:
        count = len(call.outputs)
        size = -(-known.shape[axis] // count)
        ends = [size * (place + 1) for place in range(count - 1)]
    else:
        lengths = constant_of(parts)
        if lengths is None:
            return None
        ends = np.cumsum(lengths)[:-1].tolist()
    return [sized(part, dtype_of_first(call)) for part in np.split(known, ends, axis)]


MOVES: dict[str, Folder] = {
    "Gather": _of_first(_gather),
    "Slice": _of_first(_slice),
    "Squeeze": _of_first(_squeeze),
    "Unsqueeze": _of_first(_unsqueeze),
    "Reshape": _of_first(_reshape),
    "Expand": _of_first(_expand),
    "Concat": _concat,
    "Split": _split,
}

__all__ = ["MOVES", "Folder", "dtype_of_first", "known_entries"]
