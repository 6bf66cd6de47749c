"""Convolutions: Conv, ConvTranspose, and the functions of keras.ops that make them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar, TypeAlias

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, ceil_div, max_dim
from dagir.ir.first_order import weighted
from dagir.ir.graph import Op, Operand, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import Rounding
from dagir.ir.types import Equations, Inferred, Shape, Sizes, TensorType, fixed_shape
from dagir.ops.operands import require, same_dtype
from dagir.ops.shape import reshape
from dagir.support.integers import ints_per_axis

Padding: TypeAlias = str | tuple[tuple[int, int], ...]

__all__ = [
    "Conv",
    "ConvTranspose",
    "conv",
    "conv_transpose",
    "depthwise_conv",
    "separable_conv",
]


_WEIGHTED = Rounding(compound=True, first_order=weighted(lambda op: op.channel_axis, lambda op: op.channel_axis))


@dataclass(frozen=True)
class _Convolution(Op):
    """The common part of both convolutions: the fields, and the checks of operands."""

    bound_to_layout = True
    operands: ClassVar[tuple[str, ...]] = ("x", "w", "b")
    strides: tuple[int, ...]
    padding: Padding
    dilations: tuple[int, ...]
    groups: int = 1
    data_format: str = "channels_last"

    @property
    def rank(self) -> int:
        """The number of spatial axes."""
        return len(self.strides)

    @property
    def channel_axis(self) -> int:
        """The axis of x that holds the channels."""
        return self.rank + 1 if self.data_format == "channels_last" else 1

    @property
    def spatial_axes(self) -> tuple[int, ...]:
        """The axes of x that the kernel slides along."""
        first = 1 if self.data_format == "channels_last" else 2
        return tuple(range(first, first + self.rank))

    def extents(self, kernel: Sequence[int]) -> tuple[int, ...]:
        """The sizes that a kernel covers: (k - 1) * dilation + 1."""
        return tuple((k - 1) * d + 1 for k, d in zip(kernel, self.dilations, strict=True))

    def _check(self, x: TensorType, w: TensorType, b: TensorType | None, paddings: tuple[str, ...]) -> None:
        same_dtype(x, w, *([] if b is None else [b]))
        require("float", x)
        name = type(self).__name__
        _check_fields(self, name, paddings)
        if w.rank != self.rank + 2 or x.rank != self.rank + 2:
            raise ShapeError(
                f"{name} of {self.rank} spatial axes takes x and w of rank {self.rank + 2}, got {x.rank} and {w.rank}",
                remedy=f"x needs a batch axis, {self.rank} spatial axes and a channel axis ({self.data_format})",
            )
        if not all(isinstance(size, int) and size > 0 for size in w.shape):
            raise ShapeError(f"the kernel needs fixed sizes above 0, got {list(w.shape)}")

    def _check_channels(
        self, equations: Equations, x: TensorType, takes: int, w_axis: int, b: TensorType | None, out: int, o_axis: int
    ) -> None:
        """The channels of x are those that the kernel takes; groups divide the filters; the bias has one for each."""
        channels = x.shape[self.channel_axis]
        if equations.equate(channels, takes) is None:
            grouped = f" ({self.groups} groups of {takes // self.groups})" if self.groups > 1 else ""
            raise ShapeError(
                f"x has {channels} channels, the kernel takes {takes}{grouped}",
                marks={0: [self.channel_axis], 1: [w_axis]},
                remedy=_channel_remedy(self, x, takes),
            )
        if out % self.groups:
            raise ShapeError(
                f"{out} filters do not split into {self.groups} groups",
                marks={1: [o_axis]},
                remedy="choose a number of filters that groups divides",
            )
        if b is not None and b.shape != (out,):
            raise ShapeError(f"the bias must have shape [{out}]", marks={1: [o_axis], 2: list(range(b.rank))})

    def _output(self, x: TensorType, sizes: Sequence[Dim], out: Dim) -> TensorType:
        last = self.data_format == "channels_last"
        shape: Shape = (x.shape[0], *sizes, out) if last else (x.shape[0], out, *sizes)
        return x.with_shape(shape)


@dataclass(frozen=True)
class ForwardConvolution(_Convolution):
    """The convolutions whose kernel slides over the padded input: of floats, and of codes."""

    def pads(self, sizes: Sequence[Dim], kernel: Sequence[int]) -> tuple[tuple[Dim, Dim], ...]:
        """(before, after) for each spatial axis at these sizes; symbolic for a strided "same" on a named size."""
        if not isinstance(self.padding, str):
            return self.padding
        extents = self.extents(kernel)
        if self.padding == "valid":
            return ((0, 0),) * self.rank
        if self.padding == "causal":
            return tuple((extent - 1, 0) for extent in extents)
        return tuple(same_pads(*args) for args in zip(sizes, extents, self.strides, strict=True))

    def _too_large(self, i: int, size: Dim, extent: int, padded: bool) -> ShapeError:
        dilated = f" (dilation {self.dilations[i]})" if self.dilations[i] > 1 else ""
        return ShapeError(
            f"the kernel reaches over {extent} elements{dilated}, the axis has {size}{' when padded' * padded}",
            marks={0: [self.spatial_axes[i]], 1: [i]},
            remedy="use padding='same', a smaller kernel, or a larger input",
        )


@dataclass(frozen=True)
class Conv(ForwardConvolution):
    """x: f[n, *d, c], w: f[*k, c/groups, o], b: f[o]? -> f[n, *e, o]; channels_first: f[n, c, *d] -> f[n, o, *e].

    With k' = (k-1)*dilation + 1, e is (d - k')//stride + 1 for "valid", ceil(d/stride) for "same" (the smaller half of
    the padding first), (d - 1)//stride + 1 for "causal".  keras.ops.conv; ONNX Conv-11 with an HWIO kernel.
    """

    rounding = _WEIGHTED

    def infer(self, x: TensorType, w: TensorType, b: TensorType | None = None) -> Inferred:
        """Batch and filters, and the number of places where the kernel fits on the padded axes."""
        equations = Equations()
        self._check(x, w, b, ("valid", "same", "causal"))
        per_group, out = fixed_shape(w.shape[-2:])
        self._check_channels(equations, x, per_group * self.groups, self.rank, b, out, self.rank + 1)
        sizes = tuple(x.shape[axis] for axis in self.spatial_axes)
        kernel = fixed_shape(w.shape[: self.rank])
        found: list[Dim] = []
        for i, (low, high) in enumerate(self.pads(sizes, kernel)):
            if self.padding == "same":
                found.append(ceil_div(sizes[i], self.strides[i]))
                continue
            room = sizes[i] + low + high - self.extents(kernel)[i]
            if isinstance(room, int) and room < 0:
                raise self._too_large(i, sizes[i] + low + high, self.extents(kernel)[i], padded=low != 0 or high != 0)
            found.append(room // self.strides[i] + 1)
        return equations.inferred(self._output(x, found, w.shape[-1]))


@dataclass(frozen=True)
class ConvTranspose(_Convolution):
    """x: f[n, *d, c], w: f[*k, o/groups, c], b: f[o]? -> f[n, *e, o]; channels_first: f[n, c, *d] -> f[n, o, *e].

    The gradient of Conv: each element adds its kernel at stride * its position. With k' = (k-1)*dilation + 1, e is
    (d-1)*stride + max(k', stride) for "valid" and d*stride for "same"; where output_padding p is given, they are
    (d-1)*stride + k' + p and (d-1)*stride + k'%2 + p. Explicit pads are cut off, then p is appended.
    keras.ops.conv_transpose; ONNX ConvTranspose-11.
    """

    rounding = _WEIGHTED
    output_padding: tuple[int, ...] | None = None

    def infer(self, x: TensorType, w: TensorType, b: TensorType | None = None) -> Inferred:
        """Batch and filters, and on each spatial axis the size that the kernels cover, less the crops."""
        equations = Equations()
        self._check(x, w, b, ("valid", "same"))
        filters, takes = fixed_shape(w.shape[-2:])
        if takes % self.groups:
            raise ShapeError(f"{takes} channels do not split into {self.groups} groups", marks={1: [self.rank + 1]})
        extra = self.output_padding
        if extra is not None and (
            len(extra) != self.rank or any(not 0 <= p < n for p, n in zip(extra, self._reach(), strict=True))
        ):
            raise ArgumentError(
                f"output_padding {extra} must be {self.rank} ints from 0 to below strides or dilations {self._reach()}",
                remedy="leave output_padding out, and it follows from the padding",
            )
        self._check_channels(equations, x, takes, self.rank + 1, b, filters * self.groups, self.rank)
        kernel = fixed_shape(w.shape[: self.rank])
        found: list[Dim] = []
        for i, (low, high) in enumerate(self.crops(kernel)):
            axis = self.spatial_axes[i]
            size = (x.shape[axis] - 1) * self.strides[i] + self.extents(kernel)[i] - low - high
            if isinstance(size, int) and size <= 0:
                raise ShapeError(
                    f"the output would have size {size} on spatial axis {i}",
                    marks={0: [axis], 1: [i]},
                    remedy="crop less, use a larger kernel or a larger output_padding",
                )
            found.append(size)
        return equations.inferred(self._output(x, found, filters * self.groups))

    def _reach(self) -> tuple[int, ...]:
        """How far apart elements of the result can be that no element of x reaches."""
        return tuple(map(max, self.strides, self.dilations))

    def crops(self, kernel: Sequence[int]) -> tuple[tuple[int, int], ...]:
        """(before, after) for each spatial axis: cut off the sum of all kernels; a negative number adds zeros."""
        found = []
        for i, (extent, stride) in enumerate(zip(self.extents(kernel), self.strides, strict=True)):
            extra = None if self.output_padding is None else self.output_padding[i]
            if not isinstance(self.padding, str):
                low, high = self.padding[i]
                found.append((low, high - (extra or 0)))
                continue
            if self.padding == "valid":
                found.append((0, -(max(stride - extent, 0) if extra is None else extra)))
                continue
            total = extent - (stride if extra is None else extent % 2 + extra)
            low = max(total // 2, 0)
            found.append((low, total - low))
        return tuple(found)


def same_pads(size: Dim, extent: int, stride: int) -> tuple[Dim, Dim]:
    """(before, after) of an axis, so that windows of this extent start at each multiple of the stride."""
    if extent == 1:  # no window needs an element past the end, at any size
        return 0, 0
    if stride == 1:
        total: Dim = extent - 1
    else:
        total = max_dim((ceil_div(size, stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def _check_fields(op: _Convolution, name: str, paddings: tuple[str, ...]) -> None:
    if op.rank not in (1, 2, 3):
        raise ArgumentError(f"{name} takes 1, 2 or 3 spatial axes, strides are {op.strides}")
    for what, numbers in (("strides", op.strides), ("dilations", op.dilations)):
        if len(numbers) != op.rank or any(number <= 0 for number in numbers):
            raise ArgumentError(f"{name} takes {op.rank} ints above 0 for {what}, got {numbers}")
    if op.groups <= 0:
        raise ArgumentError(f"{name} takes groups above 0, got {op.groups}")
    if op.data_format not in ("channels_last", "channels_first"):
        raise ArgumentError(f"data_format is 'channels_last' or 'channels_first', got {op.data_format!r}")
    if isinstance(op.padding, str):
        if op.padding not in paddings:
            raise ArgumentError(f"{name} takes padding {', '.join(paddings)} or explicit pairs, got {op.padding!r}")
        if op.padding == "causal" and op.rank != 1:
            raise ArgumentError("padding='causal' needs one spatial axis", remedy="use 'valid', 'same' or pairs")
    elif len(op.padding) != op.rank or any(len(pair) != 2 or min(pair) < 0 for pair in op.padding):
        raise ArgumentError(f"explicit padding is {op.rank} pairs (before, after) of ints >= 0, got {op.padding}")


def _channel_remedy(op: _Convolution, x: TensorType, takes: int) -> str:
    other = 1 if op.data_format == "channels_last" else x.rank - 1
    if x.shape[other] == takes:
        flipped = "channels_first" if op.data_format == "channels_last" else "channels_last"
        return f"axis {other} of x has {takes}: if those are the channels, use data_format={flipped!r}"
    return f"give x {takes} channels, or make a new layer for this input"


def _padding(padding: str | Sequence[Sequence[int]]) -> Padding:
    if isinstance(padding, str):
        return padding.lower()
    return tuple((int(low), int(high)) for low, high in padding)


def _spatial_rank(kernel: Value) -> int:
    rank = kernel.ndim - 2
    if rank not in (1, 2, 3):
        raise ShapeError(f"a convolution takes a kernel of rank 3, 4 or 5, got {kernel.type}")
    return rank


def conv(
    inputs: Operand,
    kernel: Operand,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Value:
    """Convolution. Shapes: inputs [n, *d, c], kernel [*k, c/groups, o] -> [n, *e, o]; groups follow from c.

    padding: "valid", "same", "causal" (one spatial axis), or a pair (before, after) for each axis.

    >>> ops.conv(dagir.Input((28, 28, 3)), np.ones((3, 3, 3, 8), "float32"), strides=2, padding="same")
    <Value conv float32[batch, 14, 14, 8]>
    """
    x, w = as_value(inputs), as_value(kernel)
    op = _conv_op(w, strides, padding, data_format, dilation_rate)
    channels = x.shape[op.channel_axis] if x.ndim == op.rank + 2 else None
    per_group = w.shape[-2]
    if channels and per_group and channels % per_group == 0:
        op = replace(op, groups=channels // per_group)
    return apply(op, x, w)


def _conv_op(
    w: Value,
    strides: Sizes,
    padding: str | Sequence[Sequence[int]],
    data_format: str | None,
    dilation_rate: Sizes,
) -> Conv:
    rank = _spatial_rank(w)
    strides, dilations = ints_per_axis("strides", strides, rank), ints_per_axis("dilation_rate", dilation_rate, rank)
    return Conv(strides, _padding(padding), dilations, 1, data_format or "channels_last")


def conv_transpose(
    inputs: Operand,
    kernel: Operand,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "valid",
    output_padding: int | Sequence[int] | None = None,
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Value:
    """Transposed convolution. Shapes: inputs [n, *d, c], kernel [*k, o, c] -> [n, *e, o].

    padding: "valid", "same", or a pair (before, after) to cut off for each axis. output_padding: one int, or
    one for each axis.

    >>> ops.conv_transpose(dagir.Input((14, 14, 3)), np.ones((2, 2, 8, 3), "float32"), strides=2)
    <Value conv_transpose float32[batch, 28, 28, 8]>
    """
    x, w = as_value(inputs), as_value(kernel)
    rank = _spatial_rank(w)
    strides, dilations = ints_per_axis("strides", strides, rank), ints_per_axis("dilation_rate", dilation_rate, rank)
    extra = None if output_padding is None else ints_per_axis("output_padding", output_padding, rank)
    layout = data_format or "channels_last"
    return apply(ConvTranspose(strides, _padding(padding), dilations, 1, layout, extra), x, w)


def depthwise_conv(
    inputs: Operand,
    kernel: Operand,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Value:
    """Each channel convolved on its own. Shapes: inputs [n, *d, c], kernel [*k, c, m] -> [n, *e, c*m].

    >>> ops.depthwise_conv(dagir.Input((28, 28, 3)), np.ones((3, 3, 3, 2), "float32"))
    <Value conv float32[batch, 26, 26, 6]>
    """
    x, w = as_value(inputs), as_value(kernel)
    op = _conv_op(w, strides, padding, data_format, dilation_rate)
    *sizes, channels, multiplier = w.type.shape
    if not isinstance(channels, int):
        raise ShapeError(
            f"a depthwise convolution needs a known number of channels, got the kernel {w.type}",
            remedy="give the channels of its input a fixed size",
        )
    return apply(replace(op, groups=channels), x, reshape(w, (*sizes, 1, channels * multiplier)))


def separable_conv(
    inputs: Operand,
    depthwise_kernel: Operand,
    pointwise_kernel: Operand,
    strides: int | Sequence[int] = 1,
    padding: str | Sequence[Sequence[int]] = "valid",
    data_format: str | None = None,
    dilation_rate: int | Sequence[int] = 1,
) -> Value:
    """A depthwise convolution, then one that mixes channels.

    Shapes: inputs [n, *d, c], depthwise_kernel [*k, c, m], pointwise_kernel [*ones, c*m, o] -> [n, *e, o].

    >>> spatial, mixing = np.ones((3, 3, 3, 1), "float32"), np.ones((1, 1, 3, 8), "float32")
    >>> ops.separable_conv(dagir.Input((28, 28, 3)), spatial, mixing)
    <Value conv float32[batch, 26, 26, 8]>
    """
    y = depthwise_conv(inputs, depthwise_kernel, strides, padding, data_format, dilation_rate)
    return conv(y, pointwise_kernel, 1, "valid", data_format)
