"""What a file asks for is bounded: nodes once calls are opened, expressions of sizes, shapes, functions, pipes."""

from __future__ import annotations

import os

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, FileError, UnsafeFile
from dagir.ir import dims
from dagir.support import limits
from dagir_onnx import untrusted_proto as received
from dagir_onnx.compare_files import compare_files
from faults.dagir_files import change_header, model, refused, rewrite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.dagir"


def refused_onnx(path, words):
    with pytest.raises(FileError, match=words) as caught:
        dagir.backend("onnx").describe(path)
    assert str(path) in caught.value.summary


# ---- .dagir


def doubled(times):
    x = dagir.Input((2,), name="x")
    found = dagir.Model(x, layers.Dense(2, name="d")(x), name="m0")
    for number in range(1, times):
        x = dagir.Input((2,), name="x")
        found = dagir.Model(x, found(found(x)), name=f"m{number}")
    return found


def test_nested_models_are_counted_as_they_are_inlined(path):
    doubled(22).save(path)
    refused(path, "nodes[")
    with pytest.raises(UnsafeFile, match="2,000,000 nodes"):
        dagir.load(path)
    doubled(6).save(path)
    assert dagir.load(path).predict(np.ones((1, 2), "float32")).shape == (1, 2)


def test_the_degree_of_a_size_is_bounded(path):
    x = dagir.Input(batch_shape=("n",), name="x")
    value = x
    for _ in range(6):
        value = ops.reshape(ops.expand_dims(value, 0) * ops.expand_dims(value, 1), (-1,))
    dagir.Model(x, value, name="m").save(path)

    def once_more(document):
        at = len(document["nodes"])
        for _ in range(2):
            last = at  # inputs first, then an output of each node
            document["nodes"] += [
                {"op": "ExpandDims", "in": [last], "fields": {"axis": 0}},
                {"op": "ExpandDims", "in": [last], "fields": {"axis": 1}},
                {"op": "Multiply", "in": [last + 1, last + 2]},
                {"op": "Reshape", "in": [last + 3], "fields": {"target": [-1]}},
            ]
            at += 4

    assert dagir.load(path).outputs[0].ndim == 1
    rewrite(path, once_more)
    with pytest.raises(FileError, match="product of more than 64 named sizes"):
        dagir.load(path)


@pytest.mark.parametrize("text", ["9" * 4000, "n*" + "9" * 200, "*".join("n" * 65), "n" + "//3 + n" * 3000])
def test_sizes_that_no_array_has(path, text):
    model().save(path)
    rewrite(path, lambda document: document["inputs"][0]["shape"].__setitem__(0, text))
    refused(path, "inputs[0].shape[0]")


@given(st.lists(st.tuples(st.sampled_from("+*/-mM"), st.integers(-(2**40), 2**40)), max_size=60))
def test_an_expression_stays_small_or_is_refused(steps):
    size = dims.symbol("n")
    for step, number in steps:
        try:
            size = {
                "+": lambda a, b: a + b,
                "-": lambda a, b: a * a - b,
                "*": lambda a, b: a * b,
                "/": lambda a, b: (a + 1) // (b or 1) + a,
                "m": lambda a, b: dims.min_dim(a * 2, a + b),
                "M": lambda a, b: dims.max_dim(a, a * a),
            }[step](size, number)
        except ArgumentError:
            break
    assert dims.weight_of(size) <= dims.MAX_WEIGHT
    assert len(str(size)) < 500_000


def test_a_size_of_0_hides_no_others(path):
    model().save(path)

    def change(header):
        header["none"] = {"dtype": "F32", "shape": [0, 2**62, 2**62], "data_offsets": [0, 0]}

    change_header(path, change)
    refused(path, "none: has the shape")


def test_half_of_a_surrogate_pair_is_no_text(path):
    model().save(path)
    rewrite(path, lambda document: document["layers"][0].update(name="a\ud800"))
    refused(path, "graph: holds the text 'a\\ud800'")
    rewrite(path, lambda document: document["layers"][0].update(name="\U0001f600"))
    assert any(layer.name == "\U0001f600" for layer in dagir.load(path).layers)


def test_what_cannot_be_read_is_not_written(tmp_path):
    x = dagir.Input((2,), name="x")
    with pytest.raises(FileError, match="no Unicode"):
        dagir.Model(x, layers.Dense(1, name="a\ud800")(x)).save(tmp_path / "m.dagir")
    assert not list(tmp_path.iterdir())


def test_outputs_of_calls_are_values(path):
    model().save(path)
    rewrite(path, lambda document: document["calls"][0].update(outputs=3))
    refused(path, "calls[0].outputs: holds what is no value")


def test_one_budget_for_all_readers_of_a_file():
    with limits.reading("outer") as outer, limits.reading("inner") as inner:
        assert outer is inner
        limits.spend("nodes", limits.LIMITS["nodes"], "all")
        with pytest.raises(UnsafeFile, match="outer: one more asks for too much"):
            limits.spend("nodes", 1, "one more")
    limits.spend("nodes", 1 << 40, "a program of the user's own")


# ---- .onnx


def info(name, *shape):
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def saved(path, nodes, weights=(), functions=(), inputs=None, outputs=None):
    graph = helper.make_graph(nodes, "g", inputs or [info("x", 2, 3)], outputs or [info("y", 2, 3)], weights)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("local", 1)]
    proto = helper.make_model(graph, functions=functions, opset_imports=opsets, ir_version=9)
    path.write_bytes(proto.SerializeToString())
    return path


def function(name, *called):
    names = ["a", *(f"t{i}" for i in range(len(called) - 1)), "b"]
    nodes = [
        helper.make_node(op, [names[i]], [names[i + 1]], domain="local" if op.startswith("f") else "")
        for i, op in enumerate(called)
    ]
    return helper.make_function("local", name, ["a"], ["b"], nodes, [helper.make_opsetid("", 18)])


def test_functions_within_functions_are_counted(tmp_path):
    def bomb(depth):
        made = [function("f0", "Identity", "Identity")]
        made += [function(f"f{i}", f"f{i - 1}", f"f{i - 1}") for i in range(1, depth)]
        return saved(tmp_path / "m.onnx", [helper.make_node(f"f{depth - 1}", ["x"], ["y"], domain="local")], (), made)

    refused_onnx(bomb(14), "16384 once its functions are opened")
    refused_onnx(bomb(60), "asks for too much")
    for entry in (lambda path: compare_files(path, path), lambda path: dagir.backend("onnx").recertify(path)):
        with pytest.raises(UnsafeFile):
            entry(bomb(60))
    assert dagir.backend("onnx").describe(bomb(5)).op_counts == {"f4": 1}


def test_a_function_that_calls_itself(tmp_path):
    made = [function("f0", "f1"), function("f1", "f0")]
    path = saved(tmp_path / "m.onnx", [helper.make_node("f0", ["x"], ["y"], domain="local")], (), made)
    refused_onnx(path, "calls itself")


def test_subgraphs_nested_too_deep(tmp_path, monkeypatch):
    inner = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [], [info("y", 2, 3)])
    for _ in range(11):
        node = helper.make_node("If", ["c"], ["y"], then_branch=inner)
        inner = helper.make_graph([node], "g", [], [info("y", 2, 3)])
    path = saved(tmp_path / "m.onnx", inner.node)
    assert dagir.backend("onnx").describe(path).op_counts == {"If": 1}
    monkeypatch.setattr(received, "MAX_NESTING", 10)  # protobuf itself reads few levels more than that allows
    refused_onnx(path, "nested deeper than 10")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data_type": 77}, "unknown dtype 77"),
        ({"data_type": 0}, "unknown dtype 0"),
        ({"dims": [-3, 4]}, "has the shape"),
        ({"dims": [2**40, 2**40]}, "has the shape"),
    ],
)
def test_tensors_that_cannot_be(tmp_path, change, words):
    tensor = TensorProto(name="w", **{"data_type": 1, "dims": [3, 4], **change})
    refused_onnx(saved(tmp_path / "m.onnx", [helper.make_node("MatMul", ["x", "w"], ["y"])], [tensor]), words)


@pytest.mark.parametrize("location", ["../w.data", "/dev/zero", "a/../../w.data", ""])
def test_weights_that_lie_elsewhere(tmp_path, location):
    tensor = TensorProto(name="w", data_type=1, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value=location)
    refused_onnx(saved(tmp_path / "m.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], [tensor]), "not beside")


def test_pipes_do_not_hang(tmp_path):
    os.mkfifo(tmp_path / "pipe.onnx")
    x = dagir.Input((3,), name="x")
    net = dagir.Model(x, layers.Dense(3)(x))
    onnx_backend = dagir.backend("onnx")
    pipe = tmp_path / "pipe.onnx"
    for entry in (
        onnx_backend.describe,
        onnx_backend.recertify,
        lambda path: onnx_backend.open(path, net),
        lambda path: onnx_backend.compare(path, path),
    ):
        with pytest.raises(FileError, match="not a file"):
            entry(pipe)
    os.mkfifo(tmp_path / "w.data")
    tensor = TensorProto(name="w", data_type=1, dims=[3], data_location=TensorProto.EXTERNAL)
    tensor.external_data.add(key="location", value="w.data")
    path = saved(tmp_path / "m.onnx", [helper.make_node("Add", ["x", "w"], ["y"])], [tensor])
    for entry in (onnx_backend.describe, lambda path: onnx_backend.compare(path, path)):
        with pytest.raises(FileError, match="is no file"):
            entry(path)


def test_names_that_are_no_text(tmp_path):
    path = saved(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"], name="NAME")])
    path.write_bytes(path.read_bytes().replace(b"NAME", b"\xff\xfeab"))
    refused_onnx(path, "its name is no text")


def test_inputs_that_are_too_large_or_no_tensors(tmp_path):
    many = saved(tmp_path / "m.onnx", [helper.make_node("Relu", ["x"], ["y"])], inputs=[info("x", 2**20, 2**20)])
    with pytest.raises(UnsafeFile, match="more than can be drawn"):
        compare_files(many, many)
    sequence = helper.make_tensor_sequence_value_info("x", TensorProto.FLOAT, [2])
    nodes = [helper.make_node("SequenceLength", ["x"], ["y"])]
    path = saved(tmp_path / "m.onnx", nodes, inputs=[sequence], outputs=[helper.make_tensor_value_info("y", 7, [])])
    assert dagir.backend("onnx").describe(path).inputs == (("x", "sequence"),)
    with pytest.raises(FileError, match="'x' is no tensor"):
        compare_files(path, path)


@pytest.mark.parametrize("op", ["LSTM", "GRU"])
def test_a_pair_on_no_rows_does_not_end_the_process(tmp_path, op):
    x = dagir.Input(batch_shape=(1, 4, 3), name="x")
    net = dagir.Model(x, getattr(layers, op)(2, name="cell")(x))
    proto = dagir.to_onnx(net)
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 0
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    with pytest.raises(FileError, match=f"{op}, node .* on an empty batch"):
        compare_files(path, path)
