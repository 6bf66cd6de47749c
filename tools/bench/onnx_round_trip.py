"""Networks of keras.applications to ONNX and back to Keras: layers, trainable weights, and numbers.

    python tools/bench/onnx_round_trip.py [NAME ...]

Weights are random, and no normalization is 0 or 1. Inputs are small, and there are 100 classes, of which the scores are
compared: a softmax of such weights is 0 or 1. One table is printed:

    layers     of the network, and how many more of each type there are after ONNX with keep_layers, how many less;
               "in another order" where only that differs
    trainable  numbers that train, at the start and after ONNX with keep_layers
    kept       the largest difference of the answers after ONNX with keep_layers, in parts of the largest number
    folded     the same after ONNX as it is written by default
    again      the same of the ONNX file that the Keras model after `folded` becomes again
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np

import dagir
from dagir_keras.reading.applications import LAYERS

SIZES = {
    **dict.fromkeys(("MobileNetV2", "MobileNetV3Small", "EfficientNetB0", "EfficientNetV2B0", "ConvNeXtTiny"), 64),
    **dict.fromkeys(("DenseNet121", "ResNet50", "ResNet50V2", "NASNetMobile", "MobileNet", "VGG16"), 64),
    **dict.fromkeys(("Xception", "InceptionV3", "InceptionResNetV2"), 96),
}


def network(name: str) -> keras.Model:
    keras.utils.set_random_seed(0)
    size = SIZES[name]
    options = {"weights": None, "classes": 100, "classifier_activation": None}
    model = getattr(keras.applications, name)(input_shape=(size, size, 3), **options)
    rng = np.random.default_rng(0)
    for layer in model.layers:
        for weight in [] if isinstance(layer, keras.layers.Normalization) else layer.weights:
            if len(weight.shape) == 1:
                weight.assign(rng.uniform(0.5, 1.5, size=weight.shape))
    return model


def layer_types(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model._flatten_layers(include_self=False)]


def changes(first: list[str], second: list[str]) -> str:
    before, after = Counter(first), Counter(second)
    more = {kind: after[kind] - before[kind] for kind in sorted(before | after)}
    same = "as at the start" if first == second else "in another order"
    return ", ".join(f"{count:+d} {kind}" for kind, count in more.items() if count) or same


def trainable(model: keras.Model) -> int:
    return int(sum(np.prod(weight.shape) for weight in model.trainable_variables))


def apart(found: Any, expected: Any) -> float:
    found, expected = (np.asarray(next(iter(x.values())) if isinstance(x, dict) else x) for x in (found, expected))
    return float(np.abs(found - expected).max() / np.abs(expected).max())


def measure(name: str, folder: Path) -> str:
    model, start = network(name), time.process_time()
    image = np.random.default_rng(1).uniform(0, 255, (2, *model.input_shape[1:])).astype("float32")
    expected = model.predict(image, verbose=0)
    read = dagir.from_keras(model)
    file = dagir.to_onnx(read, folder / "kept.onnx", keep_layers=True, overwrite=True)
    kept = dagir.to_keras(dagir.from_onnx(file, custom_objects=LAYERS))
    differs = apart(kept.predict(image, verbose=0), expected)
    file = dagir.to_onnx(read, folder / "folded.onnx", overwrite=True)
    folded = dagir.to_keras(dagir.from_onnx(file))
    again = dagir.lower(dagir.from_keras(folded), "onnx")(image)
    numbers = [differs, apart(folded.predict(image, verbose=0), expected), apart(again, expected)]
    before, after = layer_types(model), layer_types(kept)
    counts = f"{trainable(model):>10} {trainable(kept):>10}"
    parts = [f"{name:17} {counts}", *(f"{number:8.1e}" for number in numbers)]
    return " ".join([*parts, f"{time.process_time() - start:4.0f} s", changes(before, after)])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=list(SIZES))
    print(f"{'network':17} {'trainable':>10} {'after':>10}     kept   folded    again  time layers")
    with tempfile.TemporaryDirectory() as folder:
        for name in parser.parse_args().names:
            try:
                print(measure(name, Path(folder)), flush=True)
            except dagir.errors.DagirError as error:
                print(f"{name:17} {error}", flush=True)


if __name__ == "__main__":
    main()
