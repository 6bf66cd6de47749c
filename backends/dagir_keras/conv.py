"""Convolutions. TensorFlow's CPU kernels need channels last, and refuse strides together with dilations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
from keras import ops as K

from dagir import ops
from dagir.ir.dims import SymbolicDim, symbol
from dagir.ir.graph import Node
from dagir_keras.rules import rules
from dagir_keras.sizes import number


@rules.rule(ops.Conv)
def conv(op: ops.Conv, x: Any, w: Any, b: Any = None) -> Any:
    strides, padding = _of_kernel(op, tuple(w.shape[: op.rank]))
    y = _around(op, x, tuple(w.shape[: op.rank]), lambda images: _convolve(op, images, w, strides, padding))
    return _back(op, y if b is None else K.add(y, b))


def _of_kernel(op: ops.Conv, kernel: tuple[int, ...]) -> tuple[Any, str]:
    """The strides and the padding that are left to Keras; `_around` does the rest."""
    itself = op.padding != "same" or _pads_itself(op, kernel)
    return 1 if _decomposed(op) else op.strides, "valid" if itself else "same"


def _decomposed(op: ops.Conv) -> bool:
    return max(op.strides) > 1 and max(op.dilations) > 1


def _around(op: ops.Conv, x: Any, kernel: tuple[int, ...], convolve: Callable[[Any], Any]) -> Any:
    """The convolution channels last, padded before and thinned out after, where Keras does not do it."""
    x = _channels_last(op, x)
    if op.padding == "same" and not _pads_itself(op, kernel):
        return convolve(x)
    pads = _pads(op, x, kernel)
    if any(not isinstance(size, int) or size for pair in pads for size in pair):
        x = K.pad(x, [(0, 0), *pads, (0, 0)])
    y = convolve(x)
    if _decomposed(op):
        y = y[(slice(None), *(slice(None, None, stride) for stride in op.strides))]
    return y


Layered: TypeAlias = tuple[Callable[[str], keras.layers.Layer], Callable[[keras.layers.Layer, Sequence[Any]], Any]]


def convolution_layer(op: ops.Conv, shape: tuple[int, ...], use_bias: bool) -> Layered:
    """What makes the layer of Keras for a kernel of this shape, and what calls it."""
    kernel = shape[: op.rank]
    strides, padding = _of_kernel(op, kernel)
    options = {"padding": padding, "dilation_rate": op.dilations, "use_bias": use_bias}
    depthwise = op.groups > 1 and shape[op.rank] == 1 and op.rank < 3 and (strides == 1 or len(set(strides)) == 1)

    def make(dtype: str) -> keras.layers.Layer:
        if depthwise:  # TensorFlow compiles other grouped convolutions at every call
            cls = getattr(keras.layers, f"DepthwiseConv{op.rank}D")
            return cls(kernel, strides, depth_multiplier=shape[-1] // op.groups, dtype=dtype, **options)
        cls = getattr(keras.layers, f"Conv{op.rank}D")
        return cls(shape[-1], kernel, strides, groups=op.groups, dtype=dtype, **options)

    def run(layer: keras.layers.Layer, tensors: Sequence[Any]) -> Any:
        return _back(op, _around(op, tensors[0], kernel, layer))

    return make, run


def transposed_layer(op: ops.ConvTranspose, shape: tuple[int, ...], use_bias: bool) -> Layered | None:
    """The same for a transpose; None where its result is padded, or its kernel dilated, outside of the layer."""
    kernel = shape[: op.rank]
    crops = op.crops(kernel)
    padding: Any = "valid"
    extra: int | None = 0
    if any(high < 0 for _, high in crops) and isinstance(op.padding, str) and op.output_padding is None:
        crops, padding, extra = ((0, 0),) * op.rank, op.padding, None  # where strides are longer than the kernel
    if op.groups > 1 or max(op.dilations) > 1 or any(high < 0 for _, high in crops):
        return None

    def make(dtype: str) -> keras.layers.Layer:
        cls = getattr(keras.layers, f"Conv{op.rank}DTranspose")
        return cls(shape[-2], kernel, op.strides, padding, output_padding=extra, use_bias=use_bias, dtype=dtype)

    def run(layer: keras.layers.Layer, tensors: Sequence[Any]) -> Any:
        return _back(op, _cropped(layer(_channels_last(op, tensors[0])), crops))

    return make, run


@rules.rule(ops.ConvTranspose)
def conv_transpose(op: ops.ConvTranspose, x: Any, w: Any, b: Any = None) -> Any:
    """The full result, cropped here: TensorFlow refuses some of the output sizes that Keras computes."""
    images, kernel = _channels_last(op, x), _spread(op, w)
    parts = [(images, kernel)]
    if op.groups > 1:  # Keras has no groups here
        parts = list(zip(K.split(images, op.groups, axis=-1), K.split(kernel, op.groups, axis=-1), strict=True))
    whole = [K.conv_transpose(part, own, op.strides, "valid", 0, "channels_last") for part, own in parts]
    full = whole[0] if op.groups == 1 else K.concatenate(whole, axis=-1)
    crops = op.crops(tuple(w.shape[: op.rank]))
    y = _cropped(full, crops)
    if any(high < 0 for _, high in crops):
        y = K.pad(y, [(0, 0), *((0, max(-high, 0)) for _, high in crops), (0, 0)])
    return _back(op, y if b is None else K.add(y, b))


def _cropped(full: Any, crops: Sequence[tuple[int, int]]) -> Any:
    if not any(low > 0 or high > 0 for low, high in crops):
        return full
    return full[(slice(None), *(slice(low, -high if high > 0 else None) for low, high in crops))]


def _spread(op: ops.ConvTranspose, w: Any) -> Any:
    """The kernel with zeros in place of dilations: TensorFlow's CPU kernel of the transpose takes no dilations."""
    for axis, dilation in enumerate(op.dilations):
        if dilation > 1:
            before, size, after = w.shape[:axis], w.shape[axis], w.shape[axis + 1 :]
            w = K.reshape(w, (*before, size, 1, *after))
            w = K.pad(w, [(0, 0)] * (axis + 1) + [(0, dilation - 1)] + [(0, 0)] * len(after))
            w = K.reshape(w, (*before, size * dilation, *after))
            w = w[(slice(None),) * axis + (slice(0, (size - 1) * dilation + 1),)]
    return w


def _channels_last(op: ops.Conv | ops.ConvTranspose, x: Any) -> Any:
    return x if op.data_format == "channels_last" else K.transpose(x, (0, *range(2, op.rank + 2), 1))


def _back(op: ops.Conv | ops.ConvTranspose, y: Any) -> Any:
    return y if op.data_format == "channels_last" else K.transpose(y, (0, op.rank + 1, *range(1, op.rank + 1)))


def _convolve(op: ops.Conv, x: Any, w: Any, strides: Any, padding: str) -> Any:
    """A depthwise convolution where possible: TensorFlow compiles other grouped convolutions at every call."""
    depthwise = op.groups > 1 and w.shape[op.rank] == 1 and op.rank < 3
    if depthwise and (strides == 1 or len(set(strides)) == 1):
        multiplier = w.shape[-1] // op.groups
        kernel = K.reshape(w, (*w.shape[: op.rank], op.groups, multiplier))
        return K.depthwise_conv(x, kernel, strides, padding, "channels_last", op.dilations)
    if op.groups > 1 and isinstance(x, keras.KerasTensor):  # Keras computes its shape without the groups
        parts = zip(K.split(x, op.groups, axis=-1), K.split(w, op.groups, axis=-1), strict=True)
        return K.concatenate([K.conv(a, b, strides, padding, "channels_last", op.dilations) for a, b in parts], axis=-1)
    return K.conv(x, w, strides, padding, "channels_last", op.dilations)


def needs_layer(node: Node) -> bool:
    """Whether the rule can run only within a Keras layer: it pads by a size that a KerasTensor may not know.

    Keras's operation of a transposed convolution exchanges padding and output_padding on KerasTensors.
    """
    if isinstance(node.op, ops.ConvTranspose):
        return True
    if not isinstance(node.op, ops.Conv):
        return False
    x, w = (value.type.shape for value in node.inputs[:2] if value is not None)
    unknown = any(isinstance(x[axis], SymbolicDim) for axis in node.op.spatial_axes)
    return unknown and node.op.padding == "same" and _pads_itself(node.op, w[: node.op.rank])


def _pads_itself(op: ops.Conv, kernel: Sequence[Any]) -> bool:
    """Whether the rule must pad for "same" itself, because TensorFlow does not do it, or does it wrong."""
    return (max(op.strides) > 1 and max(op.dilations) > 1) or _misplaced(op, kernel)


def _misplaced(op: ops.Conv, kernel: Sequence[Any]) -> bool:
    """Whether TensorFlow's Conv3D on the CPU starts its windows in the wrong place where "same" needs no padding."""
    return op.rank == 3 and any(s > k + 1 for s, k in zip(op.strides, op.extents(kernel), strict=True))


def _pads(op: ops.Conv, x: Any, kernel: tuple[int, ...]) -> list[tuple[Any, Any]]:
    """The padding as numbers, or integer tensors where a size is known at run time only."""
    found = dict(zip((f"axis_{i}" for i in range(op.rank)), K.shape(x)[1:-1], strict=True))
    sizes = [size if isinstance(size, int) else symbol(name) for name, size in found.items()]
    return [(number(low, found), number(high, found)) for low, high in op.pads(sizes, kernel)]
