"""Stored tensors as weights: where a layer has them, each once, under their names, trained or not as they are used."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import dagir


def info(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def read(nodes, inputs, weights, outputs=("y",)):
    """The model, and onnxruntime's session over the same graph."""
    rng = np.random.default_rng(0)
    tensors = [
        numpy_helper.from_array(np.asarray(rng.normal(size=shape) ** 2 + 0.1, "float32"), name)
        for name, shape in weights.items()
    ]
    graph = helper.make_graph(nodes, "net", inputs, [helper.make_empty_tensor_value_info(o) for o in outputs], tensors)
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    return dagir.from_onnx(proto), onnxruntime.InferenceSession(proto.SerializeToString())


def told(model):
    return {weight.name: (weight.shape, weight.trainable) for weight in model.graph.parameters}


TIED = {
    "transposed by a node": [
        helper.make_node("Transpose", ["table"], ["t"], perm=[1, 0]),
        helper.make_node("MatMul", ["rows", "t"], ["y"]),
    ],
    "transposed by Gemm": [
        helper.make_node("Reshape", ["rows", "flat"], ["r"]),
        helper.make_node("Gemm", ["r", "table"], ["y"], transB=1),
    ],
}


@pytest.mark.parametrize("name", TIED)
@pytest.mark.parametrize("gemm_first", [False, True])
def test_a_weight_that_is_read_in_two_layouts_is_one_weight(name, gemm_first):
    nodes = [
        helper.make_node("Constant", [], ["flat"], value_ints=[-1, 4]),
        helper.make_node("Gather", ["table", "ids"], ["rows"]),
        *TIED[name],
    ]
    if gemm_first:
        first = [helper.make_node("Gemm", ["x", "table"], ["z"], transB=1), helper.make_node("ReduceSum", ["z"], ["s"])]
        nodes = [*first, *nodes[:-1], helper.make_node("Add", ["v", "s"], ["y"])]
        last = TIED[name][-1]
        nodes.insert(
            -1,
            helper.make_node(last.op_type, last.input, ["v"], transB=1)
            if len(last.attribute)
            else helper.make_node(last.op_type, last.input, ["v"]),
        )
    inputs = [info("ids", ["N", "T"], TensorProto.INT64), *([info("x", ["M", 4])] if gemm_first else [])]
    model, session = read(nodes, inputs, {"table": (7, 4)})
    assert list(told(model)) == ["table"]
    feeds = {"ids": np.int64([[0, 6, 3]]), "x": np.ones((2, 4), "float32")}
    feeds = {name: feeds[name] for name in model.input_names}
    for backend in ("numpy", "onnx"):
        np.testing.assert_allclose(
            dagir.lower(model, backend)(feeds)["y"], session.run(None, feeds)[0], rtol=1e-5, err_msg=backend
        )


def test_statistics_of_a_batch_normalization_do_not_train():
    names = {"gamma": (3,), "beta": (3,), "mean": (3,), "var": (3,)}
    model, _ = read([helper.make_node("BatchNormalization", ["x", *names], ["y"])], [info("x", ["N", 3, "T"])], names)
    assert {name: trains for name, (_, trains) in told(model).items()} == {
        "gamma": True,
        "beta": True,
        "mean": False,
        "var": False,
    }


def test_a_layer_of_one_unit_has_weights_of_one_element():
    model, _ = read([helper.make_node("Gemm", ["x", "w", "b"], ["y"])], [info("x", ["N", 3])], {"w": (3, 1), "b": (1,)})
    assert told(model) == {"w": ((3, 1), True), "b": ((1,), True)}


def test_weights_in_constant_nodes():
    value = numpy_helper.from_array(np.ones((3, 2), "float32"))
    nodes = [
        helper.make_node("Constant", [], ["kernel"], value=value),
        helper.make_node("MatMul", ["x", "kernel"], ["m"]),
    ]
    nodes += [helper.make_node("Constant", [], ["two"], value_float=2.0), helper.make_node("Mul", ["m", "two"], ["y"])]
    model, _ = read(nodes, [info("x", ["N", 3])], {})
    assert told(model) == {"kernel": ((3, 2), True)}


def test_a_weight_in_another_layout_is_a_view():
    model, _ = read([helper.make_node("Conv", ["x", "w"], ["y"])], [info("x", ["N", 3, 8, 8])], {"w": (5, 3, 2, 2)})
    (weight,) = model.graph.parameters
    assert weight.shape == (2, 2, 3, 5) and not weight.array.flags.c_contiguous and not weight.array.flags.owndata
    written = dagir.to_onnx(model)
    assert [(each.name, list(each.dims)) for each in written.graph.initializer] == [("w", [5, 3, 2, 2])]


def test_ids_that_are_fed_choose_rows_of_an_embedding():
    model, session = read(
        [helper.make_node("Gather", ["w", "i"], ["y"])], [info("i", ["N"], TensorProto.INT64)], {"w": (5, 2)}
    )
    assert [type(node.op).__name__ for node in model.graph.nodes] == ["Embedding"]
    ids = np.int64([4, 0])
    np.testing.assert_array_equal(dagir.lower(model)({"i": ids})["y"], session.run(None, {"i": ids})[0])
