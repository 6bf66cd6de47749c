"""Pooling: ONNX pools channels-first."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import Array, DType, TensorType
from dagir.ops.pool import adaptive_windows
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.layout import channels_back, channels_first
from dagir_onnx.rules import rules


@rules.rule(ops.MaxPool)
def max_pool(op: ops.MaxPool, emit: Emitter, x: Tensor) -> Tensor:
    x = channels_first(op, emit, x)
    pads = _pads(op, x)
    if not _known(pads):
        x, pads = _padded(emit, x, pads, -inf), ()
    y = emit("MaxPool", x, kernel_shape=op.pool_size, strides=op.strides, pads=pads or None)
    return channels_back(op, emit, y)


@rules.rule(ops.AveragePool)
def average_pool(op: ops.AveragePool, emit: Emitter, x: Tensor) -> Tensor:
    x = channels_first(op, emit, x)
    pads = _pads(op, x)
    if x.type.dtype is DType.FLOAT64:
        y = _average_of_sums(op, emit, x, pads)
    elif _known(pads) and not _is_wrong_there(emit, pads):
        y = emit("AveragePool", x, kernel_shape=op.pool_size, strides=op.strides, pads=pads or None)
    else:  # the mean with zeros, over the share that is inside
        y = emit("Div", _mean(op, emit, _padded(emit, x, pads, 0)), _mean(op, emit, _inside(emit, x, pads)))
    return channels_back(op, emit, y)


def _is_wrong_there(emit: Emitter, pads: Sequence[Dim]) -> bool:
    """On CUDA, onnxruntime counts padding that differs between the two sides: microsoft/onnxruntime#29631."""
    half = len(pads) // 2
    return emit.device == "cuda" and tuple(pads[:half]) != tuple(pads[half:])


def _mean(op: ops.AveragePool, emit: Emitter, x: Tensor) -> Tensor:
    found: Tensor = emit("AveragePool", x, kernel_shape=op.pool_size, strides=op.strides)
    return found


def _average_of_sums(op: ops.AveragePool, emit: Emitter, x: Tensor, pads: Sequence[Dim]) -> Tensor:
    """onnxruntime has no AveragePool for float64 on the CPU: windows are summed axis by axis, from strided slices."""
    total = _sum(op, emit, _padded(emit, x, pads, 0) if pads else x)
    whole = emit.constant(np.prod(op.pool_size), x.type.dtype)
    found: Tensor = emit("Div", total, _sum(op, emit, _inside(emit, x, pads)) if pads else whole)
    return found


def _sum(op: ops.AveragePool, emit: Emitter, x: Tensor) -> Tensor:
    end = np.iinfo(np.int64).max
    for axis, (window, stride) in enumerate(zip(op.pool_size, op.strides, strict=True), start=2):
        taps = []
        for tap in range(window):
            stop = tap + 1 - window or end
            taps.append(emit("Slice", x, emit.ints(tap), emit.ints(stop), emit.ints(axis), emit.ints(stride)))
        x = emit("Sum", *taps)
    return x


def _pads(op: ops.MaxPool | ops.AveragePool, x: Tensor) -> tuple[Dim, ...]:
    """All pads at the start, then all at the end, as ONNX lists them; () for none."""
    pairs = op.pads(x.type.shape[2:])
    pads = (*(before for before, _ in pairs), *(after for _, after in pairs))
    return () if all(pad == 0 for pad in pads) else pads


def _known(pads: Sequence[Dim]) -> bool:
    return all(isinstance(pad, int) for pad in pads)


def _padded(emit: Emitter, x: Tensor, pads: Sequence[Dim], value: float) -> Tensor:
    """Pads for all axes: given `axes`, onnxruntime 1.32 pads wrongly once it moves a Transpose past the Pad."""
    half = len(pads) // 2
    every = emit.shape_tensor((0, 0, *pads[:half], 0, 0, *pads[half:]))
    padded: Tensor = emit("Pad", x, every, emit.constant(value, x.type.dtype))
    return padded


def _inside(emit: Emitter, x: Tensor, pads: Sequence[Dim]) -> Tensor:
    """Ones where x is and zeros where the padding is, for one image and channel."""
    kind = TensorType(x.type.dtype, (1, 1, *x.type.shape[2:]))
    ones = emit("Expand", emit.constant(1, x.type.dtype), emit.shape_tensor(kind.shape), type=kind)
    return _padded(emit, ones, pads, 0)


@rules.rule(ops.AdaptiveMaxPool)
def adaptive_max_pool(op: ops.AdaptiveMaxPool, emit: Emitter, x: Tensor) -> Tensor:
    if all(size % number == 0 for size, number in _shares(op, x)):
        return _even_windows(op, emit, x, "MaxPool")
    for axis, number in zip(op.spatial_axes, op.output_size, strict=True):
        parts, _ = _gathered(emit, x, axis, number)
        x = emit("ReduceMax", parts, emit.ints(axis + 1), keepdims=0, type=_without(parts, axis + 1))
    return x


@rules.rule(ops.AdaptiveAveragePool)
def adaptive_average_pool(op: ops.AdaptiveAveragePool, emit: Emitter, x: Tensor) -> Tensor:
    if x.type.dtype is not DType.FLOAT64 and all(size % number == 0 for size, number in _shares(op, x)):
        return _even_windows(op, emit, x, "AveragePool")
    for axis, number in zip(op.spatial_axes, op.output_size, strict=True):
        parts, shares = _gathered(emit, x, axis, number)
        shape = (*shares.shape, *(1,) * (x.type.rank - axis - 1))
        weighted = emit("Mul", parts, emit.constant(shares.reshape(shape), x.type.dtype))
        x = emit("ReduceSum", weighted, emit.ints(axis + 1), keepdims=0, type=_without(parts, axis + 1))
    return x


def _shares(op: ops.AdaptiveMaxPool | ops.AdaptiveAveragePool, x: Tensor) -> list[tuple[int, int]]:
    """The size of each axis, and how many windows share it."""
    sizes: list[int] = [x.type.shape[axis] for axis in op.spatial_axes]  # type: ignore[misc]  # infer has checked it
    return list(zip(sizes, op.output_size, strict=True))


def _even_windows(op: ops.AdaptiveMaxPool | ops.AdaptiveAveragePool, emit: Emitter, x: Tensor, kind: str) -> Tensor:
    window = tuple(size // number for size, number in _shares(op, x))
    pool = ops.MaxPool(window, window, "valid", op.data_format)
    return channels_back(pool, emit, emit(kind, channels_first(pool, emit, x), kernel_shape=window, strides=window))


def _without(x: Tensor, axis: int) -> TensorType:
    return x.type.with_shape((*x.type.shape[:axis], *x.type.shape[axis + 1 :]))


def _gathered(emit: Emitter, x: Tensor, axis: int, number: int) -> tuple[Tensor, Array]:
    """The windows of an axis as two axes, [number, longest], and the share of each element in the mean of its window.

    A shorter window repeats its last element, with a share of 0.
    """
    size = x.type.shape[axis]
    assert isinstance(size, int)
    windows = np.asarray(adaptive_windows(size, number))
    lengths = windows[:, 1] - windows[:, 0]
    steps = np.arange(lengths.max())
    places = np.minimum(windows[:, :1] + steps, windows[:, 1:] - 1)
    shares = np.where(steps < lengths[:, None], 1 / lengths[:, None], 0)
    shape = (*x.type.shape[:axis], *places.shape, *x.type.shape[axis + 1 :])
    return emit("Gather", x, emit.constant(places, np.int64), axis=axis, type=x.type.with_shape(shape)), shares
