"""Padding by numbers and by sizes, in every mode."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, max_dim
from dagir.ir.graph import Value
from dagir.ir.types import DType, normalize_axis
from dagir.ops.sizes import counted
from dagir_onnx.importing.data_shapes import Entry, entries_of, grown
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import Tensor, constant, sized, value


@rule("Pad")
def _pad(call: NodeCall) -> Value:
    x = call.input(0)
    given = call.setting("pads")
    if given is None:
        raise call.refused("it has no pads")
    pads = entries_of(call, given, "pads")
    axes = range(x.ndim) if call.tensor(3) is None else call.ints(3, "axes")
    if len(pads) != 2 * len(axes):
        raise call.refused(f"its pads are {len(pads)} numbers for {len(axes)} axes")
    mode = call.attribute("mode", "constant")
    pairs: list[tuple[Dim, Dim]] = [(0, 0)] * x.ndim
    for place, each in enumerate(axes):
        axis, before, after = normalize_axis(each, x.ndim), pads[place], pads[place + len(axes)]
        if isinstance(before, Value) or isinstance(after, Value):
            x = _grown_by_data(call, x, axis, (before, after), mode)
        else:
            pairs[axis] = (before, after)
    if mode == "constant":
        return _filled(call, x, pairs, call.setting("value"))
    if mode not in ("edge", "reflect", "wrap"):
        raise call.refused(f"its mode is {mode!r}, which ONNX has not")
    return _copied(x, pairs, mode)


def _grown_by_data(call: NodeCall, x: Value, axis: int, pads: tuple[Entry, Entry], mode: str) -> Value:
    found, inside = grown(x, axis, pads, mode)
    if mode != "constant":
        return found
    given = call.setting("value")
    filling = ops.zeros((), x.dtype) if given is None else ops.cast(ops.reshape(value(given), ()), x.dtype)
    return ops.where(inside, found, filling)


def _filled(call: NodeCall, x: Value, pairs: Sequence[tuple[Dim, Dim]], filling: Tensor | None) -> Value:
    """Filled with a number, which may be computed when the model runs."""
    if filling is None:
        return _grown(x, pairs, 0.0)
    number = value(filling)
    known = getattr(number.source, "array", None)
    if known is not None:
        return _grown(x, pairs, known.reshape(-1)[0].item())
    inside = ops.cast(_grown(ops.ones(x.type.shape, DType.INT32), pairs, 0.0), DType.BOOL)
    return ops.where(inside, _grown(x, pairs, 0.0), ops.cast(ops.reshape(number, ()), x.dtype))


def _grown(x: Value, pairs: Sequence[tuple[Dim, Dim]], filling: float) -> Value:
    """Padded, or cut where a number is below 0. What may be either when the model runs cannot be done."""
    return x if all(each == 0 for pair in pairs for each in pair) else ops.pad(x, pairs, constant_values=filling)


def _copied(x: Value, pairs: Sequence[tuple[Dim, Dim]], mode: str) -> Value:
    """Filled with elements of x: of the edge, of the mirror image, or of the other end. Negative pads cut before."""
    for axis, (before, after) in enumerate(pairs):
        cut = tuple(_part_below_zero(pad) for pad in (before, after))
        if cut != (0, 0):
            x = ops.pad(x, tuple(cut if each == axis else (0, 0) for each in range(x.ndim)))
    grown = [tuple(max_dim(pad, 0) for pad in pair) for pair in pairs]
    if mode != "wrap" and _fits(x, grown, mode):
        return x if not any(map(any, grown)) else ops.pad(x, grown, mode=mode)
    for axis, (before, after) in enumerate(grown):
        if (before, after) != (0, 0):
            x = ops.take(x, _sources(x.type.shape[axis], before, after, mode), axis)
    return x


def _part_below_zero(pad: Dim) -> Dim:
    return min(pad, 0) if isinstance(pad, int) else 0


def _fits(x: Value, pairs: Sequence[tuple[Dim, ...]], mode: str) -> bool:
    """Whether the op takes these pads: numbers, and with a mirror no more than there are elements.

    Of an axis of unknown size there may be too few when the model runs: onnxruntime refuses that, in the file too.
    """
    numbers = all(isinstance(pad, int) for pair in pairs for pad in pair)
    spare = [size - 1 for size in x.type.shape]
    return numbers and (
        mode == "edge"
        or all(
            pad == 0 or not isinstance(most, int) or (isinstance(pad, int) and pad <= most)
            for most, pair in zip(spare, pairs, strict=True)
            for pad in pair
        )
    )


def _sources(size: Dim, before: Dim, after: Dim, mode: str) -> Value:
    """int: for each element of the result, the one of x that it copies."""
    if isinstance(size, int) and isinstance(before, int) and isinstance(after, int):
        places = np.arange(-before, size + after)
        if mode == "edge":
            return constant(np.clip(places, 0, size - 1))
        if mode == "wrap":
            return constant(places % max(size, 1))
        return constant(size - 1 - np.abs(places % max(2 * size - 2, 1) - (size - 1)))
    steps = counted(size + before + after, before * -1)
    last = value(sized(size - 1, DType.INT32))
    if mode == "edge":
        return ops.minimum(ops.maximum(steps, 0), last)
    if mode == "wrap":
        return ops.mod(steps, value(sized(size, DType.INT32)))
    period = value(sized(max_dim(size * 2 - 2, 1), DType.INT32))
    return ops.subtract(last, ops.absolute(ops.subtract(ops.mod(steps, period), last)))
