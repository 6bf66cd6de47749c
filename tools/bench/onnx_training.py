"""ONNX files as Keras models that train: what plain Keras loads, its numbers, two epochs, and the way back.

    python tools/bench/onnx_training.py FOLDER [--only 320n]

FOLDER and the feeds are those of onnx_files.py. The `.keras` is loaded and trained in a process that does not import
dagir. One table is printed:

    weights    of the file, in thousands, and the share of them that Keras trains
    plain      layers of dagir in the file, 0 where plain Keras has all
    apart      the largest difference of Keras's answer to onnxruntime's, in parts of the largest number
    loss       before, and after each of two epochs on random targets
    back       the same difference of the ONNX file that the loaded, untrained Keras model becomes again
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx_files import HERE, drawn

import dagir

_TRAIN = """
import json, os, sys
os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
import keras, numpy as np
path, feeds = sys.argv[1:]
model = keras.models.load_model(path)
assert "dagir" not in sys.modules
arrays = dict(np.load(feeds))
x = [arrays[tensor.name] for tensor in model.inputs]
answer = model.predict(x[0] if len(x) == 1 else x, verbose=0)
np.savez(feeds + ".answers", *[answer[key] for key in model.output])  # predict sorts them
rng = np.random.default_rng(0)
targets = keras.tree.map_structure(lambda part: rng.normal(size=part.shape).astype("float32"), answer)
losses = keras.tree.map_structure(lambda part: "mse", answer)
model.compile(keras.optimizers.Adam(1e-4), losses)
given = x[0] if len(x) == 1 else x
batch = len(x[0])
# The loss of an epoch is that before its step: one more shows what the second one came to.
history = model.fit(given, targets, batch_size=batch, epochs=3, verbose=0).history["loss"]
count = lambda weights: int(sum(np.prod(weight.shape) for weight in weights))
own = sum(not type(layer).__module__.startswith("keras.") for layer in model._flatten_layers())
print(json.dumps({"loss": history, "trained": count(model.trainable_variables), "own": own}))
"""


def apart(found: list[Any], expected: list[Any]) -> float:
    return max(
        float(np.abs(np.asarray(a, "float64") - b).max() / max(np.abs(b).max(), 1e-9))
        for a, b in zip(found, expected, strict=True)
    )


def run(path: Path, feed: dict[str, np.ndarray]) -> list[Any]:
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [each.name for each in session.get_inputs()]
    return list(session.run(None, dict(zip(names, feed.values(), strict=True))))


def measure(original: Path, feed: dict[str, np.ndarray], folder: Path) -> str:
    model = dagir.from_onnx(original)
    path, feeds = folder / "net.keras", folder / "feeds.npz"
    dagir.to_keras(model).save(path)
    keras_names = [name.replace("/", "_") for name in feed]
    np.savez(feeds, **dict(zip(keras_names, feed.values(), strict=True)))
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", _TRAIN, str(path), str(feeds)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return f"{original.stem[:30]:30} {done.stderr.strip().splitlines()[-1][:150]}"
    found = json.loads(done.stdout.strip().splitlines()[-1])
    expected = run(original, feed)
    with np.load(f"{feeds}.answers.npz") as answers:
        far = apart([answers[name] for name in answers], expected)
    back = folder / "back.onnx"
    dagir.to_onnx(dagir.from_keras(path), back)
    weights = sum(int(np.prod(weight.shape)) for weight in model.weights)
    losses = " ".join(f"{loss:11.6f}" for loss in found["loss"])
    share = 100 * found["trained"] / max(weights, 1)
    return (
        f"{original.stem[:30]:30} {weights / 1e3:7.0f} {share:4.0f} % {found['own']:5} {far:8.1e} {losses} "
        f"{apart(run(back, feed), expected):8.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--feeds", type=Path, default=HERE / "onnx_files.json")
    parser.add_argument("--only", nargs="+", help="names of files, without .onnx")
    options = parser.parse_args()
    known = json.loads(options.feeds.read_text())
    print(f"{'file':30} weights      plain apart    loss                                back")
    for path in sorted(options.folder.rglob("*.onnx"), key=lambda each: each.stem):
        if path.stem in known and (not options.only or path.stem in options.only):
            with tempfile.TemporaryDirectory() as folder:
                print(measure(path, drawn(known[path.stem][1]), Path(folder)), flush=True)


if __name__ == "__main__":
    main()
