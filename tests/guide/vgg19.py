"""Scenario 11: VGG19, and the outputs of all its layers. Run as a script, it measures memory on each backend."""

from __future__ import annotations

import json

from resident import forget_peak, resident


def build(K, L):
    image = K.Input((224, 224, 3), name="image")
    x = image
    for block, (count, filters) in enumerate([(2, 64), (2, 128), (4, 256), (4, 512), (4, 512)], start=1):
        for number in range(1, count + 1):
            x = L.Conv2D(filters, 3, padding="same", activation="relu", name=f"block{block}_conv{number}")(x)
        x = L.MaxPooling2D(2, strides=2, name=f"block{block}_pool")(x)
    x = L.Flatten(name="flatten")(x)
    x = L.Dense(4096, activation="relu", name="fc1")(x)
    x = L.Dense(4096, activation="relu", name="fc2")(x)
    return K.Model(image, L.Dense(1000, activation="softmax", name="predictions")(x), name="vgg19")


def measure():
    """Per backend: the peak above what was there before, in copies of the weights; the error of its worst output."""
    import keras  # noqa: F401  # so that what the frameworks themselves need is not counted
    import numpy as np
    import onnxruntime  # noqa: F401

    import dagir

    dagir.initializers.seed(0)
    model = build(dagir, dagir.layers)
    size = sum(weight.array.nbytes for weight in model.weights)
    features = dagir.Model(model.input, [layer.output for layer in model.layers])
    picture = np.random.default_rng(0).normal(size=(1, 224, 224, 3)).astype("float32")
    wanted, found = None, {"layers": len(model.layers), "outputs": len(features.outputs), "bytes": size}
    for name in ("numpy", "onnx", "keras"):
        before = forget_peak()
        answers = dagir.lower(features, name)(picture)
        peak = (resident("VmHWM") - before) / size
        wanted = wanted or answers
        errors = [
            float(np.abs(got - want).max() / np.abs(want).max()) for got, want in zip(answers, wanted, strict=True)
        ]
        found[name] = {"copies": peak, "error": max(errors)}
    return found


if __name__ == "__main__":
    print(json.dumps(measure()))
