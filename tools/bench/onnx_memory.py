"""Peak memory of reading and of writing an ONNX file with external weights of 2.5 GiB.

    python tools/bench/onnx_memory.py [--gigabytes 2.5] [--folder FOLDER]

The file is made of random weights first, and deleted at the end. Reading and writing run in a process of their own;
the peak is above the process that has imported dagir. Private memory is what the process has for itself; mapped pages
of the file count in the resident memory while they are in use, and the system may take them back. Linux only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, save_model

_WIDE = 8192


def status(key: str) -> float:
    """MiB by /proc/self/status: VmRSS, VmHWM, RssAnon or RssFile."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def make(path: Path, gigabytes: float) -> None:
    """A chain of products with square weights, in a file beside the model."""
    count = round(gigabytes * 2**30 / (4 * _WIDE * _WIDE))
    data, size = path.with_name("weights"), 4 * _WIDE * _WIDE
    rng = np.random.default_rng(0)
    nodes, weights = [], []
    with data.open("wb") as file:
        for place in range(count):
            file.write(rng.standard_normal((_WIDE, _WIDE), np.float32).tobytes())
            tensor = TensorProto(name=f"w{place}", data_type=TensorProto.FLOAT, dims=[_WIDE, _WIDE])
            tensor.data_location = TensorProto.EXTERNAL
            for key, text in (("location", data.name), ("offset", str(place * size)), ("length", str(size))):
                tensor.external_data.add(key=key, value=text)
            weights.append(tensor)
            nodes.append(
                helper.make_node("MatMul", [f"x{place}", f"w{place}"], [f"x{place + 1}"], name=f"product{place}")
            )
    ends = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", _WIDE]) for name in ("x0", f"x{count}")]
    graph = helper.make_graph(nodes, "wide", ends[:1], ends[1:], weights)
    save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)


class Watched:
    """The most private and the most resident memory while it runs, in MiB above what there was."""

    def __enter__(self) -> Watched:
        self.before, self.start = {key: status(key) for key in ("RssAnon", "VmRSS")}, time.perf_counter()
        self.most, self.done = dict(self.before), threading.Event()
        self.thread = threading.Thread(target=self._watch)
        self.thread.start()
        return self

    def _watch(self) -> None:
        while not self.done.wait(0.01):
            self.most = {key: max(most, status(key)) for key, most in self.most.items()}

    def __exit__(self, *_: object) -> None:
        self.done.set()
        self.thread.join()
        self.seconds = time.perf_counter() - self.start

    def over(self, mib: float) -> dict[str, float]:
        return {key: round((self.most[key] - self.before[key]) / mib, 3) for key in self.most} | {
            "seconds": round(self.seconds, 1)
        }


def measure(path: Path) -> None:
    import dagir
    import dagir_onnx  # noqa: F401  # imported before memory is counted

    mib = path.with_name("weights").stat().st_size / 2**20
    with Watched() as reading:
        model = dagir.from_onnx(path)
    target = path.with_name("again.onnx")
    with Watched() as writing:
        dagir.to_onnx(model, target)
    print(json.dumps({"weights_mib": round(mib), "reading": reading.over(mib), "writing": writing.over(mib)}))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--one", type=Path)
    parser.add_argument("--gigabytes", type=float, default=2.5)
    parser.add_argument("--folder", type=Path, default=None, help="for the files, which take twice as much room")
    options = parser.parse_args()
    if options.one:
        measure(options.one)
        return
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        path = Path(folder) / "wide.onnx"
        make(path, options.gigabytes)
        done = subprocess.run(
            [sys.executable, __file__, "--one", str(path)], capture_output=True, text=True, check=False
        )
        print(done.stdout.strip() or done.stderr.strip())


if __name__ == "__main__":
    main()
