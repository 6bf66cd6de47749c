"""The ONNX backend of dagir: emitter and onnxruntime executable."""

from dagir_onnx import activation, conv, elementwise, linear, logic, norm, pool, random, reduce, resize, rnn, shape
from dagir_onnx.backend import OnnxBackend

backend = OnnxBackend()

__all__ = [
    "activation",
    "backend",
    "conv",
    "elementwise",
    "linear",
    "logic",
    "norm",
    "pool",
    "random",
    "reduce",
    "resize",
    "rnn",
    "shape",
]
