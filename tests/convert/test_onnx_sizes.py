"""Shapes that ONNX graphs compute from shapes: they become sizes by name, whatever way the exporter wrote them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import dagir
from dagir.errors import DeclarationWarning, ShapeError, UnsupportedOp


def info(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


def stored(name, numbers, dtype="int64"):
    return numpy_helper.from_array(np.asarray(numbers, dtype), name)


def model(nodes, inputs, weights=(), opset=17):
    """A model of nodes, each "y = Op(a, b)" with its attributes, to the last name that they make."""
    made = []
    for text, attributes in nodes:
        outputs, _, call = text.partition(" = ")
        op, _, operands = call.rstrip(")").partition("(")
        made.append(helper.make_node(op, [o.strip() for o in operands.split(",")], outputs.split(", "), **attributes))
    last = made[-1].output[0]
    graph = helper.make_graph(made, "net", inputs, [helper.make_empty_tensor_value_info(last)], list(weights))
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


X = info("x", ["N", 3, "H", "W"])
CHAINS = {
    "flatten behind the batch": (
        [
            ("s = Shape(x)", {}),
            ("n = Gather(s, zero)", {}),
            ("u = Unsqueeze(n, first)", {}),
            ("t = Concat(u, rest)", {"axis": 0}),
            ("y = Reshape(x, t)", {}),
        ],
        [stored("zero", 0), stored("first", [0]), stored("rest", [-1])],
        "[N, 3*H*W]",
    ),
    "the product of all but the batch": (
        [
            ("s = Shape(x)", {"start": 1}),
            ("p = ReduceProd(s)", {"keepdims": 1}),
            ("t = Concat(rest, p)", {"axis": 0}),
            ("y = Reshape(x, t)", {}),
        ],
        [stored("rest", [-1])],
        "[N, 3*H*W]",
    ),
    "half of a size, through a float": (
        [
            ("s = Shape(x)", {}),
            ("h = Slice(s, two, three)", {}),
            ("f = Cast(h)", {"to": TensorProto.FLOAT}),
            ("g = Mul(f, half)", {}),
            ("r = Floor(g)", {}),
            ("i = Cast(r)", {"to": TensorProto.INT64}),
            ("y = ConstantOfShape(i)", {}),
        ],
        [stored("two", [2]), stored("three", [3]), stored("half", 0.5, "float32")],
        "[H//2]",
    ),
    "a third of a size, rounded up": (
        [
            ("s = Shape(x)", {}),
            ("h = Gather(s, two)", {}),
            ("f = Cast(h)", {"to": TensorProto.FLOAT}),
            ("g = Div(f, three)", {}),
            ("r = Ceil(g)", {}),
            ("i = Cast(r)", {"to": TensorProto.INT64}),
            ("u = Unsqueeze(i, first)", {}),
            ("y = ConstantOfShape(u)", {}),
        ],
        [stored("two", 2), stored("three", 3, "float32"), stored("first", [0])],
        "[(H + 2)//3]",
    ),
    "a range of floats": (
        [
            ("s = Shape(x)", {}),
            ("h = Gather(s, two)", {}),
            ("f = Cast(h)", {"to": TensorProto.FLOAT}),
            ("y = Range(zero, f, step)", {}),
        ],
        [stored("two", 2), stored("zero", 0.5, "float32"), stored("step", 2, "float32")],
        "[(2*H + 2)//4]",
    ),
    "a size that is expanded to": (
        [("s = Shape(x)", {}), ("e = Equal(s, minus)", {}), ("t = Where(e, s, s)", {}), ("y = Expand(one, t)", {})],
        [stored("minus", -1), stored("one", [1.0], "float32")],
        "[N, 3, H, W]",
    ),
    "ends of a slice": (
        [
            ("s = Shape(x)", {}),
            ("h = Gather(s, two)", {}),
            ("m = Div(h, by)", {}),
            ("u = Unsqueeze(m, first)", {}),
            ("y = Slice(x, start, u, axes)", {}),
        ],
        [stored("two", 2), stored("by", 2), stored("first", [0]), stored("start", [0]), stored("axes", [2])],
        "[N, 3, min(H, H//2), W]",
    ),
    "repeats": (
        [
            ("s = Shape(x)", {}),
            ("n = Slice(s, zero, one)", {}),
            ("t = Concat(n, one, one)", {"axis": 0}),
            ("y = Tile(w, t)", {}),
        ],
        [stored("zero", [0]), stored("one", [1]), stored("w", np.ones((1, 2, 2)), "float32")],
        "[N, 2, 2]",
    ),
}


@pytest.mark.parametrize("name", CHAINS)
@pytest.mark.parametrize("shape", [(2, 3, 7, 4), (1, 3, 8, 5)])
def test_chains(name, shape):
    nodes, weights, _ = CHAINS[name]
    proto = model(nodes, [X], weights)
    x = np.random.default_rng(0).normal(size=shape).astype("float32")
    (wanted,) = onnxruntime.InferenceSession(proto.SerializeToString()).run(None, {"x": x})
    found = dagir.lower(dagir.from_onnx(proto))({"x": x})["y"]
    np.testing.assert_array_equal(found, wanted)
    again = dagir.lower(dagir.from_onnx(proto), "onnx")({"x": x})["y"]
    np.testing.assert_array_equal(again, wanted)


@pytest.mark.parametrize("name", [name for name in CHAINS if "range" not in name])
def test_sizes_by_name(name):
    nodes, weights, wanted = CHAINS[name]
    assert f"[{', '.join(map(str, dagir.from_onnx(model(nodes, [X], weights)).outputs[0].type.shape))}]" == wanted


def squeezing(then, otherwise, condition="Equal(h, one)"):
    """A graph that drops an axis if its size is 1, as exporters write it."""
    branches = {
        key: helper.make_graph(
            [helper.make_node(op, inputs, [key])], key, [], [helper.make_empty_tensor_value_info(key)]
        )
        for key, (op, inputs) in {"then_branch": then, "else_branch": otherwise}.items()
    }
    nodes = [("s = Shape(x)", {}), ("h = Gather(s, two)", {}), (f"c = {condition}", {}), ("y = If(c)", branches)]
    return model(nodes, [X], [stored("two", 2), stored("one", 1), stored("axes", [2])])


DROPS, KEEPS = ("Squeeze", ["x", "axes"]), ("Identity", ["x"])


def test_a_branch_that_an_equation_decides():
    with pytest.warns(DeclarationWarning, match=r"\(If\) is taken to have H == 1, which is checked when it runs"):
        found = dagir.from_onnx(squeezing(DROPS, KEEPS))
    assert [str(size) for size in found.outputs[0].type.shape] == ["N", "3", "W"]
    assert dagir.lower(found)({"x": np.zeros((2, 3, 1, 4), "float32")})["y"].shape == (2, 3, 4)
    with pytest.raises(ShapeError, match="H == 1"):
        dagir.lower(found)({"x": np.zeros((2, 3, 2, 4), "float32")})


def test_a_branch_that_nothing_decides_is_refused():
    with pytest.raises(UnsupportedOp, match=r"\(If\).*in one branch and"):
        dagir.from_onnx(squeezing(KEEPS, DROPS))
    known = dagir.from_onnx(squeezing(KEEPS, DROPS), inputs={"x": ("N", 3, 1, 4)})
    assert known.outputs[0].type.rank == 4
    assert not any(type(node.op).__name__ == "If" for node in known.graph.nodes)


def test_branches_and_loops_on_data():
    branch = {
        key: helper.make_graph(
            [helper.make_node(op, ["x"], [key])], key, [], [helper.make_empty_tensor_value_info(key)]
        )
        for key, op in {"then_branch": "Exp", "else_branch": "Neg"}.items()
    }
    body = helper.make_graph(
        [
            helper.make_node("Identity", ["going"], ["goes"]),
            helper.make_node("Mul", ["state", "factor"], ["next"]),
            helper.make_node("Identity", ["next"], ["row"]),
        ],
        "body",
        [info("i", [], TensorProto.INT64), info("going", [], TensorProto.BOOL), info("state", ["N", 2])],
        [info("goes", [], TensorProto.BOOL), info("next", ["N", 2]), info("row", ["N", 2])],
    )
    nodes = [
        ("m = ReduceMax(x)", {"keepdims": 0}),
        ("c = Greater(m, zero)", {}),
        ("b = If(c)", branch),
        ("last, y = Loop(count, , b)", {"body": body}),
        ("z = ReduceSum(y)", {}),
    ]
    weights = [stored("zero", 0, "float32"), stored("factor", 2, "float32"), stored("count", 3)]
    proto = model(nodes, [info("x", ["N", 2])], weights)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    found = dagir.from_onnx(proto)
    assert {"If", "Loop"} <= {type(node.op).__name__ for node in found.graph.nodes}
    for x in (np.float32([[1, -2], [0.5, 3]]), np.float32([[-1, -2]])):
        np.testing.assert_allclose(dagir.lower(found)({"x": x})["z"], session.run(None, {"x": x})[0], rtol=1e-6)
