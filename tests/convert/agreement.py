"""Whether a Keras model as dagir reads it gives what Keras gives."""

from __future__ import annotations

import keras
import numpy as np

import dagir


def agrees(made, *feeds, read=None, atol=1e-6, rtol=1e-7):
    """The model as read, whose answers in NumPy and in ONNX are Keras's, in number, dtype and value.

    feeds: arrays, or lists or dicts of arrays, one for each run. read: the model, where it is read already.
    """
    read = dagir.from_keras(made) if read is None else read
    backends = [dagir.lower(read, name) for name in ("numpy", "onnx")]
    for feed in feeds:
        expected = [keras.ops.convert_to_numpy(leaf) for leaf in keras.tree.flatten(made(feed))]
        for executable in backends:
            found = keras.tree.flatten(executable(feed))
            for mine, theirs in zip(found, expected, strict=True):
                assert mine.dtype == theirs.dtype
                np.testing.assert_allclose(mine, theirs, rtol, atol)
    return read


def agrees_on_shapes(made, *shapes):
    """As agrees, with float32 drawn in each of these shapes."""
    rng = np.random.default_rng(1)
    return agrees(made, *(rng.normal(size=shape).astype("float32") for shape in shapes), atol=1e-5)
