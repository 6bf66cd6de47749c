"""The ONNX backend of dagir: emitter and onnxruntime executable."""

from dagir_onnx import (
    activation,
    attention,
    bitwise,
    conv,
    elementwise,
    linear,
    logic,
    norm,
    pool,
    random,
    reduce,
    resize,
    rnn,
    scan,
    shape,
    trigonometry,
)
from dagir_onnx.backend import OnnxBackend

backend = OnnxBackend()

__all__ = [
    "activation",
    "attention",
    "backend",
    "bitwise",
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
    "scan",
    "shape",
    "trigonometry",
]
