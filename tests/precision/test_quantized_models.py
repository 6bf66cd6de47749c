"""Models of integers: onnxruntime runs integer kernels, and computes what the graph says."""

from __future__ import annotations

import contextlib
import sys

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_networks import depthwise, residual, transformer, with_samples

import dagir
from dagir import layers
from dagir.passes.quantize import codes_for_range, codes_for_weight
from dagir.passes.quantize_weights import blocks, codes_for_product
from dagir.precision.calibration import METHODS
from dagir.precision.options import LowPrecision
from dagir.testing.drawing import randomize
from dagir_convert.command_line import main


def kernels(path, folder):
    """The operators that onnxruntime runs, after its own optimizer."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return [node.op_type for node in onnx.load(folder / "optimized.onnx").graph.node]


def written(make, folder, **options):
    model, samples = with_samples(make, 32)
    path = dagir.to_onnx(model, folder / "codes.onnx", calibrate=samples, verify=True, **options)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: samples})[0]
    right = dagir.lower(model, "onnx")(samples)
    return path, float(np.linalg.norm(found - right) / np.linalg.norm(right))


def test_a_residual_network_runs_in_integers_from_end_to_end(tmp_path):
    path, error = written(residual, tmp_path, quantize="int8")
    run = kernels(path, tmp_path)
    assert run.count("QLinearConv") == 5 and run.count("QLinearAdd") == 2 and "QGemm" in run
    assert run.count("Conv") == 1 and not {"FusedConv", "Gemm", "Add", "Relu", "DequantizeLinear"} & set(run)
    assert run.count("QuantizeLinear") == 1  # behind the first convolution, which stays float
    assert error < 0.05


def test_depthwise_convolutions_have_a_scale_for_each_channel(tmp_path):
    path, error = written(depthwise, tmp_path, quantize="int8")
    run = kernels(path, tmp_path)
    assert run.count("QLinearConv") == 4 and "QLinearAveragePool" in run
    assert run.count("Conv") == 1 and not {"FusedConv", "Clip", "DequantizeLinear"} & set(run)
    assert error < 0.05
    scales = [tensor for tensor in onnx.load(path).graph.initializer if tensor.data_type == 1 and tensor.dims]
    assert {8, 16, 10} <= {tensor.dims[0] for tensor in scales}


def test_a_first_convolution_that_is_all_there_is_becomes_integer(tmp_path):
    x = layers.Input((8, 8, 3), name="x")
    model = dagir.Model(x, layers.GlobalAveragePooling2D()(layers.Conv2D(8, 3, activation="relu")(x)))
    samples = np.random.default_rng(0).normal(size=(4, 8, 8, 3)).astype("float32")
    found = LowPrecision(quantize="int8", calibrate=samples).applied(model)
    assert not found.kept and found.casts


def heavy():
    """Sums of many products of one sign: what saturates in 16 bits saturates here."""
    x = layers.Input((6, 6, 4), name="x")
    y = layers.Conv2D(8, 3, padding="same", activation="relu")(x)
    y = layers.DepthwiseConv2D(3, dilation_rate=2, padding="same")(y)
    y = layers.Conv2D(8, 3, padding="same", groups=2, activation="relu")(y)
    y = layers.Conv1D(8, 3, groups=8)(layers.Reshape((36, 8))(y))
    return dagir.Model(x, layers.Dense(10)(layers.Dense(16, activation="relu")(layers.Flatten()(y))))


@pytest.mark.parametrize("quantize", ["int8", "int8-dynamic"])
def test_no_kernel_saturates_where_all_weights_have_one_sign(quantize, tmp_path):
    model = heavy()
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.8, 1.0, weight.shape).astype("float32"))
    samples = rng.uniform(0.0, 1.0, (32, 6, 6, 4)).astype("float32")
    path = dagir.to_onnx(model, tmp_path / "codes.onnx", quantize=quantize, calibrate=samples, verify=True)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    (found,), right = session.run(None, {"x": samples}), dagir.lower(model, "numpy")(samples)
    assert np.linalg.norm(found - right) < 0.01 * np.linalg.norm(right)


@given(st.integers(1, 40), st.integers(0, 2**16))
def test_two_codes_of_a_weight_fit_16_bits_with_their_inputs(rows, seed):
    weight = np.random.default_rng(seed).standard_t(3, (rows, 3)) + seed % 3 - 1
    coded = codes_for_weight(weight, 1)
    codes = np.sort(coded.coded(weight).astype(int), axis=0)
    if rows > 1:
        assert 255 * (codes[-1] + codes[-2]).max() < 2**15 and 255 * (codes[0] + codes[1]).min() >= -(2**15)
    assert np.abs(coded.rounded(weight) - weight).max() <= 0.5001 * coded.scale.max()
    wide = codes_for_weight(weight, 1, full_range=True)
    assert (np.abs(wide.coded(weight).astype(int)).max(axis=0) == 127).all()


def test_the_full_range_of_codes_is_closer_where_it_is_asked_for(tmp_path):
    model, samples = with_samples(transformer, 32)
    errors = []
    for full_range in (False, True):
        options = {"quantize": "int8", "calibrate": samples, "full_range": full_range}
        errors.append(LowPrecision(**options).applied(model).closeness[0].relative)
        matrices = matrices_of_codes(dagir.to_onnx(model, tmp_path / "codes.onnx", **options), np.int8)
        assert (min(np.abs(codes).max() for codes in matrices) == 127) == full_range
    assert errors[1] < 0.8 * errors[0]


def matrices_of_codes(path, dtype):
    arrays = [onnx.numpy_helper.to_array(tensor) for tensor in onnx.load(path).graph.initializer]
    return [array.astype(int) for array in arrays if array.dtype == dtype and array.ndim == 2]


def test_codes_of_dynamic_products_take_their_whole_range(tmp_path):
    model, samples = with_samples(transformer, 32)
    path = dagir.to_onnx(model, tmp_path / "codes.onnx", quantize="int8-dynamic", verify=True)
    matrices = matrices_of_codes(path, np.uint8)
    assert len(matrices) == 13 and all(np.abs(codes - 128).max() == 127 for codes in matrices)
    wide = dagir.to_onnx(model, tmp_path / "full.onnx", quantize="int8-dynamic", full_range=True)
    for codes, others in zip(matrices, matrices_of_codes(wide, np.int8), strict=True):
        assert (codes - 128 == others).all()
    found, right = (dagir.lower(each)(samples) for each in (dagir.from_onnx(path), model))
    assert np.linalg.norm(next(iter(found.values())) - right) < 0.05 * np.linalg.norm(right)


def test_a_matrix_has_one_scale_where_its_columns_are_alike():
    even = np.random.default_rng(0).uniform(-1, 1, (256, 64))
    codes = codes_for_product(even, False)
    assert codes.axis is None and codes.zero == 128 and not codes.scale.ndim
    assert np.abs(codes.rounded(even) - even).max() <= 0.5001 / 127
    spread = codes_for_product(even * np.geomspace(0.3, 1, 64), True)
    assert spread.axis == 1 and spread.scale.shape == (64,) and spread.zero.dtype == np.int8 and not spread.zero.ndim


def test_dynamic_products_keep_their_rank_and_say_the_sizes_that_activations_read(tmp_path):
    x = layers.Input((6, 64), name="x")
    y = layers.Dense(64)(layers.Dense(128, activation="relu")(layers.Reshape((6, 64))(layers.Reshape((384,))(x) + 1)))
    model = dagir.Model(x, layers.Dense(64)(layers.LayerNormalization()(y)))
    randomize(model, 0)
    proto = onnx.load(dagir.to_onnx(model, tmp_path / "codes.onnx", quantize="int8-dynamic", verify=True))
    assert [node.op_type for node in proto.graph.node].count("Reshape") == 2
    relu = next(node for node in proto.graph.node if node.op_type == "Relu")
    (declared,) = proto.graph.value_info
    sizes = [size.dim_param or size.dim_value for size in declared.type.tensor_type.shape.dim]
    assert declared.name == relu.input[0] and sizes == ["batch", 6, 128]
    assert not onnx.load(dagir.to_onnx(model, tmp_path / "wide.onnx")).graph.value_info


@pytest.mark.parametrize("ranges", METHODS)
def test_each_way_to_find_ranges_is_close(ranges):
    model, samples = with_samples(residual, 32)
    found = LowPrecision(quantize="int8", calibrate=samples, ranges=ranges).applied(model)
    assert found.closeness[0].relative < 0.05


def test_ways_to_find_ranges_differ_in_what_they_do_with_outliers():
    numbers = np.append(np.random.default_rng(0).normal(size=20_000), 60.0)
    half = np.maximum(numbers, 0.0)  # as a relu gives them, most of them 0
    ends = {how: find(numbers, float(numbers.min()), 60.0)[1] for how, find in METHODS.items()}
    of_half = {how: find(half, 0.0, 60.0) for how, find in METHODS.items()}
    assert set(METHODS) == {"minmax", "percentile", "entropy", "mse"} and ends["minmax"] == 60.0
    assert 3.0 < ends["percentile"] < 5.0 and 3.0 < ends["entropy"] < 6.0 and ends["mse"] < 60.0
    assert all(low == 0.0 for low, _ in of_half.values()) and 3.0 < of_half["entropy"][1] < 6.0
    without = METHODS["entropy"](half[:-1], 0.0, float(half[:-1].max()))
    assert without[1] > 3.0  # zeros have a code of their own: they do not count as lost in a wide range
    assert METHODS["entropy"](np.zeros(9), 0.0, 5.0) == (0.0, 5.0)


@pytest.mark.parametrize("ranges", METHODS)
def test_the_tool_takes_each_way_to_find_ranges(ranges, tmp_path, monkeypatch):
    model, samples = with_samples(residual, 32)
    model.save(tmp_path / "net.dagir")
    np.savez(tmp_path / "samples.npz", image=samples)
    given = ["net.dagir", "codes.onnx", "--quantize", "int8", "--calibrate", "samples.npz", "--ranges", ranges]
    monkeypatch.setattr(sys, "argv", ["dagir-convert", *given])
    monkeypatch.chdir(tmp_path)
    with contextlib.suppress(SystemExit):
        main()
    options = {"quantize": "int8", "calibrate": samples, "ranges": ranges}
    dagir.to_onnx(model, tmp_path / "again.onnx", **options)
    tensors = [onnx.load(tmp_path / name).graph.initializer for name in ("codes.onnx", "again.onnx")]
    assert [each.raw_data for each in tensors[0]] == [each.raw_data for each in tensors[1]]


def test_layers_stay_float_by_name_and_by_their_cost(tmp_path):
    model, samples = with_samples(residual, 32)
    plain = LowPrecision(quantize="int8", calibrate=samples).applied(model)
    named = LowPrecision(quantize="int8", calibrate=samples, keep_float=["classes"]).applied(model)
    assert any(name.startswith("classes") for name in named.kept)
    assert plain.kept == {"conv2d/conv": "is first, and faster in float"}
    bounded = LowPrecision(quantize="int8", calibrate=samples, budget=plain.table.whole / 2).applied(model)
    assert any(reason.startswith("costs") for reason in bounded.kept.values())
    assert bounded.closeness[0].relative < plain.closeness[0].relative


def test_weights_take_a_quarter_of_the_room_and_an_eighth(tmp_path):
    x = layers.Input((512,), name="x")
    model = dagir.Model(x, layers.Dense(512)(layers.Dense(512, activation="relu")(x)))
    samples = np.random.default_rng(0).standard_normal((32, 512)).astype("float32")
    wide = dagir.to_onnx(model, tmp_path / "wide.onnx").stat().st_size
    for quantize, share in (("int8", 0.27), ("int8-dynamic", 0.27), ("int4-weights", 0.17)):
        path = dagir.to_onnx(model, tmp_path / "codes.onnx", quantize=quantize, calibrate=samples)
        assert path.stat().st_size <= share * wide


def test_dynamic_products_are_integer_products(tmp_path):
    path, error = written(transformer, tmp_path, quantize="int8-dynamic")
    run = kernels(path, tmp_path)
    assert {"DynamicQuantizeMatMul", "MatMulIntegerToFloat"} & set(run) and "Gemm" not in run
    assert error < 0.1


@pytest.mark.parametrize("quantize", ["int8", "int8-dynamic"])
def test_recurrences_store_their_kernels_as_codes(quantize, tmp_path):
    x = layers.Input((5, 64), name="x")
    y = layers.LSTM(128, return_sequences=True)(layers.GRU(128, return_sequences=True, go_backwards=True)(x))
    model = dagir.Model(x, layers.SimpleRNN(64)(y))
    randomize(model, 0)
    for weight in model.weights:
        weight.assign(weight.array / np.float32(np.sqrt(weight.shape[0])))
    samples = np.random.default_rng(0).standard_normal((32, 5, 64)).astype("float32")
    wide = dagir.to_onnx(model, tmp_path / "wide.onnx").stat().st_size
    path = dagir.to_onnx(model, tmp_path / "codes.onnx", quantize=quantize, calibrate=samples, verify=True)
    assert path.stat().st_size < 0.3 * wide
    run = kernels(path, tmp_path)
    lstm = "LSTM" if quantize == "int8" else "DynamicQuantizeLSTM"
    assert {lstm, "GRU", "RNN"} <= set(run) and not {"DequantizeLinear", "Mul", "Split"} & set(run)  # folded
    (found,) = dagir.lower(dagir.from_onnx(path))(samples).values()
    right = dagir.lower(model)(samples)
    assert np.linalg.norm(found - right) < 0.05 * np.linalg.norm(right)
    with pytest.raises(dagir.UnsupportedOp, match="could be quantized"):
        names = [layer.name for layer in model.layers]
        dagir.to_onnx(model, quantize=quantize, calibrate=samples, keep_float=names[1:])


def test_weights_of_4_bits_are_multiplied_in_float(tmp_path):
    path, error = written(transformer, tmp_path, quantize="int4-weights")
    assert error < 0.6
    kinds = {tensor.data_type for tensor in onnx.load(path).graph.initializer}
    assert onnx.TensorProto.INT4 in kinds


@pytest.mark.parametrize("fault", ["scale", "zero", "rolled"])
def test_a_fault_in_a_file_of_integers_is_caught_and_named(fault, tmp_path):
    model, samples = with_samples(residual, 32)
    found = LowPrecision(quantize="int8", calibrate=samples).applied(model)
    path = dagir.to_onnx(found.model, tmp_path / "codes.onnx")
    proto = onnx.load(path)
    held = {tensor.name: tensor for tensor in proto.graph.initializer}
    decoding = [node for node in proto.graph.node if node.op_type == "DequantizeLinear"]
    kernel = next(
        node for node in decoding if held.get(node.input[0]) is not None and len(held[node.input[0]].dims) == 4
    )
    activation = [node for node in decoding if node.input[0] not in held][2]
    node, place = (kernel, 1) if fault == "rolled" else (activation, 1 if fault == "scale" else 2)
    array = onnx.numpy_helper.to_array(held[node.input[place]])
    wrong = {"scale": array * np.float32(1.02), "zero": array + np.uint8(1), "rolled": np.roll(array, 1)}[fault]
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.asarray(wrong), "planted"))
    node.input[place] = "planted"
    onnx.save(proto, path)
    report = dagir.verify(found.model, path)
    assert not report.ok and report.first_divergence is not None


def test_zero_is_a_code_of_its_own_and_codes_cover_their_range():
    codes = codes_for_range(0.5, 3.0)
    assert codes.zero == 0 and codes.rounded(np.zeros(1)) == 0
    assert np.float32(255) * codes_for_range(0.0, 6.0, 6.0).scale <= np.float32(6.0)
    both = codes_for_range(-1.0, 3.0)
    assert both.rounded(np.zeros(1)) == 0 and abs(both.rounded(np.array([3.0])) - 3.0) <= both.scale
    weight = np.random.default_rng(0).standard_normal((3, 3, 4, 8)) * np.geomspace(1e-3, 1, 8)
    coded = codes_for_weight(weight, 3)
    assert np.abs(coded.rounded(weight) - weight).max(axis=(0, 1, 2)) == pytest.approx(coded.scale / 2, rel=0.2)
    rows, scales = blocks(np.random.default_rng(0).standard_normal((40, 3)), 32)
    assert rows.shape == (40, 3) and scales.shape == (2, 3) and np.abs(rows).max() <= 7


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"quantize": "int7"}, "int7"),
        ({"quantize": "int8"}, "samples of the inputs"),
        ({"quantize": "int8", "precision": "float16", "calibrate": np.zeros((1, 8, 8, 1))}, "one of them"),
        ({"quantize": "int8", "ranges": "guess", "calibrate": np.zeros((1, 8, 8, 1))}, "guess"),
        ({"quantize": "int8", "keep_float": ["clases"], "calibrate": np.zeros((1, 8, 8, 1), "float32")}, "clases"),
        ({"precision": "float16", "keep_float": ["classes"]}, "quantize="),
        ({"quantize": "int4-weights", "full_range": True}, "full_range is for"),
    ],
)
def test_wrong_options_are_refused(options, message):
    model, _ = with_samples(residual)
    with pytest.raises(dagir.ArgumentError, match=message):
        dagir.to_onnx(model, **options)
