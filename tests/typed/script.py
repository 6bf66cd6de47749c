"""What a user writes: it type-checks as it stands, under mypy --strict."""

from pathlib import Path

import numpy as np

import dagir
from dagir import layers, ops


class Scale(dagir.Layer):
    def build(self, input_shape: tuple[int | None, ...]) -> None:
        self.factor = self.add_weight((input_shape[-1],), "ones", name="factor")

    def call(self, inputs: dagir.Value) -> dagir.Value:
        return inputs * self.factor


img = dagir.Input(shape=(28, 28, 1), name="img")
x = layers.Conv2D(8, 3, activation="relu", padding="same")(img)
x = layers.Dropout(0.1)(ops.maximum(x, 0.1) + layers.Activation(ops.tanh)(x), training=False)
x = layers.Concatenate()([layers.Flatten()(x), layers.GlobalAveragePooling2D()(x)])
out = layers.Dense(10, activation="softmax", name="classes")(Scale(name="scale")(x))
model = dagir.Model(inputs=img, outputs=out, name="digits")

images, labels = np.zeros((4, 28, 28, 1), "float32"), np.zeros(4, "int64")
model.compile(optimizer="adam", loss="sparse_categorical_crossentropy", metrics=["accuracy"])
losses: list[float] = model.fit(images, labels, batch_size=2, epochs=2, verbose=0).history["loss"]
accuracy: float = model.evaluate(images, labels, verbose=0, return_dict=True)["accuracy"]

report: dagir.Report = dagir.verify(model, backends=("numpy", "onnx"), onnx={"device": "cpu"})
path: Path = dagir.to_onnx(model, "digits.onnx", input_shapes={"img": ("batch", 28, 28, 1)})
features = dagir.extract(model, ["scale", x], name="features")
model.save("digits.dagir")
again: dagir.Model = dagir.load("digits.dagir", custom_objects={"Scale": Scale})
wider = dagir.replace(dagir.clone(again), {"classes": layers.Dense(20)})
total: float = dagir.lower(wider, "numpy")(images).sum() + again.predict({"img": images}, steps=1).mean()
dagir.to_keras(dagir.extract(model, x)).save("features.keras")
read: dagir.Model = dagir.from_keras("features.keras")
names: list[str] = [layer.name for layer in read.layers] + [f"{path}: {report.ok} {losses} {accuracy} {total}"]
