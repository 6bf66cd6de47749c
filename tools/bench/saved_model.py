"""A SavedModel of Keras to ONNX, by dagir and by tf2onnx: seconds, and peak memory above the imports.

    python tools/bench/saved_model.py --peers PEERS --rounds 3 ResNet50 MobileNetV2

PEERS is the environment that `convert.py --make-peers` makes; without one, dagir alone is measured, and this
environment builds the networks. Each conversion runs in a process of its own, in turn. Linux only.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

HERE = Path(__file__).parent
_QUIET = {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "-1"}


def status(key: str) -> float:
    """MiB by /proc/self/status: VmRSS or VmHWM."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def save(name: str, folder: str) -> None:
    from peers import build

    build(name).export(folder, verbose=False)


def of_dagir(folder: str, target: str) -> float:
    """Convert, and return the MiB of the weights."""
    import dagir

    model = dagir.from_tensorflow(folder)
    dagir.to_onnx(model, target)
    return float(sum(weight.array.nbytes for weight in model.weights) / 2**20)


def of_tf2onnx(folder: str, target: str) -> float:
    import tf2onnx.convert

    sys.argv = ["convert", "--saved-model", folder, "--output", target, "--opset", "18"]
    tf2onnx.convert.main()
    return 0.0


def measured(who: str, folder: str, target: str) -> dict[str, float]:
    """In this process: the imports first, then the clock."""
    if who == "dagir":
        import dagir

        for each in ("numpy", "onnx", "keras"):
            dagir.backend(each)
    else:
        import tf2onnx.convert  # noqa: F401
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start, processor = status("VmRSS"), time.perf_counter(), time.process_time()
    weights = (of_dagir if who == "dagir" else of_tf2onnx)(folder, target)
    seconds, busy = time.perf_counter() - start, time.process_time() - processor
    return {"seconds": seconds, "processor": busy, "mib": status("VmHWM") - before, "weights": weights}


def in_process(python: str, *arguments: str) -> str:
    """What this script prints last in a process of its own."""
    command = [python, str(HERE / "saved_model.py"), "--one", *arguments]
    done = subprocess.run(command, env={**os.environ, **_QUIET}, capture_output=True, text=True, check=False, cwd=HERE)
    if done.returncode:
        raise SystemExit(f"{' '.join(arguments)}: {done.stderr.strip().splitlines()[-1]}")
    return (done.stdout.strip().splitlines() or [""])[-1]


def compare(name: str, peers: Path | None, rounds: int, home: Path) -> None:
    """Print a line for each converter."""
    theirs = sys.executable if peers is None else str(peers / "bin/python")
    folder = home / name
    in_process(theirs, "save", name, str(folder))
    pythons = {"dagir": sys.executable, **({} if peers is None else {"tf2onnx": theirs})}
    taken: dict[str, list[dict[str, float]]] = {who: [] for who in pythons}
    for _ in range(rounds):
        for who, python in pythons.items():
            taken[who].append(json.loads(in_process(python, who, str(folder), str(home / f"{who}.onnx"))))
    weights = taken["dagir"][0]["weights"]
    for who, runs in taken.items():
        best: dict[str, Any] = {key: median(run[key] for run in runs) for key in ("seconds", "processor", "mib")}
        size = (home / f"{who}.onnx").stat().st_size / 1e6
        print(
            f"{name:16} {who:8} {best['seconds']:7.2f} s  {best['processor']:7.2f} s of processor"
            f"  {best['mib']:6.0f} MiB  {best['mib'] / weights:5.2f} of the weights  {size:7.2f} MB"
        )


def main() -> None:
    if len(sys.argv) == 5 and sys.argv[1] == "--one":
        if sys.argv[2] == "save":
            save(*sys.argv[3:])
        else:
            print(json.dumps(measured(*sys.argv[2:])))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", default=["ResNet50"])
    parser.add_argument("--peers", type=Path, help="the environment with tf2onnx")
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        for name in options.networks:
            compare(name, options.peers, options.rounds, Path(home))


if __name__ == "__main__":
    main()
