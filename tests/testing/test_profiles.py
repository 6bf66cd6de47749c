"""What is drawn hangs on the test alone: on no earlier run, no other test, and no luck, but for the profile `deep`."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).resolve().parent.parent

DRAWN = """
import sys
import conftest
if "ours" in sys.argv:
    import ours
from hypothesis import given, strategies as st
drawn = []

@given(st.integers(), st.floats(), st.randoms(use_true_random=False))
def draw(number, other, generator):
    drawn.append((number, other, generator.random()))

draw()
print(ascii(drawn))
"""


def drawn(folder, *arguments, profile=None, seed="0"):
    """What 400 examples are, in a process and a folder of their own."""
    folder.mkdir()
    (folder / "ours.py").write_text(f"NUMBERS = {[7919 + place for place in range(500)]}\n")
    (folder / "draw.py").write_text(DRAWN)
    kept = {name: value for name, value in os.environ.items() if name not in ("CI", "HYPOTHESIS_PROFILE")}
    more = {"DAGIR_EXAMPLES": "400", "PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join([str(TESTS), str(folder)])}
    env = kept | more | ({"HYPOTHESIS_PROFILE": profile} if profile else {})
    command = [sys.executable, "draw.py", *arguments]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_examples_are_the_same_wherever_and_whatever_is_loaded(tmp_path):
    first = drawn(tmp_path / "first")
    assert first.count("), (") >= 300
    assert drawn(tmp_path / "second", "ours", seed="1") == first
    assert drawn(tmp_path / "third", profile="dev") == drawn(tmp_path / "fourth", profile="dev")
    assert not (tmp_path / "first" / ".hypothesis" / "examples").exists()


def test_deep_draws_others_every_time(tmp_path):
    assert drawn(tmp_path / "first", profile="deep") != drawn(tmp_path / "second", profile="deep")


def test_initial_weights_are_those_of_the_test_and_not_of_the_tests_before_it(tmp_path):
    (tmp_path / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    (tmp_path / "test_it.py").write_text("""
import pytest, dagir
from hypothesis import given, strategies as st
from dagir import layers

def kernel():
    x = dagir.Input((4,))
    return dagir.Model(x, layers.Dense(3)(x)).weights[0].array.tolist()

FOUND = []

@pytest.mark.parametrize("time", [1, 2])
def test_alone(time):
    FOUND.append(kernel())
    assert FOUND[0] == FOUND[-1]

DRAWN = []

@given(st.integers())
def test_drawn(number):
    DRAWN.append(kernel())
    assert DRAWN[0] == DRAWN[-1]
""")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py"]
    kept = {name: value for name, value in os.environ.items() if name != "HYPOTHESIS_PROFILE"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, env=kept)
    assert done.returncode == 0, done.stdout + done.stderr
