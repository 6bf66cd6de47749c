"""dagir-convert diff: what it finds between a model and the same one with one thing changed, and its exit codes."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import numpy_helper

import dagir
from dagir import layers, ops
from dagir_convert.console import Output
from dagir_convert.difference import Change, ChangedWeight, distance
from dagir_convert.diffing import OutputDifference, diff
from dagir_convert.sources import parse

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"
START = np.random.default_rng(0).normal(size=200)


def build(activation="relu", drop=False, hidden="hidden", units=3, scale=1.0, size=4, inner="inner"):
    """A network whose weights are the same wherever their shapes are."""
    x = dagir.Input((size,), name="x")
    y = layers.Dense(4, activation=activation, name=hidden)(x)
    if drop:
        y = layers.Dropout(0.2, name="drop")(y)
    v = dagir.Input((4,), name="v")
    y = dagir.Model(v, layers.Dense(4, name="deep")(v), name=inner)(y)
    model = dagir.Model(x, layers.Dense(units, name="head")(y), name="net")
    for weight in model.weights:
        weight.assign(START[: np.prod(weight.shape)].reshape(weight.shape))
    model.get_layer("head").weights[1].assign(scale * np.ones(units))
    return model


@pytest.fixture
def compared(tmp_path, monkeypatch, called):
    """The JSON of what changed from one model to another, and the exit code."""
    monkeypatch.chdir(tmp_path)

    def compare(first, second, *options, suffix=".dagir"):
        for name, made in (("a", first), ("b", second)):
            write = made.save if suffix == ".dagir" else lambda path, made=made: dagir.to_onnx(made, path)
            write(f"{name}{suffix}")
        code, out, err = called("diff", f"a{suffix}", f"b{suffix}", "--json", *options)
        assert err == ""
        return code, json.loads(out)

    return compare


@pytest.mark.parametrize("suffix", [".dagir", ".onnx"])
def test_the_same_model_is_the_same(compared, suffix):
    code, found = compared(build(), build(), suffix=suffix)
    assert (code, found["same"], found["outputs"]) == (0, True, [])
    assert found["weights"]["same"] == 6 or suffix == ".onnx"


@pytest.mark.parametrize("suffix", [".dagir", ".onnx"])
@pytest.mark.parametrize("size", [1, 9])
def test_a_constant_that_changed(compared, suffix, size):
    """It is no weight: the layer that reads it changed."""

    def scaled(by):
        x = dagir.Input((size,), name="x")
        return dagir.Model(x, ops.multiply(x, by * np.ones(size, "float32")))

    code, found = compared(scaled(2), scaled(3), suffix=suffix)
    assert (code, found["outputs"][0]["max_rel"]) == (1, pytest.approx(0.5, rel=1e-6))
    assert len(found["layers"]["changed"]) + len(found["weights"]["changed"]) == 1


def test_a_weight_that_changed_is_measured(compared):
    """By how much, against NumPy; the layers are the same."""
    code, found = compared(build(), build(scale=1.5))
    assert (code, found["layers"]["changed"]) == (1, [])
    (weight,) = found["weights"]["changed"]
    assert (weight["name"], weight["elements"], weight["max_abs"], weight["max_rel"]) == ("head/bias", 3, 0.5, 0.5)
    (output,) = found["outputs"]
    assert output["max_abs"] == pytest.approx(0.5, rel=1e-4)


def test_what_a_layer_computes(compared):
    code, found = compared(build(), build("tanh", drop=True))
    assert (code, found["layers"]["added"], found["layers"]["removed"]) == (1, ["drop"], [])
    changed = {each["name"]: {c["what"]: (c["first"], c["second"]) for c in each["changes"]}
               for each in found["layers"]["changed"]}  # fmt: skip
    assert changed == {"hidden": {"ops": ("Relu", "Tanh")}, "inner": {"inputs": ("hidden", "drop")}}
    assert found["weights"]["changed"] == [] and found["outputs"][0]["elements"] == 3


@pytest.mark.parametrize("suffix", [".dagir", ".onnx"])
def test_another_name_is_found_by_structure(compared, suffix):
    code, found = compared(build(), build(hidden="other", inner="nested"), suffix=suffix)
    assert code == 1 and found["outputs"][0]["elements"] == 0
    for what in ("layers", "weights"):
        assert found[what]["removed"] == found[what]["added"] == found[what]["changed"] == []
    pairs = {each["first"]: each["second"] for each in found["weights"]["renamed"]}
    assert pairs == {"hidden/kernel": "other/kernel", "hidden/bias": "other/bias"}


def test_alike_layers_are_told_apart_by_their_weights(compared):
    def chain(names):
        x = y = dagir.Input((4,), name="x")
        for name in names:
            y = layers.Dense(4, name=name)(y)
        model = dagir.Model(x, y)
        for weight in model.weights:
            weight.assign(np.full(weight.shape, ord(weight.name[-8] if "kernel" in weight.name else weight.name[-6])))
        return model

    code, found = compared(chain(["d_a", "d_b"]), chain(["e_0", "e_a", "e_b"]))
    assert code == 1 and found["layers"]["added"] == ["e_0"]
    pairs = {each["first"]: each["second"] for each in found["layers"]["renamed"]}
    assert pairs == {"d_a": "e_a", "d_b": "e_b"}


def test_shapes_and_interfaces(compared):
    code, found = compared(build(), build(units=5, size=6))
    shapes = {each["what"]: (each["first"], each["second"]) for each in found["interface"]}
    assert shapes == {
        "input x": ("float32[batch, 4]", "float32[batch, 6]"),
        "output head": ("float32[batch, 3]", "float32[batch, 5]"),
    }
    changed = {each["name"]: each["changes"] for each in found["weights"]["changed"]}
    assert changed["hidden/kernel"] == [{"what": "shape", "first": "[4, 4]", "second": "[6, 4]"}]
    assert (code, found["outputs"]) == (1, []) and "x" in found["not_run"]


def test_files_of_onnx_node_by_node(compared, tmp_path):
    """An attribute, a weight and the opset of a file; what dagir cannot read is compared all the same."""
    compared(build(), build(), suffix=".onnx")
    proto = onnx.load("b.onnx")
    (bias,) = (each for each in proto.graph.initializer if each.name == "head/bias")
    bias.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(bias) * 3, bias.name))
    proto.graph.node[0].attribute.append(onnx.helper.make_attribute("alpha", 0.5))
    proto.opset_import[0].version += 1
    proto.graph.node.append(onnx.helper.make_node("Foo", ["x"], ["unread"], "foo", domain="of.nobody"))
    onnx.save(proto, "c.onnx")
    onnx.save(proto, "d.onnx")
    assert not diff(parse("c.onnx"), parse("d.onnx"), Output(quiet=True), as_json=False)
    assert diff(parse("a.onnx"), parse("d.onnx"), Output(quiet=True), as_json=False)


def test_the_text_and_the_exit_codes(called, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    build().save("a.dagir")
    build("tanh", drop=True, scale=2.0).save("b.dagir")
    code, out, _ = called("diff", "a.dagir", "a.dagir")
    assert code == 0 and "a.dagir and a.dagir are the same: 6 layers, 6 weights" in out
    code, out, _ = called("diff", "a.dagir", "b.dagir")
    assert code == 1 and "a.dagir and b.dagir differ; layers: 2 changed, 1 added" in out
    assert "hidden: ops" in out and "Relu" in out and "head/bias" in out
    code, out, _ = called("diff", "a.dagir", "b.dagir", "--no-run", "-q")
    assert (code, out) == (1, "")
    for wrong in (("a.dagir", "none.dagir"), ("a.dagir",), ("a.dagir", "b.dagir", "--inputs", "none.npz")):
        code, _, err = called("diff", *wrong)
        assert code == 2 and err
    (tmp_path / "c.dagir").write_bytes(b"damaged")
    assert called("diff", "a.dagir", "c.dagir")[0] == 5


def test_on_given_inputs(compared, tmp_path):
    np.savez(tmp_path / "given.npz", x=np.zeros((2, 4), "float32"))
    _, found = compared(build(), build("sigmoid"), "--inputs", "given.npz")
    assert found["outputs"][0]["elements"] == 6
    np.save(tmp_path / "given.npy", np.zeros((2, 4), "float32"))
    assert compared(build(), build("sigmoid"), "--inputs", "given.npy")[1] == found
    np.save(tmp_path / "wide.npy", np.zeros((2, 5), "float32"))
    code, found = compared(build(), build("tanh"), "--inputs", "wide.npy")
    assert code == 1 and "axis 1 of input 'x' must have size 4" in found["not_run"]
    assert "it takes x float32[batch, 4], and is given x float32[2, 5]" in found["not_run"]


@pytest.mark.parametrize(
    ("given", "which", "told"),
    [
        ({"z": np.zeros((2, 4), "float32")}, "first", "no input 'z' (it takes x float32[batch, 4], and is given z fl"),
        (
            {"x": np.full((2, 4), "a")},
            "first",
            "input 'x' takes float32, got an array of <U1 (it takes x float32",
        ),
        ({"x": np.zeros((2, 4), "float32")}, "second", "(it takes x float32[batch, 6], and is given x float32[2, 4])"),
    ],
)
def test_it_says_which_model_does_not_take_the_samples(compared, tmp_path, given, which, told):
    np.savez(tmp_path / "given.npz", **given)
    _, found = compared(build(), build(units=5, size=6), "--inputs", "given.npz")
    assert found["not_run"].startswith(f"{found[which]}: ") and told in found["not_run"]


numbers = arrays.arrays(
    st.sampled_from(["float32", "float64", "int32"]),
    (2, 3),
    elements=st.integers(-4, 4),
)


@given(numbers, numbers)
def test_the_distance_is_that_of_numpy(one, two):
    elements, largest, relative = distance(one, two)
    apart = np.abs(one.astype(float) - two.astype(float))
    assert (elements, largest) == (np.count_nonzero(apart), apart.max())
    scale = np.abs(one.astype(float)).max()
    assert relative == (apart.max() / scale if scale else None)


def test_the_distance_of_what_is_not_finite():
    nan, inf = np.float32([1, np.nan]), np.float32([1, np.inf])
    assert distance(nan, nan)[:2] == (0, 0.0) and distance(inf, inf)[:2] == (0, 0.0)
    assert distance(nan, inf) == distance(inf, np.float32([1, 2])) == (1, None, None)
    assert distance(np.array(["a", "b"]), np.array(["a", "c"])) == (1, None, None)


def test_the_documented_fields_are_those_of_the_json(compared):
    page = PAGE.read_text(encoding="utf-8")
    _, found = compared(build(), build("tanh"))
    names = [*found, *found["layers"], *(each.name for kind in (Change, ChangedWeight, OutputDifference)
                                         for each in fields(kind))]  # fmt: skip
    assert [name for name in names if f"| `{name}` |" not in page] == []


@pytest.fixture
def across(tmp_path, monkeypatch, called):
    """The same of a .dagir file, which has layers, and an .onnx file, which has nodes, in either order."""
    monkeypatch.chdir(tmp_path)

    def compare(first, second, *options, turned=False):
        first.save("a.dagir")
        dagir.to_onnx(second, "b.onnx")
        pair = ("b.onnx", "a.dagir") if turned else ("a.dagir", "b.onnx")
        code, out, _ = called("diff", *pair, "--json", *options)
        return code, json.loads(out)

    return compare


def image_network(activation="relu", scale=1.0):
    x = dagir.Input((9, 9, 3), name="x")
    y = layers.Conv2D(4, 3, activation=activation, name="conv")(x)
    y = layers.Dense(2, name="head")(layers.GlobalAveragePooling2D(name="pool")(y))
    model = dagir.Model(x, y, name="net")
    for weight in model.weights:
        weight.assign(START[: np.prod(weight.shape)].reshape(weight.shape))
    model.get_layer("conv").weights[1].assign(scale * np.ones(4))
    return model


@pytest.mark.parametrize("turned", [False, True])
def test_layers_beside_nodes_are_matched_by_paths(across, turned):
    """The channels are first in the one and last in the other."""
    code, found = across(image_network(), image_network(), turned=turned)
    assert (code, found["layers"]["same"], found["weights"]["same"]) == (0, 4, 4)
    assert "paths of the nodes" in found["matched"]
    code, found = across(image_network(), image_network(scale=2.0), turned=turned)
    (changed,) = found["weights"]["changed"]
    assert code == 1 and changed["name"] == "conv/bias" and changed["elements"] == 4
    assert found["layers"]["same"] == 4


def test_what_is_not_compared_across_formats_is_seen_in_the_outputs(across):
    """Kinds and attributes are told in the way of each format, so that both are run whatever is alike."""
    code, found = across(image_network(), image_network("tanh"))
    assert found["layers"]["same"] == 4 and not found["weights"]["changed"]
    assert code == 1 and found["outputs"][0]["elements"] == 2
    code, found = across(image_network(), image_network("tanh"), "--no-run")
    assert code == 0 and "--no-run" in found["not_run"]


def test_weights_of_other_names_are_known_by_their_numbers(across):
    """As where another tool wrote the file. No node has the name of a layer then."""
    other = image_network()
    x = dagir.Input((9, 9, 3), name="x")
    w = [weight.numpy() for weight in other.weights]
    y = ops.relu(ops.conv(x, dagir.Parameter("a", dagir.TensorType(dagir.DType.FLOAT32, w[0].shape), array=w[0])) + 1.0)
    y = ops.mean(y, axis=(1, 2))
    y = ops.matmul(y, dagir.Parameter("b", dagir.TensorType(dagir.DType.FLOAT32, w[2].shape), array=w[2])) + w[3]
    code, found = across(image_network(), dagir.Model(x, y))
    assert {"first": "conv/kernel", "second": "a"} in found["weights"]["renamed"]
    assert {"first": "head/kernel", "second": "b"} in found["weights"]["renamed"]
    assert code == 1 and found["outputs"][0]["max_rel"] < 1e-5
