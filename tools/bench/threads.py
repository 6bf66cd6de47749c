"""Many threads at once: executables from their first call, and models that are built, read and verified.

    python tools/bench/threads.py --rounds 200 --threads 16

Each round makes fresh executables and lets all threads begin with the same call; the answers must be those of one
thread alone. A fault of the process is told by faulthandler, with every thread's stack, and the exit code is not 0.
"""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

import dagir
from dagir import layers
from dagir.ir.types import Array

KINDS = ("numpy", "onnx", "keras", "build", "read", "verify")


def model() -> dagir.Model:
    """Weights of every way to a session: small ones, large ones, and large ones that are derived."""
    x = dagir.Input((16, 16, 4))
    y = layers.BatchNormalization()(layers.Conv2D(32, 3, use_bias=False)(x))
    y = layers.Dense(300, activation="relu")(layers.Flatten()(layers.MaxPooling2D(2)(y)))
    ids = dagir.Input((7,), dtype="int32")
    z = layers.LSTM(24)(layers.Embedding(11, 16)(ids))
    return dagir.Model([x, ids], layers.Dense(5, activation="softmax")(layers.Concatenate()([y, z])))


def together(count: int, work: Callable[[int], Array]) -> list[Array]:
    """What each of `count` threads gets, all of them begun at once."""
    start = threading.Barrier(count)

    def run(number: int) -> Array:
        start.wait()
        return work(number)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def feeds(seed: int) -> list[Array]:
    """A batch of its own for each thread."""
    rng = np.random.default_rng(seed)
    return [rng.normal(size=(2 + seed % 3, 16, 16, 4)).astype(np.float32), rng.integers(0, 11, (2 + seed % 3, 7))]


def run(kind: str, rounds: int, threads: int) -> None:
    """Rounds of one kind. Raises AssertionError for a wrong number."""
    one = model()
    given = [[x, ids.astype(np.int32)] for x, ids in map(feeds, range(threads))]
    alone = dagir.lower(one, "numpy")
    wanted = [alone(each) for each in given]
    works: dict[str, Callable[[int], Callable[[int], Array]]] = {
        "build": lambda number: lambda place: _built(given[place]),
        "read": lambda number: _reading(one, given),
        "verify": lambda number: lambda place: _verified(one, wanted[place]),
    }
    for number in range(rounds):
        if kind in works:
            found = together(threads, works[kind](number))
        else:
            executable = dagir.lower(one, kind)
            found = together(threads, lambda place, executable=executable: executable(given[place]))
        for place, array in enumerate(found):
            if kind != "build":
                np.testing.assert_allclose(array, wanted[place], rtol=1e-3, atol=1e-5)


def _built(given: list[Array]) -> Array:
    """A model of this thread's own: its names are its own too, and both backends agree on it."""
    own = model()
    names = [layer.name for layer in own.layers]
    assert len(set(names)) == len(names), names
    found = dagir.lower(own, "onnx")(given)
    np.testing.assert_allclose(found, dagir.lower(own, "numpy")(given), rtol=1e-3, atol=1e-5)
    return np.asarray(found)


def _reading(one: dagir.Model, given: list[list[Array]]) -> Callable[[int], Array]:
    """Keras's model of it, read by all threads."""
    original = dagir.to_keras(one)
    return lambda place: np.asarray(dagir.lower(dagir.from_keras(original), "numpy")(given[place]))


def _verified(one: dagir.Model, wanted: Array) -> Array:
    report = dagir.verify(one, ["onnx"])
    assert report.ok, report
    return wanted


def main() -> None:
    """Run the kinds that are asked for, and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kinds", nargs="*", help=f"of {', '.join(KINDS)}; by default all")
    parser.add_argument("--rounds", type=int, default=200)
    parser.add_argument("--threads", type=int, default=16)
    options = parser.parse_args()
    faulthandler.enable()
    sys.setswitchinterval(1e-4)  # threads meet more often
    for kind in options.kinds or KINDS:
        start = time.perf_counter()
        run(kind, options.rounds, options.threads)
        took = time.perf_counter() - start
        print(f"{kind}: {options.rounds} rounds of {options.threads} threads, {took:.0f} s", flush=True)


if __name__ == "__main__":
    main()
