"""What a graph gave, as values of dagir."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dagir.errors import UnsupportedLayer
from dagir.ir.graph import Value
from dagir_keras.reading.tensorflow.held import Complex, Missing, TensorList, Text, Variable
from dagir_keras.reading.tensorflow.tensors import value


def as_values(outputs: Sequence[Any]) -> list[Value]:
    """The outputs as values. Raises UnsupportedLayer for what is no tensor of numbers."""
    return [_value(each, place) for place, each in enumerate(outputs)]


def _value(output: Any, place: int) -> Value:
    if isinstance(output, Variable):
        return output.parameter.value
    if isinstance(output, TensorList):
        array = output.filled().array
        assert array is not None
        return array
    if isinstance(output, Complex):
        raise UnsupportedLayer(
            f"output {place} is a tensor of complex numbers, which no dtype of dagir holds",
            remedy="return its tf.math.real and its tf.math.imag",
        )
    if isinstance(output, (Missing, Text)):
        raise UnsupportedLayer(f"output {place} is no tensor of numbers")
    return value(output)
