"""Tests that run on whatever Keras computes with: KERAS_BACKEND chooses TensorFlow, JAX, torch or NumPy."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import pytest

ENGINE = keras.backend.backend()
tensorflow_alone = pytest.mark.skipif(ENGINE != "tensorflow", reason="says what TensorFlow does")


@contextmanager
def building() -> Iterator[None]:
    """Within it, what Keras itself cannot build on JAX, torch or NumPy is skipped: they have not such sizes."""
    try:
        yield
    except Exception as error:
        if ENGINE == "tensorflow":
            raise
        pytest.skip(f"Keras on {ENGINE} does not build it: {error}")
