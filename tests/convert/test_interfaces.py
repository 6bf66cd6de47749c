"""--rename, --nchw and --nhwc: other names and the other layout at the edges of the file, and nothing else."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
import typer
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError
from dagir.modeling.interface import FIRST, LAST, Interface
from dagir_convert.command_line import app

RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(2, 9, 7, 3)).astype("float32")


def network():
    """Two inputs, two outputs, one of them the other's source."""
    image, bias = dagir.Input((9, 7, 3), name="image"), dagir.Input((4,), name="bias")
    x = layers.Conv2D(4, 3, activation="relu", name="conv")(image)
    features = layers.GlobalAveragePooling2D(name="features")(layers.MaxPooling2D(2)(x))
    head = layers.Dense(2, name="head")(features + bias)
    return dagir.Model([image, bias], [features, head], name="net")


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    model = network()
    model.save("net.dagir")
    return model


def test_a_file_takes_images_channels_first(saved, called):
    """onnxruntime runs the file itself; there is no Transpose in it, and no other node more than without the option."""
    given = ("--nchw", "image", "--rename", "image=pixels", "--rename", "head=logits")
    code, out, err = called("net.dagir", "net.onnx", *given)
    assert code == 0, err
    assert "logits" in out
    assert called("net.dagir", "plain.onnx")[0] == 0
    session = onnxruntime.InferenceSession("net.onnx")
    assert [each.name for each in session.get_inputs()] == ["pixels", "bias"]
    assert session.get_inputs()[0].shape == ["batch", 3, 9, 7]
    bias = np.float32([[1, 2, 3, 4]] * 2)
    found = session.run(["features", "logits"], {"pixels": IMAGES.transpose(0, 3, 1, 2), "bias": bias})
    for one, other in zip(found, dagir.lower(saved, "numpy")([IMAGES, bias]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
    kinds, plain = ([node.op_type for node in onnx.load(name).graph.node] for name in ("net.onnx", "plain.onnx"))
    assert "Transpose" not in kinds and len(kinds) <= len(plain)
    assert called("verify", "net.onnx")[0] == 0  # by its certificate


def test_the_source_runs_beside_a_file_of_another_interface(saved, called):
    """There and back: the first file is the source of the second, and onnxruntime runs it with transposed feeds."""
    assert called("net.dagir", "net.onnx", "--nchw", "image", "--rename", "image=pixels")[0] == 0
    code, out, err = called("net.onnx", "back.onnx", "--nhwc", "pixels", "--rename", "pixels=image")
    assert code == 0, err
    assert "source, by onnxruntime" in out
    session = onnxruntime.InferenceSession("back.onnx")
    assert session.get_inputs()[0].shape == ["batch", 9, 7, 3]
    assert called("verify", "net.dagir", "back.onnx")[0] == 0
    code, _, err = called("verify", "net.dagir", "net.onnx")
    assert code != 0


def test_a_source_that_differs_is_seen_through_the_new_interface(saved, called, monkeypatch):
    """The judge sees the transposed feeds: with feeds that are not transposed back it must fail."""
    assert called("net.dagir", "net.onnx", "--nchw", "image")[0] == 0

    def wrong(self, model, arrays):
        return [np.zeros((len(each), 3, 9, 7), "float32") if each.ndim == 4 else each for each in arrays]

    monkeypatch.setattr(Interface, "old_feeds", wrong)
    assert called("net.onnx", "back.onnx", "--nhwc", "image")[0] == 3


def test_the_same_for_a_dagir_file_and_a_part(saved, called):
    assert called("net.dagir", "other.dagir", "--rename", "features=vector", "--nchw", "image")[0] == 0
    made = dagir.load("other.dagir")
    assert (made.input_names, made.output_names) == (["image", "bias"], ["vector", "head"])
    part = ("extract", "net.dagir", "part.onnx", "--outputs", "conv", "--nchw", "image", "--rename", "conv=maps")
    code, _, err = called(*part)
    assert code == 0, err
    session = onnxruntime.InferenceSession("part.onnx")
    assert ([each.name for each in session.get_outputs()], session.get_inputs()[0].shape[1]) == (["maps"], 3)


@given(st.data())
def test_any_rank_and_structure(data):
    """Against the model itself, with the axes moved by NumPy."""
    rank = data.draw(st.integers(3, 5))
    shape = tuple(data.draw(st.lists(st.integers(1, 4), min_size=rank, max_size=rank)))
    x = dagir.Input(batch_shape=shape, name="x")
    y = ops.cumsum(x * 2 + np.arange(shape[-1], dtype="float32"), axis=1)
    inputs, outputs = data.draw(st.sampled_from([(x, y), ([x], [y]), ({"x": x}, {"y": y})]))
    model = dagir.Model(inputs, outputs)
    layout = data.draw(st.sampled_from([FIRST, LAST]))
    (old,) = model.output_names
    made = Interface({"x": "new", old: "out"}, {"x": layout}).applied(model)
    assert (made.input_names, made.output_names) == (["new"], ["out"])
    array = RNG.normal(size=shape).astype("float32")
    moved = np.moveaxis(array, -1, 1) if layout == FIRST else np.moveaxis(array, 1, -1)
    assert made.inputs[0].type.shape == moved.shape
    found = dagir.lower(made)({"new": moved} if isinstance(inputs, dict) else moved)
    wanted = dagir.lower(model)({"x": array} if isinstance(inputs, dict) else array)
    for one, other in zip(
        *(each.values() if isinstance(each, dict) else [each] for each in (found, wanted)), strict=True
    ):
        np.testing.assert_array_equal(one, other)


WRONG = [
    (("--rename", "imag=x"), "no input or output 'imag'", "image"),
    (("--rename", "image"), "is no OLD=NEW", ""),
    (("--rename", "image=bias"), "would be called 'bias'", ""),
    (("--rename", "image=a", "--rename", "image=b"), "given twice", ""),
    (("--nchw", "head"), "no input 'head'", ""),
    (("--nchw", "bias"), "has 2 axes", ""),
    (("--nchw", "image", "--nhwc", "image"), "cannot be both", ""),
]


@pytest.mark.parametrize(("options", "message", "remedy"), WRONG)
def test_what_does_not_fit(saved, called, options, message, remedy):
    code, _, err = called("net.dagir", "net.onnx", *options)
    assert code == 2 and message in err and remedy in err


@pytest.mark.parametrize("options", [("--rename", "image=pixels"), ("--input", "image=2,8,8,3")])
def test_a_dagir_file_of_another_interface_keeps_its_layers(options, tmp_path, monkeypatch, called):
    monkeypatch.chdir(tmp_path)
    image = dagir.Input((8, 8, 3), name="image")
    x = layers.GlobalAveragePooling2D()(layers.Conv2D(4, 3, name="conv")(image))
    dagir.Model(image, layers.Dense(2, name="head")(layers.Dropout(0.1)(x))).save(tmp_path / "own.dagir")
    code, _, err = called("own.dagir", "other.dagir", *options)
    assert code == 0, err
    kinds = [
        [type(layer).__name__ for layer in dagir.load(tmp_path / name).layers] for name in ("own.dagir", "other.dagir")
    ]
    assert kinds[0] == kinds[1] and len(kinds[0]) == 5


def test_a_keras_file_of_another_interface_has_layers_of_keras(saved, called):
    """Keras calls outputs by their layers. Layers that are no longer called as they were would be none of Keras's."""
    given = ("--rename", "head=logits", "--rename", "image=pixels", "--nchw", "image", "--input", "image=2,9,7,3")
    code, out, err = called("net.dagir", "net.keras", *given)
    assert code == 0 and "logits" in out, err
    found = dagir.from_keras("net.keras")
    assert found.input_names == ["pixels", "bias"] and found.output_names == ["features", "logits"]
    assert found.input_shape[0] == (2, 3, 9, 7)
    kinds = {layer.name: type(layer).__name__ for layer in found.layers}
    assert (kinds["conv"], kinds["features"], kinds["head"]) == ("Conv2D", "GlobalAveragePooling2D", "Dense")
    assert kinds["logits"] == "Identity"
    bias = np.float32([[1, 2, 3, 4]] * 2)
    answers = dagir.lower(found, "numpy")([IMAGES.transpose(0, 3, 1, 2), bias])
    for one, other in zip(answers, dagir.lower(saved, "numpy")([IMAGES, bias]), strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_outputs_of_keras_and_outputs_that_are_inputs(saved, called):
    code, _, err = called("net.dagir", "net.keras", "--rename", "head=conv")
    assert code == 2 and "a layer has this name" in err
    x = dagir.Input((2,), name="x")
    model = dagir.Model(x, [x, ops.tanh(x)])
    with pytest.raises(ArgumentError, match="is an input, a weight or another output too"):
        Interface({model.output_names[0]: "y"}).applied(model)


def test_extract_has_the_options_of_convert():
    """But for what a part cannot do, and for names of a graph, where extract has its own."""
    commands = typer.main.get_command(app).commands
    whole, part = ({name for each in commands[c].params for name in each.opts} for c in ("convert", "extract"))
    assert whole - part == {"--with-keras"}


def test_a_part_in_another_precision(saved, called):
    np.savez("samples.npz", maps=RNG.normal(size=(8, 7, 5, 4)).astype("float32"))
    given = ("--inputs", "conv", "--outputs", "features", "--precision", "float16", "--calibrate", "samples.npz")
    code, _, err = called(
        "extract", "net.dagir", "part.onnx", *given, "--rename", "conv=maps", "--input", "conv=n,7,5,4"
    )
    assert code == 0, err
    proto = onnx.load("part.onnx")
    assert [each.name for each in proto.graph.input] == ["maps"]
    assert "Cast" in {node.op_type for node in proto.graph.node}
