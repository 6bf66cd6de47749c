"""Two .onnx files with bodies: the node of a body that differs is named, with its iteration, whatever its name is."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

import dagir

SLIGHTLY = np.float32(1.001)


def info(name, shape=(2, 4), kind=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, kind, shape)


def weights(**names):
    rng = np.random.default_rng(0)
    return [numpy_helper.from_array(rng.normal(0, 0.6, shape).astype("float32"), name) for name, shape in names.items()]


def node(op, inputs, outputs, **attributes):
    return helper.make_node(op, inputs.split(), outputs.split(), f"the {op} of {outputs}", **attributes)


def model(nodes, tensors, outputs):
    graph = helper.make_graph(nodes, "net", [info("x")], outputs, tensors)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)


def constants():
    return [
        numpy_helper.from_array(np.array(5), "count"),
        numpy_helper.from_array(np.array(True), "yes"),
        numpy_helper.from_array(np.array(3), "three"),
    ]


def a_loop():
    """A branch in a loop, whose weight, of the outer graph, is read in iteration 3 alone."""
    then = helper.make_graph([node("MatMul", "s w", "t"), node("Sin", "t", "chosen")], "then", [], [info("chosen")])
    other = helper.make_graph([node("Mul", "s shift", "kept")], "else", [], [info("kept")])
    body = helper.make_graph(
        [
            node("Equal", "i three", "late"),
            node("If", "late", "u", then_branch=then, else_branch=other),
            node("Add", "u shift", "next"),
            node("Identity", "c", "going"),
        ],
        "body",
        [info("i", (), TensorProto.INT64), info("c", (), TensorProto.BOOL), info("s")],
        [info("going", (), TensorProto.BOOL), info("next"), info("u")],
    )
    nodes = [
        node("Tanh", "x", "begin"),
        node("Abs", "x", "shift"),
        node("Loop", "count yes begin", "end all", body=body),
    ]
    return model(nodes, [*weights(w=(4, 4)), *constants()], [info("end"), info("all", (5, 2, 4))])


def a_scan():
    """A scan from the end, with a weight of its own."""
    body = helper.make_graph(
        [node("MatMul", "row w", "turned"), node("Add", "s turned", "sum"), node("Tanh", "sum", "row_out")],
        "body",
        [info("s", (4,)), info("row", (4,))],
        [info("sum", (4,)), info("row_out", (4,))],
        weights(w=(4, 4)),
    )
    scan = node(
        "Scan", "zero x", "last rows", body=body, num_scan_inputs=1, scan_input_axes=[0], scan_input_directions=[1]
    )
    return model(
        [node("ReduceMin", "x", "zero", axes=[0], keepdims=0), scan], [], [info("last", (4,)), info("rows", (2, 4))]
    )


def graphs(graph):
    yield graph
    for each in (a.g for node in graph.node for a in node.attribute if a.HasField("g")):
        yield from graphs(each)


def renamed(proto):
    """The same with other names for every tensor and node."""

    def other(name):
        return f"other:{name}" if name else ""

    for graph in graphs(proto.graph):
        for each in (*graph.input, *graph.output, *graph.initializer):
            each.name = other(each.name)
        for each in graph.node:
            each.input[:], each.output[:] = map(other, each.input), map(other, each.output)
    return proto


def spoiled(proto):
    for tensor in (tensor for graph in graphs(proto.graph) for tensor in graph.initializer if tensor.name == "w"):
        tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor) * SLIGHTLY, tensor.name))
    return proto


def same(proto):
    return proto


@pytest.mark.parametrize("named", [same, renamed])
@pytest.mark.parametrize(
    ("made", "what", "inside"),
    [
        (a_loop, "the MatMul of t", [("the Loop of end all", "body", 3), ("the If of u", "then_branch", None)]),
        (a_scan, "the MatMul of turned", [("the Scan of last rows", "body", 0)]),
    ],
)
def test_the_node_in_a_body_is_named(made, what, inside, named, tmp_path):
    onnx.save(made(), tmp_path / "a.onnx")
    onnx.save(named(made()), tmp_path / "same.onnx")
    onnx.save(named(spoiled(made())), tmp_path / "b.onnx")
    lines = []
    report = dagir.backend("onnx").compare(tmp_path / "a.onnx", tmp_path / "same.onnx", tell=lines.append)
    assert report.ok and len(lines) == (3 if named is renamed else 0)
    found = dagir.backend("onnx").compare(tmp_path / "a.onnx", tmp_path / "b.onnx").first_divergence
    assert found is not None and found.node == what
    assert [(run.point, run.field, run.iteration) for run in found.inside] == inside


def test_outputs_are_paired_as_told(tmp_path, called):
    for name, ends in (("a.onnx", ("p", "q")), ("b.onnx", ("r", "s"))):
        nodes = [node("Tanh", "x", ends[name == "b.onnx"]), node("Sin", "x", ends[name == "a.onnx"])]
        onnx.save(model(nodes, [], [info(end) for end in ends]), tmp_path / name)
    code, _, err = called("verify", tmp_path / "a.onnx", tmp_path / "b.onnx")
    assert code == 3 and "output 'p' of a.onnx is 'r' in b.onnx, by position and type" in err
    code, _, err = called("verify", tmp_path / "a.onnx", tmp_path / "b.onnx", "--map", "s=p", "--map", "r=q")
    assert code == 0 and "by position" not in err
    code, _, err = called("verify", tmp_path / "a.onnx", tmp_path / "b.onnx", "--map", "s=pp")
    assert code == 2 and "has no input or output 'pp'" in err
