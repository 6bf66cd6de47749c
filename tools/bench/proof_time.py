"""What a verified conversion costs as a whole process: seconds of the clock and of the processor, and peak memory.

    python tools/bench/proof_time.py --make FOLDER ResNet50 MobileNetV2 transformer   # once: writes .keras files
    python tools/bench/proof_time.py FOLDER/ResNet50.keras FOLDER/transformer.keras
    python tools/bench/proof_time.py --beside OTHER/bin/python FOLDER/ResNet50.keras    # paired with another dagir
    python tools/bench/proof_time.py --peer PEERS/bin/python FOLDER/ResNet50.keras      # and tf2onnx, unproven

Each file is converted without and with verification, in turn, `--rounds` times; the best of each is shown. On a busy
machine only the seconds of the processor say something, and only with one thread: OPENBLAS_NUM_THREADS=1.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

CONVERT = "from dagir_convert.entry import main; main()"
PEER = """
import sys, keras, tensorflow as tf, tf2onnx
model = keras.models.load_model(sys.argv[1], compile=False)
signature = [tf.TensorSpec([None, *v.shape[1:]], v.dtype, name=v.name) for v in model.inputs]
tf2onnx.convert.from_keras(model, signature, opset=18, output_path=sys.argv[2])
"""


PROVEN, UNPROVEN, TF2ONNX = "proven", "unproven", "tf2onnx"


@dataclass(frozen=True)
class Cost:
    """Of one process. seconds: of the clock; processor: of it, in user mode; peak: MiB."""

    seconds: float
    processor: float
    peak: float


def run(python: str, source: Path, target: Path, way: str) -> Cost:
    """Convert once, in a process of its own. way: PROVEN, UNPROVEN or TF2ONNX."""
    start = time.perf_counter()
    command = [python, "-c", PEER if way == TF2ONNX else CONVERT, str(source), str(target)]
    if way != TF2ONNX:
        command += ["--force", "--quiet", *(["--no-verify"] if way == UNPROVEN else [])]
    process = subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL if way == TF2ONNX else None
    )
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{python} fails on {source}: exit code {process.returncode}")
    return Cost(time.perf_counter() - start, usage.ru_utime, usage.ru_maxrss / 1024)


def best(costs: list[Cost]) -> Cost:
    """The least of each column."""
    columns = zip(*((cost.seconds, cost.processor, cost.peak) for cost in costs), strict=True)
    return Cost(*map(min, columns))


def compare(source: Path, runs: list[tuple[str, str]], rounds: int, folder: Path) -> None:
    """Print a row for each interpreter and way."""
    costs: dict[tuple[str, str], list[Cost]] = {}
    for _ in range(rounds):
        for python, way in runs:
            costs.setdefault((python, way), []).append(run(python, source, folder / "found.onnx", way))
    shows = len({python for python, way in runs if way != TF2ONNX}) > 1
    for (python, way), all_of_it in costs.items():
        least = best(all_of_it)
        print(
            f"{source.stem:16} {way:9} {least.seconds:7.2f} s {least.processor:7.2f} s of CPU {least.peak:6.0f} MiB"
            f"  {python if shows else ''}",
            flush=True,
        )


def make(folder: Path, names: list[str]) -> None:
    """Write networks as .keras files, with weights and statistics of normalizations that are not trivial."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from peers import unsettle

    makers = {"transformer": _transformer, "tickets": _tickets}
    for name in names:
        model = makers[name](keras) if name in makers else getattr(keras.applications, name)(weights=None)
        unsettle(model.weights)
        model.save(folder / f"{name}.keras")


def _transformer(keras):
    """Two layers of four heads, on 32 ids."""
    made = keras.layers
    ids = keras.Input((32,), dtype="int32")
    x = made.Embedding(1000, 128)(ids)
    for _ in range(2):
        x = made.LayerNormalization()(x + made.MultiHeadAttention(4, 32)(x, x))
        x = made.LayerNormalization()(x + made.Dense(128)(made.Dense(512, activation="gelu")(x)))
    return keras.Model(ids, made.Dense(10, activation="softmax")(made.GlobalAveragePooling1D()(x)))


def _tickets(keras):
    """The guide's model of tickets: two texts and a list of departments in, a priority and a department out."""
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))
    import dagir
    from guide import tickets

    return dagir.to_keras(tickets.model())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="files, or with --make the names of networks")
    parser.add_argument("--make", type=Path, metavar="FOLDER")
    parser.add_argument("--beside", action="append", default=[], metavar="PYTHON", help="another environment's")
    parser.add_argument(
        "--peer", metavar="PYTHON", help="of an environment with tf2onnx, which converts without a proof"
    )
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.make:
        make(options.make, options.names)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names:
            runs = [(python, way) for python in (*options.beside, sys.executable) for way in (UNPROVEN, PROVEN)]
            runs += [(options.peer, TF2ONNX)] if options.peer else []
            compare(Path(name), runs, options.rounds, Path(folder))


if __name__ == "__main__":
    main()
