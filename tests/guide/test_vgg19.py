"""Scenario 11 at its full size: one copy of 143,667,240 weights, whatever is made of them."""

from __future__ import annotations

import json
from pathlib import Path

from resident import needs_proc, printed


@needs_proc
def test_features_of_all_layers_on_all_backends_in_one_copy_of_the_weights():
    found = json.loads(printed(Path(__file__).with_name("vgg19.py")).splitlines()[-1])
    assert (found["layers"], found["outputs"], found["bytes"]) == (26, 26, 4 * 143_667_240)
    assert max(found[name]["error"] for name in ("numpy", "onnx", "keras")) < 1e-5
    # The model's own copy is there already. NumPy adds its columns of one image, onnxruntime the weights that it lays
    # out anew; Keras holds variables of its own, and one tensor on the way into the largest.
    assert found["numpy"]["copies"] < 0.5
    assert found["onnx"]["copies"] < 1.5
    assert found["keras"]["copies"] < 3
