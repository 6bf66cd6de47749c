"""Opsets 13 to 17: onnx checks each file at its opset, onnxruntime runs it, and the float64 oracle judges it."""

from __future__ import annotations

import re

import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir import layers, ops, testing
from dagir.errors import UnsupportedOp
from dagir.ir.graph import Op

OPS = sorted(
    (cls for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, Op) and cls is not ops.Call),
    key=lambda cls: cls.__name__,
)


def checked(graph, opset):
    """The executable, whose file onnx accepts at this opset."""
    exe = dagir.lower(graph, "onnx", opset=opset)
    assert {entry.domain: entry.version for entry in exe.artifact.opset_import}[""] == opset
    onnx.checker.check_model(exe.artifact)
    onnx.checker.check_model(
        exe.artifact, full_check=is_inferred(dagir.lower(graph, "onnx", opset=max(opset, 18)).artifact)
    )
    return exe


def is_inferred(proto):
    """Whether onnx infers the shapes that onnxruntime computes: of pools with ceil_mode it does not."""
    try:
        onnx.shape_inference.infer_shapes(proto, strict_mode=True)
    except onnx.shape_inference.InferenceError:
        return False
    return True


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_every_op_is_right_or_refused_with_the_lowest_opset(op):
    if op in dagir.backend("onnx").rules.gaps:
        pytest.skip(dagir.backend("onnx").rules.gaps[op])

    @settings(max_examples=2)
    @given(st.data())
    def agrees(data):
        opset = data.draw(st.integers(13, 17))
        graph, feeds = data.draw(testing.cases(op)).graph()
        try:
            exe = checked(graph, opset)
        except UnsupportedOp as error:
            lowest = int(re.search(r"opset=(\d+)", error.remedy)[1])
            assert lowest > opset and "node" in str(error)
            checked(graph, lowest)
            with pytest.raises(UnsupportedOp):
                dagir.lower(graph, "onnx", opset=lowest - 1)
            return
        testing.assert_equivalent(graph, feeds, {"onnx": exe})

    agrees()


def block():
    """What the networks of those years are made of; a formula for each operator that the opset lacks."""
    image, ids = dagir.Input((16, 16, 3), name="image"), dagir.Input(("time",), dtype="int32", name="ids")
    x = layers.Conv2D(8, 3, activation="hard_swish")(image)
    x = layers.MaxPooling2D(2)(layers.BatchNormalization()(x))
    x = layers.UpSampling2D(2, interpolation="bilinear")(layers.ReLU(max_value=6)(x))
    t = layers.Embedding(20, 8, mask_zero=True)(ids)
    t = layers.Bidirectional(layers.LSTM(4, return_sequences=True))(t)
    t = layers.LayerNormalization()(t + layers.MultiHeadAttention(2, 4)(t, t))
    t = layers.GRU(5)(layers.Dense(6, activation="gelu")(t))
    y = layers.Concatenate()([layers.GlobalAveragePooling2D()(x), t])
    return dagir.Model([image, ids], layers.Dense(3, activation="softmax", name="head")(y))


@pytest.mark.parametrize("opset", range(13, 18))
def test_a_network_of_an_older_opset(opset):
    model = block()
    exe = checked(model, opset)
    kinds = {node.op_type for node in exe.artifact.graph.node}
    assert ("LayerNormalization" in kinds, "HardSwish" in kinds) == (opset >= 17, opset >= 14)
    assert dagir.verify(model, {"onnx": exe}).ok


@pytest.mark.parametrize("dtype", ["float16", "float64"])
@pytest.mark.parametrize("axis", [-1, 1, [1, 2]])
def test_a_normalization_that_is_written_out(dtype, axis):
    x = dagir.Input((3, 5), name="x", dtype=dtype)
    model = dagir.Model(x, layers.LayerNormalization(axis=axis, center=axis != 1, dtype=dtype)(x))
    assert dagir.verify(model, {"onnx": checked(model, 13)}).ok


def test_the_refusal_names_the_node_and_an_opset_for_all(tmp_path):
    x = dagir.Input((4, 4), name="x", dtype="int32")
    model = dagir.Model(x, [ops.triu(x), ops.bitwise_and(x, 3)])
    with pytest.raises(UnsupportedOp) as caught:
        dagir.to_onnx(model, tmp_path / "net.onnx", opset=13)
    told = str(caught.value)
    assert "node 'Trilu' (Trilu)" in told and "opset 14 is the lowest" in told
    assert "BitwiseAnd 'BitwiseAnd' (18)" in told and "ask for opset=18" in told
    assert not (tmp_path / "net.onnx").exists()
    dagir.to_onnx(model, tmp_path / "net.onnx", opset=18, verify=True)


def test_a_file_for_an_old_runtime(tmp_path):
    """Verified, certified and read back as any other."""
    model, path = block(), tmp_path / "net.onnx"
    dagir.to_onnx(model, path, target="onnxruntime==1.7", verify=True)
    proto = onnx.load(path)
    assert (proto.opset_import[0].version, proto.ir_version) == (13, 7)
    onnx.checker.check_model(proto, full_check=True)
    assert dagir.verified(path).ok
    assert dagir.verify(model, {"read": dagir.lower(dagir.from_onnx(path))}).ok
