"""Drawn ONNX models of operators with windows, of sampling, padding, places, and quantization, with all attributes."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as st

from convert.onnx_drawing import Drawn, arrays, int64


@st.composite
def _windows(draw, largest=3):
    """kernel_shape, strides, dilations and padding over one to three axes, and how large each window is."""
    rank = draw(st.integers(1, 3))
    found = {
        "kernel_shape": [draw(st.integers(1, largest)) for _ in range(rank)],
        "strides": [draw(st.integers(1, 3)) for _ in range(rank)],
        "dilations": [draw(st.integers(1, 2)) for _ in range(rank)],
    }
    mode = draw(st.sampled_from(("NOTSET", "NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER")))
    if mode != "NOTSET":
        found["auto_pad"] = mode
    elif draw(st.booleans()):
        found["pads"] = [draw(st.integers(0, found["kernel_shape"][i % rank] - 1)) for i in range(2 * rank)]
    extents = [(k - 1) * d + 1 for k, d in zip(found["kernel_shape"], found["dilations"], strict=True)]
    return found, extents


def _spatial(draw, extents, most=4):
    return [draw(st.integers(extent, extent + most)) for extent in extents]


@st.composite
def convolutions(draw):
    """Conv of floats, with groups, with and without a bias."""
    attributes, extents = draw(_windows())
    groups, channels, filters = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    x = draw(arrays((draw(st.integers(1, 2)), groups * channels, *_spatial(draw, extents))))
    stored = [draw(arrays((groups * filters, channels, *attributes["kernel_shape"])))]
    if draw(st.booleans()):
        stored.append(draw(arrays((groups * filters,))))
    return Drawn("Conv", draw(st.sampled_from((1, 11, 22))), [x], stored, {**attributes, "group": groups})


@st.composite
def transposed_convolutions(draw):
    """ConvTranspose with groups, output_padding and output_shape."""
    attributes, extents = draw(_windows())
    groups, channels, filters = draw(st.integers(1, 2)), draw(st.integers(1, 2)), draw(st.integers(1, 2))
    sizes = [draw(st.integers(1, 4)) for _ in extents]
    x = draw(arrays((draw(st.integers(1, 2)), groups * channels, *sizes)))
    strides = attributes["strides"]
    if draw(st.booleans()):
        reach = map(max, strides, attributes["dilations"])
        attributes["output_padding"] = [draw(st.integers(0, most - 1)) for most in reach]
    if draw(st.integers(0, 3)) == 0:
        attributes.pop("pads", None)
        whole = [(n - 1) * s + extent for n, s, extent in zip(sizes, strides, extents, strict=True)]
        attributes["output_shape"] = [max(size + draw(st.integers(-2, 2)), 1) for size in whole]
    stored = [draw(arrays((groups * channels, filters, *attributes["kernel_shape"])))]
    if draw(st.booleans()):
        stored.append(draw(arrays((groups * filters,))))
    return Drawn("ConvTranspose", draw(st.sampled_from((11, 22))), [x], stored, {**attributes, "group": groups})


@st.composite
def pools(draw):
    """MaxPool with its places, AveragePool and LpPool, in every way of padding.

    onnxruntime pads for auto_pad as if there were no dilations, and cuts or refuses where strides exceed windows.
    """
    kind = draw(st.sampled_from(("MaxPool", "AveragePool", "LpPool")))
    attributes, extents = draw(_windows())
    attributes["ceil_mode"] = draw(st.integers(0, 1))
    if attributes.get("auto_pad", "").startswith("SAME"):
        attributes["dilations"] = [1] * len(extents)
        attributes["strides"] = [
            min(s, k) for s, k in zip(attributes["strides"], attributes["kernel_shape"], strict=True)
        ]
    x = draw(arrays((draw(st.integers(1, 2)), draw(st.integers(1, 2)), *_spatial(draw, extents))))
    outputs = 1
    if kind == "MaxPool" and draw(st.booleans()):
        outputs, attributes["storage_order"] = 2, draw(st.integers(0, 1))
        x = np.random.default_rng(draw(st.integers(0, 99))).permutation(x.size).reshape(x.shape).astype("float32")
    if kind == "AveragePool":
        attributes["count_include_pad"] = draw(st.integers(0, 1))
    if kind == "LpPool":
        attributes["p"] = draw(st.integers(1, 3))
    return Drawn(kind, 18 if kind == "LpPool" else 22, [x], [], attributes, outputs)


_PLACES = ("half_pixel", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize")


@st.composite
def resizes(draw):
    """Resize by scales and by sizes. Scales are halves and quarters, so that rounding alone moves no place."""
    mode = draw(st.sampled_from(("nearest", "linear", "cubic")))
    coordinates = draw(st.sampled_from(_PLACES))
    opset = draw(st.sampled_from((11, 13, 18, 19)))
    attributes = {"mode": mode, "coordinate_transformation_mode": coordinates}
    sizes = [draw(st.integers(2, 6)) for _ in range(2)]
    x = draw(arrays((1, draw(st.integers(1, 2)), *sizes)))
    roi = np.zeros(0, "float32")
    if coordinates == "tf_crop_and_resize":
        starts, ends = ([draw(st.sampled_from(each)) for _ in range(2)] for each in ((0.0, -0.25, 0.25), (0.75, 1.25)))
        roi = np.array([0, 0, *starts, 1, 1, *ends], "float32")
        attributes["extrapolation_value"] = draw(st.sampled_from((0.0, 5.0)))
    if mode == "nearest":
        rounds = ("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
        attributes["nearest_mode"] = draw(st.sampled_from(rounds))
    if mode == "cubic":
        attributes |= {
            "cubic_coeff_a": draw(st.sampled_from((-0.75, -0.5))),
            "exclude_outside": draw(st.integers(0, 1)),
        }
    elif opset >= 18 and mode == "linear" and coordinates != "tf_crop_and_resize":
        attributes["antialias"] = draw(st.integers(0, 1))
    exact = mode == "nearest" or coordinates == "align_corners"
    if exact or draw(st.booleans()):
        choices = (2.0, 4.0) if exact else (0.5, 0.75, 1.5, 2.0, 2.75)
        scales = np.array([1, 1, *(draw(st.sampled_from(choices)) for _ in sizes)], "float32")
        return Drawn("Resize", opset, [x], [roi, scales], attributes)
    wanted = [1, x.shape[1], *(draw(st.sampled_from([n for n in range(1, 10) if n != size])) for size in sizes)]
    return Drawn("Resize", opset, [x], [roi, None, int64(wanted)], attributes)


@st.composite
def pads(draw):
    """Pad in every mode, with axes, and with pads below 0 where the mode is constant."""
    opset = draw(st.sampled_from((11, 13, 18, 19, 21)))
    mode = draw(
        st.sampled_from(("constant", "reflect", "edge", "wrap") if opset >= 19 else ("constant", "reflect", "edge"))
    )
    shape = tuple(draw(st.lists(st.integers(3, 5), min_size=1, max_size=3)))
    x = draw(arrays(shape))
    axes = draw(st.permutations(range(len(shape))))[: draw(st.integers(1, len(shape)))]
    partial = opset >= 18 and draw(st.booleans())
    count = len(axes) if partial else len(shape)
    numbers = int64([draw(st.integers(-1 if mode == "constant" else 0, 2)) for _ in range(2 * count)])
    filling = np.float32(1.5) if mode == "constant" and draw(st.booleans()) else None
    stored = [numbers, filling if filling is None else np.asarray(filling)]
    if partial:
        stored.append(int64([axis - len(shape) if draw(st.booleans()) else axis for axis in axes]))
    return Drawn("Pad", opset, [x], stored, {"mode": mode})


@st.composite
def places(draw):
    """ArgMax, ArgMin and TopK among numbers of which several are equal."""
    kind = draw(st.sampled_from(("ArgMax", "ArgMin", "TopK")))
    x = draw(arrays(dtype=draw(st.sampled_from(("float32", "int32"))), low=-2, high=2)).round()
    axis = draw(st.integers(-x.ndim, x.ndim - 1))
    if kind == "TopK":
        k = draw(st.integers(1, x.shape[axis]))
        return Drawn(kind, 11, [x], [int64([k])], {"axis": axis, "largest": draw(st.integers(0, 1))}, 2)
    attributes = {"axis": axis, "keepdims": draw(st.integers(0, 1)), "select_last_index": draw(st.integers(0, 1))}
    return Drawn(kind, draw(st.sampled_from((12, 13))), [x], [], attributes)


@st.composite
def quantizations(draw):
    """QuantizeLinear and DequantizeLinear of a tensor, along an axis, and in blocks; scales are powers of two."""
    shape = tuple(draw(st.lists(st.integers(2, 4), min_size=1, max_size=3)))
    axis = draw(st.integers(0, len(shape) - 1))
    kind = draw(st.sampled_from(("tensor", "axis", "blocks")))
    block = 2 if kind == "blocks" else 0
    blocked = tuple(-(-n // 2) if each == axis else n for each, n in enumerate(shape))
    inner = {"tensor": (), "axis": (shape[axis],), "blocks": blocked}[kind]
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    scale = np.asarray(2.0 ** rng.integers(-3, 3, inner), "float32")
    code = (
        draw(st.sampled_from(("int8", "uint8", "int16", "uint16")))
        if block
        else draw(st.sampled_from(("int8", "uint8")))
    )
    ends = np.iinfo(code)
    zero = np.asarray(rng.integers(ends.min, ends.max, inner, endpoint=True), code)
    attributes = {"axis": axis, "block_size": block} if block else {"axis": axis}
    opset = 21 if block else draw(st.sampled_from((13, 19, 21)))
    if draw(st.booleans()):
        x = (rng.integers(-400, 400, shape) / 4).astype("float32")
        return Drawn("QuantizeLinear", opset, [x], [scale, zero], attributes)
    codes = rng.integers(ends.min, ends.max, shape, endpoint=True).astype(code)
    return Drawn("DequantizeLinear", opset, [codes], [scale, zero], attributes)


DRAWN = (
    convolutions(),
    transposed_convolutions(),
    pools(),
    resizes(),
    pads(),
    places(),
    quantizations(),
)
