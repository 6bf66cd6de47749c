"""The NumPy interpreter beside onnxruntime, and onnx's reference evaluator, on one thread: processor time in turn.

    python tools/bench/interpreter.py
    python tools/bench/interpreter.py --before OTHER/CHECKOUT transformer lstm

A class of keras.applications is built and saved once into --folder, other names are those of networks.py. Rounds go
on for --seconds: each runs all of them twice and times the second, so that a busy machine is busy for all, and what
one leaves of the cache is not the next one's loss. A ratio is the median of the rounds' ratios to onnxruntime.
--before: a checkout whose interpreter is measured in a process of its own, in the same rounds. --evaluator: as many
runs of onnx's evaluator, which can take seconds each.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

ONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
os.environ.update(ONE)  # before NumPy is imported
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np  # noqa: E402
from networks import NETWORKS  # noqa: E402

import dagir  # noqa: E402
from dagir import layers  # noqa: E402

NAMES = ("ResNet50", "MobileNetV2", "EfficientNetB0", "transformer", "lstm")
ROOT = Path(__file__).parents[2]


def saved(name: str, folder: Path) -> Path:
    """The .dagir file of a network, as if it had been trained."""
    from peers import unsettle

    path = folder / f"{name}.dagir"
    if not path.exists():
        if name in NETWORKS:
            model = dagir.Model(*NETWORKS[name](layers))
        else:
            import keras

            model = dagir.from_keras(getattr(keras.applications, name)(weights=None))
        unsettle(model.weights)
        model.save(str(path))
    return path


def feeds(model: Any) -> list[Any]:
    rng = np.random.default_rng(0)
    shapes = [[size if isinstance(size, int) else 1 for size in value.type.shape] for value in model.inputs]
    return [rng.normal(size=shape).astype("float32") for shape in shapes]


def serve(path: str) -> None:
    """Answer each line of the standard input, a precision, with the processor's seconds of one run."""
    model = dagir.load(path)
    given = feeds(model)
    runs = {precision: dagir.lower(model, "numpy", **options) for precision, options in PRECISIONS.items()}
    for line in sys.stdin:
        run = runs[line.strip()]
        run(*given)
        start = time.process_time()
        run(*given)
        print(time.process_time() - start, flush=True)


PRECISIONS: dict[str, dict[str, str]] = {"float32": {}, "float64": {"precision": "float64"}}


class Interpreter:
    """The interpreter of a checkout, in a process of its own."""

    def __init__(self, checkout: Path, path: Path) -> None:
        places = (checkout, checkout / "backends", Path(__file__).parent)
        self._process = subprocess.Popen(
            [sys.executable, __file__, "--serve", str(path)],
            env={**os.environ, "PYTHONPATH": os.pathsep.join(map(str, places))},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, precision: str) -> float:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(precision, file=self._process.stdin, flush=True)
        return float(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate()


def measure(name: str, options: argparse.Namespace) -> str:
    import onnx.reference
    import onnxruntime

    path = saved(name, options.folder)
    model, file = dagir.load(str(path)), str(path.with_suffix(".onnx"))
    dagir.to_onnx(model, file)
    limits = onnxruntime.SessionOptions()
    limits.intra_op_num_threads = limits.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, limits, providers=["CPUExecutionProvider"])
    feed = dict(zip([entry.name for entry in session.get_inputs()], feeds(model), strict=True))

    def timed(run: Any) -> float:
        start = time.process_time()
        run(None, feed)
        return time.process_time() - start

    interpreters = [Interpreter(checkout, path) for checkout in (options.before, ROOT) if checkout is not None]
    rounds, end = [], time.monotonic() + options.seconds
    while len(rounds) < 5 or time.monotonic() < end:
        timed(session.run)  # once more, for what the others left of the cache
        rounds.append([timed(session.run), *(run(p) for p in PRECISIONS for run in interpreters)])
    for run in interpreters:
        run.close()
    ratios = [median(row[column] / row[0] for row in rounds[1:]) for column in range(1, len(rounds[0]))]
    base = median(row[0] for row in rounds[1:])
    evaluator = onnx.reference.ReferenceEvaluator(file) if options.evaluator else None
    beside = [timed(evaluator.run) / base for _ in range(options.evaluator)] if evaluator else []
    cells = [f"{ratio:>10.1f}" for ratio in (*ratios, *([median(beside)] if beside else []))]
    return f"{name:16} {base * 1e3:>8.2f}" + "".join(cells)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", default=NAMES)
    parser.add_argument("--before", type=Path)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each network")
    parser.add_argument("--evaluator", type=int, default=1)
    parser.add_argument("--serve", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.serve:
        serve(options.serve)
        return
    with tempfile.TemporaryDirectory() as folder:
        options.folder = options.folder or Path(folder)
        options.folder.mkdir(exist_ok=True, parents=True)
        heads = [f"{p[5:]}{when}" for p in PRECISIONS for when in ((" then", " now") if options.before else (" now",))]
        heads += ["evaluator"] if options.evaluator else []
        print(f"{'times as long':16} {'ORT, ms':>8}" + "".join(f"{head:>10}" for head in heads))
        for name in options.names:
            print(measure(name, options), flush=True)


if __name__ == "__main__":
    main()
