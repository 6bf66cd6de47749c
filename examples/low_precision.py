"""The same network in float32, float16 and int8: the sizes of the files, and what the narrow ones cost."""

from pathlib import Path

import numpy as np

import dagir
from dagir import layers

image = dagir.Input((16, 16, 3), name="image")
x = layers.Conv2D(16, 3, activation="relu")(image)
x = layers.Conv2D(32, 3, activation="relu")(x)
x = layers.Dense(64, activation="relu")(layers.Flatten()(x))
model = dagir.Model(image, layers.Dense(10, name="scores")(x))

samples = np.random.default_rng(0).normal(size=(32, 16, 16, 3)).astype("float32")
wanted = dagir.lower(model, "onnx")(samples)
for name, options in {
    "float32": {},
    "float16": {"precision": "float16", "calibrate": samples},
    "int8": {"quantize": "int8", "calibrate": samples},
}.items():
    path = Path(f"{name}.onnx")
    dagir.to_onnx(model, path, verify=True, **options)
    found = dagir.backend("onnx").open(path, model)(samples)
    cost = np.linalg.norm(found - wanted) / np.linalg.norm(wanted)
    print(f"{name}: {path.stat().st_size / 1e3:.0f} kB, relative error {cost:.1e}")
    assert cost < {"float32": 1e-6, "float16": 5e-3, "int8": 0.1}[name]
