"""Many rows through Dask with worker processes, one of which is killed: bits, time, and the memory of the parent.

    python tools/bench/many_rows.py --rows 100000 --workers 4

One process scores the same blocks first. Then a cluster does, and once more with a worker that is killed (SIGKILL)
while blocks are computed; the answers must be those of the one process to the bit. They are written by the workers
into one array file, so that the parent holds none of them; its memory is read every 20 ms.
"""

from __future__ import annotations

import argparse
import os
import signal
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import dask
import numpy as np
from dask.distributed import Client, LocalCluster

import dagir
from dagir import layers
from dagir.ir.types import Array

WIDTH = 256


def network() -> dagir.Model:
    """Three layers of 512, some 0.7 MFLOP a row."""
    x = dagir.Input((WIDTH,), name="x")
    y = layers.Dense(512, activation="relu")(x)
    y = layers.Dense(512, activation="gelu")(y)
    return dagir.Model(x, layers.Dense(10, activation="softmax")(y))


def lowered(path: str, backend: str) -> dagir.Executable:
    """What scores in a process, on one thread."""
    return dagir.lower(dagir.load(path), backend, **({"threads": 1} if backend == "onnx" else {}))


def rows_of(seed: int, count: int) -> Array:
    """A block of rows: the same in every process."""
    return np.random.default_rng(seed).normal(size=(count, WIDTH)).astype("float32")


def score(executable: dagir.Executable, number: int, size: int, target: str) -> int:
    """Score a block into its place in the file of the answers. Returns the process that did."""
    answers = np.lib.format.open_memmap(target, mode="r+")
    answers[number * size : (number + 1) * size] = executable(rows_of(number, size))
    answers.flush()
    return os.getpid()


@dataclass
class Memory:
    """Of this process, in MiB."""

    before: float
    most: float


@contextmanager
def watched() -> Iterator[Memory]:
    """The resident memory before, and the most while the block runs."""
    seen, stop = Memory(_resident(), 0.0), threading.Event()

    def look() -> None:
        while not stop.wait(0.02):
            seen.most = max(seen.most, _resident())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stop.set()
        thread.join()


def _resident() -> float:
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def kill(victim: int, done: Path) -> None:
    """Wait until a block is computed, then kill the process of a worker."""
    while not done.exists():
        time.sleep(0.01)
    os.kill(victim, signal.SIGKILL)


def announced(executable: dagir.Executable, number: int, size: int, target: str, done: str) -> int:
    """`score`, which leaves a file behind it once it has scored a block."""
    found = score(executable, number, size, target)
    Path(done).touch()
    return found


def through_dask(
    client: Client, path: str, backend: str, blocks: int, size: int, target: Path, killed: int | None
) -> str:
    """Score all blocks on the cluster. Returns a line about who did."""
    np.lib.format.open_memmap(target, "w+", "float32", (blocks * size, 10)).flush()
    done = target.with_suffix(".done")
    executable = dask.delayed(lowered)(path, backend)
    tasks = [dask.delayed(announced)(executable, number, size, str(target), str(done)) for number in range(blocks)]
    with watched() as memory:
        start = time.perf_counter()
        futures = client.compute(tasks)
        if killed is not None:
            kill(killed, done)
        workers = set(client.gather(futures))
        took = time.perf_counter() - start
    assert killed not in workers, "what the killed process had answered was lost with it"
    return (
        f"{took:6.1f} s, {len(workers)} processes answered; parent {memory.before:.0f} MiB before, "
        f"at most {memory.most:.0f} MiB"
    )


def main() -> None:
    """Run it, and print what was found."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--block", type=int, default=1_000)
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--backends", nargs="+", default=["onnx", "numpy"])
    options = parser.parse_args()
    blocks, size = options.rows // options.block, options.block
    dask.config.set({"distributed.comm.timeouts.connect": "120s"})
    with tempfile.TemporaryDirectory() as folder:
        path = str(Path(folder) / "network.dagir")
        network().save(path)
        cluster = LocalCluster(n_workers=options.workers, threads_per_worker=1, dashboard_address=None)
        with cluster, Client(cluster) as client:
            client.run(lambda: __import__("dagir_onnx"))
            for backend in options.backends:
                one = Path(folder) / "one.npy"
                answers = np.lib.format.open_memmap(one, "w+", "float32", (blocks * size, 10))
                executable = lowered(path, backend)
                start = time.perf_counter()
                for number in range(blocks):
                    answers[number * size : (number + 1) * size] = executable(rows_of(number, size))
                print(f"{backend}: one process {time.perf_counter() - start:6.1f} s", flush=True)
                for victim in (None, min(client.run(os.getpid).values())):
                    many = Path(folder) / f"many-{victim}.npy"
                    line = through_dask(client, path, backend, blocks, size, many, victim)
                    same = np.array_equal(np.load(many, mmap_mode="r"), answers)
                    title = "one of them killed" if victim else f"{options.workers} workers"
                    print(f"{backend}: {title} {line}; the same bits: {same}", flush=True)


if __name__ == "__main__":
    main()
