"""Files that PyTorch's exporter wrote, with free sizes: onnxruntime's answers at several sizes, before and after.

Each file is named by its network and its opset: an upsampling network, channels shuffled, a small language model, ...
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest

import dagir

FILES = Path(__file__).parent / "onnx_files"
SHAPES = {
    "up": [(2, 3, 6, 8), (1, 3, 9, 5)],
    "shuf": [(2, 4, 5, 5), (1, 4, 3, 7)],
    "gpt": [(2, 5), (3, 7)],
    "misc": [(2, 6, 4), (1, 3, 4)],
}


@pytest.mark.parametrize(
    "name", sorted(path.stem for path in FILES.glob("*.onnx") if path.stem.split("_")[0] in SHAPES)
)
def test_answers_and_names(name):
    path = FILES / f"{name}.onnx"
    session = onnxruntime.InferenceSession(path)
    model = dagir.from_onnx(path)
    written = dagir.lower(model, "onnx")
    names = [each.name for each in session.get_outputs()]
    assert (model.input_names, model.output_names) == (["x"], names)
    rng = np.random.default_rng(0)
    for shape in SHAPES[name.split("_")[0]]:
        ids = name.startswith("gpt")
        x = rng.integers(0, 11, shape) if ids else rng.normal(size=shape).astype("float32")
        for exe in (dagir.lower(model), written):
            found = exe({"x": x})
            for each, right in zip(names, session.run(None, {"x": x}), strict=True):
                assert found[each].dtype == right.dtype
                np.testing.assert_allclose(found[each], right, rtol=1e-4, atol=1e-5, err_msg=each)


def test_shape_arithmetic_vanishes():
    for name, most in {"shuf_9": 18, "up_11": 8}.items():
        proto = dagir.to_onnx(dagir.from_onnx(FILES / f"{name}.onnx"))
        assert len(proto.graph.node) <= most < len(onnx.load(FILES / f"{name}.onnx").graph.node)
