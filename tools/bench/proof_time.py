"""What a verified conversion costs as a whole process: seconds of the clock and of the processor, and peak memory.

    python tools/bench/proof_time.py --make FOLDER ResNet50 MobileNetV2 transformer   # once: writes .keras files
    python tools/bench/proof_time.py FOLDER/ResNet50.keras FOLDER/transformer.keras
    python tools/bench/proof_time.py --beside OTHER/bin/python FOLDER/ResNet50.keras    # paired with another dagir

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


@dataclass(frozen=True)
class Cost:
    """Of one process. seconds: of the clock; processor: of it, in user mode; peak: MiB."""

    seconds: float
    processor: float
    peak: float


def run(python: str, source: Path, target: Path, options: list[str]) -> Cost:
    """Convert once, in a process of its own."""
    start = time.perf_counter()
    command = [python, "-c", CONVERT, str(source), str(target), "--force", "--quiet", *options]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{python} fails on {source}: exit code {process.returncode}")
    return Cost(time.perf_counter() - start, usage.ru_utime, usage.ru_maxrss / 1024)


def best(costs: list[Cost]) -> Cost:
    """The least of each column."""
    columns = zip(*((cost.seconds, cost.processor, cost.peak) for cost in costs), strict=True)
    return Cost(*map(min, columns))


def compare(source: Path, pythons: list[str], rounds: int, folder: Path) -> None:
    """Print a row for each interpreter and way."""
    costs: dict[tuple[str, str], list[Cost]] = {}
    for _ in range(rounds):
        for python in pythons:
            for way in ("--no-verify", ""):
                found = run(python, source, folder / "found.onnx", [way] if way else [])
                costs.setdefault((python, way), []).append(found)
    for (python, way), all_of_it in costs.items():
        least = best(all_of_it)
        what = "unproven" if way else "proven"
        print(
            f"{source.stem:16} {what:9} {least.seconds:7.2f} s {least.processor:7.2f} s of CPU {least.peak:6.0f} MiB"
            f"  {python if len(pythons) > 1 else ''}",
            flush=True,
        )


def make(folder: Path, names: list[str]) -> None:
    """Write networks as .keras files, with weights and statistics of normalizations that are not trivial."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras
    from peers import unsettle

    for name in names:
        model = _transformer(keras) if name == "transformer" else getattr(keras.applications, name)(weights=None)
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="+", help="files, or with --make the names of networks")
    parser.add_argument("--make", type=Path, metavar="FOLDER")
    parser.add_argument("--beside", action="append", default=[], metavar="PYTHON", help="another environment's")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    if options.make:
        make(options.make, options.names)
        return
    with tempfile.TemporaryDirectory() as folder:
        for name in options.names:
            compare(Path(name), [*options.beside, sys.executable], options.rounds, Path(folder))


if __name__ == "__main__":
    main()
