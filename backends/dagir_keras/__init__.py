"""The Keras backend of dagir: builder, training, and the reader of Keras's files.

Importing it imports no Keras: reading a file needs none, and what lowers and trains imports it when it is first used.
"""

import os
from typing import Any

from dagir_keras.backend import KerasBackend

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # oneDNN's kernels reorder sums, so runs would differ

backend = KerasBackend()

__all__ = ["backend"]


def __getattr__(name: str) -> Any:
    """TracedLayer, which a .keras file of a custom layer names, without importing Keras before it is asked for."""
    if name == "TracedLayer":
        from dagir_keras.traced import TracedLayer

        return TracedLayer
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
