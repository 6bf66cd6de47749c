"""How soon a single fault is named: runs of the tested file and seconds of the processor, in networks of 500 nodes.

    python tools/bench/locating.py [--networks 5] [--faults 4]
    python tools/bench/locating.py NETWORK.keras     # one filter of its middle convolution times 1.05, in ONNX

The networks are drawn: linear maps, normalizations, activations and additions of what stands up to eight steps before.
A fault that does not show in the outputs is left out. With a file, the whole process of the tool is measured, with the
reproduction that it writes.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import onnx
from onnx import numpy_helper

import dagir
from dagir import layers, ops
from dagir.testing import randomize
from faults import faults

NODES = 500
CONVERT = "from dagir_convert.entry import main; main()"


def network(seed):
    """A drawn network of some 500 nodes."""
    rng = np.random.default_rng(seed)
    x = y = layers.Input((16,), name="x")
    pool = [y]
    while len(dagir.Model(x, y).graph.nodes) < NODES:
        kind = rng.integers(5)
        if kind == 0:
            y = layers.Dense(16)(y)
        elif kind == 1:
            y = layers.LayerNormalization()(y)
        elif kind == 2:
            y = ops.tanh(y)
        elif kind == 3:
            y = layers.Dense(16, activation=["relu", "gelu", "tanh"][rng.integers(3)])(y)
        else:
            y = (y + pool[-int(rng.integers(1, min(8, len(pool)) + 1))]) * 0.7
        pool.append(y)
    model = dagir.Model(x, layers.Dense(3)(y))
    randomize(model, seed)
    return model


def locate(model, count, seed, folder):
    """Print a line for each of `count` faults."""
    proto = dagir.lower(model, "onnx").artifact
    every = list(faults(proto))
    np.random.default_rng(seed).shuffle(every)
    path, found = Path(folder) / "faulty.onnx", 0
    for fault in every:
        path.write_bytes(fault.planted(proto).SerializeToString())
        faulty = dagir.backend("onnx").open(path, model)
        start = time.process_time()
        report = dagir.verify(model, {"faulty": faulty})
        seconds, where = time.process_time() - start, report.first_divergence
        if report.ok or where is None:
            continue
        named = "named" if where.node in fault.nodes else f"NOT named, but {where.node}"
        print(
            f"{len(model.graph.nodes)} nodes, {fault.kind:26} {where.runs:3} runs {seconds:5.1f} s  {named}", flush=True
        )
        found += 1
        if found == count:
            return


def locate_in_file(source: Path, folder: Path) -> None:
    """Change one filter in the file that the tool writes, and let it find that."""
    import subprocess

    good, bad = folder / "good.onnx", folder / "bad.onnx"
    tool = [sys.executable, "-c", CONVERT]
    subprocess.run([*tool, str(source), str(good), "--no-verify", "--quiet"], check=True)
    proto = onnx.load(good)
    kernels = [node.input[1] for node in proto.graph.node if node.op_type == "Conv"]
    for tensor in proto.graph.initializer:
        if tensor.name == kernels[len(kernels) // 2]:
            array = numpy_helper.to_array(tensor).copy()
            array[len(array) // 2] *= 1.05
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    onnx.save(proto, bad)
    start = time.perf_counter()
    process = subprocess.Popen([*tool, "verify", str(source), str(bad), "--reproduce", str(folder / "part")])
    _, _, usage = os.wait4(process.pid, 0)
    print(
        f"{source.stem}: {time.perf_counter() - start:.1f} s, {usage.ru_utime + usage.ru_stime:.1f} s of the processor"
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--networks", type=int, default=5)
    parser.add_argument("--faults", type=int, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        for file in options.files:
            locate_in_file(file, Path(folder))
        for seed in range(0 if options.files else options.networks):
            locate(network(seed), options.faults, seed, folder)


if __name__ == "__main__":
    main()
