"""Keras on JAX, torch and NumPy in a process where an import of TensorFlow fails, as where it is not installed."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("without_tensorflow.py")
NEEDED = {"jax": ("jax",), "torch": ("torch",), "numpy": ("jax", "scipy")}  # Keras's NumPy backend borrows from JAX


def child(engine, *arguments):
    env = {**os.environ, "KERAS_BACKEND": engine, "CUDA_VISIBLE_DEVICES": ""}
    return subprocess.run(
        [sys.executable, *map(str, arguments)],
        env=env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("engine", NEEDED)
def test_converted_compared_trained_saved_and_converted_again(engine, tmp_path):
    if not all(map(importlib.util.find_spec, NEEDED[engine])):
        pytest.skip(f"{engine} is not installed")
    found = child(engine, SCRIPT, tmp_path)
    assert found.stdout.endswith("done\n"), found.stdout[-2000:] + found.stderr[-3000:]
