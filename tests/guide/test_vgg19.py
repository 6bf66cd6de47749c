"""Scenario 11 at its full size: one copy of 143,667,240 weights, whatever is made of them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="peak memory is read from Linux's /proc")
def test_features_of_all_layers_on_all_backends_in_one_copy_of_the_weights():
    script = Path(__file__).with_name("vgg19.py")
    environment = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}
    done = subprocess.run([sys.executable, str(script)], capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    assert (found["layers"], found["outputs"], found["bytes"]) == (26, 26, 4 * 143_667_240)
    assert max(found[name]["error"] for name in ("numpy", "onnx", "keras")) < 1e-5
    # The model's own copy is there already. NumPy adds its columns of one image, onnxruntime the weights that it lays
    # out anew; Keras holds variables of its own, and one tensor on the way into the largest.
    assert found["numpy"]["copies"] < 0.5
    assert found["onnx"]["copies"] < 1.5
    assert found["keras"]["copies"] < 3
