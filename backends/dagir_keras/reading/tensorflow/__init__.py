"""TensorFlow's functions and raw ops on values of dagir, by a table of rules. TensorFlow is never imported here."""

from __future__ import annotations

from dagir_keras.reading.tensorflow.registry import call_function, call_raw_op, functions, raw_ops
from dagir_keras.reading.tensorflow.tensors import Sizes, Tensor, tensor, value

__all__ = ["Sizes", "Tensor", "call_function", "call_raw_op", "functions", "raw_ops", "tensor", "value"]
