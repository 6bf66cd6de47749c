"""Bisection within branches and loops: a fault in a body is named there, with its path and iteration."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest
from typer.testing import CliRunner

import dagir
from dagir import layers, ops
from dagir.ops.call import parameters_of
from dagir_convert.command_line import app
from dagir_numpy.rules import rules

BACKENDS = ("numpy", "onnx", "keras")
SLIGHTLY = np.float32(1.001)


def spoiled(model, name, backend):
    """A lowered model with one weight changed; the model keeps its own."""
    parameter = next(weight for weight in parameters_of(model.graph) if weight.name.endswith(name))
    kept = parameter.array
    parameter.assign(kept * SLIGHTLY)
    try:
        exe = dagir.lower(model, backend)
        exe.points()
        _ = getattr(exe, "session", None), exe.artifact
    finally:
        parameter.assign(kept)
    return exe


def built(*names):
    rng = np.random.default_rng(0)
    found = []
    for name in names:
        layer = layers.Dense(4, name=name)
        layer.build((None, 4))
        layer.set_weights([rng.normal(0, 0.6, (4, 4)).astype("float32"), rng.normal(size=4).astype("float32")])
        found.append(layer)
    return found


def of_a_branch():
    x, (a, b) = dagir.Input((4,), name="x"), built("a", "b")
    y = ops.tanh(x)
    return dagir.Model(x, ops.cond(ops.sum(y * 0.0) > -1.0, lambda: ops.sin(b(ops.sin(a(y)))), lambda: y) + 1.0)


def of_a_late_iteration():
    """The layers are used in iteration 3 alone."""
    x, (a, b) = dagir.Input((4,), name="x"), built("a", "b")

    def step(i, v):
        return ops.tanh(ops.cond(ops.equal(i, 3), lambda: b(ops.sin(a(v))), lambda: v * 0.9))

    return dagir.Model(x, ops.fori_loop(0, 6, step, x) * 2.0)


def of_a_tested_loop():
    x, (a, b) = dagir.Input((4,), name="x"), built("a", "b")
    y, _ = ops.while_loop(lambda v, n: n < 3, lambda v, n: (ops.tanh(b(ops.sin(a(v)))), n + 1), (x, 0))
    return dagir.Model(x, y)


class Cell(dagir.Layer):
    """A cell whose states begin with zero, so that the kernel of `b` is of no account in the first step."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.state_size = self.output_size = 4
        self.a, self.b = built("a", "b")

    def call(self, inputs, states):
        new = ops.tanh(self.a(inputs) + self.b(states[0]))
        return new, [new]


def of_a_scan():
    """Over a time axis of unknown size."""
    x = dagir.Input(("time", 4), name="x")
    return dagir.Model(x, layers.RNN(Cell(name="cell"), return_sequences=True, name="rnn")(x))


def of_bodies_in_bodies():
    x, (a, b) = dagir.Input(batch_shape=("time", 2, 4), name="x"), built("a", "b")

    def step(carry, row):
        new = ops.fori_loop(0, 2, lambda i, v: ops.tanh(a(v)) + row, carry)
        return new, ops.cond(ops.sum(new * 0.0) > 1.0, lambda: new, lambda: b(new))

    return dagir.Model(x, ops.scan(step, x[0] * 0.0, x)[1])


CASES = {
    "branch, first": (of_a_branch, "a/kernel", "then_branch", [None]),
    "branch, second": (of_a_branch, "b/bias", "then_branch", [None]),
    "late iteration": (of_a_late_iteration, "a/kernel", "body then_branch", [3, None]),
    "late iteration, second": (of_a_late_iteration, "b/kernel", "body then_branch", [3, None]),
    "tested loop": (of_a_tested_loop, "b/kernel", "body", [0]),
    "scan": (of_a_scan, "a/kernel", "body", [0]),
    "scan, state": (of_a_scan, "b/kernel", "body", [1]),
    "loop in loop": (of_bodies_in_bodies, "a/kernel", "body body", [0, 1]),
    "branch in loop": (of_bodies_in_bodies, "b/kernel", "body else_branch", [0, None]),
}


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("case", CASES)
def test_a_weight_that_is_off_in_a_body_is_named_there(case, backend, tmp_path):
    build, weight, fields, iterations = CASES[case]
    model, layer = build(), weight.split("/")[0]
    report = dagir.verify(model, {"faulty": spoiled(model, weight, backend)})
    found = report.first_divergence
    assert found is not None, report
    assert found.layer.split("/")[-1] == layer
    assert [run.field for run in found.inside] == fields.split()
    assert [run.iteration for run in found.inside] == iterations
    assert found.path in str(report) and found.path.endswith(found.point)
    record = json.loads(report.to_json())["first_divergence"]
    assert record["path"] == found.path and [run["iteration"] for run in record["inside"]] == iterations
    folder = report.write_reproduction(tmp_path / "found")
    assert json.loads((folder / "versions.json").read_text())["shown_by_this_part_alone"]
    (node,) = dagir.load(folder / "model.dagir").graph.nodes
    assert type(node.op).__name__ == "Linear"
    if backend == "keras":  # which takes seconds to start
        return
    out = subprocess.run([sys.executable, "reproduce.py"], cwd=folder, capture_output=True, text=True, check=True)
    assert float(out.stdout.split()[-1]) > 1e-6


def test_the_page_names_the_body(tmp_path):
    model = of_a_late_iteration()
    report = dagir.verify(model, {"faulty": spoiled(model, "a/kernel", "onnx")})
    page = report.write_html(tmp_path / "page.html").read_text()
    assert "loop/body/if/then_branch/a/linear (iteration 3 of loop)" in page


def test_a_rule_that_is_wrong_in_a_body_is_named_there(monkeypatch):
    """The op of the interpreter, in the precision that is tested."""
    right = rules[ops.Sin]
    monkeypatch.setitem(rules._rules, ops.Sin, lambda op, x: right(op, x) * (1.001 if x.dtype == "float32" else 1))
    found = dagir.verify(of_a_late_iteration(), ("numpy",)).first_divergence
    assert (found.op, found.path) == ("Sin", "loop/body/if/then_branch/sin")


def test_another_op_in_a_body_is_named_in_a_file(tmp_path):
    def build(function):
        x, (a, b) = dagir.Input((4,), name="x"), built("a", "b")
        return dagir.Model(x, ops.fori_loop(0, 3, lambda i, v: ops.tanh(b(function(a(v)))) * 0.5, x))

    dagir.to_onnx(build(lambda v: ops.relu(v) * 1.001), tmp_path / "other.onnx")
    report = dagir.verify(build(ops.relu), str(tmp_path / "other.onnx"))
    found = report.first_divergence
    assert found.path.startswith("loop/body/") and found.inside[0].iteration == 0
    folder = report.write_reproduction(tmp_path / "found")
    assert json.loads((folder / "versions.json").read_text())["shown_by_this_part_alone"]


@pytest.mark.parametrize("suffix", ["onnx", "keras"])
def test_two_files(tmp_path, suffix):
    """The first is read; the second has a weight that is off: of a layer before the loop, of a cell inside."""
    cases = [(of_a_late_iteration, "a_kernel/embedding", None), (of_a_scan, "rnn/scan", "body")]
    for number, (build, first_point, field) in enumerate(cases):
        model, first = build(), tmp_path / f"{number}.keras"
        dagir.lower(model, "keras").save(first)
        read = dagir.from_keras(first)
        assert dagir.verify(read, str(first)).ok
        name = next(
            weight.name
            for weight in parameters_of(read.graph)
            if weight.name in ("a_kernel", "a/kernel", "a_kernel/embeddings")
        )
        other = spoiled(read, name, "onnx") if suffix == "onnx" else spoiled(model, "a/kernel", "keras")
        other.save(tmp_path / f"{number}.other.{suffix}")
        command = [str(first), str(tmp_path / f"{number}.other.{suffix}"), "--json"]
        result = CliRunner().invoke(app, ["verify", *command])
        found = json.loads(result.stdout)["first_divergence"]
        assert result.exit_code and found["path"].startswith(first_point), found
        if field is not None:
            assert found["inside"][-1]["body"] == field and found["path"].endswith("a/linear")


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_loop_that_runs_no_time_hides_what_is_wrong_in_its_body(backend):
    count, x = dagir.Input(batch_shape=(), dtype="int32", name="n"), dagir.Input((4,), name="x")
    a, b = built("a", "b")
    model = dagir.Model([count, x], b(ops.fori_loop(0, count, lambda i, v: ops.tanh(a(v)), x)))
    feeds, wrong = [np.int32(0), np.ones((2, 4), "float32")], spoiled(model, "b/bias", backend)
    assert dagir.verify(model, {"faulty": spoiled(model, "a/kernel", backend)}, feeds).ok
    found = dagir.verify(model, {"faulty": wrong}, feeds).first_divergence
    assert found.layer == "b" and not found.inside


def test_the_run_that_shows_the_sizes_of_what_a_loop_stacks_is_no_iteration():
    x, (a, b) = dagir.Input(batch_shape=("time", 2, 4), name="x"), built("a", "b")
    carry, ys = ops.scan(lambda c, r: (ops.tanh(a(c)), c), ops.zeros((2, 4)), x)
    model = dagir.Model(x, [b(carry), ys])
    exe = spoiled(model, "a/kernel", "numpy")
    assert dagir.verify(model, {"faulty": exe}, sizes={"time": 0}).ok
    found = dagir.verify(model, {"faulty": exe}, sizes={"time": 2}).first_divergence
    assert found.path == "scan_1/body/a/linear" and found.inside[0].iteration == 1
