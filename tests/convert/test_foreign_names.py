"""ONNX files of other exporters beside the model that they were made of: other names, other layouts, one weight off."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from test_verify_files import tool

import dagir
from dagir import layers
from dagir.errors import ArgumentError


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model as .dagir, and as .onnx files that say nothing of it: of other names, and with a filter that is off."""
    folder = tmp_path_factory.mktemp("foreign")
    dagir.clear_session()
    x = dagir.Input((12, 12, 3), name="image")
    y = layers.MaxPooling2D(name="pool")(layers.Conv2D(6, 3, activation="relu", name="first")(x))
    y = layers.Conv2D(4, 3, padding="same", activation="tanh", name="second")(y)
    model = dagir.Model(x, layers.Dense(3, activation="softmax", name="head")(layers.Flatten()(y)), name="net")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.4, weight.shape))
    model.save(folder / "net.dagir")
    for name, factor in (("right", 1), ("wrong", 1.001)):
        onnx.save(foreign(dagir.to_onnx(model), factor), folder / f"{name}.onnx")
    return folder


def foreign(proto, factor):
    """Without metadata, with names of its own, and the filters of the second convolution scaled."""
    names = {"": ""}
    for node in proto.graph.node:
        del node.metadata_props[:]
        node.name = ""
        for field in (node.input, node.output):
            for place, name in enumerate(field):
                field[place] = names.setdefault(name, f"t{len(names)}")
    for tensor in proto.graph.initializer:
        if tensor.name == "second/kernel":
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(factor), tensor.name))
        tensor.name = names[tensor.name]
    for info in (*proto.graph.input, *proto.graph.output):
        info.name = names[info.name]
    del proto.metadata_props[:]
    return proto


def test_other_names_are_matched_by_position_and_told(folder):
    done = tool("verify", folder / "net.dagir", folder / "right.onnx")
    assert done.returncode == 0, done.stderr
    said = done.stdout + done.stderr
    assert "input 'image' of the model is 't" in said
    assert "by position and type" in said


def test_the_filter_that_is_off_is_named(folder):
    done = tool("verify", folder / "net.dagir", folder / "wrong.onnx", "--json")
    assert done.returncode == 3, done.stderr
    assert json.loads(done.stdout)["first_divergence"]["layer"] == "second"


def test_a_map_says_which_is_which(folder):
    model = dagir.load(folder / "net.dagir")
    (file,) = [info.name for info in onnx.load(folder / "right.onnx").graph.output]
    (output,) = [name for name, _ in model.signature.outputs]
    opened = dagir.backend("onnx").open(folder / "right.onnx", model, names={file: output})
    assert [line.partition(" ")[0] for line in opened.renamed] == ["input"]
    with pytest.raises(ArgumentError, match="no input or output 'nothing'"):
        dagir.backend("onnx").open(folder / "right.onnx", model, names={file: "nothing"})


def test_what_has_another_type_is_refused(folder):
    x = dagir.Input((5,), name="image")
    model = dagir.Model(x, layers.Dense(3)(x))
    with pytest.raises(ArgumentError, match="are not the model's"):
        dagir.backend("onnx").open(folder / "right.onnx", model)
