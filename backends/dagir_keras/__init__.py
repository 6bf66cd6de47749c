"""The Keras backend of dagir: builder, training, and the reader of Keras's files.

Importing this package does not import keras or tensorflow: see dagir_keras.backend.
"""

import os
from typing import Any

from dagir.support.late_import import when_imported
from dagir_keras.backend import KerasBackend

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # oneDNN's kernels reorder sums, so runs would differ

backend = KerasBackend()
when_imported("keras", backend.introduce)  # dagir does so, but not while this package is being imported

__all__ = ["backend"]


def __getattr__(name: str) -> Any:
    """TracedLayer, which keras.models.load_model needs for a .keras file with a custom layer of dagir."""
    if name == "TracedLayer":
        from dagir_keras.traced import TracedLayer  # imports keras

        return TracedLayer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
