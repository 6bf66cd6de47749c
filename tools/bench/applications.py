"""keras.applications by file and from memory: how long reading takes, and how far onnxruntime's answer is from Keras's.

python tools/bench/applications.py [--size 96] [--batch 3] MobileNetV2 ConvNeXtTiny ...     (all classes by default)
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import dagir


def classes() -> list[str]:
    """The names of all networks of keras.applications."""
    found = vars(keras.applications)
    return sorted(name for name, value in found.items() if name[0].isupper() and callable(value))


def drawn(name: str, size: int, generator: np.random.Generator) -> Any:
    """The network with statistics, scales and shifts that are not those of a new one."""
    keras.utils.clear_session()
    made = getattr(keras.applications, name)(weights=None, input_shape=(size, size, 3))
    for weight in made.weights:
        if weight.path.endswith(("moving_variance", "gamma")):
            weight.assign(generator.uniform(0.5, 1.3, weight.shape).astype("float32"))
        elif weight.path.endswith(("moving_mean", "beta", "bias")):
            weight.assign(0.1 * generator.normal(size=weight.shape).astype("float32"))
    return made


def measure(name: str, size: int, batch: int) -> str:
    """One line about one network."""
    generator = np.random.default_rng(0)
    made = drawn(name, size, generator)
    x = generator.uniform(0, 255, (batch, size, size, 3)).astype("float32")
    expected = np.asarray(made(x, training=False))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.keras"
        made.save(path)
        start = time.perf_counter()
        read = dagir.from_keras(path)
        middle = time.perf_counter()
        live = dagir.from_keras(made)
        end = time.perf_counter()
        errors = [
            np.abs(dagir.lower(model, "onnx")(x) - expected).max() / np.abs(expected).max() for model in (read, live)
        ]
    return (
        f"{name:20} file {middle - start:5.2f} s, memory {end - middle:5.2f} s, {len(read.graph.nodes):5} nodes, "
        f"{len(read.weights):5} weights, error {errors[0]:.1e} and {errors[1]:.1e}"
    )


def main() -> None:
    """Measure what the command line names."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--size", type=int, default=96)
    parser.add_argument("--batch", type=int, default=3)
    given = parser.parse_args()
    for name in given.names or classes():
        try:
            print(measure(name, given.size, given.batch), flush=True)
        except Exception as error:  # the others are still of interest
            print(f"{name:20} FAILED {type(error).__name__}: {str(error)[:300]}", flush=True)


if __name__ == "__main__":
    main()
