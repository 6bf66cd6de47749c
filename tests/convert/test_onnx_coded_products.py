"""Products with matrices of stored codes: onnxruntime must compute what is written in floats, not in 8 bits."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import dagir

onnxruntime.set_default_logger_severity(4)
INNER, OUTER, BLOCK = 64, 48, 32
TYPES = {"int8": np.int8, "uint8": np.uint8, "int4": ml_dtypes.int4, "uint4": ml_dtypes.uint4}

KINDS = [
    *(("MatMul", False, 1), ("MatMul", True, 2), ("MatMul", False, 3), ("MatMul", True, 3)),
    *(("Gemm", False, 2), ("Gemm", True, 2)),
]


def coded(dtype, scales, op, is_turned, rank):
    """A file in which x is multiplied with a matrix of codes, turned by a Transpose or a Gemm or not."""
    rng = np.random.default_rng(0)
    low, high = {"int8": (-127, 127), "uint8": (0, 255), "int4": (-7, 7), "uint4": (0, 15)}[dtype]
    codes = rng.integers(low, high + 1, (INNER, OUTER)).astype("int16")
    shape = {"one": (), "columns": (OUTER,), "blocks": (INNER // BLOCK, OUTER)}[scales]
    scale = np.abs(rng.normal(size=shape)).astype("float32") / 50 + np.float32(0.01)
    axes = {"one": {}, "columns": {"axis": 1}, "blocks": {"axis": 0, "block_size": BLOCK}}[scales]
    if is_turned:
        codes, scale = codes.T, scale.T
        axes = {key: 1 - given if key == "axis" else given for key, given in axes.items()}
    zero = np.full(scale.shape, (low + high) // 2, "int16").astype(TYPES[dtype])
    stored = {"w": codes.astype(TYPES[dtype]), "s": scale, "z": zero}
    nodes = [helper.make_node("DequantizeLinear", ["w", "s", "z"], ["dw"], **axes)]
    if is_turned and op == "MatMul":
        nodes.append(helper.make_node("Transpose", ["dw"], ["wt"], perm=[1, 0]))
    given = {"transB": int(is_turned)} if op == "Gemm" else {}
    nodes.append(helper.make_node(op, ["x", nodes[-1].output[0]], ["y"], **given))
    sizes = ["m", "n"][: rank - 1]
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [*sizes, k]) for n, k in (("x", INNER), ("y", OUTER))]
    weights = [numpy_helper.from_array(np.asarray(array), name) for name, array in stored.items()]
    graph = helper.make_graph(nodes, "coded", infos[:1], infos[1:], weights)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


@pytest.mark.parametrize("dtype", TYPES)
@pytest.mark.parametrize("scales", ["one", "columns", "blocks"])
@pytest.mark.parametrize(("op", "is_turned", "rank"), KINDS)
def test_what_is_written_is_computed_in_floats(dtype, scales, op, is_turned, rank, tmp_path):
    file = coded(dtype, scales, op, is_turned, rank)
    x = np.random.default_rng(1).normal(size=(2, 5, INNER)[3 - rank :]).astype("float32")
    model = dagir.from_onnx(file)
    assert dagir.verify(model, {"onnx": "onnx"}, {"x": x}).ok
    dagir.to_onnx(model, tmp_path / "again.onnx")
    assert len(onnx.load(tmp_path / "again.onnx").graph.node) == 2
