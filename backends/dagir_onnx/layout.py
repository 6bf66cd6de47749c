"""ONNX convolves, pools and resizes channels first: the axes of a value of either layout, there and back."""

from __future__ import annotations

from typing import Protocol

from dagir_onnx.emitter import Emitter, Tensor


class Laid(Protocol):
    """An op that says where the channels of its operand are."""

    @property
    def data_format(self) -> str:
        """Which axis is the channels: "channels_last" or "channels_first"."""


def channels_first(op: Laid, emit: Emitter, x: Tensor) -> Tensor:
    """The operand of an op as ONNX takes it."""
    last = x.type.rank - 1
    return x if op.data_format == "channels_first" else emit.transposed(x, (0, last, *range(1, last)))


def channels_back(op: Laid, emit: Emitter, y: Tensor) -> Tensor:
    """What ONNX made, as the op gives it."""
    return y if op.data_format == "channels_first" else emit.transposed(y, (0, *range(2, y.type.rank), 1))
