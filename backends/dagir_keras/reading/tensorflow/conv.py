"""Convolutions of one, two and three axes, over each channel, and transposed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim, max_dim
from dagir.ir.graph import Value, apply
from dagir.ops.conv import ConvTranspose
from dagir.ops.data_sizes import EqualSizes
from dagir.ops.sizes import counted
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, dims, entries, pair, tensor, value
from dagir_keras.reading.tensorflow.windows import Window


def _convolved(
    x: Any, w: Any, strides: Any, padding: Any, data_format: Any, dilations: Any, explicit: Any = None
) -> Tensor:
    given, kernel = map(value, pair(x, w))
    if kernel.ndim not in (3, 4, 5):
        raise Refused(f"the kernel of a convolution has rank 3, 4 or 5, got {kernel.ndim}")
    window = Window.of(kernel.ndim - 2, data_format)
    if given.ndim > kernel.ndim:  # more than one axis of batches
        lead, rest = given.type.shape[: given.ndim - kernel.ndim + 1], given.type.shape[given.ndim - kernel.ndim + 1 :]
        made = value(
            _convolved(ops.reshape(given, (-1, *rest)), kernel, strides, padding, data_format, dilations, explicit)
        )
        return ops.reshape(made, (*lead, *made.type.shape[1:]))
    return ops.conv(
        given,
        kernel,
        window.spatial(strides, "strides"),
        window.padding(padding, explicit),
        window.layout,
        window.spatial(dilations, "dilations"),
    )


@raw("Conv2D", "Conv3D", "Conv")
def conv_raw(
    input: Tensor,
    filter: Tensor,
    strides: Any,
    padding: str,
    data_format: Any = None,
    dilations: Any = None,
    explicit_paddings: Any = None,
) -> Tensor:
    return _convolved(input, filter, strides, padding, data_format, dilations, explicit_paddings)


@function("nn.conv2d", "nn.conv3d", "compat.v1.nn.conv2d", "compat.v1.nn.conv3d")
def conv(
    input: Any,
    filters: Any = None,
    strides: Any = None,
    padding: Any = None,
    data_format: Any = None,
    dilations: Any = None,
    filter: Any = None,
    use_cudnn_on_gpu: Any = True,
) -> Tensor:
    return _convolved(input, filters if filters is not None else filter, strides, padding, data_format, dilations)


@function("nn.conv1d", "compat.v1.nn.conv1d")
def conv1d(
    input: Any,
    filters: Any = None,
    stride: Any = None,
    padding: Any = None,
    data_format: Any = None,
    dilations: Any = None,
    use_cudnn_on_gpu: Any = True,
) -> Tensor:
    return _convolved(input, filters, stride, padding, data_format, dilations)


@function("nn.convolution", "compat.v1.nn.convolution")
def convolution(
    input: Any,
    filters: Any = None,
    strides: Any = None,
    padding: Any = "VALID",
    data_format: Any = None,
    dilations: Any = None,
    filter: Any = None,
    dilation_rate: Any = None,
) -> Tensor:
    kernel = filters if filters is not None else filter
    rates = dilations if dilations is not None else dilation_rate
    return _convolved(input, kernel, strides, padding, data_format, rates)


@function("nn.atrous_conv2d")
def _atrous(value: Any, filters: Any, rate: Any, padding: Any) -> Tensor:
    return _convolved(value, filters, 1, padding, None, rate)


@raw("DepthwiseConv2dNative")
def depthwise_raw(
    input: Tensor,
    filter: Tensor,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
    explicit_paddings: Any = None,
) -> Tensor:
    given, kernel = map(value, pair(input, filter))
    window = Window.of(2, data_format)
    return ops.depthwise_conv(
        given,
        kernel,
        window.spatial(strides, "strides"),
        window.padding(padding, explicit_paddings),
        window.layout,
        window.spatial(dilations, "dilations"),
    )


@function("nn.depthwise_conv2d", "compat.v1.nn.depthwise_conv2d", "compat.v1.nn.depthwise_conv2d_native")
def depthwise(
    input: Any,
    filter: Any,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
    rate: Any = None,
) -> Tensor:
    return depthwise_raw(input, filter, strides, padding, data_format, dilations if dilations is not None else rate)


@function("nn.separable_conv2d", "compat.v1.nn.separable_conv2d")
def _separable(
    input: Any,
    depthwise_filter: Any,
    pointwise_filter: Any,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
    rate: Any = None,
) -> Tensor:
    each = depthwise(input, depthwise_filter, strides, padding, data_format, dilations, rate)
    return _convolved(each, pointwise_filter, 1, "VALID", data_format, None)


# ---- transposed


def _transposed(
    x: Any, w: Any, output: Any, strides: Any, padding: Any, data_format: Any, dilations: Any, explicit: Any = None
) -> Tensor:
    given, kernel = map(value, pair(x, w))
    if kernel.ndim not in (3, 4, 5) or given.ndim != kernel.ndim:
        raise Refused(f"a transposed convolution takes ranks from 3 to 5, got {given.ndim} and {kernel.ndim}")
    window = Window.of(kernel.ndim - 2, data_format)
    if any(rate != 1 for rate in window.spatial(dilations, "dilations")):
        raise Refused("it is a transposed convolution with dilations")
    steps, how = window.spatial(strides, "strides"), window.padding(padding, explicit)
    first = 1 if window.layout == "channels_last" else 2
    sizes = given.type.shape[first : first + window.rank]
    wanted = dims(output, "output_shape")
    wanted = wanted[first : first + window.rank] if len(wanted) == window.rank + 2 else wanted
    open_ends = [(size - 1) * step - goal for size, goal, step in zip(sizes, wanted, steps, strict=False)]
    if any(isinstance(end, SymbolicDim) for end in open_ends) and entries(tensor(output)) is None:
        return _cut_to(given, kernel, window, steps, how, wanted)
    crops = [_crops(*part, how, i) for i, part in enumerate(zip(sizes, wanted, kernel.shape, steps, strict=False))]
    extra = tuple(max(-high, 0) for _, high in crops)
    cut = tuple((low, max(high, 0)) for low, high in crops)
    op = ConvTranspose(steps, cut, (1,) * window.rank, 1, window.layout, extra if any(extra) else None)
    return apply(op, given, kernel)


def _cut_to(
    given: Value, kernel: Value, window: Window, steps: Sequence[int], how: Any, wanted: Sequence[Dim]
) -> Tensor:
    """The whole transposed convolution, of which the part is taken that the data ask for."""
    if how not in ("same", "valid"):
        raise Refused("its output has a size that the data decide, and its padding is explicit")
    first = 1 if window.layout == "channels_last" else 2
    op = ConvTranspose(tuple(steps), ((0, 0),) * window.rank, (1,) * window.rank, 1, window.layout, None)
    made = apply(op, given, kernel)
    for axis, (goal, step) in enumerate(zip(wanted, steps, strict=True), first):
        size, extent = given.type.shape[axis], kernel.type.shape[axis - first]
        reach = goal if how == "same" else goal - extent + 1
        made = apply(EqualSizes((size,), ((reach + step - 1) // step,)), made)
        over = (size - 1) * step + extent - goal
        low = max_dim(over, 0) // 2 if how == "same" else 0
        pads = [(0, step if place == axis else 0) for place in range(made.ndim)]
        made = ops.take(ops.pad(made, pads), counted(goal, low), axis)
    return made


def _crops(size: Dim, wanted: Dim, extent: int | None, stride: int, padding: Any, axis: int) -> tuple[int, int]:
    """(before, after) to cut off the sum of all kernels, for the output to have the size that is wanted."""
    if extent is None:
        raise Refused("its kernel has an unknown size")
    over = (size - 1) * stride + extent - wanted
    if not isinstance(over, int):
        raise Refused(f"its output has the size {wanted}, which does not follow from {size} at the stride {stride}")
    half = max(over, 0) // 2 if padding == "same" else 0
    low = padding[axis][0] if isinstance(padding, tuple) else half
    high = over - low
    if -high >= max(stride, 1) or (padding == "valid" and high > 0):
        raise Refused(f"its output of size {wanted} is none that a convolution makes of {size} at the stride {stride}")
    return low, high


@raw("Conv2DBackpropInput", "Conv3DBackpropInputV2")
def transposed_raw(
    input_sizes: Tensor,
    filter: Tensor,
    out_backprop: Tensor,
    strides: Any,
    padding: Any,
    data_format: Any = None,
    dilations: Any = None,
    explicit_paddings: Any = None,
) -> Tensor:
    return _transposed(out_backprop, filter, input_sizes, strides, padding, data_format, dilations, explicit_paddings)


@function(
    *("nn.conv1d_transpose", "nn.conv2d_transpose", "nn.conv3d_transpose", "nn.conv_transpose"),
    *("compat.v1.nn.conv2d_transpose", "compat.v1.nn.conv3d_transpose"),
)
def conv_transpose(
    input: Any,
    filters: Any = None,
    output_shape: Any = None,
    strides: Any = None,
    padding: Any = "SAME",
    data_format: Any = None,
    dilations: Any = None,
    filter: Any = None,
) -> Tensor:
    kernel = filters if filters is not None else filter
    return _transposed(input, kernel, output_shape, strides, padding, data_format, dilations)


# ---- keras.backend


@function("keras.backend.conv1d", "keras.backend.conv2d", "keras.backend.conv3d")
def _conv_of_keras(
    x: Any,
    kernel: Any,
    strides: Any = 1,
    padding: str = "valid",
    data_format: Any = None,
    dilation_rate: Any = 1,
) -> Tensor:
    given, weights = map(value, pair(x, kernel))
    window = Window.of(weights.ndim - 2, data_format)
    spatial: Sequence[tuple[int, ...]] = [window.spatial(each, "strides") for each in (strides, dilation_rate)]
    return ops.conv(given, weights, spatial[0], padding, window.layout, spatial[1])


@raw("BiasAdd")
@function("nn.bias_add", "compat.v1.nn.bias_add", "keras.backend.bias_add")
def bias_add(value: Any, bias: Any, data_format: Any = None) -> Tensor:
    given, vector = map(_value, pair(value, bias))
    if Window.of(given.ndim - 2, data_format).layout == "channels_first" and given.ndim > 2:
        vector = ops.reshape(vector, (-1, *(1,) * (given.ndim - 2)))
    return ops.add(given, vector)


@raw("BiasAddV1")
def _bias_add_of_1(value: Tensor, bias: Tensor) -> Tensor:
    return bias_add(value, bias)


def _value(data: Any) -> Value:
    return value(tensor(data))
