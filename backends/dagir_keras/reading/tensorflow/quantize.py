"""Numbers rounded to the steps that integers of a few bits would have, and back."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, integer, like, tensor, value


def _fake(x: Value, low: Value, high: Value, num_bits: int, narrow_range: bool) -> Value:
    """The range is moved so that 0 is one of its steps."""
    first, last = float(narrow_range), float(2**num_bits - 1)
    scale = (high - low) / (last - first)
    zero = ops.clip(ops.floor(first - low / scale + 0.5), first, last)
    lowest, highest = (first - zero) * scale, (last - zero) * scale
    inside = ops.maximum(ops.minimum(x, highest), lowest)
    inverse = ops.reciprocal(scale)
    offset = ops.floor(0.5 - lowest * inverse)
    return ops.floor((inside - lowest) * inverse - offset + 0.5) * scale


@raw("FakeQuantWithMinMaxArgs")
@function("quantization.fake_quant_with_min_max_args")
def _by_numbers(inputs: Any, min: float = -6, max: float = 6, num_bits: int = 8, narrow_range: bool = False) -> Value:
    x = value(tensor(inputs))
    return _fake(x, like(float(min), x), like(float(max), x), num_bits, narrow_range)


@raw("FakeQuantWithMinMaxVars", "FakeQuantWithMinMaxVarsPerChannel")
@function("quantization.fake_quant_with_min_max_vars", "quantization.fake_quant_with_min_max_vars_per_channel")
def _by_tensors(inputs: Any, min: Any, max: Any, num_bits: int = 8, narrow_range: bool = False) -> Value:
    x = value(tensor(inputs))
    return _fake(x, like(min, x), like(max, x), num_bits, narrow_range)


@raw("QuantizeAndDequantizeV2", "QuantizeAndDequantizeV4")
def quantize_and_back(
    input: Tensor,
    input_min: Tensor,
    input_max: Tensor,
    signed_input: bool = True,
    num_bits: int = 8,
    range_given: bool = False,
    round_mode: str = "HALF_TO_EVEN",
    narrow_range: bool = False,
    axis: int = -1,
) -> Value:
    """The end of the range that needs the coarser steps decides on them; the other end is moved to a step."""
    x = value(input)
    if axis != -1 and range_given:
        raise Refused("it has a range for each part of an axis, which TensorFlow takes on some devices only")
    others = None if axis == -1 else [each for each in range(x.ndim) if each != axis % x.ndim]
    own = ops.min(x, others, keepdims=axis != -1), ops.max(x, others, keepdims=axis != -1)
    low, high = (value(input_min), value(input_max)) if range_given else own
    first = float(-(2 ** (num_bits - 1)) + narrow_range) if signed_input else 0.0
    last = float(2 ** (num_bits - 1) - 1 if signed_input else 2**num_bits - 1)
    by_low, by_high = _scale(first, low), _scale(last, high)
    decides = ops.less(by_low, by_high)
    step = ops.where(decides, low / first, high / last) if first else high / last
    scale = ops.where(decides, by_low, by_high)
    if range_given:
        x = ops.minimum(ops.maximum(x, ops.where(decides, low, step * first)), ops.where(decides, step * last, high))
    rounds = {"HALF_TO_EVEN": ops.round, "HALF_UP": lambda each: ops.floor(each + 0.5)}
    if round_mode not in rounds:
        raise Refused(f"it rounds in the mode {round_mode[:40]!r}, which TensorFlow has not")
    return rounds[round_mode](x * scale) * step


def _scale(end: float, bound: Value) -> Value:
    """Steps a unit; the largest number where the end of the range is on the other side of 0."""
    largest = like(float(np.finfo(bound.dtype.numpy).max), bound)
    if not end:
        return largest
    return ops.where(ops.greater(bound * end, 0.0), end / bound, largest)


@raw("QuantizeAndDequantizeV3")
def _with_bits(
    input: Tensor,
    input_min: Tensor,
    input_max: Tensor,
    num_bits: Tensor,
    signed_input: bool = True,
    range_given: bool = True,
    narrow_range: bool = False,
    axis: int = -1,
) -> Value:
    bits = integer(num_bits, "num_bits")
    how: Any = {"range_given": range_given, "narrow_range": narrow_range, "axis": axis}
    return quantize_and_back(input, input_min, input_max, signed_input, bits, **how)
