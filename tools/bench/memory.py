"""Peak memory of writing and of running a network, above the model itself: `python tools/bench/memory.py mlp vgg19`.

Each in a process of its own. `mlp` holds 2.5 GiB of Dense weights, more than one protobuf message takes. Linux only.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent


def status(key: str) -> float:
    """MiB by /proc/self/status: VmRSS or VmHWM."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def measure(name: str, what: str) -> dict[str, Any]:
    from networks import NETWORKS

    import dagir
    import dagir_onnx  # noqa: F401  # imported before memory is counted
    from dagir import layers

    imported = status("VmRSS")
    model = dagir.Model(*NETWORKS[name](layers))
    for weight in model.weights:
        weight.assign(np.full(weight.shape, 0.01, "float32"))
    weights = sum(weight.array.nbytes for weight in model.weights) / 2**20
    Path("/proc/self/clear_refs").write_text("5")  # the peak starts anew
    before, start = status("VmRSS"), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        if what == "write":
            dagir.to_onnx(model, Path(folder) / "net.onnx")
        else:
            shapes = {value.name: [size or 1 for size in value.shape] for value in model.inputs}
            dagir.lower(model, "onnx")({name: np.ones(shape, "float32") for name, shape in shapes.items()})
        seconds, peak = time.perf_counter() - start, status("VmHWM")
    return {
        "seconds": round(seconds, 2),
        "weights_mib": round(weights),
        "above_the_model": round((peak - before) / weights, 2),
        "above_the_imports": round((peak - imported) / weights, 2),
    }


def main() -> None:
    if len(sys.argv) == 4 and sys.argv[1] == "--one":
        print(json.dumps(measure(*sys.argv[2:])))
        return
    for name in sys.argv[1:] or ["vgg19", "resnet50"]:
        for what in ("write", "run"):
            command = [sys.executable, "memory.py", "--one", name, what]
            done = subprocess.run(command, cwd=HERE, env={**os.environ}, capture_output=True, text=True, check=True)
            print(f"{name:12} {what:6} {done.stdout.strip()}")


if __name__ == "__main__":
    main()
