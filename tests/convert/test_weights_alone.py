"""Weights without an architecture: each kind of file of each Keras, with the answers of its writer.

weights_files/WRITER.json is `to_json` of that Keras, WRITER.npz holds an input and its answer.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import h5py
import keras
import numpy as np
import pytest
from keras import layers as L

import dagir
from dagir.errors import ArgumentError, FileError, UnsafeFile

FILES = Path(__file__).parent / "weights_files"
STORED = sorted(path.name for path in FILES.iterdir() if path.suffix == ".h5")
FEED = np.linspace(-1, 1, 24, dtype="float32").reshape(3, 8)


def of_writer(name):
    return FILES / f"{name.split('.')[0].split('__')[0]}.json"


def answers(model, feed):
    return dagir.lower(model)(feed)


@pytest.mark.parametrize("name", STORED)
def test_older_weights_and_json_compute_what_their_writer_computed(name):
    with np.load(of_writer(name).with_suffix(".npz")) as known:
        model = dagir.from_keras(FILES / name, architecture=of_writer(name))
        np.testing.assert_allclose(answers(model, known["x"]), known["y"], rtol=1e-5, atol=1e-6)
        again = dagir.from_keras(FILES / name, architecture=json.loads(of_writer(name).read_text()))
        np.testing.assert_array_equal(answers(again, known["x"]), answers(model, known["x"]))


def in_keras(width=5):
    """A model with two layers of each class, a nested one, and one that a wrapper holds."""
    begin = keras.Input((8,))
    inner = keras.Sequential([keras.Input((width,)), L.Dense(width), L.Dense(width, activation="tanh")], name="inner")
    x = L.Rescaling(2.0, offset=1.0)(L.Dense(width)(begin))
    x = L.BatchNormalization()(L.Dense(width)(inner(x)))
    x = L.Bidirectional(L.GRU(3))(L.Reshape((width, 1))(x))
    made = keras.Model(begin, L.Dense(2)(x))
    rng = np.random.default_rng(5)
    made.set_weights([rng.uniform(0.1, 1, weight.shape) for weight in made.get_weights()])
    return made


def in_dagir(width=5, hidden=None):
    D = dagir.layers
    begin = dagir.Input((8,))
    inner = dagir.Sequential([dagir.Input((width,)), D.Dense(width), D.Dense(width, activation="tanh")])
    x = D.Rescaling(2.0, offset=1.0)(D.Dense(width)(begin))
    x = D.BatchNormalization()(D.Dense(hidden or width)(inner(x)))
    x = D.Bidirectional(D.GRU(3))(D.Reshape((hidden or width, 1))(x))
    return dagir.Model(begin, D.Dense(2)(x))


@pytest.fixture(scope="module")
def stored(tmp_path_factory):
    """A folder with the weights of one Keras model in every form, and its answers."""
    folder = tmp_path_factory.mktemp("stored")
    made = in_keras()
    made.save_weights(folder / "m.weights.h5")
    made.save_weights(folder / "s.weights.json", max_shard_size=3e-7)
    made.save(folder / "whole.keras")
    made.save(folder / "whole.hdf5")
    shutil.copy(folder / "whole.hdf5", folder / "hdf5_by_another_name.keras")
    shutil.copy(folder / "whole.keras", folder / "zip_by_another_name.h5")
    (folder / "m.json").write_text(made.to_json())
    return folder, np.asarray(made(FEED))


WEIGHTS = (
    *("m.weights.h5", "s.weights.json", "whole.keras", "whole.hdf5"),
    *("hdf5_by_another_name.keras", "zip_by_another_name.h5"),
)


@pytest.mark.parametrize("name", WEIGHTS)
def test_weights_of_today_and_an_architecture(stored, name):
    folder, wanted = stored
    for architecture in (folder / "m.json", (folder / "m.json").read_text(), folder / "whole.keras", in_dagir()):
        model = dagir.from_keras(folder / name, architecture=architecture)
        np.testing.assert_allclose(answers(model, FEED), wanted, rtol=1e-5, atol=1e-6)
    model = in_dagir()
    model.load_weights(folder / name)
    np.testing.assert_allclose(answers(model, FEED), wanted, rtol=1e-5, atol=1e-6)


def test_other_architectures(stored):
    folder, wanted = stored
    for architecture in (in_dagir().get_config(), in_keras(), in_keras().get_config()):
        model = dagir.from_keras(folder / "m.weights.h5", architecture=architecture)
        np.testing.assert_allclose(answers(model, FEED), wanted, rtol=1e-5, atol=1e-6)
    (folder / "dagir.json").write_text(in_dagir().to_json())
    model = dagir.from_keras(folder / "s.weights.json", architecture=folder / "dagir.json")
    np.testing.assert_allclose(answers(model, FEED), wanted, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", ["whole.hdf5", "hdf5_by_another_name.keras", "zip_by_another_name.h5"])
def test_the_content_decides_and_not_the_name(stored, called, tmp_path, name):
    folder, wanted = stored
    model = dagir.from_keras(folder / name)
    np.testing.assert_allclose(answers(model, FEED), wanted, rtol=1e-5, atol=1e-6)
    assert dagir.verify(model, folder / name).ok
    code, out, _ = called(folder / name, tmp_path / "m.onnx", "--with-keras", "--json")
    assert code == 0 and json.loads(out)["confirmed_by"] is not None
    assert called("verify", folder / name, folder / "whole.keras", "--quiet")[0] == 0


def test_a_mismatch_is_one_error_with_both_shapes_and_changes_nothing(stored):
    folder, _ = stored
    for name in ("m.weights.h5", "s.weights.json", "whole.hdf5"):
        model = in_dagir(hidden=6)
        before = [weight.array for weight in model.weights]
        with pytest.raises(FileError) as caught:
            model.load_weights(folder / name)
        text = str(caught.value)
        assert "[5, 5]" in text and "[5, 6]" in text and "dense" in text, text
        assert all(np.array_equal(old, weight.array) for old, weight in zip(before, model.weights, strict=True))


def test_layers_that_only_one_side_has(stored):
    folder, _ = stored
    x = dagir.Input((8,))
    short = dagir.Model(x, dagir.layers.Dense(5)(x))
    with pytest.raises(FileError, match="has weights of"):
        short.load_weights(folder / "m.weights.h5")
    with pytest.raises(FileError, match="weights of"):
        short.load_weights(folder / "whole.hdf5")
    more = dagir.Model(x, dagir.layers.Conv1D(2, 1)(dagir.layers.Reshape((5, 1))(dagir.layers.Dense(5)(x))))
    with pytest.raises(FileError, match="has no layers/conv1d, the weights of layer 'conv1d"):
        more.load_weights(folder / "m.weights.h5")


class Branches(keras.Model):
    """Attributes whose order is not that of their making."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.second = L.Dense(4)
        self.first = L.Dense(4)
        self.rest = [L.Dense(4), L.Dense(4)]

    def build(self, shape):
        for layer in (self.second, self.first, *self.rest):
            layer.build((None, 4))

    def call(self, x):
        return self.rest[1](self.rest[0](self.first(self.second(x) ** 2)))


class SameBranches(dagir.Model):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        D = dagir.layers
        self.rest, self.first, self.second = [D.Dense(4), D.Dense(4)], D.Dense(4), D.Dense(4)

    def call(self, x):
        return self.rest[1](self.rest[0](self.first(self.second(x) ** 2)))


def test_a_subclassed_model_is_matched_by_its_attributes(tmp_path):
    made = Branches()
    feed = np.ones((2, 4), "float32")
    wanted = np.asarray(made(feed))
    made.save_weights(tmp_path / "m.weights.h5")
    model = SameBranches()
    model(dagir.Input((4,)))
    model.load_weights(tmp_path / "m.weights.h5")
    np.testing.assert_allclose(answers(model, feed), wanted, rtol=1e-5, atol=1e-6)


def test_the_weights_of_a_checkpoint_that_training_wrote(tmp_path):
    made = in_keras()
    made.compile("adam", "mse")
    path = tmp_path / "best.weights.h5"
    saves = keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
    made.fit(FEED, np.ones((3, 2), "float32"), epochs=1, verbose=0, callbacks=[saves])
    model = in_dagir()
    model.load_weights(path)
    np.testing.assert_allclose(answers(model, FEED), np.asarray(made(FEED)), rtol=1e-5, atol=1e-6)


def test_the_tool_takes_an_architecture(stored, called, tmp_path):
    folder, _ = stored
    code = "import dagir\nfrom dagir import layers as D\n\ndef build():\n    x = dagir.Input((8,))\n"
    (tmp_path / "net.py").write_text(code + "    return dagir.Model(x, D.Dense(2)(x))\n")
    keras.Sequential([keras.Input((8,)), L.Dense(2)]).save_weights(tmp_path / "d.weights.h5")
    assert (
        called(tmp_path / "d.weights.h5", tmp_path / "d.onnx", "--architecture", f"{tmp_path / 'net.py'}:build")[0] == 0
    )
    for name in ("m.weights.h5", "s.weights.json"):
        options = (folder / name, "--architecture", folder / "m.json")
        assert called("inspect", *options)[0] == 0
        assert called(options[0], tmp_path / "m.onnx", "--force", *options[1:])[0] == 0
    assert called("verify", folder / "m.weights.h5", tmp_path / "m.onnx", *options[1:])[0] == 0
    code, _, err = called("inspect", folder / "m.weights.h5")
    assert code == 5 and "architecture" in err
    (tmp_path / "net.yaml").write_text("backend: tensorflow\n")
    code, _, err = called("inspect", folder / "m.weights.h5", "--architecture", tmp_path / "net.yaml")
    assert code == 5 and "YAML" in err and "to_json" in err
    code, _, err = called(tmp_path / "net.py:build", tmp_path / "n.onnx", "--architecture", folder / "m.json")
    assert code == 2 and "--architecture" in err


# ---- hostile and damaged files


def with_shards(folder, to, change):
    """A copy of the shards, with a list that `change` has changed."""
    for path in folder.glob("s_*.weights.h5"):
        shutil.copy(path, to / path.name)
    config = json.loads((folder / "s.weights.json").read_text())
    change(config)
    (to / "s.weights.json").write_text(json.dumps(config))
    return to / "s.weights.json"


def everywhere(name):
    def change(config):
        config["weight_map"] = dict.fromkeys(config["weight_map"], name)

    return change


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("../s_00000.weights.h5", UnsafeFile, "no other folder is read"),
        ("/etc/passwd", UnsafeFile, "no other folder is read"),
        ("..", UnsafeFile, "no other folder"),
        ("C:\\x.h5", UnsafeFile, "no other folder"),
        ("missing.weights.h5", FileError, "shard missing.weights.h5 is missing"),
        ("s_00000.weights.h5", FileError, "says that .* which lacks it"),
        ("s.weights.json", FileError, "is no HDF5 file"),
        (7, FileError, "which is no name"),
        ({"a": 1}, FileError, "which is no name"),
    ],
)
def test_lists_of_shards_that_lie(stored, tmp_path, name, kind, words):
    path = with_shards(stored[0], tmp_path, everywhere(name))
    with pytest.raises(kind, match=words):
        in_dagir().load_weights(path)


def test_shards_that_are_links_hold_a_weight_twice_or_are_none(stored, tmp_path):
    folder = stored[0]
    path = with_shards(folder, tmp_path, lambda config: None)
    with (
        h5py.File(tmp_path / "s_00000.weights.h5", "r") as first,
        h5py.File(tmp_path / "s_00001.weights.h5", "a") as other,
    ):
        for name in first["layers"]:
            if f"layers/{name}/vars" not in other:
                first.copy(f"layers/{name}/vars", other.require_group(f"layers/{name}"), "vars")
    with pytest.raises(FileError, match="stands in more than one shard"):
        in_dagir().load_weights(path)
    (tmp_path / "s_00001.weights.h5").unlink()
    os.symlink(folder / "s_00001.weights.h5", tmp_path / "s_00001.weights.h5")
    with pytest.raises(UnsafeFile, match="a link into another folder"):
        in_dagir().load_weights(path)
    for text in ("{}", '{"weight_map": []}', "[]", '{"weight_map": ' * 5000):
        path.write_text(text)
        with pytest.raises(FileError):
            in_dagir().load_weights(path)


def test_architectures_that_are_none(stored, tmp_path):
    weights = stored[0] / "m.weights.h5"
    path = tmp_path / "m.json"
    for text in (
        "",
        "[]",
        "{}",
        '{"class_name": "Functional"}',
        '{"class_name": 3, "config": {}}',
        "[" * 100_000,
        "\0" * 9,
    ):
        path.write_text(text)
        with pytest.raises(FileError):
            dagir.from_keras(weights, architecture=path)
    path.write_text('{"class_name": "Sequential", "config": [' + "1," * (1 << 22) + "1]}")
    with pytest.raises(UnsafeFile, match="asks for too much"):
        dagir.from_keras(weights, architecture=path)
    for wrong in (7, [], tmp_path):
        with pytest.raises((ArgumentError, FileError)):
            dagir.from_keras(weights, architecture=wrong)
    with pytest.raises(ArgumentError, match="goes with a file of weights"):
        dagir.from_keras(in_keras(), architecture=path)


def test_a_checkpoint_of_tensorflow_is_named(tmp_path, called):
    for name in ("w.ckpt.index", "w.ckpt.data-00000-of-00001", "checkpoint"):
        (tmp_path / name).write_bytes(b"\0" * 40)
    for path in (tmp_path / "w.ckpt", tmp_path / "w.ckpt.index", tmp_path / "w.ckpt.data-00000-of-00001", tmp_path):
        with pytest.raises(FileError, match="is a checkpoint of TensorFlow"):
            dagir.from_keras(path, architecture=FILES / "tfk219.json")
    code, _, err = called(tmp_path / "w.ckpt", tmp_path / "m.onnx", "--architecture", FILES / "tfk219.json")
    assert code == 5 and "is a checkpoint of TensorFlow" in err
