"""Every network of keras.applications through dagir: read live, written as ONNX, compared with Keras itself.

`python tools/bench/applications.py [NAME ...]` needs `pip install -e '.[all]'`. Weights are random; moving statistics,
gammas and betas are no longer 0 and 1. The error is the largest difference from Keras over the largest output, at
batch 1 and 3. Keras computes in float32, and once more in float64 where the two are more than 1e-5 apart: its own
rounding is up to 4e-5 in the deepest networks. Exits with 1 where an error exceeds 1e-5, or a network fails.
"""

from __future__ import annotations

import argparse
import inspect
import multiprocessing
import os
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

import dagir

TOLERANCE = 1e-5
COLUMNS = (
    "network",
    "weights MB",
    "read s",
    "write s",
    "file MB",
    "nodes",
    "transposes",
    "error at 1",
    "at 3",
    "Keras",
)


def names() -> list[str]:
    """The classes of keras.applications."""
    return [name for name, value in vars(keras.applications).items() if inspect.isfunction(value)]


def settled(name: str) -> keras.Model:
    """The network, as if it had been trained: see `settle`.

    Gammas of 0.1 to 0.3 let the branch of a residual block add to what goes past it as a trained one does. With 0.2 to
    0.6, and with channels blown up that hardly move, float32 itself, in Keras as in onnxruntime, is off by 2e-5 in
    ResNet101 and by 1e-4 in ResNet152 and EfficientNetB7.
    """
    keras.utils.set_random_seed(0)
    model = getattr(keras.applications, name)(weights=None)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        kind, shape = weight.path.rsplit("/", 1)[-1], weight.shape
        if kind in ("gamma", "variance"):
            weight.assign(rng.uniform(0.1, 0.3, shape) if kind == "gamma" else rng.uniform(0.7, 1.3, shape))
        elif kind in ("beta", "mean", "bias"):
            weight.assign(rng.normal(0, 0.2, shape))
    settle(model)
    return model


def in_double_precision(name: str, model: keras.Model) -> keras.Model:
    """The same network with the same weights, computing in float64."""
    keras.config.set_dtype_policy("float64")
    try:
        judge = getattr(keras.applications, name)(weights=None)
    finally:
        keras.config.set_dtype_policy("float32")
    judge.set_weights(model.get_weights())
    for layer in judge.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()
    return judge


def settle(model: keras.Model) -> None:
    """Give the moving statistics the values that they have on some images.

    With statistics drawn at random the activations of a deep network explode, and the answer is rounding alone.
    """
    norms = [layer for layer in model.layers if isinstance(layer, keras.layers.BatchNormalization)]
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with what it made of its weights then
    drops = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
    kept = [(layer, "momentum", layer.momentum) for layer in norms] + [(layer, "rate", layer.rate) for layer in drops]
    for layer, name, _ in kept:
        setattr(layer, name, 0.0)
    if norms:
        model(feed(model, 2), training=True)
    for layer, name, value in kept:
        setattr(layer, name, value)
    for layer in norms:  # a channel that hardly moves on these images must not be blown up on others, rounding and all
        variance = np.asarray(layer.moving_variance)
        layer.moving_variance.assign(np.maximum(variance, variance.mean()))


def feed(model: keras.Model, batch: int) -> np.ndarray:
    """Images of 0 to 255 with structure at every scale, of 224 pixels where the size is free.

    Of plain noise deep layers would see the mean alone, and their normalization would blow up its rounding.
    """
    height, width, channels = (size or 224 for size in model.input_shape[1:])
    rng = np.random.default_rng(batch)
    image = np.zeros((batch, height, width, channels))
    for tile in (4, 16, 64, 128):
        grid = rng.normal(size=(batch, -(-height // tile), -(-width // tile), channels))
        image += grid.repeat(tile, 1).repeat(tile, 2)[:, :height, :width]
    return np.clip(128 + 40 * image, 0, 255).astype("float32")


def answers(judge: keras.Model, x: np.ndarray) -> np.ndarray:
    """What Keras answers, image by image: it keeps every activation until it is done."""
    return np.concatenate([np.asarray(judge(image[None], training=False)) for image in x])


def difference(found: np.ndarray, wanted: np.ndarray) -> float:
    """The largest difference over the largest number wanted."""
    return float(np.abs(found - wanted).max() / np.abs(wanted).max())


def row(name: str, folder: Path) -> tuple[list[str], bool]:
    """The measurements of one network, and whether it agrees."""
    network = settled(name)
    start = time.perf_counter()
    model = dagir.from_keras(network)
    read = time.perf_counter() - start
    path = folder / f"{name}.onnx"
    start = time.perf_counter()
    dagir.to_onnx(model, path)
    written = time.perf_counter() - start
    exe = dagir.lower(model, "onnx")
    errors, judges = [], set()
    for batch in (1, 3):
        x = feed(network, batch)
        found, precision = exe(x), "float32"
        error = difference(found, answers(network, x))
        if error > TOLERANCE:
            precision = "float64"
            error = difference(found, answers(in_double_precision(name, network), x.astype("float64")))
        errors.append(error)
        judges.add(precision)
    nodes = onnx.load(path, load_external_data=False).graph.node
    size = sum(each.stat().st_size for each in folder.glob(f"{name}.onnx*"))
    bytes_of_weights = 4 * network.count_params()
    texts = [f"{bytes_of_weights / 1e6:.0f}", f"{read:.2f}", f"{written:.2f}", f"{size / 1e6:.0f}", str(len(nodes))]
    texts.append(str(sum(node.op_type == "Transpose" for node in nodes)))
    texts += [*(f"{error:.1e}" for error in errors), max(judges)]
    for each in folder.iterdir():
        each.unlink()
    return [name, *texts], max(errors) <= TOLERANCE


def attempt(name: str) -> tuple[list[str], bool]:
    """The row of a network, or what dagir says against it."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            return row(name, Path(folder))
        except dagir.DagirError as error:
            return [name, str(error).splitlines()[0]], False


def main() -> None:
    """Print a table, one network a line as it is done; each in a process of its own, which gives its memory back."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="classes of keras.applications; all of them by default")
    console, table, failed = Console(width=120), Table(*COLUMNS), []
    for name in parser.parse_args().names or names():
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as process:
            texts, agrees = process.submit(attempt, name).result()
        print(*texts, flush=True)
        table.add_row(*texts)
        failed += [] if agrees else [name]
    console.print(table)
    print(f"{len(table.rows)} networks, {len(failed)} disagree or fail: {', '.join(failed) or 'none'}")
    sys.exit(bool(failed))


if __name__ == "__main__":
    main()
