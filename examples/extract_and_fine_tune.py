"""The first layers of a network get a new head, Keras trains it, and the result goes to ONNX."""

import numpy as np

import dagir
from dagir import layers

image = dagir.Input((16, 16, 3), name="image")
x = layers.Conv2D(8, 3, activation="relu", name="conv")(image)
x = layers.GlobalAveragePooling2D(name="features")(x)
trained = dagir.Model(image, layers.Dense(10, activation="softmax", name="thousand")(x), name="trained")

backbone = dagir.extract(trained, outputs="features")  # shares its weights with the whole
backbone.trainable = False
tuned = dagir.Model(image, layers.Dense(3, activation="softmax", name="mine")(backbone(image)), name="tuned")

rng = np.random.default_rng(0)
images, labels = rng.normal(size=(48, 16, 16, 3)).astype("float32"), np.arange(48) % 3
before = backbone.weights[0].numpy()
tuned.compile(optimizer="adam", loss="sparse_categorical_crossentropy")
tuned.fit(images, labels, epochs=2, verbose=0)
assert np.array_equal(backbone.weights[0].numpy(), before)

dagir.to_onnx(tuned, "tuned.onnx", verify=True)
print("tuned.onnx:", tuned.predict(images[:1], backend="onnx"))
