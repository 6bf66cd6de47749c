"""What is written, byte by byte, and how much memory writing and running take."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper

import dagir
from dagir import layers
from dagir.errors import FileError
from dagir.ir.types import DType
from dagir.testing import assert_close
from dagir_onnx import weights
from dagir_onnx.file import add_metadata
from dagir_onnx.metadata_reader import skim
from resident import needs_proc, printed


def model(dtype="float32"):
    x = dagir.Input((9, 9, 3), name="image", dtype=dtype)
    y = layers.Conv2D(40, 3, dtype=dtype)(x)
    y = layers.BatchNormalization(dtype=dtype)(y)
    made = dagir.Model(x, layers.Dense(50, dtype=dtype)(layers.Flatten(dtype=dtype)(y)), name="net")
    rng = np.random.default_rng(0)
    for weight in made.weights:
        weight.assign(rng.uniform(0.5, 1.5, size=weight.shape))
    return made


def arrays(proto, folder=""):
    return {tensor.name: numpy_helper.to_array(tensor, str(folder)) for tensor in proto.graph.initializer}


@pytest.mark.parametrize("outside", [False, True])
def test_the_file_is_the_model_in_memory(tmp_path, outside):
    made = model()
    proto = dagir.to_onnx(made)
    dagir.to_onnx(made, tmp_path / "net.onnx", external_data=outside)
    written = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    onnx.checker.check_model(str(tmp_path / "net.onnx"))
    inside, there = arrays(proto), arrays(written, tmp_path)
    assert list(inside) == list(there)
    assert all(np.array_equal(inside[name], there[name]) for name in inside)
    for each in (proto, written):
        del each.graph.initializer[:]
    assert proto == written
    assert sorted(p.name for p in tmp_path.iterdir()) == ["net.onnx", "net.onnx.data"][: 1 + outside]
    x = np.random.default_rng(1).normal(size=(2, 9, 9, 3)).astype("float32")
    (y,) = onnxruntime.InferenceSession(tmp_path / "net.onnx").run(None, {"image": x})
    np.testing.assert_allclose(y, dagir.lower(made, "onnx")(x), rtol=1e-5)


def test_external_data_starts_at_pages_and_small_weights_stay(tmp_path):
    dagir.to_onnx(model(), tmp_path / "net.onnx", external_data=True)
    proto = onnx.load(tmp_path / "net.onnx", load_external_data=False)
    places = {t.name: {e.key: e.value for e in t.external_data} for t in proto.graph.initializer if t.external_data}
    assert len(places) == 2
    for place in places.values():
        assert place["location"] == "net.onnx.data"
        assert int(place["offset"]) % 4096 == 0
    whole = sum(int(place["length"]) for place in places.values())
    assert whole <= (tmp_path / "net.onnx.data").stat().st_size <= whole + 4096 * len(places)


def test_two_conversions_are_the_same_bytes(tmp_path):
    script = tmp_path / "convert.py"
    script.write_text(
        "import sys, numpy as np, dagir\nfrom dagir import layers\n"
        "x = dagir.Input((4, 4, 2), name='x')\n"
        "y = layers.Conv2D(3, 2)(layers.BatchNormalization()(x))\n"
        "z = layers.LSTM(3)(layers.Reshape((9, 3))(y))\n"
        "m = dagir.Model({'x': x}, {'a': y, 'b': dagir.ops.softmax(y), 'c': z})\n"
        "for i, w in enumerate(m.weights): w.assign(np.random.default_rng(i).uniform(1, 2, size=w.shape))\n"
        "dagir.to_onnx(m, sys.argv[1]); dagir.to_onnx(m, sys.argv[2])\n"
    )
    seen = set()
    for seed in ("1", "2"):
        names = [str(tmp_path / f"{seed}{which}.onnx") for which in "ab"]
        env = {**os.environ, "PYTHONHASHSEED": seed}
        subprocess.run([sys.executable, script, *names], check=True, env=env, cwd=tmp_path)
        seen.update(Path(name).read_bytes() for name in names)
    assert len(seen) == 1


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64"])
def test_other_dtypes_are_written_and_lent(tmp_path, dtype):
    x = dagir.Input((33,), name="x", dtype=dtype)
    made = dagir.Model(x, layers.Dense(40, dtype=dtype)(x))
    dagir.to_onnx(made, tmp_path / "net.onnx")
    (kernel,) = (t for t in onnx.load(tmp_path / "net.onnx").graph.initializer if len(t.dims) == 2)
    assert kernel.raw_data == made.weights[0].array.tobytes()
    feed = np.ones((3, 33), DType(dtype).numpy)
    expected = dagir.lower(made, "numpy", precision="float64")(feed)
    assert_close(dagir.lower(made, "onnx")(feed), expected, "onnx", DType(dtype))


def test_chunks_are_the_bytes_in_c_order(monkeypatch):
    monkeypatch.setattr(weights, "_CHUNK", 64)
    for array in (
        np.arange(210).reshape(5, 6, 7).transpose(2, 0, 1),
        np.arange(24, dtype=">f4").reshape(2, 3, 4),
        np.float32(3),
        np.zeros((0, 3)),
        np.broadcast_to(np.float32(2), (40, 3)),
    ):
        joined = b"".join(bytes(chunk) for chunk in weights.chunks(np.asarray(array)))
        assert joined == np.asarray(array).astype(np.asarray(array).dtype.newbyteorder("<")).tobytes()


def test_metadata_is_added_to_a_file_that_exists(tmp_path):
    path = dagir.to_onnx(model(), tmp_path / "net.onnx")
    before = onnx.load(path)
    add_metadata(path, {"dagir.verified": "yes"})
    after = onnx.load(path)
    assert after.metadata_props[-1].value == "yes"
    del after.metadata_props[-1]
    assert after == before


@pytest.mark.parametrize("outside", [False, True])
def test_a_file_is_described_without_its_weights(tmp_path, outside):
    path = dagir.to_onnx(model(), tmp_path / "net.onnx", external_data=outside)
    whole = onnx.load(path, load_external_data=False)
    skimmed = skim(path)
    large = [tensor for tensor in whole.graph.initializer if tensor.ByteSize() > 512]  # small ones may be shapes
    assert outside or large
    for tensor in large:
        tensor.ClearField("raw_data")  # where weights lie outside is told: it is checked before they are read
    assert skimmed == whole
    data = path.read_bytes()
    for broken in (b"", data[:100], data[:-7], b"\x0b" + data, data[:40] + b"\xff" * 12 + data[40:]):
        path.write_bytes(broken)
        with pytest.raises(FileError, match="is not an ONNX model, or is damaged"):
            skim(path)


def test_nothing_is_left_where_writing_fails(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(b"mine")
    with pytest.raises(FileError, match="exists"):
        dagir.to_onnx(model(), path, overwrite=False)

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(FileError, match="No space left"):
        dagir.to_onnx(model(), path)
    assert path.read_bytes() == b"mine"
    assert os.listdir(tmp_path) == ["net.onnx"]


MEMORY = """
import sys, numpy as np, dagir, dagir_onnx, onnxruntime
from dagir import layers
from resident import forget_peak, resident
x = dagir.Input((1024,), name="x")
y = layers.Reshape((32, 32, 1))(x)
for _ in range(4):
    y = layers.BatchNormalization()(layers.Conv2D(256, 3, padding="same")(y))
y = layers.GlobalAveragePooling2D()(y)
for _ in range(4):
    y = layers.Dense(2048)(y)
m = dagir.Model(x, y)
for w in m.weights:
    w.assign(np.full(w.shape, 0.01, "float32"))
size = sum(w.array.nbytes for w in m.weights)
start = forget_peak()
dagir.to_onnx(m, sys.argv[1])
print((resident("VmHWM") - start) / size)
exe = dagir.lower(m, "onnx")
exe(np.ones((1, 1024), "float32"))
print((resident("VmHWM") - start) / size)
"""


@needs_proc
def test_memory_beyond_the_models_own(tmp_path):
    written, run = map(float, printed(MEMORY, tmp_path / "net.onnx").split())
    assert written < 0.4
    assert run < 1.5  # one copy, which onnxruntime packs for its kernels, and the activations


def test_no_file_of_weights_is_left_where_all_are_small(tmp_path):
    x = dagir.Input((4,), name="x")
    path = dagir.to_onnx(dagir.Model(x, dagir.layers.Dense(3)(x)), tmp_path / "small.onnx", external_data=True)
    assert [each.name for each in tmp_path.iterdir()] == ["small.onnx"]
    assert dagir.from_onnx(path).count_params() == 15
