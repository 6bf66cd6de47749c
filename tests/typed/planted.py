"""The mistakes that a type checker finds before anything runs: one on each line that is marked."""

from pathlib import Path

import numpy as np

import dagir
from dagir import layers, ops

img = dagir.Input(shape=(8,), nam="img")  # E: no such argument
x = layers.Dense("16")(img)  # E: units is an int
x = layers.Dense(16, activaton="relu")(img)  # E: misspelled
x = layers.Dense(16, activation=3)(img)  # E: neither a name nor a function
x = layers.Dense(16)([img, img])  # E: takes one value
x = layers.Concatenate()(img)  # E: takes a list
x = layers.Conv1D(4, kernel_size="3")(img)  # E: a size is an int
y: int = layers.Dense(4)(img)  # E: a layer gives a value
x = ops.maximum(x, "0.1")  # E: text is no number
x = ops.sum(x, axis="last")  # E: an axis is an int
x = ops.softmx(x)  # E: no such function
x = img + "1"  # E: text is no number
model = dagir.Model(inputs="img", outputs=x)  # E: inputs are values
model.compile("adam", "mse", metric=["mae"])  # E: misspelled
model.fit(np.zeros((4, 8)), np.zeros((4, 16)), epochs="2")  # E: a number
loss: str = model.fit(np.zeros((4, 8)), np.zeros((4, 16))).history["loss"]  # E: a list of numbers
report: bool = dagir.verify(model)  # E: a Report, whose `ok` is a bool
dagir.verify(model, backends=3)  # E: neither names nor models
path: str = dagir.to_onnx(model, "model.onnx")  # E: a Path
dagir.to_onnx(model, "model.onnx", opset="17")  # E: a number
dagir.extract(model, 3)  # E: a name, a layer or a value
part: Path = dagir.load("model.dagir")  # E: a Model
dagir.lower(model, backend="numpy").run(np.zeros((4, 8)))  # E: it is called
again: dagir.Report = dagir.from_keras("model.keras")  # E: a Model
mean: int = model.predict(np.zeros((4, 8)))  # E: an array
