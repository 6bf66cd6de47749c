"""The ONNX backend of dagir: emitter and onnxruntime executable."""

from dagir_onnx import (
    activation,
    attention,
    bitwise,
    conv,
    cumulative,
    elementwise,
    linear,
    logic,
    lookup,
    matrices,
    norm,
    pool,
    random,
    reduce,
    resize,
    rnn,
    scan,
    shape,
    sorting,
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
    "cumulative",
    "elementwise",
    "linear",
    "logic",
    "lookup",
    "matrices",
    "norm",
    "pool",
    "random",
    "reduce",
    "resize",
    "rnn",
    "scan",
    "shape",
    "sorting",
    "trigonometry",
]
