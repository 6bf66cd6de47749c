"""Convolutions: ONNX has channels first, and kernels with the channels before the spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import TensorType, fixed_shape
from dagir.ops.conv import ForwardConvolution
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.layout import channels_back, channels_first
from dagir_onnx.rules import rules


@rules.rule(ops.Conv)
def conv(op: ops.Conv, emit: Emitter, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """Pads are always written out: onnxruntime refuses auto_pad with dilations."""
    attributes, x = window_attributes(op, emit, channels_first(op, emit, x), w)
    kernel = emit.transposed(w, (op.rank + 1, op.rank, *range(op.rank)))
    return channels_back(op, emit, emit("Conv", x, kernel, b, type=output_type(op, emit), **attributes))


def window_attributes(
    op: ForwardConvolution, emit: Emitter, x: Tensor, w: Tensor, fill: Tensor | None = None
) -> tuple[dict[str, Any], Tensor]:
    """The attributes of a convolution, and x: padded where the padding follows from sizes of the run.

    x: channels first. fill: what to pad with then, 0 by default.
    """
    kernel = _kernel(op, w)
    pads = op.pads(x.type.shape[2:], kernel)
    fixed = [size for pair in pads for size in pair if isinstance(size, int)]
    if len(fixed) < 2 * op.rank:
        x, fixed = _padded_at_run_time(emit, x, pads, fill), [0] * (2 * op.rank)
    attributes = {
        "kernel_shape": kernel,
        "strides": _unless_all(1, op.strides),
        "dilations": _unless_all(1, op.dilations),
        "group": op.groups if op.groups != 1 else None,
        "pads": _unless_all(0, [*fixed[::2], *fixed[1::2]]),
    }
    return attributes, x


@rules.rule(ops.ConvTranspose)
def conv_transpose(op: ops.ConvTranspose, emit: Emitter, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """A crop below 0 becomes output_padding: it is less than the stride, as ONNX needs it."""
    kernel = _kernel(op, w)
    crops = op.crops(kernel)
    extra = [max(-high, 0) for _, high in crops]
    y = emit(
        "ConvTranspose",
        channels_first(op, emit, x),
        emit.transposed(w, (op.rank + 1, op.rank, *range(op.rank))),
        b,
        type=output_type(op, emit),
        kernel_shape=kernel,
        strides=_unless_all(1, op.strides),
        dilations=_unless_all(1, op.dilations),
        group=op.groups if op.groups != 1 else None,
        pads=_unless_all(0, [low for low, _ in crops] + [max(high, 0) for _, high in crops]),
        output_padding=extra if any(extra) else None,
    )
    return channels_back(op, emit, y)


def _unless_all(default: int, numbers: Sequence[int]) -> Sequence[int] | None:
    """The attribute, or None where it is ONNX's default: a file with many small convolutions is smaller without it."""
    return None if all(number == default for number in numbers) else numbers


def _kernel(op: ForwardConvolution | ops.ConvTranspose, w: Tensor) -> tuple[int, ...]:
    return fixed_shape(w.type.shape[: op.rank])


def output_type(op: ForwardConvolution | ops.ConvTranspose, emit: Emitter) -> TensorType:
    """The type of the node's result with the channels first."""
    type = emit.outputs[0].type
    if op.data_format == "channels_first":
        return type
    return type.with_shape((type.shape[0], type.shape[-1], *type.shape[1:-1]))


def _padded_at_run_time(
    emit: Emitter, x: Tensor, pads: tuple[tuple[Dim, Dim], ...], fill: Tensor | None = None
) -> Tensor:
    """Padding computed at run time: that of a strided "same" depends on a size that is not known before."""
    amounts = emit.shape_tensor([0, 0, *(low for low, _ in pads), 0, 0, *(high for _, high in pads)])
    sizes = [size + low + high for size, (low, high) in zip(x.type.shape[2:], pads, strict=True)]
    padded: Tensor = emit("Pad", x, amounts, fill, type=x.type.with_shape((*x.type.shape[:2], *sizes)))
    return padded
