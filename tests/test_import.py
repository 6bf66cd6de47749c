"""Importing dagir is cheap, and brings no framework with it."""

from __future__ import annotations

import subprocess
import sys

import pytest

FORBIDDEN = ("tensorflow", "keras", "onnx", "onnxruntime", "networkx", "hypothesis", "rich", "typer", "safetensors")


def test_importing_dagir_loads_no_framework():
    code = f"import sys, dagir; print([name for name in {FORBIDDEN!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_onnx_path_needs_no_tensorflow():
    code = (
        "import sys, dagir; x = dagir.Input((3,)); m = dagir.Model(x, dagir.layers.Dense(2)(x));"
        "dagir.lower(m, 'onnx').session; print('tensorflow' in sys.modules or 'keras' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    "order",
    [
        "keras, dagir_keras, dagir",
        "tensorflow, dagir_keras.reading",
        "keras, dagir",
        "dagir_keras, keras",
        "keras, dagir_onnx, dagir_numpy, dagir_keras",
    ],
)
def test_packages_may_be_imported_in_any_order(order):
    """And Keras knows the layers of dagir, for files that hold them."""
    code = f"import {order}, keras; print('dagir>TracedLayer' in keras.saving.get_custom_objects())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "True", done.stderr
