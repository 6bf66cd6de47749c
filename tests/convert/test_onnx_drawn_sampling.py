"""Drawn operators that sample and transform: grids, regions, deformed convolutions, Fourier transforms."""

from __future__ import annotations

import numpy as np
import onnxruntime
from hypothesis import given, settings
from hypothesis import strategies as st

from convert.drawn_nodes import assert_read_right, evaluator_answers, feeds_of, model_of, runtime_answers
from dagir.testing import arrays

onnxruntime.set_default_logger_severity(4)
FEW = settings(max_examples=max(2, settings.default.max_examples // 2))
NARROW = settings(max_examples=max(2, settings.default.max_examples // 8))
_NEW = {"bilinear": "linear", "bicubic": "cubic"}


@st.composite
def grids(draw):
    """GridSample of two and three axes under the names of both opsets."""
    opset, rank = draw(st.sampled_from((16, 20))), 2
    mode = draw(st.sampled_from(("bilinear", "nearest", "bicubic")))
    if opset == 20:
        rank, mode = draw(st.integers(2, 2 if mode == "bicubic" else 3)), _NEW.get(mode, mode)
    x = draw(arrays((2, 2, *(draw(st.integers(1, 5)) for _ in range(rank)))))
    grid = draw(arrays((2, *(2,) * rank, rank), low=-3, high=3))
    padding = draw(st.sampled_from(("zeros", "border", "reflection")))
    given = {"mode": mode, "padding_mode": padding, "align_corners": draw(st.integers(0, 1))}
    return "GridSample", [x, grid], opset, (), given


@st.composite
def regions(draw):
    """RoiAlign before and after opset 16, and MaxRoiPool."""
    opset, count = draw(st.sampled_from((10, 16))), draw(st.integers(1, 3))
    x = draw(arrays((2, 2, draw(st.integers(1, 8)), draw(st.integers(1, 8)))))
    starts = draw(arrays((count, 2), low=-2, high=6))
    rois = np.concatenate([starts, starts + draw(arrays((count, 2), low=-1, high=8))], 1)
    numbers = draw(arrays((count,), "int64", 0, 1))
    sizes, scale = [draw(st.integers(1, 3)) for _ in range(2)], draw(st.sampled_from((0.5, 1.0)))
    if draw(st.booleans()):
        columns = np.concatenate([numbers[:, None].astype("float32"), rois], 1)
        return "MaxRoiPool", [x, columns], opset, (), {"pooled_shape": sizes, "spatial_scale": scale}
    given = {"output_height": sizes[0], "output_width": sizes[1], "sampling_ratio": draw(st.integers(0, 2))}
    if opset == 16 and draw(st.booleans()):
        given["coordinate_transformation_mode"] = draw(st.sampled_from(("half_pixel", "output_half_pixel")))
    given["mode"] = draw(st.sampled_from(("avg", "max")))
    return "RoiAlign", [x, rois, numbers], opset, (), {**given, "spatial_scale": scale}


@st.composite
def deformed(draw):
    """DeformConv with groups, and with and without a bias and a mask."""
    group, apart, inner = draw(st.integers(1, 2)), draw(st.integers(1, 2)), 2
    kernel, strides, dilations = ([draw(st.integers(1, 2)) for _ in range(2)] for _ in range(3))
    pads = [draw(st.integers(0, 2)) for _ in range(4)]
    sizes = [draw(st.integers(4, 6)) for _ in range(2)]
    out = [(sizes[i] + pads[i] + pads[2 + i] - (kernel[i] - 1) * dilations[i] - 1) // strides[i] + 1 for i in range(2)]
    points, filters = apart * kernel[0] * kernel[1], 2 * group
    x, w = draw(arrays((2, inner * group, *sizes))), draw(arrays((filters, inner, *kernel)))
    offset = draw(arrays((2, 2 * points, *out)))
    bias = draw(arrays((filters,))) if draw(st.booleans()) else None
    mask = draw(arrays((2, points, *out))) if draw(st.booleans()) else None
    given = {"group": group, "offset_group": apart, "strides": strides, "dilations": dilations, "pads": pads}
    return "DeformConv", [x, w, offset, bias, mask], draw(st.sampled_from((19, 22))), (1, 3), given


@st.composite
def transforms(draw):
    """DFT along each axis, of real and complex numbers, of any length, forward and back, one side or both."""
    opset, rank = draw(st.sampled_from((17, 20))), draw(st.integers(2, 3))
    inverse, one_sided = draw(st.booleans()), draw(st.booleans())
    parts = 2 if inverse and one_sided else 1 if one_sided else draw(st.integers(1, 2))
    x = draw(arrays((*(draw(st.integers(2, 8)) for _ in range(rank)), parts)))
    axis = draw(st.integers(0, rank - 1))
    length = np.asarray(draw(st.integers(2, 9))) if draw(st.booleans()) else None
    given = {"inverse": int(inverse), "onesided": int(one_sided)}
    if opset == 17:
        return "DFT", [x, length], opset, (1,), {**given, "axis": axis}
    return "DFT", [x, length, np.asarray(axis - rank - 1)], opset, (1, 2), given


@st.composite
def short_transforms(draw):
    """STFT with a window that is stored, fed, or none."""
    length, one_sided = draw(st.integers(2, 8)), draw(st.booleans())
    signal = draw(arrays((2, draw(st.integers(8, 20)), 1 if one_sided else draw(st.integers(1, 2)))))
    window = draw(arrays((length,))) if draw(st.booleans()) else None
    frame = np.asarray(length) if window is None or draw(st.booleans()) else None
    inputs = [signal, np.asarray(draw(st.integers(1, 4))), window, frame]
    return "STFT", inputs, 17, draw(st.sampled_from(((1, 3), (1, 2, 3)))), {"onesided": int(one_sided)}


def check(case, judge, backends=("numpy", "onnx"), free=()):
    op, inputs, opset, stored, given = case
    proto, feeds = model_of(op, inputs, ["float32"], opset, stored=stored, **given), feeds_of(inputs, stored)
    wanted = judge(proto, feeds)
    if free:
        proto = model_of(op, inputs, ["float32"], opset, stored=stored, free=free, **given)
    assert_read_right(proto, feeds, wanted, backends)


@FEW
@given(case=st.one_of(grids(), regions(), deformed()))
def test_samples_are_those_of_onnxruntime(case):
    check(case, runtime_answers)


@FEW
@given(case=st.one_of(transforms(), short_transforms()))
def test_transforms_are_those_of_the_evaluator(case):
    """onnxruntime's inverse of one side is wrong where it is cut: see tests/upstream."""
    check(case, evaluator_answers)


@NARROW
@given(case=st.one_of(grids(), regions(), deformed(), transforms(), short_transforms()))
def test_keras_computes_the_same(case):
    check(case, evaluator_answers if case[0] in ("DFT", "STFT") else runtime_answers, ("keras",))


@NARROW
@given(case=st.one_of(grids(), regions(), deformed(), short_transforms()))
def test_sizes_may_be_free(case):
    """Of the batch, and of the images or the signal."""
    axes = {"STFT": (0, 1)}.get(case[0], (0, 2, 3))
    free = [(0, axis) for axis in axes]
    if case[0] in ("GridSample", "RoiAlign", "MaxRoiPool"):
        free += [(1, 0)]
    check(case, evaluator_answers if case[0] == "STFT" else runtime_answers, ("numpy", "onnx", "keras"), tuple(free))
