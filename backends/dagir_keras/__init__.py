"""The Keras backend of dagir: builder and training."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # oneDNN's kernels reorder sums, so runs would differ

from dagir_keras import activation, conv, elementwise, linear, logic, norm, pool, random, reduce, resize, rnn, shape
from dagir_keras.backend import KerasBackend
from dagir_keras.traced import TracedLayer

backend = KerasBackend()

__all__ = [
    "TracedLayer",
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
