"""LSTMs that multiply in integers: DynamicQuantizeLSTM, as onnxruntime computes it and its own tool writes it."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import numpy_helper
from onnxruntime import quantization

import dagir
from dagir import layers
from dagir.passes.quantize_recurrences import codes_for_recurrence
from dagir.precision.options import LowPrecision
from saturating import SATURATES

STEPS, WIDTH, UNITS = 6, 16, 32


def network(go_backwards=False):
    x = layers.Input((STEPS, WIDTH), name="x")
    y = layers.LSTM(UNITS, return_sequences=True, go_backwards=go_backwards)(x)
    model = dagir.Model(x, layers.Dense(12)(layers.LSTM(UNITS)(y)), name="net")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign((rng.normal(size=weight.shape) / np.sqrt(weight.shape[0])).astype("float32"))
    return model


def samples(rows=5):
    return np.random.default_rng(1).normal(size=(rows, STEPS, WIDTH)).astype("float32")


def answers(path, x, threads=1):
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = threads, 4
    options.add_session_config_entry("session.x64quantprecision", "1")  # without VNNI, sums of int8 saturate
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session.run(None, {"x": x})[0]


def kinds(graph):
    return [type(node.op).__name__ for node in graph.nodes]


def distance(found, wanted):
    return np.linalg.norm(found - wanted) / np.linalg.norm(wanted)


@pytest.mark.parametrize("full_range", [False, True])
@pytest.mark.parametrize("go_backwards", [False, True])
def test_an_lstm_computes_what_onnxruntime_computes(go_backwards, full_range, tmp_path):
    model, x = network(go_backwards), samples()
    options = {"quantize": "int8-dynamic", "full_range": full_range}
    narrow = LowPrecision(**options).applied(model).model
    is_exact = not (full_range and SATURATES)
    path = dagir.to_onnx(model, tmp_path / "codes.onnx", **options, verify=is_exact)
    assert dagir.verify(narrow, path).ok == is_exact
    assert [node.op_type for node in onnx.load(path).graph.node].count("DynamicQuantizeLSTM") == 2
    right = dagir.lower(narrow, "numpy")(x)
    np.testing.assert_allclose(answers(path, x), right, rtol=1e-4, atol=2e-6)
    assert 1e-4 < distance(right, dagir.lower(model)(x)) < 0.03
    dtypes = {
        numpy_helper.to_array(tensor).dtype for tensor in onnx.load(path).graph.initializer if len(tensor.dims) == 3
    }
    assert dtypes == {np.dtype("int8" if full_range else "uint8")}
    read = dagir.from_onnx(path)
    assert kinds(dagir.passes.run(read.graph, dagir.passes.DEPLOY)).count("DynamicQuantizeLSTM") == 2
    np.testing.assert_allclose(next(iter(dagir.lower(read, "numpy")(x).values())), right, rtol=1e-4, atol=2e-6)


@pytest.mark.skipif(not SATURATES, reason="this CPU has VNNI, and saturates nowhere")
def test_an_lstm_that_saturates_here_is_explained(tmp_path):
    """Its zero points are its own, or onnxruntime could not multiply its codes exactly."""
    model = network()
    with pytest.raises(dagir.VerificationError, match=r"saturate at 16 bits(.|\n)*3 nodes hold weights that large"):
        dagir.to_onnx(model, tmp_path / "codes.onnx", quantize="int8-dynamic", full_range=True, verify=True)
    dagir.to_onnx(model, tmp_path / "codes.onnx", quantize="int8-dynamic", verify=True)


def test_what_the_tool_of_onnxruntime_writes_is_read_and_proven(tmp_path):
    model, x = network(), samples()
    wide = dagir.to_onnx(model, tmp_path / "wide.onnx")
    quantization.quantize_dynamic(str(wide), str(tmp_path / "peer.onnx"))
    read = dagir.from_onnx(tmp_path / "peer.onnx")
    assert kinds(dagir.passes.run(read.graph, dagir.passes.DEPLOY)).count("DynamicQuantizeLSTM") == 2
    right = next(iter(dagir.lower(read, "numpy")(x).values()))
    np.testing.assert_allclose(answers(tmp_path / "peer.onnx", x), right, rtol=1e-4, atol=2e-6)
    own = dagir.to_onnx(model, tmp_path / "own.onnx", quantize="int8-dynamic", full_range=True)
    wanted = dagir.lower(model)(x)
    assert distance(answers(own, x), wanted) <= 1.02 * distance(answers(tmp_path / "peer.onnx", x), wanted)


def test_each_thread_quantizes_the_states_of_its_own_rows(tmp_path):
    """onnxruntime's answers depend on the number of threads: the budget knows it, and is as small for one row."""
    narrow = LowPrecision(quantize="int8-dynamic").applied(network()).model
    path = dagir.to_onnx(narrow, tmp_path / "codes.onnx")
    x = samples(8)
    one, four = answers(path, x), answers(path, x, 4)
    assert np.abs(one - four).max() > 1e-4
    for threads in (1, 4):
        assert dagir.verify(narrow, "onnx", x, onnx={"threads": threads}).ok
        assert dagir.verify(narrow, "onnx", x[:1], onnx={"threads": threads}).ok


FAULTS = {
    "a scale off by two percent": (8, lambda array: array * np.float32(1.02)),
    "a zero point off by one": (11, lambda array: array + array.dtype.type(1)),
    "codes rolled by one": (2, lambda array: np.roll(array, 1, -1)),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_in_an_integer_lstm_is_caught_and_named(fault, tmp_path):
    narrow = LowPrecision(quantize="int8-dynamic").applied(network()).model
    path = dagir.to_onnx(narrow, tmp_path / "codes.onnx")
    assert dagir.verify(narrow, path).ok
    proto = onnx.load(path)
    node = [node for node in proto.graph.node if node.op_type == "DynamicQuantizeLSTM"][1]
    place, change = FAULTS[fault]
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    proto.graph.initializer.append(numpy_helper.from_array(change(held[node.input[place]]), "planted"))
    node.input[place] = "planted"
    onnx.save(proto, tmp_path / "wrong.onnx")
    report = dagir.verify(narrow, tmp_path / "wrong.onnx")
    assert not report.ok
    assert report.first_divergence is not None and report.first_divergence.node == node.name


def test_a_masked_lstm_and_a_gru_compute_in_float(tmp_path):
    x = layers.Input((STEPS, WIDTH), name="x")
    y = layers.LSTM(UNITS, return_sequences=True)(layers.Masking()(x))
    model = dagir.Model(x, layers.GRU(UNITS)(y), name="net")
    found = kinds(LowPrecision(quantize="int8-dynamic").applied(model).model.graph)
    assert {"LSTM", "GRU", "DequantizeLinear"} <= set(found) and "DynamicQuantizeLSTM" not in found


def test_a_kernel_whose_columns_differ_has_a_scale_for_each():
    even = np.random.default_rng(0).normal(size=(WIDTH, 4 * UNITS))
    codes = codes_for_recurrence(even, False)
    assert codes.axis is None and codes.zero == 128 and np.abs(codes.coded(even).astype(int) - 128).max() == 127
    spread = codes_for_recurrence(even * np.geomspace(1e-2, 1, 4 * UNITS), True)
    assert spread.axis == 1 and spread.scale.shape == (4 * UNITS,) and spread.zero.dtype == np.int8


def test_a_small_last_product_stays_float():
    x = layers.Input((STEPS, 256), name="x")
    model = dagir.Model(x, layers.Dense(4, name="classes")(layers.LSTM(64)(x)), name="net")
    found = LowPrecision(quantize="int8-dynamic").applied(model)
    assert [(name.partition("/")[0], why) for name, why in found.kept.items()] == [("classes", "is last, and small")]
    assert "Linear" in kinds(found.model.graph) and "MatMulInteger" not in kinds(found.model.graph)
    assert "DynamicQuantizeLSTM" in kinds(found.model.graph)


def both_ways(kind):
    x = layers.Input((STEPS, WIDTH), name="x")
    make = getattr(layers, kind)
    y = layers.Bidirectional(make(UNITS, return_sequences=True))(x)
    model = dagir.Model(x, layers.Dense(12)(layers.Bidirectional(make(UNITS))(y)), name="net")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign((rng.normal(size=weight.shape) / np.sqrt(weight.shape[0])).astype("float32"))
    return model


@pytest.mark.parametrize("quantize", ["int8", "int8-dynamic"])
@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
def test_both_ways_of_a_recurrence_are_quantized(kind, quantize, tmp_path):
    """Each by itself: as one op, which is how they run in float, they had no codes."""
    model, x = both_ways(kind), samples()
    options = {"quantize": quantize, "calibrate": x}
    narrow = LowPrecision(**options).applied(model).model
    path = dagir.to_onnx(model, tmp_path / "codes.onnx", **options, verify=True)
    assert path.stat().st_size < 0.5 * dagir.to_onnx(model, tmp_path / "wide.onnx").stat().st_size
    nodes = [node for node in onnx.load(path).graph.node if node.op_type.endswith(kind)]
    dynamic = kind == "LSTM" and quantize == "int8-dynamic"
    assert [node.op_type for node in nodes] == (["DynamicQuantizeLSTM"] if dynamic else [kind]) * 4
    right = dagir.lower(narrow, "numpy")(x)
    np.testing.assert_allclose(answers(path, x), right, rtol=1e-4, atol=2e-6)
    assert 1e-4 < distance(right, dagir.lower(model, "numpy")(x)) < 0.03
