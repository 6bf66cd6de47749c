"""A .dagir file with an op and a layer of a user's own, which the tool is given as a Python file."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

OWN = '''
from dataclasses import dataclass

import numpy as np

import dagir
from dagir_numpy.rules import rules as numpy_rules
from dagir_onnx.rules import rules as onnx_rules


@dagir.register_op("mine")
@dataclass(frozen=True)
class Shrunk(dagir.Op):
    """x: f[*s] -> f[*s]; x moved towards zero."""

    bound: float = 0.5

    def infer(self, x):
        return (x,)


@numpy_rules.rule(Shrunk)
def shrunk(op, x):
    return np.sign(x) * np.maximum(np.abs(x) - op.bound, 0)


@onnx_rules.rule(Shrunk)
def shrunk_onnx(op, emit, x):
    return emit("Shrink", x, bias=op.bound, lambd=op.bound)


class Halved(dagir.Layer):
    def call(self, x):
        return dagir.apply(Shrunk(0.25), x) / 2.0
'''
MAKE = """
import dagir, own
x = dagir.Input((4,), name="x")
y = dagir.layers.Dense(3, name="head")(own.Halved(name="halved")(dagir.apply(own.Shrunk(0.1), x)))
dagir.Model(x, y, name="net").save("net.dagir")
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Written by another process: in this one the op is not registered before the tool does it."""
    made = tmp_path_factory.mktemp("own")
    (made / "own.py").write_text(OWN)
    (made / "make.py").write_text(MAKE)
    subprocess.run([sys.executable, "make.py"], cwd=made, check=True, timeout=300)
    return made


def test_ops_of_ones_own_need_their_file(folder, called):
    source, own = folder / "net.dagir", folder / "own.py"
    code, _, err = called("inspect", source)
    assert code == 5 and "mine>Shrunk" in err and "--custom" in err
    code, out, err = called(source, folder / "net.onnx", "--custom", own, "--json")
    assert code == 0 and json.loads(out)["ok"] and "own.py, which is code" in err
    for arguments in (
        ("inspect", source),
        ("verify", source, folder / "net.onnx"),
        ("verify", folder / "net.onnx", source),
        ("verify", source, source),
        ("diff", source, source),
        ("extract", source, folder / "part.onnx", "--outputs", "halved"),
        ("sensitivity", source),
    ):
        code, _, err = called(*arguments, "--custom", own)
        assert code == 0, (arguments, err)
    assert called("verify", folder / "net.onnx")[0] == 0  # the file holds all that it computes


def test_what_holds_all_needs_no_file(folder, called):
    called(folder / "net.dagir", folder / "net.onnx", "--custom", folder / "own.py", "--force")
    code, _, err = called("inspect", folder / "net.onnx", "--custom", folder / "own.py")
    assert code == 2 and "leave it out" in err
