"""Files that onnxruntime does not take: one error that says why and names the node, however they are opened."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import onnx
import pytest
from onnx import helper

import dagir
from dagir import layers
from dagir.errors import BackendError, FileError

NODE = "head/Gemm"


def _attribute(proto):
    proto.graph.node[0].attribute.append(helper.make_attribute("nonsense", 1))


def _op(proto):
    proto.graph.node[0].op_type = "Nonsense"


def _input(proto):
    proto.graph.node[0].input[1] = "missing"


def _dtype(proto):
    proto.graph.input[0].type.tensor_type.elem_type = onnx.TensorProto.DOUBLE


def _shape(proto):
    proto.graph.initializer[0].dims[:] = [15]


def _elsewhere(proto):
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = onnx.TensorProto.EXTERNAL
    tensor.external_data.add(key="location", value="none.data")


def _version(proto):
    proto.opset_import[0].version = 999


def _kernel(proto):
    for tensor in proto.graph.initializer:
        tensor.data_type = onnx.TensorProto.BFLOAT16
        tensor.raw_data = b"\0\0" * int(np.prod(tensor.dims))
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.elem_type = onnx.TensorProto.BFLOAT16


BROKEN = {
    _attribute: "Unrecognized attribute: nonsense",
    _op: "No Op registered for Nonsense",
    _input: "Node input 'missing'",
    _dtype: "bound to different types",
    _shape: "expected to have rank 2 but has rank 1",
    _elsewhere: "External data path",
}


@pytest.fixture
def model():
    x = dagir.Input((5,), name="x")
    made = dagir.Model(x, layers.Dense(3, name="head")(x))
    made.weights[0].assign(np.random.default_rng(0).normal(size=(5, 3)))
    return made


def written(model, path, change):
    proto = dagir.to_onnx(model)
    change(proto)
    path.write_bytes(proto.SerializeToString())
    return path


@pytest.mark.parametrize("change", BROKEN, ids=lambda change: change.__name__.strip("_"))
def test_the_reason_and_the_node_are_told(model, tmp_path, change):
    path = written(model, tmp_path / "net.onnx", change)
    with pytest.raises(BackendError if change is _op else FileError) as refused:
        dagir.backend("onnx").open(path, model)
    facts = dict(refused.value.facts)
    assert refused.value.summary.startswith(f"onnxruntime does not take {path} for its ")
    assert f"node {NODE!r}" in refused.value.summary
    assert facts["layer"] == "head"
    assert BROKEN[change] in facts["it says"]


def test_no_node_is_named_where_none_is_at_fault(model, tmp_path):
    path = written(model, tmp_path / "net.onnx", _version)
    with pytest.raises(FileError) as refused:
        dagir.backend("onnx").open(path, model)
    assert refused.value.summary.startswith(f"onnxruntime does not take {path}: it is ")
    assert "node" not in refused.value.summary.removeprefix(f"onnxruntime does not take {path}")
    assert "Opset 999" in dict(refused.value.facts)["it says"]


def test_a_kernel_that_is_missing_is_no_fault_of_the_file(model, tmp_path):
    path = written(model, tmp_path / "net.onnx", _kernel)
    with pytest.raises(BackendError, match=f"no cpu kernel for Gemm of these dtypes, node '{NODE}'") as refused:
        dagir.backend("onnx").open(path, model)
    assert dict(refused.value.facts)["file"] == str(path)


def test_a_certified_file_that_is_refused(model, tmp_path):
    path = dagir.to_onnx(model, tmp_path / "net.onnx")
    backend = dagir.backend("onnx")
    backend.certify(path, dagir.verify(model, {"file": backend.open(path, model)}), "model")
    assert backend.recertify(path).ok
    proto = onnx.load(path)
    _version(proto)
    onnx.save(proto, path)
    with pytest.raises(FileError, match=f"onnxruntime does not take {path}"):
        backend.recertify(path)


FATAL = {  # onnxruntime 1.32 takes these numbers for places in memory, and ends the process
    "Split": (["x"], ["y", "z"], {"axis": 0, "num_outputs": 1}, "node 'n', is said to have 1 outputs, has 2"),
    "GatherND": (["x", "ids"], ["y"], {"batch_dims": -(2**31)}, "batch_dims of its GatherND, node 'n', is no axis"),
    "Gather": (["x", "ids"], ["y"], {"axis": 2**31}, "axis of its Gather, node 'n', is no axis"),
    "Transpose": (["x"], ["y"], {"perm": [0, 2**62]}, "perm of its Transpose, node 'n', is no axis"),
}


@pytest.mark.parametrize("op", FATAL)
def test_numbers_that_would_end_the_process(op, tmp_path):
    inputs, outputs, numbers, reason = FATAL[op]
    node = helper.make_node(op, inputs, outputs, name="n", **numbers)
    x = helper.make_tensor_value_info("x", onnx.TensorProto.FLOAT, [4, 4])
    ids = helper.make_tensor_value_info("ids", onnx.TensorProto.INT64, [4, 1])
    results = [helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in outputs]
    path = tmp_path / "net.onnx"
    path.write_bytes(helper.make_model(helper.make_graph([node], "g", [x, ids], results)).SerializeToString())
    with pytest.raises(FileError, match=reason):
        dagir.backend("onnx").compare(path, path)


def test_two_files_tell_which_is_refused(model, tmp_path):
    right = dagir.to_onnx(model, tmp_path / "right.onnx")
    wrong = written(model, tmp_path / "wrong.onnx", _attribute)
    for pair in ((right, wrong), (wrong, right)):
        with pytest.raises(FileError, match=f"{wrong} for its Gemm, node '{NODE}'"):
            dagir.backend("onnx").compare(*pair)


def test_a_point_that_cannot_be_watched_is_told_so(model, tmp_path):
    exe = dagir.backend("onnx").open(dagir.to_onnx(model, tmp_path / "net.onnx"), model)
    written(model, exe.path, _attribute)
    with pytest.raises(FileError, match=f"for its Gemm, node '{NODE}'"):
        exe.observe([np.ones((2, 5), "float32")], list(exe.points()))


def test_the_tool_says_so_by_its_exit_code(model, tmp_path):
    model.save(tmp_path / "net.dagir")
    path = written(model, tmp_path / "net.onnx", _attribute)
    command = [sys.executable, "-m", "dagir_convert.command_line", "verify", str(tmp_path / "net.dagir"), str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 5
    assert f"error: onnxruntime does not take {path} for its Gemm, node '{NODE}'" in done.stderr
    assert "Unrecognized attribute: nonsense" in done.stderr


def test_sizes_of_minus_one_are_unknown_in_two_files(model, tmp_path):
    """Some exporters write -1 for a size that is free."""
    path = tmp_path / "free.onnx"
    dagir.to_onnx(model, path)
    proto = onnx.load(path)
    for info in (*proto.graph.input, *proto.graph.output):
        info.type.tensor_type.shape.dim[0].dim_value = -1
    onnx.save(proto, path)
    report = dagir.backend("onnx").compare(path, path)
    assert report.ok
    assert all(shape[0] > 0 for case in report.cases for shape in case.input_shapes)
