"""dagir-convert inspect: the tree, the tables, and the JSON whose fields the documentation lists."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

import dagir
from dagir import layers, ops
from dagir.display.contents import Contents, LayerEntry, TensorEntry, WeightEntry, contents_of
from dagir_convert.console import Output
from dagir_convert.sheets import Cell, Sheet
from faults.keras_files import write

SCHEMA_PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "json.md"


def siamese():
    """A shared layer, a nested model that is called twice, a layer outside and inside of it, and a branch."""
    left, right = dagir.Input((4,), name="left"), dagir.Input((4,), name="right")
    shared = layers.Dense(3, name="shared")
    v = dagir.Input((4,), name="v")
    tower = dagir.Model(v, layers.Dense(2, name="top")(shared(v)), name="tower")
    x = tower(left) - tower(right)
    x = ops.cond(ops.sum(x) > 0, lambda: x * 2.0, lambda: x - 1.0)
    return dagir.Model([left, right], [x, shared(left)], name="siamese")


@pytest.fixture
def saved(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    siamese().save("net.dagir")
    dagir.to_onnx(siamese(), "net.onnx")
    return tmp_path


def read(called, *arguments):
    code, out, err = called("inspect", *arguments, "--json")
    assert (code, err) == (0, "")
    return json.loads(out)


def by_name(entries):
    return {entry["name"]: entry for entry in entries}


def test_the_layers_are_a_tree(saved, called):
    found = read(called, "net.dagir")
    assert (found["schema"], found["format"], found["name"]) == (2, "dagir", "siamese")
    assert found["inputs"][0] == {"name": "left", "dtype": "float32", "shape": ["batch", 4]}
    parts = by_name(found["layers"])
    tower = parts["tower"]
    assert (tower["kind"], tower["calls"], tower["parameters"], tower["inputs"]) == ("Model", 2, 23, ["left"])
    inside = by_name(tower["layers"])
    assert inside["top"]["weights"] == ["top/kernel", "top/bias"]
    owners = [each for each in (parts["shared"], inside["shared"]) if each["shared_with"] is None]
    (other,) = (each for each in (parts["shared"], inside["shared"]) if each["shared_with"] is not None)
    assert len(owners) == 1 and other["shared_with"] in ("shared", "tower/shared")
    (branch,) = (each for each in found["layers"] if each["kind"] == "If")
    assert [(each["kind"], each["outputs"][0]["shape"]) for each in branch["layers"]] == [("Body", ["batch", 2])] * 2
    assert all(each["layers"] for each in branch["layers"])


def test_weights_are_counted_once(saved, called):
    """Against the model itself: a shared weight is one weight."""
    found, model = read(called, "net.dagir"), dagir.load("net.dagir")
    assert found["parameters"] == found["trainable_parameters"] == model.count_params() == 23
    assert found["bytes"] == 4 * 23
    assert [(w["name"], tuple(w["shape"]), w["parameters"]) for w in found["weights"]] == [
        (w.name, w.shape, int(np.prod(w.shape))) for w in model.weights
    ]


def test_an_onnx_file_is_read_as_its_nodes(saved, called):
    """Against onnx itself: every node, every weight, and the shapes that onnx infers."""
    found, proto = read(called, "net.onnx"), onnx.load("net.onnx")
    assert [each["kind"] for each in found["layers"]] == [node.op_type for node in proto.graph.node]
    assert {w["name"]: tuple(w["shape"]) for w in found["weights"]} == {
        each.name: tuple(each.dims) for each in proto.graph.initializer
    }
    sizes = {each.name: onnx.numpy_helper.to_array(each).nbytes for each in proto.graph.initializer}
    settings = {weight["name"] for weight in found["weights"] if weight["is_setting"]}
    assert settings and found["bytes"] == sum(size for name, size in sizes.items() if name not in settings)
    (branch,) = (each for each in found["layers"] if each["kind"] == "If")
    assert [each["name"] for each in branch["layers"]] == ["then_branch", "else_branch"]
    known = [each["outputs"][0] for each in found["layers"]]
    assert all(each["dtype"] and each["shape"] is not None for each in known)
    assert found["facts"]["opset"].startswith("ai.onnx") and found["trainable_parameters"] is None


def test_settings_are_no_parameters_and_weights_in_nodes_are(tmp_path, called):
    """Axes, shapes and what they are computed from, by ONNX's schemas; some tools write weights as Constant nodes."""
    node, info = helper.make_node, helper.make_tensor_value_info
    ints = {"axes": [0], "shape": [-1], "two": [2], "rows": [0, 1], "bias_of_ids": [3, 4]}
    initializers = [helper.make_tensor(name, TensorProto.INT64, [len(of)], of) for name, of in ints.items()]
    table = helper.make_tensor("", TensorProto.FLOAT, [2, 2], [1.0, 2.0, 3.0, 4.0])
    one = helper.make_tensor("", TensorProto.FLOAT, [], [1.0])
    nodes = [
        node("Constant", [], ["table"], value=table),
        node("Constant", [], ["one"], value=one),
        node("Unsqueeze", ["x", "axes"], ["u"]),
        node("Concat", ["shape", "two"], ["wanted"], axis=0),
        node("Reshape", ["u", "wanted"], ["r"]),
        node("MatMul", ["r", "table"], ["m"]),
        node("Mul", ["m", "one"], ["s"]),
        node("Gather", ["s", "rows"], ["y"]),
        node("Add", ["ids", "bias_of_ids"], ["z"]),
    ]
    ends = [info("x", TensorProto.FLOAT, [4]), info("ids", TensorProto.INT64, [2])]
    outs = [info("y", TensorProto.FLOAT, None), info("z", TensorProto.INT64, [2])]
    onnx.save(helper.make_model(helper.make_graph(nodes, "g", ends, outs, initializers)), tmp_path / "m.onnx")
    found = read(called, tmp_path / "m.onnx")
    assert {w["name"] for w in found["weights"] if w["is_setting"]} == {"axes", "shape", "two", "rows"}
    assert {w["name"] for w in found["weights"] if not w["is_setting"]} == {"bias_of_ids", "table"}
    assert found["parameters"] == 6 and found["bytes"] == 32
    assert [each["parameters"] for each in found["layers"] if each["kind"] in ("MatMul", "Gather")] == [4, 0]
    _, shown, _ = called("inspect", tmp_path / "m.onnx", "--weights")
    assert "6 parameters in 2 weights of 32 B" in shown and "not counted: 4 constants" in shown
    assert re.search(r"^rows +int64\[2\] .* setting$", shown, re.MULTILINE)


def test_the_proof_of_a_file_is_shown(saved, tmp_path, called):
    assert called("net.dagir", tmp_path / "proven.onnx")[0] == 0
    assert called("net.dagir", tmp_path / "bare.onnx", "--no-verify")[0] == 0
    _, out, _ = called("net.dagir", tmp_path / "again.onnx", "--json")
    assert json.loads(out)["confirmed_by"] is None and json.loads(out)["opset"].startswith("ai.onnx")
    _, shown, _ = called("inspect", tmp_path / "proven.onnx")
    assert "verified: by onnxruntime" in shown and "confirmed by: nothing" in shown
    assert read(called, tmp_path / "bare.onnx")["facts"]["verified"] == "no"
    assert called("diff", tmp_path / "proven.onnx", tmp_path / "bare.onnx", "--no-run")[0] == 0  # no part of the model


def test_weights_of_half_a_byte_and_of_bodies(tmp_path, called):
    body = helper.make_graph(
        [helper.make_node("Add", ["x", "w"], ["y"])],
        "body",
        [],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])],
        [helper.make_tensor("w", TensorProto.FLOAT, [3], [1.0, 2.0, 3.0])],
    )
    info = helper.make_tensor_value_info
    nodes = [helper.make_node("If", ["c"], ["z"], name="choose", then_branch=body, else_branch=body)]
    codes = helper.make_tensor("codes", TensorProto.INT4, [5], [1, 2, 3, 4, 5])
    ends = ([info("c", TensorProto.BOOL, []), info("x", TensorProto.FLOAT, [3])], [info("z", TensorProto.FLOAT, [3])])
    graph = helper.make_graph(nodes, "g", *ends, [codes])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    found = read(called, tmp_path / "m.onnx")
    assert [(w["name"], w["bytes"]) for w in found["weights"]] == [("codes", 3), ("w", 12), ("w_1", 12)]
    (branch,) = found["layers"]
    assert branch["weights"] == ["w", "w_1"] and branch["parameters"] == 6
    assert [each["layers"][0]["weights"] for each in branch["layers"]] == [["w"], ["w_1"]]


def test_the_tree_the_depth_and_the_flat_table(saved, called):
    _, tree, _ = called("inspect", "net.dagir")
    assert re.search(r"tower \(2 calls\) +Model +float32\[batch, 2\] +23 +92 B", tree)
    assert re.search(r"^[├└] top +Dense", tree, re.MULTILINE)
    assert "├ then" in tree and re.search(r"^[│ ] [├└] ", tree, re.MULTILINE)
    assert ", is " in tree
    _, shallow, _ = called("inspect", "net.dagir", "--depth", 1)
    assert "top" not in shallow and "tower" in shallow
    _, flat, _ = called("inspect", "net.dagir", "--flat", "--weights")
    assert re.search(r"^tower/top +Dense", flat, re.MULTILINE)
    assert re.search(r"^top/kernel +float32\[3, 2\] +6 +24 B +yes", flat, re.MULTILINE)
    assert "5 weights" not in flat and "23 parameters in 4 weights of 92 B" in flat


def test_nodes_are_grouped_by_their_paths(tmp_path, called):
    info = helper.make_tensor_value_info
    paths = ["/encoder/dense/MatMul", "/encoder/dense/Add", "/encoder/Relu", "", "/head/only/MatMul"]
    nodes = [helper.make_node("Relu", [f"t{i}"], [f"t{i + 1}"], name=name) for i, name in enumerate(paths)]
    graph = helper.make_graph(nodes, "g", [info("t0", 1, ["N", 2])], [info("t5", 1, ["N", 2])])
    onnx.save(helper.make_model(graph), tmp_path / "m.onnx")
    _, out, _ = called("inspect", tmp_path / "m.onnx")
    shown = [line.split("  ")[0].rstrip() for line in out.splitlines() if "float32[N, 2]" in line][2:]
    assert shown == ["encoder", "├ dense", "│ ├ MatMul", "│ └ Add", "└ Relu", "Relu", "head/only/MatMul"]


@pytest.mark.parametrize("given", [("--depth", "0"), ("--depth", "2", "--flat")])
def test_options_that_do_not_fit(saved, called, given):
    code, _, err = called("inspect", "net.dagir", *given)
    assert code == 2 and "--depth" in err


def test_files_are_read_without_their_frameworks(saved):
    """Neither onnxruntime nor TensorFlow is imported; onnx for an .onnx file alone."""
    write(saved / "net.keras")
    script = (
        "import sys, contextlib, os\nfrom dagir_convert.command_line import main\n"
        "sys.argv = ['dagir-convert', *sys.argv[1:]]\n"
        "with contextlib.suppress(SystemExit), contextlib.redirect_stdout(open(os.devnull, 'w')): main()\n"
        "print([name for name in ('onnx', 'onnxruntime', 'tensorflow', 'keras') if name in sys.modules])"
    )
    for name, imported in (("net.keras", "[]"), ("net.dagir", "[]"), ("net.onnx", "['onnx']")):
        command = [sys.executable, "-c", script, "inspect", name]
        done = subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, "PATH": ""})
        assert done.stdout.strip() == imported, name


def test_the_documented_fields_are_those_of_the_json():
    page = SCHEMA_PAGE.read_text(encoding="utf-8")
    for kind in (TensorEntry, WeightEntry, LayerEntry):
        for each in fields(kind):
            assert f"| `{each.name}` |" in page, f"{kind.__name__}.{each.name}"
    x = dagir.Input((2,), name="x")
    for name in (*contents_of(dagir.Model(x, ops.tanh(x))).to_dict(), "source", "format"):
        assert f"| `{name}` |" in page, name
    assert {each.name for each in fields(Contents)} <= set(contents_of(dagir.Model(x, ops.tanh(x))).to_dict())


def test_plain_lines_are_safe_and_aligned(capsys):
    sheet = Sheet(("name", ">count"))
    sheet.add(Cell("広い", "├ "), "7")
    sheet.add("a\x1b[2J[bold]", "12")
    sheet.print(Output())
    lines = capsys.readouterr().out.strip("\n").splitlines()
    assert lines == ["name            count", "─" * 21, "├ 広い              7", r"a\x1b[2J[bold]     12"]
