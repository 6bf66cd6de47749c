"""What others' tests use: strategies of ops, graphs and models, assert_equivalent, the pytest plugin."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.metadata import entry_points

import numpy as np
import pytest
from hypothesis import find, given, settings

import dagir
from dagir import layers, testing
from dagir.ir.graph import Graph


@given(testing.models())
def test_drawn_models_agree_within_their_budget(model):
    testing.assert_equivalent(model, backends=("numpy", "onnx"))


@given(testing.graphs(max_steps=4))
def test_drawn_graphs_are_sound(graph):
    assert isinstance(graph, Graph)
    assert dagir.check(graph) is graph


@given(testing.ops())
def test_drawn_ops_make_graphs_with_feeds(case):
    graph, feeds = case.graph()
    assert len(graph.inputs) == len(feeds)


def test_ops_of_chosen_kinds():
    case = find(testing.ops(dagir.ops.Relu), lambda case: True)
    assert type(case.op) is dagir.ops.Relu


@pytest.mark.parametrize("kind", ["LSTM", "MultiHeadAttention", "Bidirectional", "Masking", "Functional"])
def test_models_hold_what_they_promise(kind):
    names = {"Functional": dagir.Model}
    wanted = names.get(kind) or getattr(layers, kind)
    quick = settings(max_examples=3000, database=None, deadline=None)
    model = find(testing.models(), lambda m: any(isinstance(layer, wanted) for layer in m.layers), settings=quick)
    assert len(model.layers) <= 4, "it shrinks to little more than that layer"


def test_the_assertion_names_the_node():
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(3, name="head")(x))
    kept = model.weights[0].array
    model.weights[0].assign(kept * 1.01)
    wrong = dagir.lower(model, "onnx")
    _ = wrong.session, wrong.artifact
    model.weights[0].assign(kept)
    with pytest.raises(AssertionError, match="head/Gemm"):
        testing.assert_equivalent(model, backends={"wrong": wrong})
    testing.assert_equivalent(model, [np.ones((2, 4), "float32")], backends=("numpy", "onnx"))


def test_the_plugin_keeps_reports(tmp_path):
    (tmp_path / "test_it.py").write_text("""
import dagir
from dagir import layers

def model():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3)(x))

def test_right():
    assert dagir.verify(model(), ("numpy",)).ok

def test_wrong():
    assert not dagir.verify(model(), {"other": dagir.lower(model(), "numpy")}).ok
""")
    installed = any(entry.value == "dagir.pytest_plugin" for entry in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "dagir.pytest_plugin"]
    command = [sys.executable, "-m", "pytest", "-q", *plugin, "--dagir-report", "kept", "test_it.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "dagir: 2 reports in kept, 1 not ok" in done.stdout
    summary = {entry["test"]: entry for entry in json.loads((tmp_path / "kept" / "summary.json").read_text())}
    assert {test: entry["ok"] for test, entry in summary.items()} == {
        "test_it.py::test_right": True,
        "test_it.py::test_wrong": False,
    }
    assert (tmp_path / "kept" / summary["test_it.py::test_wrong"]["page"]).read_text().startswith("<!doctype html>")


def test_small_answers_are_judged_by_their_own_size():
    x = dagir.Input((4,), name="x")
    tiny, zero = dagir.Model(x, x * 1e-8), dagir.Model(x, x * 0.0)
    with pytest.raises(AssertionError, match="rounding"):
        testing.assert_equivalent(tiny, [np.ones((2, 4), "float32")], {"zero": dagir.lower(zero, "numpy")})
    cancelling = dagir.Model(x, (x + 1) - x - 1)
    feed = np.random.default_rng(0).normal(size=(2, 4)).astype("float32")
    testing.assert_equivalent(cancelling, [feed], ("numpy", "onnx"))


@pytest.mark.parametrize("rows", [1, 2])
def test_feeds_are_what_an_executable_takes(rows):
    x = dagir.Input((4,), name="x")
    model, feed = dagir.Model(x, layers.Dense(3)(x)), np.ones((rows, 4), "float32")
    for feeds in (feed, [feed], (feed,), {"x": feed}):
        testing.assert_equivalent(model, feeds, ("numpy", "onnx"))
