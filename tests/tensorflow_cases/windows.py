"""Convolutions and poolings."""

from __future__ import annotations

from typing import Any

from tensorflow_cases.table import Arguments, Draw, function, raw


@function("nn.conv2d")
def _conv2d(draw: Draw) -> Arguments:
    kernel = (draw.int(1, 3), draw.int(1, 3), draw.int(1, 3), draw.int(1, 3))
    stride, rate = draw.one((1, 1), (2, 1), ([1, 2, 2, 1], 1), (1, 2), ([2, 1], 1))
    padding: Any = draw.one("SAME", "VALID", [[0, 0], [1, 0], [0, 2], [0, 0]] if rate == 1 else "SAME")
    options = {"strides": stride, "padding": padding, "dilations": rate}
    return (draw.floats((2, draw.int(5, 8), draw.int(5, 8), kernel[2])), draw.floats(kernel)), options


@function("nn.conv1d")
def _conv1d(draw: Draw) -> Arguments:
    return (draw.floats((2, draw.int(4, 8), 3)), draw.floats((draw.int(1, 3), 3, 2))), {
        "stride": draw.int(1, 2), "padding": draw.one("SAME", "VALID")
    }  # fmt: skip


@function("nn.convolution")
def _convolution(draw: Draw) -> Arguments:
    return (draw.floats((2, draw.int(6, 8), 3)), draw.floats((draw.int(1, 3), 3, 2))), {
        "padding": draw.one("SAME", "VALID"), "dilations": draw.one(None, [2])
    }  # fmt: skip


@function("nn.depthwise_conv2d")
def _depthwise(draw: Draw) -> Arguments:
    stride = draw.int(1, 2)
    options = {"strides": [1, stride, stride, 1], "padding": draw.one("SAME", "VALID")}
    return (draw.floats((2, draw.int(4, 7), draw.int(4, 7), 2)), draw.floats((3, 2, 2, draw.int(1, 2)))), options


@function("nn.separable_conv2d")
def _separable(draw: Draw) -> Arguments:
    weights = draw.floats((3, 2, 2, 2)), draw.floats((1, 1, 4, 3))
    return (draw.floats((2, 5, 6, 2)), *weights), {"strides": [1, 1, 1, 1], "padding": draw.one("SAME", "VALID")}


@function("nn.conv2d_transpose")
def _transposed(draw: Draw) -> Arguments:
    stride, kernel, padding = draw.int(1, 3), draw.int(1, 4), draw.one("SAME", "VALID")
    high, wide = draw.int(2, 4), draw.int(2, 4)
    sizes = []
    for size in (high, wide):
        if padding == "SAME":
            sizes.append(size * stride - draw.int(0, stride - 1))
        else:
            sizes.append((size - 1) * stride + kernel + draw.int(0, stride - 1))
    options = {"output_shape": [2, *sizes, 3], "strides": stride, "padding": padding}
    return (draw.floats((2, high, wide, 2)), draw.floats((kernel, kernel, 3, 2))), options


@function("nn.atrous_conv2d")
def _atrous(draw: Draw) -> Arguments:
    return (draw.floats((1, 7, 7, 2)), draw.floats((3, 3, 2, 2)), draw.int(1, 2), draw.one("SAME", "VALID")), {}


@function("nn.bias_add")
def _bias(draw: Draw) -> Arguments:
    first = draw.flag()
    x = draw.floats((2, 3, 4, 5))
    return (x, draw.floats((x.shape[1 if first else -1],))), {
        "data_format": "NCHW" if first else draw.one("NHWC", None)
    }


def _pooling(*names: str, rank: int) -> None:
    @function(*names)
    def _(draw: Draw) -> Arguments:
        window, stride = draw.int(1, 3), draw.int(1, 3)
        x = draw.floats((2, *(draw.int(3, 7) for _ in range(rank)), 2))
        return (x, window, stride, draw.one("SAME", "VALID")), {}


_pooling("nn.max_pool2d", "nn.avg_pool2d", "nn.max_pool", "nn.avg_pool", rank=2)
_pooling("nn.max_pool1d", "nn.avg_pool1d", rank=1)
_pooling("nn.max_pool3d", "nn.avg_pool3d", rank=3)


@function("nn.pool")
def _pool(draw: Draw) -> Arguments:
    window = draw.int(1, 3)
    options = {"strides": [draw.int(1, window)], "padding": draw.one("SAME", "VALID")}
    return (draw.floats((2, 6, 3)), [window], draw.one("MAX", "AVG")), options


@function("image.extract_patches")
def _patches(draw: Draw) -> Arguments:
    size, stride, padding = draw.int(1, 3), draw.int(1, 3), draw.one("SAME", "VALID")
    return (draw.floats((2, 6, 7, 2)),), {
        "sizes": [1, size, 2, 1], "strides": [1, stride, 1, 1], "rates": [1, 1, 1, 1], "padding": padding
    }  # fmt: skip


@raw("Conv2D")
def _conv_raw(draw: Draw) -> Arguments:
    padding = draw.one("SAME", "VALID", "EXPLICIT")
    explicit = [0, 0, 1, 0, 2, 1, 0, 0] if padding == "EXPLICIT" else []
    options = {"strides": [1, 2, 1, 1], "padding": padding, "explicit_paddings": explicit, "dilations": [1, 1, 1, 1]}
    return (draw.floats((2, 5, 6, 3)), draw.floats((3, 2, 3, 2))), options


@raw("MaxPool")
def _max_pool_raw(draw: Draw) -> Arguments:
    options = {"ksize": [1, 2, 3, 1], "strides": [1, 2, 1, 1], "padding": draw.one("SAME", "VALID")}
    return (draw.floats((2, 5, 6, 2)),), options
