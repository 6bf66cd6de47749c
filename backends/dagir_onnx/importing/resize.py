"""Resize of every version, and Upsample."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import floor

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value, apply
from dagir.ir.types import normalize_axis
from dagir.ops.sampling import scaled_size
from dagir_onnx.importing.data_shapes import entries_of, size_of
from dagir_onnx.importing.known_arrays import known_array
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import Tensor

_CLOSE = 1e-4
_CROPS = "tf_crop_and_resize"


@rule("Upsample", since=7)
def _upsample(call: NodeCall) -> Value:
    return _by_old_rules(call, call.setting("scales"))


@rule("Resize", since=10, until=10)
def _resize_10(call: NodeCall) -> Value:
    return _by_old_rules(call, call.tensor(1))


def _by_old_rules(call: NodeCall, given: Tensor | None) -> Value:
    """Places are indices over the scale; the nearest element is the one before, or after where the axis shrinks."""
    x, mode = call.input(0), call.attribute("mode", "nearest")
    scales = _known(call, given, "scales")
    mode = "linear" if mode == "bilinear" else mode
    op = ops.Interpolate((), (), mode, "asymmetric", nearest_mode="simple")
    return _by_scales(call, op, x, range(x.ndim), scales)


@rule("Resize", since=11)
def _resize(call: NodeCall) -> Value:
    x = call.input(0)
    axes = [normalize_axis(axis, x.ndim) for axis in call.attribute("axes", range(x.ndim))]
    mode = call.attribute("mode", "nearest")
    coordinates = call.attribute("coordinate_transformation_mode", "half_pixel")
    op = ops.Interpolate(
        (),
        (),
        mode,
        coordinates,
        roi=() if coordinates == _CROPS else None,
        nearest_mode=call.attribute("nearest_mode", "round_prefer_floor"),
        cubic_coeff_a=call.attribute("cubic_coeff_a", -0.75),
        exclude_outside=bool(call.attribute("exclude_outside", 0)) and mode == "cubic",
        antialias=bool(call.attribute("antialias", 0)) and mode != "nearest",
        extrapolation_value=call.attribute("extrapolation_value", 0.0),
    )
    if _is_given(call, 2):
        return _by_scales(call, op, x, axes, _known(call, call.tensor(2), "scales"))
    if not _is_given(call, 3):
        raise call.refused("it has neither scales nor sizes")
    given = call.tensors[3]
    assert given is not None
    found = entries_of(call, given, "sizes")
    sizes = [size_of(each) for each in found]
    if len(sizes) != len(axes):
        raise call.refused(f"its sizes are {len(sizes)} numbers for {len(axes)} axes")
    policy = call.attribute("keep_aspect_ratio_policy", "stretch")
    if policy != "stretch":
        return _in_proportion(call, op, x, axes, sizes, policy)
    return _sampled(call, op, x, dict(zip(axes, sizes, strict=True)), None)


def _is_given(call: NodeCall, place: int) -> bool:
    found = call.tensor(place)
    return found is not None and 0 not in found.shape


def _known(call: NodeCall, given: Tensor | None, what: str) -> list[float]:
    """Floats that are known while the graph is read. Raises Refused."""
    array = known_array(given) if isinstance(given, Value) else None
    if array is None:
        raise call.refused(f"its {what} are computed when the model runs", f"give {what} that are stored in the model")
    return [float(number) for number in array.reshape(-1)]


def _by_scales(call: NodeCall, op: ops.Interpolate, x: Value, axes: Sequence[int], scales: Sequence[float]) -> Value:
    if len(scales) != len(axes):
        raise call.refused(f"its scales are {len(scales)} numbers for {len(axes)} axes")
    sizes = {axis: _times(call, x.type.shape[axis], scale) for axis, scale in zip(axes, scales, strict=True)}
    for axis, scale in zip(axes, scales, strict=True):
        size = x.type.shape[axis]
        whole = not isinstance(size, int) or abs(size * scale - round(size * scale)) < _CLOSE
        if op.coordinates == "align_corners" and not whole:
            raise call.refused(
                f"it aligns corners, and its scale {scale} of axis {axis} gives no whole size: where ONNX and "
                "onnxruntime then put the last element differs",
                "give sizes in place of scales",
            )
    return _sampled(call, op, x, sizes, dict(zip(axes, scales, strict=True)))


def _times(call: NodeCall, size: Dim, scale: float) -> Dim:
    found = scaled_size(size, scale)
    if found is None:
        raise call.refused(f"its scale {scale} is no simple fraction, and the size {size} is known at run time only")
    return found


def _in_proportion(
    call: NodeCall, op: ops.Interpolate, x: Value, axes: Sequence[int], sizes: Sequence[Dim], policy: str
) -> Value:
    """The sizes that keep the ratio of the axes: none larger, or none smaller, than the given ones."""
    pairs = [(x.type.shape[axis], size) for axis, size in zip(axes, sizes, strict=True)]
    numbers = [(old, new) for old, new in pairs if isinstance(old, int) and isinstance(new, int)]
    if len(numbers) != len(pairs) or policy not in ("not_larger", "not_smaller"):
        raise call.refused(f"its keep_aspect_ratio_policy {policy!r} needs sizes that are known while it is read")
    ratios = [np.float32(new) / np.float32(old) for old, new in numbers]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    kept: dict[int, Dim] = {}
    for axis, (old, _) in zip(axes, numbers, strict=True):
        kept[axis] = floor(scale * np.float32(old) + np.float32(0.5))
    return _sampled(call, op, x, kept, dict.fromkeys(axes, float(scale)))


def _rois(call: NodeCall, op: ops.Interpolate, axes: Sequence[int]) -> dict[int, tuple[float, float]]:
    if op.roi is None:
        return {}
    given = call.tensor(1)
    if isinstance(given, Value) and known_array(given) is None:
        raise call.refused(
            "its roi is computed when the model runs",
            "store the roi in the model, or cut the region with a Slice and resize that",
        )
    found = _known(call, given, "roi") if _is_given(call, 1) else [0.0] * len(axes) + [1.0] * len(axes)
    if len(found) != 2 * len(axes):
        raise call.refused(f"its roi is {len(found)} numbers for {len(axes)} axes")
    return {axis: (found[place], found[place + len(axes)]) for place, axis in enumerate(axes)}


def _sampled(
    call: NodeCall, op: ops.Interpolate, x: Value, sizes: dict[int, Dim], scales: dict[int, float] | None
) -> Value:
    """The value sampled along the axes that change."""
    rois = _rois(call, op, list(sizes))
    moved = [
        axis
        for axis, size in sizes.items()
        if size != x.type.shape[axis] or (scales or {}).get(axis, 1.0) != 1 or rois.get(axis, (0.0, 1.0)) != (0.0, 1.0)
    ]
    if not moved:
        return x
    axes = tuple(sorted(moved))
    found = replace(
        op,
        axes=axes,
        sizes=tuple(sizes[axis] for axis in axes),
        scales=None if scales is None else tuple(scales[axis] for axis in axes),
        roi=None if op.roi is None else tuple(rois[axis] for axis in axes),
    )
    repeated = _repeated(found, x)
    if repeated is not None:
        return repeated
    if op.mode == "nearest" or x.dtype.is_float:
        return apply(found, x)
    numbers = apply(found, ops.cast(x, "float32"))
    return ops.cast(ops.round(numbers) if op.antialias else numbers, x.dtype)  # as onnxruntime does


def _repeated(op: ops.Interpolate, x: Value) -> Value | None:
    """The same as a layer that repeats each element a whole number of times, or interpolates images; else None."""
    rank = x.ndim - 2
    spatial = tuple(range(2, x.ndim))
    if not 1 <= rank <= 3 or not set(op.axes) <= set(spatial) or op.roi is not None:
        return None
    factors = [1] * rank
    for place, axis in enumerate(op.axes):
        factor = _factor(x.type.shape[axis], op.sizes[place])
        if factor is None or (op.scales is not None and op.scales[place] != factor):
            return None
        factors[axis - 2] = factor
    half = op.coordinates in ("half_pixel", "half_pixel_symmetric")
    repeats = op.coordinates == "asymmetric" and op.nearest_mode in ("floor", "simple")
    if op.mode == "nearest" and (repeats or (half and op.nearest_mode.startswith("round"))):
        return apply(ops.UpSample(tuple(factors), "nearest", "channels_first"), x)
    if op.mode == "linear" and half and rank == 2 and x.dtype.is_float and not op.exclude_outside:
        return apply(ops.UpSample(tuple(factors), "bilinear", "channels_first"), x)
    return None


def _factor(size: Dim, target: Dim) -> int | None:
    if isinstance(size, int) and isinstance(target, int):
        return target // size if size and target % size == 0 else None
    return next((factor for factor in range(2, 17) if size * factor == target), None)
