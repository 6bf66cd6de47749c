"""A large array through Dask, block by block: each worker lowers the model once, and no block waits for another."""

import dask.array as da
import numpy as np

import dagir
from dagir import layers

x = dagir.Input((16,), name="x")
model = dagir.Model(x, layers.Dense(1, activation="sigmoid")(layers.Dense(32, activation="relu")(x)))
executable = dagir.lower(model, "onnx")  # may be called from many threads, and goes to processes as a pickle


def score(block: np.ndarray) -> np.ndarray:
    """The scores of a block of rows."""
    return executable(block)


rows = da.random.default_rng(0).normal(size=(100_000, 16), chunks=(10_000, 16)).astype("float32")
scores = rows.map_blocks(score, dtype="float32", chunks=(rows.chunks[0], (1,)))
answer = scores.compute(scheduler="threads", num_workers=4)

assert answer.shape == (100_000, 1)
assert np.array_equal(answer[:10_000], executable(rows[:10_000].compute()))
print(f"mean score {answer.mean():.3f}")
