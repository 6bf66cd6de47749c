"""Convolutions. TensorFlow's CPU kernels need channels last, and refuse strides together with dilations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops as K

from dagir import ops
from dagir.ir.dims import SymbolicDim, symbol
from dagir.ir.graph import Node
from dagir_keras.rules import rules
from dagir_keras.sizes import number


@rules.rule(ops.Conv)
def conv(op: ops.Conv, x: Any, w: Any, b: Any = None) -> Any:
    x = _channels_last(op, x)
    kernel = tuple(w.shape[: op.rank])
    decomposed = max(op.strides) > 1 and max(op.dilations) > 1
    if op.padding == "same" and not _pads_itself(op, kernel):
        y = _convolve(op, x, w, op.strides, "same")
    else:
        pads = _pads(op, x, kernel)
        if any(not isinstance(size, int) or size for pair in pads for size in pair):
            x = K.pad(x, [(0, 0), *pads, (0, 0)])
        y = _convolve(op, x, w, 1 if decomposed else op.strides, "valid")
        if decomposed:
            y = y[(slice(None), *(slice(None, None, stride) for stride in op.strides))]
    return _back(op, y if b is None else K.add(y, b))


@rules.rule(ops.ConvTranspose)
def conv_transpose(op: ops.ConvTranspose, x: Any, w: Any, b: Any = None) -> Any:
    """The full result, cropped here: TensorFlow refuses some of the output sizes that Keras computes."""
    full = K.conv_transpose(_channels_last(op, x), _spread(op, w), op.strides, "valid", 0, "channels_last")
    crops = op.crops(tuple(w.shape[: op.rank]))
    y = full[(slice(None), *(slice(low, -high if high > 0 else None) for low, high in crops))]
    if any(high < 0 for _, high in crops):
        y = K.pad(y, [(0, 0), *((0, max(-high, 0)) for _, high in crops), (0, 0)])
    return _back(op, y if b is None else K.add(y, b))


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
