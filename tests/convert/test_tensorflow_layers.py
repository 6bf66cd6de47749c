"""Layers of Keras 2 that are functions of TensorFlow, as configurations write them. No TensorFlow is needed here."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np
import pytest

import dagir
from dagir.errors import ArgumentError, DagirError, UnsafeFile, UnsupportedLayer
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow import Sizes, call_function, call_raw_op
from dagir_keras.reading.tensorflow.node_def import read_node_def

AXES = {"name": "m", "op": "Mean", "input": ["x", "^y", "m/i"], "attr": {"keep_dims": {"b": True}, "T": {"type": 1}}}
TEXT = 'name: "m" op: "Mean" input: "x" input: "^y" input: "m/i" attr { key: "keep_dims" value { b: true } }'
BYTES = b"\n\x01m\x12\x04Mean\x1a\x01x\x1a\x02^y\x1a\x03m/i*\x0f\n\tkeep_dims\x12\x02(\x01"


def function(name, symbol, node, kind="TFOpLambda", **config):
    full = {"name": name, "trainable": True, "dtype": "float32", "function": symbol, **config}
    return {"class_name": kind, "config": full, "name": name, "inbound_nodes": [node]}


def begin(name="x", shape=(None, 4, 6), dtype="float32"):
    config = {"batch_input_shape": list(shape), "dtype": dtype, "sparse": False, "ragged": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def read(tmp_path, layers, outputs, inputs=("x",)):
    config = {
        "name": "m",
        "layers": layers,
        "input_layers": [[name, 0, 0] for name in inputs],
        "output_layers": [[name, 0, place] for name, place in outputs],
    }
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = json.dumps({"class_name": "Functional", "config": config}).encode()
        file.attrs["keras_version"] = "2.15.0"
        file.create_group("model_weights").attrs["layer_names"] = np.array([], "S1")
    path = tmp_path / "m.h5"
    path.write_bytes(buffer.getvalue())
    return dagir.from_keras(path)


@pytest.mark.parametrize("data", [AXES, json.dumps(AXES), TEXT, BYTES.decode()])
def test_a_node_def_is_read_in_each_of_its_forms(data):
    node = read_node_def(data)
    assert (node.op, node.inputs, node.attributes["keep_dims"]) == ("Mean", ("x", "m/i"), True)


@pytest.mark.parametrize("data", [None, 3, "", "{", "no", {"op": 3}, {}, {"op": "Add", "attr": {"T": 3}}, "\x12\x7f"])
def test_what_is_no_node_def_is_refused(data):
    with pytest.raises(Refused):
        node = read_node_def(data)
        call_raw_op(node.op, [], node.attributes)


def test_a_raw_op_with_its_constants(tmp_path):
    layer = function("m", None, [["x", 0, 0, {}]], "TensorFlowOpLayer", node_def=AXES, constants={"1": [1]})
    model = read(tmp_path, [begin(), layer], [("m", 0)])
    x = np.random.default_rng(0).normal(size=(2, 4, 6)).astype("float32")
    np.testing.assert_allclose(dagir.lower(model)(x), x.mean(1, keepdims=True), rtol=1e-5)


def test_sizes_stay_sizes_and_become_numbers_where_they_go_out(tmp_path):
    layers = [
        begin(),
        function("shape", "compat.v1.shape", ["x", 0, 0, {"out_type": "int32"}]),
        function("first", "__operators__.getitem", ["shape", 0, 0, {"slice_spec": 0}], "SlicingOpLambda"),
        function("twice", "math.multiply", ["first", 0, 0, {"y": 2, "name": None}]),
        function("flat", "reshape", ["x", 0, 0, {"shape": [["twice", 0, 0], -1]}]),
    ]
    model = read(tmp_path, layers, [("flat", 0), ("twice", 0)])
    assert [str(value.type) for value in model.graph.outputs] == ["float32[2*batch, 12]", "int32[]"]
    assert model.output_names == ["flat", "twice"]
    flat, twice = dagir.lower(model)(np.zeros((3, 4, 6), "float32"))
    assert flat.shape == (6, 12)
    assert twice == 6


def test_all_that_has_no_rule_is_named_at_once(tmp_path):
    layers = [
        begin(),
        function("draw", "random.normal", [["_CONSTANT_VALUE", -1, 4, {}]]),
        function("sum", "math.add", ["x", 0, 0, {"y": ["draw", 0, 0]}]),
        function("mask", "sparse.from_dense", ["sum", 0, 0, {}]),
        function("own", "math.invented", ["mask", 0, 0, {}]),
        function("op", None, [["own", 0, 0, {}]], "TensorFlowOpLayer", node_def={"op": "RandomUniform"}, constants={}),
    ]
    with pytest.raises(UnsupportedLayer) as caught:
        read(tmp_path, layers, [("op", 0)])
    said = str(caught.value)
    for part in (
        r"draw  TFOpLambda: tf.random.normal draws random numbers",
        r"mask  TFOpLambda: tf.sparse.from_dense has a result whose shape the data decide",
        r"own   TFOpLambda: tf.math.invented is not among the functions that dagir has",
        r"op    TensorFlowOpLayer: TensorFlow's op RandomUniform draws random numbers",
    ):
        assert part in said, said


@pytest.mark.parametrize(
    ("symbol", "options", "reason"),
    [
        ("math.add", {}, "missing a required argument: 'y'"),
        ("math.add", {"y": 1, "rounded": True}, "takes no argument 'rounded'"),
        ("math.add", {"y": "one"}, "takes a tensor where the file has 'one'"),
        ("math.add", {"y": [[1, 2], 3]}, "takes numbers"),
        ("cast", {"dtype": "complex64"}, "its dtype is complex64"),
        ("math.add", {"y": ["elsewhere", 0, 0]}, "takes numbers"),
        ("nn.conv2d", {"filters": 1, "strides": 1, "padding": "SAME"}, "convolution"),
        ("reshape", {"shape": ["x", 0, 0]}, "computed from the data"),
        ("math.add", {"y": float("nan")}, None),
        (7, {}, "its function has no name"),
    ],
)
def test_what_a_file_says_oddly_is_refused_with_the_layer(tmp_path, symbol, options, reason):
    layers = [begin(), function("it", symbol, ["x", 0, 0, options])]
    if reason is None:
        assert read(tmp_path, layers, [("it", 0)]).output_names == ["it"]
        return
    with pytest.raises(DagirError, match=f"'it' \\(TFOpLambda\\).*{reason}"):
        read(tmp_path, layers, [("it", 0)])


def test_a_class_of_the_users_is_none_of_tensorflow(tmp_path):
    layer = function("it", "math.negative", ["x", 0, 0, {}])
    with pytest.raises(UnsupportedLayer, match="TFOpLambda is a class of its own"):
        read(tmp_path, [begin(), {**layer, "module": None}], [("it", 0)])


@pytest.mark.parametrize(
    ("symbol", "options"),
    [
        ("nn.local_response_normalization", {}),
        ("compat.v1.image.resize_bilinear", {"size": [1 << 26, 4], "align_corners": True}),
        ("tensor_scatter_nd_add", {"indices": [[0]], "updates": [1.0]}),
        ("one_hot", {"depth": 1 << 30}),
        ("math.add", {"y": ["huge", 0, 0]}),
    ],
)
def test_a_file_cannot_ask_for_more_than_its_budget(tmp_path, symbol, options):
    layers = [
        begin(shape=(None, 4, 4, 1 << 20), dtype="int32" if symbol == "one_hot" else "float32"),
        function("huge", "zeros", [["_CONSTANT_VALUE", -1, 1 << 20, {}], ["_CONSTANT_VALUE", -1, 1 << 20, {}]]),
        function("it", symbol, ["x", 0, 0, options]),
    ]
    with pytest.raises((UnsafeFile, UnsupportedLayer, ArgumentError)):
        read(tmp_path, layers, [("it", 0)])


def test_arithmetic_of_sizes_is_that_of_numbers():
    x = dagir.Input(("time", 6))
    shape = call_function("shape", [x], {})
    assert isinstance(shape, Sizes)
    parts = call_function("unstack", [shape], {})
    half = call_function("math.floordiv", [parts[1], 2], {})
    back = call_function("math.subtract", [parts[1], half], {})
    target = call_function("stack", [[parts[0], half, back, 3]], {})
    assert str(tuple(target.array)) == "(batch, time//2, time - (time//2), 3)"
    total = call_function("math.reduce_prod", [shape], {"axis": None})
    assert str(total.array) == "6*batch*time"
    assert call_function("math.equal", [parts[2], 6], {}).source.array == np.True_


def test_the_first_and_last_of_an_unknown_axis_broadcast(tmp_path):
    whole, first = {"start": None, "stop": None, "step": None}, {"start": None, "stop": 1, "step": None}
    last = {"start": -1, "stop": None, "step": None}
    layers = [
        begin(shape=(None, None, 6)),
        function("a", "__operators__.getitem", ["x", 0, 0, {"slice_spec": [whole, first]}], "SlicingOpLambda"),
        function("b", "__operators__.getitem", ["x", 0, 0, {"slice_spec": [last]}], "SlicingOpLambda"),
        function("c", "math.subtract", ["x", 0, 0, {"y": ["a", 0, 0]}]),
        function("d", "math.multiply", ["c", 0, 0, {"y": ["b", 0, 0]}]),
    ]
    model = read(tmp_path, layers, [("d", 0)])
    x = np.random.default_rng(0).normal(size=(3, 5, 6)).astype("float32")
    np.testing.assert_allclose(dagir.lower(model)(x), (x - x[:, :1]) * x[-1:], rtol=1e-5, atol=1e-6)
