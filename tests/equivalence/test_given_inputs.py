"""verify(inputs=...): whatever is given, it is compared, or one error says what is wrong with it."""

from __future__ import annotations

import os

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.errors import DagirError


class Raising:
    """Something that answers each question with an error of its own."""

    def __array__(self, *arguments, **named):
        raise RuntimeError("no array")

    def __repr__(self):
        raise RuntimeError("no text")


def nested(depth):
    found = 1.0
    for _ in range(depth):
        found = [found]
    return found


def itself():
    found = []
    found.append(found)
    return found


ROW = np.ones((1, 4), "float32")
JUNK = {
    "numbers": [3, 3.5, True, 2j, np.array(3), ROW[0], ROW.T, ROW[:, :3], np.ones((1, 4), complex)],
    "names": ["no such file", "a\0b", "x" * 5000, b"bytes", "."],
    "objects": [object(), object, Raising(), {"x": Raising()}, Ellipsis, lambda: 1, (n for n in range(3)), {1}],
    "lists": [[], (), [[]], [None], itself(), nested(3000), [[1, 2], [3]], [ROW, 3], [[1, 2, 3, 10**400]]],
    "dicts": [{}, {1: 2}, {"x": None}, {"x": {"a": 1}}, {"x": "text"}, {"x": ROW, "z": 1}, {"x": {1}}],
    "ids": [{"x": ROW, "y": y} for y in ([[1.5, 1]], [[2**70, 1]], [[np.nan, 1]], [["a", 1]], [[-1, 0]], [[7, 0]])],
    "dtypes": [np.array([{}], object), np.array(["2020-01-01"], "M8[D]"), memoryview(b"abcd")],
    "masks": [np.ma.masked_array(ROW, mask=True), {"x": np.ma.masked_array(ROW)}],
    "bytes": [{"words": np.array([[b"\xff"]], object)}, {"words": [[3]]}, {"words": ROW}],
}


@pytest.fixture(scope="module")
def models():
    x, y = dagir.Input((4,), name="x"), dagir.Input((2,), dtype="int32", name="y")
    words = dagir.Input((1,), dtype="string", name="words")
    table = layers.Embedding(5, 3)(y)
    return [
        dagir.Model(x, layers.Dense(2)(x)),
        dagir.Model([x, y], [layers.Dense(2)(x), table]),
        dagir.Model(words, layers.StringLookup(vocabulary=["a"])(words)),
    ]


@pytest.mark.parametrize("kind", JUNK)
def test_junk_is_one_error(models, kind):
    for model in models:
        for given in JUNK[kind]:
            with pytest.raises(DagirError) as refused:
                dagir.verify(model, ["numpy", "onnx"], inputs=given)
            assert refused.value.summary


def test_files_that_are_no_npz(models, tmp_path):
    paths = [tmp_path / name for name in ("empty.npz", "text.npz", "text.npy", "pipe.npz", "objects.npz", "cut.npz")]
    paths[0].touch()
    paths[1].write_text("text")
    paths[2].write_text("text")
    os.mkfifo(paths[3])
    np.savez(paths[4], x=np.array([{}], object))
    np.savez(paths[5], x=ROW)
    paths[5].write_bytes(paths[5].read_bytes()[:-40])
    for path in [*paths, tmp_path, tmp_path / "none.npz"]:
        with pytest.raises(dagir.FileError):
            dagir.verify(models[0], ["numpy"], inputs=path)


def test_an_array_in_a_file_is_that_of_the_only_input(models, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.save("x.npy", ROW)
    one, two, _ = models
    for use in (
        lambda model, file: dagir.verify(model, ["numpy"], inputs=file),
        dagir.sensitivity,
        lambda model, file: dagir.to_onnx(model, "codes.onnx", quantize="int8", calibrate=file),
    ):
        for file in ("x.npy", tmp_path / "x.npy"):
            use(one, file)
            with pytest.raises(dagir.FeedError, match=r"x.npy holds one array, and the model has 2 inputs: ") as told:
                use(two, file)
            assert "np.savez('samples.npz', x=..., " in told.value.remedy


def test_what_can_be_compared_is(models):
    for given in (ROW, ROW.tolist(), {"x": ROW}, [[True, False, True, True]]):
        assert dagir.verify(models[0], ["numpy", "onnx"], inputs=given).ok


@pytest.mark.parametrize("from_file", [False, True])
def test_no_samples_are_no_proof_and_have_no_ranges(from_file, tmp_path):
    """An empty array was compared with an empty array, and codes were written with ranges of nothing."""
    x = dagir.Input((3,), name="x")
    model = dagir.Model(x, dagir.layers.Dense(2)(x))
    inputs = np.zeros((0, 3), "float32")
    if from_file:
        np.savez(tmp_path / "none.npz", x=inputs)
        inputs = tmp_path / "none.npz"
    for use in (
        lambda: dagir.verify(model, "onnx", inputs),
        lambda: dagir.to_onnx(model, tmp_path / "codes.onnx", quantize="int8", calibrate=inputs),
        lambda: dagir.sensitivity(model, inputs),
    ):
        with pytest.raises(dagir.ArgumentError, match="no samples") as told:
            use()
        assert ("none.npz" in str(told.value)) == from_file
    assert not (tmp_path / "codes.onnx").exists()
