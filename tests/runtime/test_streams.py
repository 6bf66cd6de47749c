"""predict on what yields batches: the same numbers as on the array."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers

X = np.random.default_rng(0).normal(size=(23, 4)).astype("float32")


class Loader:
    """Batches by their number, as keras.utils.PyDataset has them."""

    def __len__(self):
        return 6

    def __getitem__(self, place):
        return X[4 * place : 4 * place + 4], np.zeros(4)


def batches():
    for start in range(0, 23, 5):
        yield X[start : start + 5]


STREAMS = {
    "generator": batches,
    "with targets": lambda: ((each, np.ones(len(each))) for each in batches()),
    "by name": lambda: ({"x": each} for each in batches()),
    "a loader": Loader,
    "numbers of another dtype": lambda: (each.astype("float64") for each in batches()),
}


@pytest.fixture
def model():
    x = dagir.Input((4,), name="x")
    y = layers.Dense(3)(x)
    return dagir.Model(x, {"y": y, "tanh": dagir.ops.tanh(y)})


@pytest.mark.parametrize("name", STREAMS)
@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_a_stream_gives_what_the_array_gives(model, name, backend):
    wanted, found = model.predict(X, backend=backend), model.predict(STREAMS[name](), backend=backend)
    assert set(found) == {"y", "tanh"}
    for key in wanted:
        np.testing.assert_allclose(found[key], wanted[key], rtol=1e-6, atol=1e-6)


def test_an_endless_stream_ends_with_its_steps(model):
    def endless():
        while True:
            yield X[:2]

    assert model.predict(endless(), steps=3)["y"].shape == (6, 3)


def test_what_streams_cannot_be(model):
    with pytest.raises(dagir.ArgumentError, match="a stream of batches and a batch_size"):
        model.predict(batches(), batch_size=4)
    with pytest.raises(dagir.FeedError, match="without batches"):
        model.predict(iter(()))
    with pytest.raises(dagir.FeedError, match="axis 1 of input 'x'"):
        model.predict(each[:, :2] for each in batches())


def test_a_memory_mapped_array_is_read_batch_by_batch(model, tmp_path):
    np.save(tmp_path / "x.npy", X)
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    np.testing.assert_array_equal(model.predict(mapped)["y"], model.predict(X)["y"])
