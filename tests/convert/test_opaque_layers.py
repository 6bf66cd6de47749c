"""Files with layers that are not known: looked at, plotted, and cut before and behind them."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from dagir.errors import ArgumentError, UnsafeFile, UnsupportedLayer, UnsupportedOp

FILES = Path(__file__).parent / "custom_files"
FEED = np.linspace(-1, 1, 24, dtype="float32").reshape(4, 6)
SUFFIXES = pytest.mark.parametrize("suffix", [".keras", ".h5"])


class Split(L.Layer):
    """Two outputs of other shapes than the input."""

    def call(self, x):
        return K.tanh(x[:, :2]), K.sum(x, -1, keepdims=True)


class Halved(L.Layer):
    def call(self, x):
        return x / 2


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Files by suffix of: before, own (of two outputs), twice (a Lambda), inner (with own inside), head; the model."""
    folder = tmp_path_factory.mktemp("opaque")
    begin = keras.Input((6,), name="begin")
    inside = keras.Input((5,))
    inner = keras.Model(inside, L.Dense(3, name="last")(Halved(name="halved")(inside)), name="inner")
    first, second = Split(name="own")(L.Dense(6, activation="tanh", name="before")(begin))
    joined = L.Concatenate(name="joined")([first, second, L.Lambda(lambda t: t * 2, name="twice")(first)])
    made = keras.Model(begin, L.Dense(2, name="head")(L.BatchNormalization(name="norm")(inner(joined))))
    rng = np.random.default_rng(4)
    made.set_weights([rng.uniform(0.1, 1, weight.shape) for weight in made.get_weights()])
    for suffix in (".keras", ".h5"):
        made.save(folder / f"m{suffix}")
    return {suffix: folder / f"m{suffix}" for suffix in (".keras", ".h5")}, made


def between(made, begin, *through):
    """What Keras's layers compute by themselves, one after the other, from what the layer `begin` gives."""
    x = value = keras.Input((6,)) if begin is None else keras.Input(made.get_layer(begin).output.shape[1:])
    for name in through:
        value = made.get_layer(name)(value)
    return keras.Model(x, value)


@SUFFIXES
def test_what_is_not_known_is_shown(saved, called, suffix, tmp_path):
    paths, _ = saved
    with pytest.raises(UnsafeFile, match="cannot be taken"):
        dagir.from_keras(paths[suffix])
    code, out, _ = called("inspect", paths[suffix], "--json")
    told = json.loads(out)
    assert code == 0 and told["inputs"] == [{"name": "begin", "dtype": "float32", "shape": ["batch", 6]}]
    assert {key: text.split(":")[0] for key, text in told["facts"].items()} == {
        "opaque own": "Split",
        "opaque twice": "Lambda",
        "opaque halved": "Halved",
    }
    code, _, _ = called("plot", paths[suffix], tmp_path / "m.svg", "--shapes", "--nested")
    text = (tmp_path / "m.svg").read_text()
    assert code == 0 and "Split (opaque)" in text and "Lambda (opaque)" in text
    model = dagir.from_keras(paths[suffix], opaque=True)
    assert [str(value.type) for value in model.get_layer("own").output] == ["float32[batch, 2]", "float32[batch, 1]"]


@SUFFIXES
@pytest.mark.parametrize(
    ("begin", "through"), [(None, ["before"]), ("inner", ["norm", "head"]), ("norm", ["head"]), ("inner", ["norm"])]
)
def test_what_is_known_is_cut_out(saved, called, tmp_path, suffix, begin, through):
    paths, made = saved
    part = dagir.extract(dagir.from_keras(paths[suffix], opaque=True), through[-1], inputs=begin)
    whole = between(made, begin, *through)
    feed = FEED[:, : whole.inputs[0].shape[1]]
    np.testing.assert_allclose(dagir.lower(part)(feed), np.asarray(whole(feed)), rtol=1e-5, atol=1e-6)
    options = ["--outputs", through[-1]] + (["--inputs", begin] if begin else [])
    code, _, err = called("extract", paths[suffix], tmp_path / "p.onnx", *options)
    assert code == 0, err


@SUFFIXES
def test_what_is_behind_several_outputs_is_cut_out(saved, suffix):
    paths, made = saved
    model = dagir.from_keras(paths[suffix], opaque=True)
    part = dagir.extract(model, "joined", inputs=[*model.get_layer("own").output, "twice"])
    feeds = [FEED[:, :2], FEED[:, :1], FEED[:, 2:4]]
    np.testing.assert_array_equal(dagir.lower(part)(*feeds), np.asarray(made.get_layer("joined")(feeds)))
    assert dagir.verify(part).ok


@SUFFIXES
def test_what_is_not_known_is_not_run(saved, called, tmp_path, suffix):
    paths, _ = saved
    code, _, err = called("extract", paths[suffix], tmp_path / "p.onnx", "--outputs", "head")
    assert code == 4 and not (tmp_path / "p.onnx").exists()
    for words in ("'own' (Split)", "twice", "halved", "--custom file.py"):
        assert words in err
    model = dagir.from_keras(paths[suffix], opaque=True)
    for run in (
        lambda: dagir.lower(model, "onnx"),
        lambda: dagir.lower(model)(FEED),
        lambda: dagir.to_onnx(model, tmp_path / "p.onnx"),
        lambda: dagir.verify(model),
    ):
        with pytest.raises(UnsupportedOp, match=r"a layer that is not known stands(.|\n)*dagir.extract"):
            run()
    assert not (tmp_path / "p.onnx").exists()
    assert called(paths[suffix], tmp_path / "p.onnx")[0] in (4, 5)


def test_a_known_layer_beside_custom_objects(saved):
    paths, made = saved
    given = {"Split": Split, "Halved": Halved}
    model = dagir.from_keras(paths[".keras"], custom_objects=given, opaque=True)
    part = dagir.extract(model, "own")
    wanted = between(made, None, "before", "own")(FEED)
    for found, each in zip(dagir.lower(part)(FEED), wanted, strict=True):
        np.testing.assert_allclose(found, np.asarray(each), rtol=1e-5, atol=1e-6)


# ---- Keras 2: .keras tells the shapes that layers were built for, .h5 tells none


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_a_file_of_keras_2(called, tmp_path, suffix):
    source = FILES / f"tf215_custom{suffix}"
    code, out, _ = called("inspect", source, "--json")
    assert code == 0 and list(json.loads(out)["facts"]) == [
        f"opaque {name}" for name in ("sc", "d", "minus", "twice", "e")
    ]
    (tmp_path / "own.py").write_text("def f(x, by=1):\n    return x * x\n\ncustom_objects = {'<lambda>': f}\n")
    given = (source, tmp_path / "p.onnx", "--custom", tmp_path / "own.py", "--outputs", "e", "--inputs", "sc")
    if suffix == ".h5":
        code, _, err = called("extract", *given)
        assert code == 4 and "the shape of its input is not known" in err and "--opaque NAME=SIZES" in err
        given = (*given, "--opaque", "sc=batch,3")
    assert called("extract", *given)[0] == 0
    assert called("plot", source, tmp_path / "p.svg")[0] == 0


@pytest.mark.parametrize("opaque", ["x", 3, {"sc": 3}, {"sc": [1.5]}, {"sc": ["a b"]}, {3: [1]}, {"sc": [-1]}])
def test_shapes_that_are_none(opaque):
    with pytest.raises(ArgumentError, match="opaque is True, or shapes by the names of layers"):
        dagir.from_keras(FILES / "tf215_custom.h5", opaque=opaque)


def test_a_call_on_nothing_is_an_error(tmp_path, saved):
    path = changed(
        saved[0][".keras"], tmp_path, lambda layers: layers[2].update(inbound_nodes=[{"args": [], "kwargs": {}}])
    )
    with pytest.raises(UnsupportedLayer, match="'own' was called on nothing"):
        dagir.from_keras(path, opaque=True)


def test_a_stack_and_a_subclassed_model(tmp_path, called):
    class Whole(keras.Model):
        def call(self, x):
            return x

    made = Whole()
    made(FEED)
    made.save(tmp_path / "whole.keras")
    code, out, _ = called("inspect", tmp_path / "whole.keras", "--json")
    assert code == 0 and "subclass of keras.Model" in json.loads(out)["facts"]["opaque whole"]
    stack = keras.Sequential([keras.Input((6,)), L.Dense(4, name="a"), Halved(name="own"), L.Dense(2, name="b")])
    stack.save(tmp_path / "stack.keras")
    assert called("inspect", tmp_path / "stack.keras")[0] == 0
    model = dagir.from_keras(tmp_path / "stack.keras", opaque=True)
    feed = FEED[:, :4]
    wanted = np.asarray(stack.get_layer("b")(feed))
    np.testing.assert_allclose(dagir.lower(dagir.extract(model, "b", inputs="own"))(feed), wanted, rtol=1e-5, atol=1e-6)


def changed(source, folder, change):
    """A copy of a .keras file, with the records of its layers changed."""
    path = folder / "changed.keras"
    with zipfile.ZipFile(source) as old, zipfile.ZipFile(path, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            if name == "config.json":
                config = json.loads(data)
                change(config["config"]["layers"])
                data = json.dumps(config).encode()
            new.writestr(name, data)
    return path


def test_a_hostile_file_is_not_shown(tmp_path, called, saved):
    hostile = {"module": "os", "class_name": "system", "registered_name": "system"}
    path = changed(saved[0][".keras"], tmp_path, lambda layers: layers[2].update(hostile))
    for command in (("inspect", path), ("plot", path, tmp_path / "m.svg")):
        code, _, err = called(*command)
        assert code == 5 and "do not trust this file" in err
    with pytest.raises(UnsafeFile):
        dagir.from_keras(path, opaque=True)
    with pytest.raises(UnsupportedLayer):
        dagir.from_keras(FILES.parent / "legacy_files" / "tf215__rnd.h5")
