"""A training loop of one's own on the Keras model, then the file: what is written has the weights of the last step."""

import keras
import numpy as np

import dagir
from dagir import layers

x = dagir.Input((2,), name="point")
hidden = layers.Dense(32, activation="tanh")(x)
model = dagir.Model(x, layers.Dense(1, activation="sigmoid", name="inside")(hidden), name="circle")

rng = np.random.default_rng(0)
points = rng.uniform(-1, 1, (512, 2)).astype("float32")
inside = (np.linalg.norm(points, axis=1, keepdims=True) < 0.7).astype("float32")

keras.utils.set_random_seed(0)
network = dagir.to_keras(model)  # real Keras layers: compile, callbacks and loops are Keras's
network.compile(optimizer=keras.optimizers.Adam(0.05), loss="binary_crossentropy", metrics=["accuracy"])
for epoch in range(40):
    order = rng.permutation(len(points))
    for start in range(0, len(points), 128):
        batch = order[start : start + 128]
        loss, accuracy = network.train_on_batch(points[batch], inside[batch])
    network.optimizer.learning_rate = 0.05 / (1 + epoch / 20)

trained = dagir.from_keras(network)
dagir.to_onnx(trained, "circle.onnx", verify=True)  # Keras itself runs beside the file
scores = dagir.lower(trained, "onnx")(points)
right = float(np.mean((scores > 0.5) == inside))
assert np.allclose(scores, network.predict(points, verbose=0), atol=1e-5)
assert right > 0.9, right
print(f"circle.onnx: {right:.1%} of the points are told rightly")
