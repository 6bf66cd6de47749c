"""A large array through Dask, block by block, in four worker processes: each of them lowers the model once."""

import sys
import tempfile
from pathlib import Path

import dask
import dask.array as da
import numpy as np
from dask.distributed import Client, LocalCluster

import dagir
from dagir import layers


def network() -> dagir.Model:
    """A small classifier of rows of 16 numbers."""
    x = dagir.Input((16,), name="x")
    return dagir.Model(x, layers.Dense(1, activation="sigmoid")(layers.Dense(32, activation="relu")(x)))


def lowered(path: str) -> dagir.Executable:
    """What a worker runs: one thread, as there is a worker for each core."""
    return dagir.lower(dagir.load(path), "onnx", threads=1)


def score(block: np.ndarray, executable: dagir.Executable) -> np.ndarray:
    """The scores of a block of rows."""
    return executable(block)


def main(rows: int = 100_000, block: int = 10_000, workers: int = 4) -> None:
    """Score drawn rows on a local cluster; `Client("tcp://...")` takes one of several machines."""
    path = str(Path(tempfile.mkdtemp()) / "network.dagir")
    network().save(path)  # where the workers see it too: they map its weights
    with LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None) as cluster, Client(cluster):
        x = da.random.default_rng(0).normal(size=(rows, 16), chunks=(block, 16)).astype("float32")
        # A delayed executable is made once, and again where the worker that held it is lost.
        executable = dask.delayed(lowered)(path)
        scores = x.map_blocks(
            score, executable=executable, chunks=(x.chunks[0], (1,)), meta=np.empty((0, 0), "float32")
        )
        print(f"{rows:,} rows, mean score {scores.mean().compute():.3f}")
        first = scores.blocks[0].compute()
        assert np.array_equal(first, lowered(path)(x.blocks[0].compute()))  # the same bits as in this process


if __name__ == "__main__":  # workers import this file
    main(*map(int, sys.argv[1:]))
