"""Pooling: ONNX pools channels-first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import inf
from typing import Any, TypeVar

import numpy as np

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.dims import Dim
from dagir.ir.types import Array, DType, TensorType, fixed
from dagir.ops.pool import Pool, adaptive_windows
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.layout import channels_back, channels_first
from dagir_onnx.rules import rules

_P = TypeVar("_P", bound=Pool)
_MISCOUNTS_FROM = 19
"""The opset from which on onnxruntime leaves padding at the end uncounted: microsoft/onnxruntime#24681."""


@rules.rule(ops.MaxPool)
def max_pool(op: ops.MaxPool, emit: Emitter, x: Tensor) -> Tensor:
    return channels_back(op, emit, _largest(op, emit, channels_first(op, emit, x), 1))


@rules.rule(ops.MaxPoolWithIndices)
def max_pool_with_indices(op: ops.MaxPoolWithIndices, emit: Emitter, x: Tensor) -> tuple[Tensor, ...]:
    found: tuple[Tensor, ...] = _largest(op.as_max_pool(), emit, x, 2, storage_order=int(op.column_major) or None)
    return found


def _largest(op: ops.MaxPool, emit: Emitter, x: Tensor, outputs: int, storage_order: int | None = None) -> Any:
    """MaxPool, channels first. onnxruntime takes no padding as large as the window, and counts what a Pad adds."""
    pads, auto_pad = _pads(op, x), None
    if outputs == 2 and op.is_same and not _known(pads) and op.is_plain:
        pads, auto_pad = (), "SAME_UPPER" if op.padding == "same" else "SAME_LOWER"
    small = all(isinstance(pad, int) and pad < op.pool_size[place % op.rank] for place, pad in enumerate(pads))
    if not small and outputs == 1:
        x, pads = _padded(emit, x, pads, _least(x)), ()
    elif not small:
        raise UnsupportedOp(
            "onnxruntime gives no places of a pooling that is padded by more than its window, or by a size of the run",
            remedy="pad the input before, or give it fixed sizes",
        )
    return emit(
        "MaxPool",
        x,
        outputs=outputs,
        kernel_shape=op.pool_size,
        strides=op.strides,
        pads=pads or None,
        auto_pad=auto_pad,
        dilations=None if all(step == 1 for step in op.steps) else op.steps,
        ceil_mode=1 if op.ceil_mode else None,
        storage_order=storage_order,
    )


def _least(x: Tensor) -> float:
    return -inf if x.type.dtype.is_float else x.type.dtype.bounds[0]


@rules.rule(ops.AveragePool)
def average_pool(op: ops.AveragePool, emit: Emitter, x: Tensor) -> Tensor:
    x = channels_first(op, emit, x)
    op = _without_effect(op, x)
    pads = _pads(op, x)
    counts = 1 if op.count_include_pad and pads else None
    if op.is_plain and x.type.dtype is not DType.FLOAT64 and not (counts and emit.opset >= _MISCOUNTS_FROM):
        if _known(pads) and not _is_wrong_there(emit, pads):
            windows: dict[str, Any] = {"kernel_shape": op.pool_size, "strides": op.strides, "pads": pads or None}
            y = emit("AveragePool", x, count_include_pad=counts, **windows)
        elif counts:
            y = _mean(op, emit, _padded(emit, x, pads, 0))
        else:  # the mean with zeros, over the share that is inside
            y = emit("Div", _mean(op, emit, _padded(emit, x, pads, 0)), _mean(op, emit, _inside(op, emit, x, pads)))
    else:
        y = _average_of_sums(op, emit, x)
    return channels_back(op, emit, y)


def _without_effect(op: _P, x: Tensor) -> _P:
    """The op without ceil_mode, where that gives no further window."""
    plain = replace(op, ceil_mode=False)
    return plain if op.ceil_mode and plain.counts(x.type.shape[2:]) == op.counts(x.type.shape[2:]) else op


def _is_wrong_there(emit: Emitter, pads: Sequence[Dim]) -> bool:
    """On CUDA, onnxruntime counts padding that differs between the two sides: microsoft/onnxruntime#29631."""
    half = len(pads) // 2
    return emit.device == "cuda" and tuple(pads[:half]) != tuple(pads[half:])


def _mean(op: Pool, emit: Emitter, x: Tensor) -> Tensor:
    """The mean of each window of a padded tensor; by slices where the kernel lacks the dtype or the dilations."""
    if x.type.dtype is not DType.FLOAT64 and all(step == 1 for step in op.steps):
        found: Tensor = emit("AveragePool", x, kernel_shape=op.pool_size, strides=op.strides)
        return found
    mean: Tensor = emit("Div", _sum(op, emit, x), emit.constant(np.prod(op.pool_size), x.type.dtype))
    return mean


def _average_of_sums(op: ops.AveragePool, emit: Emitter, x: Tensor) -> Tensor:
    """By padding that is written out: with ceil_mode, dilations and padding that counts, kernels of onnxruntime differ.

    It has none for float64 on the CPU.
    """
    sizes = x.type.shape[2:]
    reach, pads = _flat(op.reach(sizes)), _pads(op, x)
    total = _mean(op, emit, _padded(emit, x, reach, 0) if any(size != 0 for size in reach) else x)
    counts_all = reach == (pads or (0,) * len(reach)) and (op.count_include_pad or not pads)
    if counts_all or (not op.count_include_pad and all(size == 0 for size in reach)):
        return total
    inside = _inside(op, emit, x, pads) if op.count_include_pad else None
    found: Tensor = emit("Div", total, _mean(op, emit, inside if inside is not None else _inside(op, emit, x, reach)))
    return found


@rules.rule(ops.LpPool)
def lp_pool(op: ops.LpPool, emit: Emitter, x: Tensor) -> Tensor:
    """Beyond the plain ones by the mean of powers: onnxruntime's LpPool has neither float64 nor ceil_mode's padding."""
    dtype: DType = x.type.dtype
    x = channels_first(op, emit, x)
    op, pads = _without_effect(op, x), _pads(op, x)
    if op.is_plain and _known(pads) and dtype is DType.FLOAT32:
        y = emit("LpPool", x, kernel_shape=op.pool_size, strides=op.strides, pads=pads or None, p=op.p)
        return channels_back(op, emit, y)
    reach = _flat(op.reach(x.type.shape[2:]))
    size = emit.constant(float(np.prod(op.pool_size)), dtype)
    powers = emit("Pow", emit("Abs", x), emit.constant(float(op.p), dtype))
    sums = emit("Mul", _mean(op, emit, _padded(emit, powers, reach, 0)), size)
    return channels_back(op, emit, emit("Pow", sums, emit.constant(1 / op.p, dtype)))


def _sum(op: Pool, emit: Emitter, x: Tensor) -> Tensor:
    end = np.iinfo(np.int64).max
    every = zip(op.pool_size, op.strides, op.steps, op.extents, strict=True)
    for axis, (window, stride, step, extent) in enumerate(every, start=2):
        taps = []
        for tap in range(window):
            stop = tap * step + 1 - extent or end
            taps.append(emit("Slice", x, emit.ints(tap * step), emit.ints(stop), emit.ints(axis), emit.ints(stride)))
        x = emit("Sum", *taps)
    return x


def _pads(op: Pool, x: Tensor) -> tuple[Dim, ...]:
    """All pads at the start, then all at the end, as ONNX lists them; () for none."""
    pads = _flat(op.pads(x.type.shape[2:]))
    return () if all(pad == 0 for pad in pads) else pads


def _flat(pairs: Sequence[tuple[Dim, Dim]]) -> tuple[Dim, ...]:
    return (*(before for before, _ in pairs), *(after for _, after in pairs))


def _known(pads: Sequence[Dim]) -> bool:
    return all(isinstance(pad, int) for pad in pads)


def _padded(emit: Emitter, x: Tensor, pads: Sequence[Dim], value: float) -> Tensor:
    """Pads for all axes: given `axes`, onnxruntime 1.32 pads wrongly once it moves a Transpose past the Pad."""
    half = len(pads) // 2
    every = emit.shape_tensor((0, 0, *pads[:half], 0, 0, *pads[half:]))
    padded: Tensor = emit("Pad", x, every, emit.constant(value, x.type.dtype))
    return padded


def _inside(op: Pool, emit: Emitter, x: Tensor, pads: Sequence[Dim]) -> Tensor:
    """Ones where elements count and zeros where none does, for one image and channel; `pads` holds zeros."""
    sizes = x.type.shape[2:]
    half = op.rank
    kind = TensorType(x.type.dtype, (1, 1, *sizes))
    zeros: Sequence[Dim] = pads
    if getattr(op, "count_include_pad", False):
        around = pads or (0,) * (2 * half)
        reach = _flat(op.reach(sizes))
        shape = [size + around[i] + around[half + i] for i, size in enumerate(sizes)]
        kind = TensorType(x.type.dtype, (1, 1, *shape))
        zeros = [*(0,) * half, *(reach[half + i] - around[half + i] for i in range(half))]
    ones = emit("Expand", emit.constant(1, x.type.dtype), emit.shape_tensor(kind.shape), type=kind)
    return _padded(emit, ones, zeros, 0)


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
    sizes = [fixed(x.type.shape[axis]) for axis in op.spatial_axes]
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
