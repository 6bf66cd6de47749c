"""The tool with .onnx sources: every target, with onnxruntime running the source beside what is written."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import dagir
from dagir import layers


def info(name, shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network as exporters name its parts: names with colons, slashes and dots, nodes without a name."""
    rng = np.random.default_rng(0)
    weights = {"fc.weight": (5, 4), "fc.bias": (5,), "head.weight": (3, 5), "head.bias": (3,)}
    tensors = [numpy_helper.from_array(rng.normal(size=s).astype("float32"), name) for name, s in weights.items()]
    nodes = [
        helper.make_node("Gemm", ["serving_default_x:0", "fc.weight", "fc.bias"], ["/fc/out"], "/fc/Gemm", transB=1),
        helper.make_node("Relu", ["/fc/out"], ["53"]),
        helper.make_node("Gemm", ["53", "head.weight", "head.bias"], ["logits"], "/head/Gemm", transB=1),
        helper.make_node("Softmax", ["logits"], ["prob:0"]),
    ]
    graph = helper.make_graph(
        nodes, "mlp", [info("serving_default_x:0", ["N", 4])], [info("prob:0", ["N", 3])], tensors
    )
    folder = tmp_path_factory.mktemp("sources")
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=7), folder / "net.onnx")
    return folder


def test_a_small_file_again(folder, tmp_path, called):
    code, out, err = called(folder / "net.onnx", tmp_path / "small.onnx", "--json")
    facts = json.loads(out)
    assert (code, err) == (0, "")
    assert [row["backend"] for row in facts["outputs"]] == ["onnx", "source, by onnxruntime"]
    assert facts["confirmed_by"] == f"onnxruntime {onnxruntime.__version__}"
    written = onnx.load(tmp_path / "small.onnx")
    assert [each.name for each in (*written.graph.input, *written.graph.output)] == ["serving_default_x:0", "prob:0"]
    assert {each.name for each in written.graph.initializer} == {"fc.weight", "fc.bias", "head.weight", "head.bias"}
    assert dict((each.key, each.value) for each in written.metadata_props)["dagir.verified"].endswith(
        f"; the source by onnxruntime {onnxruntime.__version__}"
    )


def test_layers_are_kept_in_a_file(tmp_path, called):
    x = dagir.Input((8, 8, 3), name="x")
    y = layers.Dropout(0.5, name="drop")(layers.SeparableConv2D(4, 3, name="separable")(x))
    dagir.save(dagir.Model(x, layers.GlobalMaxPooling2D(name="pool")(y)), tmp_path / "net.dagir")
    code, _, err = called(tmp_path / "net.dagir", tmp_path / "net.onnx", "--keep-layers")
    assert (code, err) == (0, "")
    code, _, err = called(tmp_path / "net.onnx", tmp_path / "again.dagir")
    assert (code, err) == (0, "")
    assert [each.name for each in dagir.load(tmp_path / "again.dagir").layers][-3:] == ["separable", "drop", "pool"]
    code, _, err = called(tmp_path / "net.dagir", tmp_path / "other.keras", "--keep-layers")
    assert code != 0
    assert "--keep-layers is for .onnx targets" in err


def test_a_file_that_is_misread_is_found(folder, tmp_path, called, monkeypatch):
    monkeypatch.setattr(dagir.ops, "relu", dagir.ops.tanh)
    code, _, err = called(folder / "net.onnx", tmp_path / "small.onnx")
    assert code == 3
    assert "onnxruntime computes something else from the source than dagir read in it" in err
    assert not (tmp_path / "small.onnx").exists()


def test_dagir_files_and_back(folder, tmp_path, called):
    code, _, _ = called(folder / "net.onnx", tmp_path / "net.dagir")
    assert code == 0
    assert dagir.load(tmp_path / "net.dagir").input_names == ["serving_default_x:0"]
    code, out, _ = called("verify", folder / "net.onnx", tmp_path / "net.dagir")
    assert code == 0 and "ok" in out


def test_parts_by_the_names_of_the_file(folder, tmp_path, called):
    code, _, err = called("extract", folder / "net.onnx", tmp_path / "part.onnx", "--outputs", "53")
    assert code == 0 and "is not confirmed by onnxruntime: it runs whole models, and this is a part" in err
    assert [each.name for each in onnx.load(tmp_path / "part.onnx").graph.output] == ["53"]
    code, _, err = called("extract", folder / "net.onnx", tmp_path / "other.onnx", "--outputs", "logit")
    assert code == 2 and "logits" in err


def test_inspect_and_plot(folder, tmp_path, called):
    code, out, _ = called("inspect", folder / "net.onnx")
    assert code == 0 and "serving_default_x:0" in out and "float32[N, 4]" in out
    pytest.importorskip("pygraphviz")
    code, _, _ = called("plot", folder / "net.onnx", tmp_path / "net.dot")
    assert code == 0 and "logits" in (tmp_path / "net.dot").read_text()


def test_what_cannot_be_read(tmp_path, called):
    graph = helper.make_graph([helper.make_node("Foo", ["x"], ["y"], "foo")], "g", [info("x", [1])], [info("y", [1])])
    path = tmp_path / "net.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)]).SerializeToString())
    code, _, err = called(path, tmp_path / "net.dagir")
    assert code == 4 and "node 'foo' (Foo) cannot be taken" in err
    code, _, err = called(path, tmp_path / "small.onnx", "--with-keras")
    assert code in (2, 4)


def test_what_dagir_wrote_is_read_again(tmp_path):
    x = dagir.Input((8, 8, 3), name="image")
    y = layers.Conv2D(4, 3, padding="same", activation="relu", name="conv")(x)
    y = layers.MaxPooling2D()(layers.BatchNormalization(name="norm")(y))
    model = dagir.Model(x, layers.Dense(2, name="head")(layers.Flatten()(y)))
    path = dagir.to_onnx(model, tmp_path / "net.onnx")
    again = dagir.from_onnx(path)
    assert (again.input_names, again.output_names) == (["image"], ["head"])
    assert dagir.verify(model, {"read": dagir.lower(again)}).ok


def test_the_node_that_diverges_is_named_as_in_the_file(folder, tmp_path, called):
    assert called(folder / "net.onnx", tmp_path / "net.dagir")[0] == 0
    changed = onnx.load(folder / "net.onnx")
    (tensor,) = (each for each in changed.graph.initializer if each.name == "head.weight")
    tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * np.float32(1.003), tensor.name))
    onnx.save(changed, tmp_path / "changed.onnx")
    for first in (folder / "net.onnx", tmp_path / "net.dagir"):
        code, _, err = called("verify", first, tmp_path / "changed.onnx")
        assert code == 3 and "changed.onnx: the first node that diverges is '/head/Gemm'" in err


def test_what_is_taken_at_known_sizes_alone_is_read_at_those_that_are_given(called, tmp_path):
    """Squeeze without axes drops the batch too where that is 1."""
    proto = onnx.parser.parse_model(
        """<ir_version: 8, opset_import: ["" : 17]> g (float[b, 4, 1] x) => (float[b, 4] y) {
        whole = Squeeze (x) y = Tanh (whole) }"""
    )
    source = tmp_path / "net.onnx"
    onnx.save(proto, source)
    code, _, err = called(source, tmp_path / "out.onnx")
    assert code == 4 and "it may be of several ranks" in err and "fix b in the shapes of the inputs: --input" in err
    code, out, err = called(source, tmp_path / "out.onnx", "--input", "x=3,4,1", "--json")
    assert code == 0, err
    facts = json.loads(out)
    assert facts["confirmed_by"].startswith("onnxruntime") and facts["outputs"][0]["shape"] == "[3, 4]"
