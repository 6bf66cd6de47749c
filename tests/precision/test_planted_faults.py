"""Faults planted into files of low precision are caught, and the node is named."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from small_networks import depthwise, residual, transformer, with_samples

import dagir
from dagir.equivalence.channel_gains import largest_gain


def _changed(path, pick, change, to):
    """The file with a stored array changed, the first for which pick(node, arrays) gives a name. Returns the node."""
    proto = onnx.load(path)
    arrays = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    node, name = next((node, name) for node in proto.graph.node if (name := pick(node, arrays)) is not None)
    for tensor in proto.graph.initializer:
        if tensor.name == name:
            tensor.CopyFrom(numpy_helper.from_array(change(arrays[name]).astype(arrays[name].dtype), name))
    onnx.save(proto, to)
    return node.name


def _kernel(node, arrays):
    """The kernel of a convolution."""
    return node.input[1] if node.op_type == "Conv" and node.input[1] in arrays else None


def _scaled_filter(kernel):
    found = kernel.astype(np.float32)
    found[3] *= 1.02
    return found


@pytest.mark.parametrize("make", [residual, depthwise])
def test_a_filter_of_a_file_in_halves_that_is_off_by_two_percent(make, tmp_path):
    model, samples = with_samples(make, 32)
    path = dagir.to_onnx(model, tmp_path / "half.onnx", precision="float16", calibrate=samples)
    assert dagir.verify(model, path, samples).ok
    node = _changed(path, _kernel, _scaled_filter, tmp_path / "wrong.onnx")
    for given in (samples, None):
        report = dagir.verify(model, tmp_path / "wrong.onnx", given)
        assert not report.ok
        assert report.first_divergence.node == node
        assert "channel 3 is 1.0" in report.first_divergence.note and "channel 3" in str(report)


def test_bfloat16_is_looked_into_too(tmp_path):
    model, samples = with_samples(residual, 32)
    path = dagir.to_onnx(model, tmp_path / "half.onnx", precision="bfloat16", calibrate=samples)
    assert dagir.verify(model, path, samples).ok
    proto = onnx.load(path)
    kernel = next(tensor for tensor in proto.graph.initializer if len(tensor.dims) == 4)
    array = numpy_helper.to_array(kernel)
    wrong = np.moveaxis(array.astype(np.float32), 0 if array.shape[0] == 8 else -1, 0)
    wrong[3] *= 1.06
    wrong = np.moveaxis(wrong, 0, 0 if array.shape[0] == 8 else -1)
    kernel.CopyFrom(numpy_helper.from_array(wrong.astype(array.dtype), kernel.name))
    onnx.save(proto, tmp_path / "wrong.onnx")
    report = dagir.verify(model, tmp_path / "wrong.onnx", samples)
    assert not report.ok and "channel 3 is 1.0" in report.first_divergence.note


def test_a_transformer_in_halves_raises_no_false_alarm(tmp_path):
    model, samples = with_samples(transformer, 32)
    for precision in ("float16", "bfloat16"):
        path = dagir.to_onnx(model, tmp_path / f"{precision}.onnx", precision=precision, calibrate=samples)
        assert dagir.verify(model, path, samples).ok


def test_the_factor_of_a_channel():
    rng = np.random.default_rng(0)
    right = rng.normal(size=(40, 5))
    noisy = right * (1 + 1e-3 * rng.normal(size=right.shape))
    assert largest_gain(noisy, right, -1, "float16") is None
    noisy[:, 2] *= 1.02
    found = largest_gain(noisy, right, -1, "float16")
    assert found.channel == 2 and found.factor == pytest.approx(1.02, abs=2e-3) and found.excess > 1
    assert largest_gain(noisy[:3], right[:3], -1, "float16") is None  # too few to tell


def test_what_rounds_alike_is_no_factor():
    """Nearly one number in all places of an entry; and one over each image, with another at its border."""
    rng = np.random.default_rng(0)
    entries = 0.6 + 0.01 * rng.normal(size=(16, 1, 8)) + 1e-5 * rng.normal(size=(16, 32, 8))
    images = np.full((16, 14, 14, 8), 2.2)
    images[:, 0] += 0.02
    images += 0.01 * rng.normal(size=8) + 1e-6 * rng.normal(size=images.shape)
    for right in (entries, images):
        rounded = right.astype(np.float16)
        assert largest_gain(rounded, right, -1, "float16") is None
    wrong = entries * np.where(np.arange(8) == 3, 1.02, 1)
    assert largest_gain(wrong.astype(np.float16), entries, -1, "float16").channel == 3


@pytest.fixture(scope="module")
def codes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("codes")
    model, samples = with_samples(residual, 16)
    path = dagir.to_onnx(model, folder / "codes.onnx", quantize="int8", calibrate=samples)
    return dagir.from_onnx(path), samples, path


def _scale(node, arrays):
    """The scales of the kernel of a convolution of codes, one for each filter."""
    return node.input[1] if node.op_type == "DequantizeLinear" and arrays[node.input[0]].ndim == 4 else None


def _zero_point(node, arrays):
    return node.input[2] if node.op_type == "QuantizeLinear" and node.input[2] in arrays else None


FAULTS = {
    "a scale off by two percent": (_scale, lambda scales: scales * np.where(np.arange(scales.size) == 3, 1.02, 1)),
    "scales rolled by one": (_scale, lambda scales: np.roll(scales, 1)),
    "a zero point off by one": (_zero_point, lambda zero: zero + 1),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_a_file_of_codes_against_its_own_budget(codes, fault, tmp_path):
    model, samples, path = codes
    pick, change = FAULTS[fault]
    node = _changed(path, lambda node, arrays: _of_stored(pick, node, arrays), change, tmp_path / "wrong.onnx")
    assert dagir.verify(model, path, samples).ok
    report = dagir.verify(model, tmp_path / "wrong.onnx", samples)
    assert not report.ok
    assert report.first_divergence is not None
    assert report.first_divergence.node.partition("/")[0] == node.partition("/")[0]


def _of_stored(pick, node, arrays):
    stored = all(name in arrays for name in node.input[1:]) and (
        node.op_type != "DequantizeLinear" or node.input[0] in arrays
    )
    return pick(node, arrays) if stored else None
