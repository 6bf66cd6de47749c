"""ONNX files of other exporters beside the model that they were made of: other names, other layouts, one weight off."""

from __future__ import annotations

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from test_verify_files import tool

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, VerificationError


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


def test_a_tensor_is_the_value_that_was_folded_into_it(tmp_path):
    """A relu and the minimum behind it, a convolution and its normalization: the file has one tensor for both."""
    dagir.clear_session()
    x = dagir.Input((12, 12, 3), name="image")
    y = layers.BatchNormalization(epsilon=1e-3, name="norm")(layers.Conv2D(6, 3, name="first")(x))
    y = ops.minimum(ops.relu(y), 6.0)
    model = dagir.Model(x, layers.Dense(3, name="head")(layers.Flatten()(y)), name="net")
    onnx.save(foreign(dagir.to_onnx(model), 1), tmp_path / "right.onnx")
    exe = dagir.backend("onnx").open(tmp_path / "right.onnx", model)
    image = 30 * np.random.default_rng(1).normal(size=(2, 12, 12, 3)).astype("float32")  # larger than what is drawn
    names = list(exe.points())
    values = dagir.lower(model, "numpy").observe([image], names)
    for name, array, value in zip(names, exe.observe([image], names), values, strict=True):
        np.testing.assert_allclose(array, value, rtol=1e-4, atol=1e-3, err_msg=name)
    assert names == ["norm/batch_norm", "minimum", "flatten/reshape", "head/linear"]


def test_without_a_node_the_layers_are_told_that_the_fault_is_in(folder, tmp_path):
    """The last layer is off by much: no tensor is near to its values, those before it are right."""
    model = dagir.load(folder / "net.dagir")
    wrong = foreign(dagir.to_onnx(model), 1)
    for tensor in wrong.graph.initializer:
        array = numpy_helper.to_array(tensor)
        if array.shape == (3,):
            tensor.CopyFrom(numpy_helper.from_array(np.array([3, 0, -3], "float32"), tensor.name))
    onnx.save(wrong, tmp_path / "wrong.onnx")
    report = dagir.verify(model, {"file": tmp_path / "wrong.onnx"})
    assert report.first_divergence is None
    assert report.enclosure is not None
    assert "head" in report.enclosure.layers
    assert "first" not in report.enclosure.layers
    assert f"between {report.enclosure.right[0]!r}, which is right" in str(report)
    assert report.to_dict()["enclosure"]["layers"] == list(report.enclosure.layers)
    assert "which is right" in report.write_html(tmp_path / "page.html").read_text()
    with pytest.raises(VerificationError, match="which is right"):
        report.require()
