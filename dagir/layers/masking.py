"""Masking: skip the time steps that hold nothing but one value."""

from __future__ import annotations

from typing import Unpack

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Value
from dagir.layers.argument_types import LayerOptions, Mask
from dagir.layers.base import Layer

__all__ = [
    "Masking",
]


class Masking(Layer):
    """Make a mask: a step whose features all equal mask_value is masked, and set to 0.  keras.layers.Masking.

    >>> layers.Masking()(dagir.Input(("time", 4)))
    <Value masking float32[batch, time, 4]>
    """

    supports_masking = True

    def __init__(self, mask_value: float = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        if isinstance(mask_value, bool) or not isinstance(mask_value, (int, float)):
            raise ArgumentError(f"Masking takes a number for mask_value, got {mask_value!r}")
        self.mask_value = mask_value

    def call(self, inputs: Value) -> Value:
        """x: t[*s, i] -> t[*s, i]."""
        return ops.where(ops.expand_dims(self.compute_mask(inputs), -1), inputs, 0)

    def compute_mask(self, inputs: Value, mask: Mask = None) -> Value:
        """bool[*s]: whether any feature differs from mask_value."""
        return ops.any(ops.not_equal(inputs, self.mask_value), axis=-1)
