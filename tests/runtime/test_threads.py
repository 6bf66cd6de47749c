"""Executables, and all that makes them, from several threads at once: in a process of its own, for a crash ends it."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Barrier

import numpy as np
import pytest

import dagir
from dagir import layers

BENCH = Path(__file__).parents[2] / "tools" / "bench" / "threads.py"
FIRST = """
import faulthandler; faulthandler.enable()
from concurrent.futures import ThreadPoolExecutor
import dagir
x = dagir.Input((3,))
model = dagir.Model(x, dagir.layers.Dense(2)(x))
with ThreadPoolExecutor(8) as pool:
    found = list(pool.map(lambda name: dagir.lower(model, name)([[1.0, 2.0, 3.0]]), ["onnx", "keras", "numpy"] * 4))
assert all(abs(each - found[0]).max() < 1e-5 for each in found)
"""


def child(*arguments):
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("kind", ["numpy", "onnx", "keras", "build", "read", "verify"])
def test_threads_meet(kind):
    found = child(str(BENCH), kind, "--rounds", "1" if kind == "verify" else "4", "--threads", "8")
    assert found.returncode == 0, found.stderr


def test_the_first_calls_of_a_process():
    """Backends are imported by the threads, all at once."""
    found = child("-c", FIRST)
    assert found.returncode == 0, found.stderr


def together(work, count=16):
    start = Barrier(count)

    def run(place):
        start.wait()
        return work(place)

    with ThreadPoolExecutor(count) as pool:
        return list(pool.map(run, range(count)))


def test_a_layer_is_built_once_and_a_weight_has_one_set_of_numbers():
    for _ in range(20):
        shared, x = layers.Dense(3), dagir.Input((4,))
        calls = together(lambda _, shared=shared, x=x: shared(x))
        assert len(calls) == 16
        assert len(shared.weights) == 2
        first, *others = together(lambda _, shared=shared: shared.weights[0].array)
        assert all(other is first for other in others)


def test_names_are_given_once():
    names = together(lambda _: [layers.ReLU().name for _ in range(200)])
    flat = [name for each in names for name in each]
    assert len(set(flat)) == len(flat)


def test_a_session_outlives_its_executable():
    """It reads the memory of the weights, which goes with the last that holds it."""
    x = dagir.Input((64,))
    model = dagir.Model(x, layers.Dense(2000)(x))
    rows = np.ones((1, 64), np.float32)
    wanted = dagir.lower(model, "numpy")(rows)
    session = dagir.lower(model, "onnx").session
    del model
    junk = [np.full((64, 2000), 7.0, np.float32) for _ in range(20)]
    (found,) = session.run(None, {session.get_inputs()[0].name: rows})
    assert junk[0][0, 0] == 7
    np.testing.assert_allclose(found, wanted, rtol=1e-4, atol=1e-5)
