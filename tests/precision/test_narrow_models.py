"""Models in float16 and bfloat16: what is narrow, what stays wide, and what it costs."""

from __future__ import annotations

import json
import os

import numpy as np
import onnx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_networks import NETWORKS, residual, transformer, with_samples

import dagir
from dagir import layers, ops
from dagir.ir.graph import Graph
from dagir.passes import Narrow
from dagir.precision.narrowing import narrowed_model
from dagir.precision.options import PRECISION
from dagir.testing.drawing import models


def run_file(path, samples):
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return session.run(None, {session.get_inputs()[0].name: samples})[0]


@pytest.mark.parametrize("precision", ["float16", "bfloat16", "mixed"])
@pytest.mark.parametrize("make", NETWORKS, ids=lambda make: make.__name__)
def test_a_narrow_file_is_close_and_keeps_its_interface(make, precision, tmp_path, capfd):
    model, samples = with_samples(make)
    path = dagir.to_onnx(model, tmp_path / "narrow.onnx", precision=precision, calibrate=samples, verify=True)
    assert "onnxruntime" not in capfd.readouterr().err
    right, found = dagir.lower(model, "onnx")(samples), run_file(path, samples)
    assert found.dtype == right.dtype == np.float32 and np.isfinite(found).all()
    assert np.linalg.norm(found - right) / np.linalg.norm(right) < (0.03 if precision == "bfloat16" else 0.004)
    proto = onnx.load(path)
    kinds = {tensor.data_type for tensor in proto.graph.initializer if len(tensor.dims) > 1}
    wide = onnx.TensorProto.BFLOAT16 if precision == "bfloat16" else onnx.TensorProto.FLOAT16
    assert wide in kinds and (precision == "mixed" or kinds == {wide})
    told = json.loads(next(entry.value for entry in proto.metadata_props if entry.key == PRECISION))
    assert told["precision"] == precision and told["closeness"][0]["relative_error"] < 0.03
    assert dagir.verified(path).ok


def test_weights_take_half_the_room(tmp_path):
    x = layers.Input((256,), name="x")
    model = dagir.Model(x, layers.Dense(256)(layers.Dense(256, activation="relu")(x)))
    wide, narrow = tmp_path / "wide.onnx", tmp_path / "narrow.onnx"
    dagir.to_onnx(model, wide)
    dagir.to_onnx(model, narrow, precision="float16")
    assert os.path.getsize(narrow) <= 0.51 * os.path.getsize(wide)


def test_casts_stand_at_the_ends_alone():
    model, samples = with_samples(residual)
    narrowed = narrowed_model(model, "float16", samples)
    assert not narrowed.kept and narrowed.casts == 2
    both = narrowed_model(model, "float16", samples, narrow_io=True)
    assert both.casts == 0
    assert [type.dtype for _, type in both.model.signature.inputs + both.model.signature.outputs] == ["float16"] * 2


def overflowing():
    x = layers.Input((4,), name="x")
    y = ops.exp(layers.Dense(8, name="before")(x) * 6.0)
    return dagir.Model(x, layers.Dense(3, activation="softmax", name="after")(ops.log(y + 1.0)))


def test_what_overflows_stays_wide_by_name(tmp_path):
    model, samples = with_samples(overflowing, 64)
    narrowed = narrowed_model(model, "float16", samples)
    assert "exp" in narrowed.kept and "overflows" in narrowed.kept["exp"]
    assert not any(name.startswith("before") for name in narrowed.kept)
    assert narrowed.casts <= 4
    path = dagir.to_onnx(model, tmp_path / "narrow.onnx", precision="float16", calibrate=samples)
    assert np.isfinite(run_file(path, samples)).all()
    assert narrowed_model(model, "bfloat16", samples).kept.get("exp") is None  # it has float32's range


def test_masks_of_large_numbers_do_not_become_nan(tmp_path):
    x, seen = layers.Input((6, 8), name="x"), layers.Input((6,), dtype="bool", name="seen")
    scores = ops.where(ops.expand_dims(seen, -1), layers.Dense(4)(x), -1e9)
    model = dagir.Model([x, seen], layers.Dense(2)(ops.softmax(scores, axis=1)))
    rng = np.random.default_rng(0)
    feeds = {"x": rng.standard_normal((8, 6, 8)).astype("float32"), "seen": rng.random((8, 6)) < 0.5}
    feeds["seen"][0] = False
    narrowed = narrowed_model(model, "float16", feeds)
    assert narrowed.closeness[0].misplaced == 0
    assert np.isfinite(dagir.lower(narrowed.model, "onnx")(feeds)).all()


def test_small_divisors_do_not_become_zero():
    x = layers.Input((8,), name="x")
    y = layers.Dense(8, activation="relu")(x)
    model = dagir.Model(x, y / (ops.sum(ops.square(y), axis=-1, keepdims=True) + 1e-12))
    feeds = np.random.default_rng(0).standard_normal((8, 8)).astype("float32") * 1e-3
    feeds[0] = 0
    narrowed = narrowed_model(model, "float16", feeds)
    assert narrowed.closeness[0].misplaced == 0
    assert np.isfinite(dagir.lower(narrowed.model, "numpy")(feeds)).all()


def test_mixed_keeps_to_its_budget():
    model, samples = with_samples(transformer)
    loose = narrowed_model(model, "mixed", samples)
    assert loose.closeness[0].relative <= 2**-10
    tight = narrowed_model(model, "mixed", samples, budget=loose.closeness[0].relative / 3)
    assert tight.closeness[0].relative <= loose.closeness[0].relative / 3
    assert len(tight.kept) > len(loose.kept)
    assert any(reason.startswith("costs") for reason in tight.kept.values())


def test_what_decides_stays_wide():
    x = layers.Input((4,), name="x")
    rows = ops.cast(ops.floor(ops.abs(x) * 37.0), "int32")
    table = dagir.Parameter("table", dagir.TensorType(dagir.DType.FLOAT32, (512, 3)), array=np.ones((512, 3)))
    model = dagir.Model(x, ops.embedding(ops.minimum(rows, 511), table.value) * 1.5)
    kept = narrowed_model(model, "float16", np.float32([[0.1, 1, 2, 3]])).kept
    assert {"floor", "multiply"} <= set(kept) and len(kept) < 8


def test_weights_in_bodies_are_stored_narrow(tmp_path):
    x = layers.Input((4, 5, 2), name="x")
    model = dagir.Model(x, layers.ConvLSTM1D(3, 3)(x))
    path = dagir.to_onnx(model, tmp_path / "narrow.onnx", precision="float16", verify=True)
    kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer if len(tensor.dims) > 1}
    assert onnx.TensorProto.FLOAT16 in kinds


def test_a_shared_weight_stays_one(tmp_path):
    x, dense = layers.Input((8,), name="x"), layers.Dense(8)
    model = dagir.Model(x, dense(ops.tanh(dense(x))))
    path = dagir.to_onnx(model, tmp_path / "narrow.onnx", precision="float16")
    assert sum(len(tensor.dims) == 2 for tensor in onnx.load(path).graph.initializer) == 1


def test_the_pass_alone():
    x = dagir.Input((3,), name="x")
    graph = Graph([x], [ops.tanh(ops.relu(x) + 1.0)])
    after = Narrow()(graph)
    assert [node.op.op_name for node in after.nodes] == ["cast", "relu", "add", "tanh", "cast"]
    (relu, *_) = [node for node in graph.nodes if node.op.op_name == "relu"]
    kept = Narrow(wide=frozenset({relu}))(graph)
    assert [node.op.op_name for node in kept.nodes] == ["relu", "cast", "add", "tanh", "cast"]
    assert graph.nodes[-1].output.dtype == "float32"  # the old graph is as it was


@settings(max_examples=max(settings.default.max_examples // 5, 2))
@given(models(), st.sampled_from(["float16", "bfloat16"]))
def test_drawn_models_are_what_their_narrow_graphs_say(model, precision):
    floats = [type for _, type in model.signature.outputs if type.dtype.is_float]
    if not floats:
        return
    try:
        narrowed = narrowed_model(model, precision)
    except dagir.UnsupportedOp:
        return
    assert [t for _, t in narrowed.model.signature.outputs] == [t for _, t in model.signature.outputs]
    assert [t for _, t in narrowed.model.signature.inputs] == [t for _, t in model.signature.inputs]
    assert [n for n, _ in narrowed.model.signature.outputs] == [n for n, _ in model.signature.outputs]
    assert all(each.misplaced == 0 for each in narrowed.closeness)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"precision": "float8"}, "no precision"),
        ({"precision": "mixed", "budget": -1}, "budget"),
        ({"budget": 0.1}, "for a low precision"),
        ({"narrow_io": True}, "is for precision="),
    ],
)
def test_wrong_options_are_refused(options, message):
    model, _ = with_samples(residual)
    with pytest.raises(dagir.ArgumentError, match=message):
        dagir.to_onnx(model, **options)
