"""Pad: a value grown, or cropped, at the ends of its axes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.first_order import padded
from dagir.ir.graph import Constant, Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import Rounding
from dagir.ir.types import TensorType, fixed
from dagir.ops.counts import count_from
from dagir.ops.operands import require_held
from dagir.ops.shape import broadcast_to, concatenate

__all__ = [
    "Pad",
    "pad",
]

_MOVED = Rounding(exact=True, first_order=padded)


@dataclass(frozen=True)
class Pad(Op):
    """x: t[*s] -> t[s + before + after]; `mode` is constant, reflect, symmetric or edge.  NumPy pad; ONNX Pad-19.

    Negative pads crop. They are for constant mode, where `value` fills.
    """

    rounding = Rounding(first_order=padded)
    pads: tuple[tuple[int, int], ...]
    mode: str = "constant"
    value: float = 0.0

    def how_it_rounds(self) -> Rounding:
        """It moves numbers, and rounds at most the one that it fills with."""
        return _MOVED if self.mode != "constant" or self.value == 0 else self.rounding

    def infer(self, x: TensorType) -> Types:
        """Each size grown by its pads."""
        if len(self.pads) != x.rank:
            raise ShapeError(f"pad takes a pair for each axis: {x.rank} axes, {len(self.pads)} pairs")
        if self.mode == "constant":
            require_held("pad", x, self.value, what="number")
        else:
            self._check_mirrored(x)
        shape = tuple(size + before + after for size, (before, after) in zip(x.shape, self.pads, strict=True))
        for axis, size in enumerate(shape):
            if isinstance(size, int) and size < 0:
                raise ShapeError(f"cropping leaves axis {axis} with size {size}", marks={0: [axis]})
        return (x.with_shape(shape),)

    def _check_mirrored(self, x: TensorType) -> None:
        """Raise an error if x has too few elements to copy from, or if a pad is negative."""
        for axis, (pair, size) in enumerate(zip(self.pads, x.shape, strict=True)):
            if min(pair) < 0:
                raise ArgumentError(f"pads below 0 crop in constant mode only, got {pair} on axis {axis}")
            spare = {"reflect": size - 1, "symmetric": size}.get(self.mode)
            if isinstance(spare, int) and max(pair) > spare:
                raise ShapeError(
                    f"{self.mode} mode pads at most {spare} on axis {axis}, got {max(pair)}",
                    marks={0: [axis]},
                    remedy="pad less, or use mode='edge'",
                )


def pad(
    x: Operand, pad_width: Dim | Sequence[Sequence[Dim]], mode: str = "constant", constant_values: float | None = None
) -> Value:
    """x padded on each side of each axis, as numpy.pad. In constant mode a width may be a named size.

    pad_width: (before, after) for each axis, or one for all. mode: "constant", "reflect", "symmetric" or "edge".
    constant_values: 0 by default.

    >>> show(ops.pad([1, 2], ((1, 2),)))
    [0, 1, 2, 0, 0]
    """
    value = as_value(x)
    if isinstance(pad_width, (int, SymbolicDim)):
        pad_width = ((pad_width, pad_width),) * value.ndim
    widths = [tuple(pair) for pair in pad_width]
    if len(widths) == 1:
        widths *= value.ndim
    named = mode == "constant" and any(isinstance(width, SymbolicDim) for pair in widths for width in pair)
    if named:
        value, widths = _pad_named(value, widths, float(constant_values or 0.0))
    if named and all(width == 0 for pair in widths for width in pair):
        return value
    if mode not in ("constant", "reflect", "symmetric", "edge"):
        raise ArgumentError(f"unknown pad mode {mode!r}", remedy="use constant, reflect, symmetric or edge")
    counts = [[fixed(count_from("pad", "pad_width", width)) for width in pair] for pair in widths]
    pairs = tuple((before, after) for before, after in counts)
    return apply(Pad(pairs, mode, float(constant_values or 0.0)), value)


def _pad_named(value: Value, widths: Sequence[Any], filling: float) -> tuple[Value, list[Any]]:
    """The value after padding by named sizes, and the widths that are left to do."""
    left = [list(pair) for pair in widths]
    constant = Constant(np.asarray(filling, value.dtype.numpy)).value
    for axis, pair in enumerate(widths):
        for side, width in enumerate(pair):
            if isinstance(width, SymbolicDim):
                shape = value.type.shape
                border = broadcast_to(constant, (*shape[:axis], width, *shape[axis + 1 :]))
                value = concatenate([value, border] if side else [border, value], axis)
                left[axis][side] = 0
    return value, left
