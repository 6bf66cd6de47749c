"""Two networks trained on scikit-learn's digits, in int8: against float32, and against onnxruntime's own tool.

`trained` holds a residual network and one with depthwise convolutions, both trained by Keras on the first 1200 digits
of the order below.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from sklearn.datasets import load_digits

import dagir

TRAINED = Path(__file__).parent / "trained"


def digits():
    images, labels = load_digits(return_X_y=True)
    order = np.random.default_rng(0).permutation(len(images))
    images = (images.reshape(-1, 8, 8, 1) / 16).astype("float32")[order]
    return images[:256], images[1200:], labels[order][1200:]


def judged(path, images, labels):
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    found = session.run(None, {session.get_inputs()[0].name: images})[0]
    return float((found.argmax(-1) == labels).mean()), found


def by_the_peer(source, target, samples):
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self, name):
            self.batches = iter([{name: samples[start : start + 32]} for start in range(0, len(samples), 32)])

        def get_next(self):
            return next(self.batches, None)

    name = onnx.load(source).graph.input[0].name
    quantization.quantize_static(source, target, Reader(name), per_channel=True)


@pytest.mark.parametrize("name", ["residual", "depthwise"])
def test_int8_keeps_the_accuracy(name, tmp_path, caplog):
    samples, images, labels = digits()
    model = dagir.load(TRAINED / f"{name}.dagir")
    wide, narrow, peer = (tmp_path / f"{each}.onnx" for each in ("wide", "narrow", "peer"))
    dagir.to_onnx(model, wide)
    dagir.to_onnx(model, narrow, quantize="int8", calibrate=samples, ranges="minmax")
    by_the_peer(wide, peer, samples)
    (right, answers), (found, codes), (other, theirs) = (judged(path, images, labels) for path in (wide, narrow, peer))
    assert right > 0.94
    assert found >= right - 0.005
    assert found >= other
    assert np.linalg.norm(codes - answers) <= np.linalg.norm(theirs - answers)
