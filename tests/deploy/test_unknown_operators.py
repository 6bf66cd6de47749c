"""A file with what this onnxruntime does not know: the error says what it lacks, and what to do."""

from __future__ import annotations

import onnx
import pytest
from onnx import TensorProto, helper

import dagir
from dagir import layers
from dagir.errors import DagirError


def written(path, op="Relu", domain="", opset=21, ir_version=10):
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in "xy"]
    node = helper.make_node(op, ["x"], ["y"], name="n", domain=domain)
    opsets = [helper.make_opsetid("", opset), *([helper.make_opsetid(domain, 1)] if domain else [])]
    graph = helper.make_graph([node], "g", values[:1], values[1:])
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=ir_version), path)
    return path


@pytest.mark.parametrize(
    ("options", "said", "remedy"),
    [
        (
            {"op": "Mine", "domain": "own.ops"},
            "knows no operator Mine of domain own.ops",
            "register_custom_ops_library",
        ),
        ({"op": "Swish"}, "for its Swish, node 'n': it knows no operator Swish at opset 21", "--opset"),
        ({"opset": 99}, r"which reads up to opset \d+, and the file has 99", "--target onnxruntime=="),
        ({"ir_version": 99}, r"which reads up to IR version \d+, and the file has 99", "--target onnxruntime=="),
    ],
)
def test_what_the_runtime_does_not_know(options, said, remedy, tmp_path):
    path = written(tmp_path / "net.onnx", **options)
    x = dagir.Input((3,), name="x")
    with pytest.raises(DagirError, match=said) as told:
        dagir.verify(dagir.Model(x, layers.ReLU(name="y")(x)), path)
    assert remedy in told.value.remedy and "dtype" not in told.value.remedy
    assert told.value.exit_code == (4 if "op" in options else 5)
