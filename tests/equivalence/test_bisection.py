"""Bisection: the first node that is wrong, in few runs, on every backend; and the part that shows it alone."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.equivalence.bisection import bisect
from dagir.equivalence.oracle import Oracle
from dagir.runtime.probes import points_after, points_of
from dagir_numpy.rules import rules
from guide import toy_resnet


def spoiled(model, name, backend="onnx", how=lambda array: array * np.float32(1.001), **options):
    """A lowered model with one weight changed; the model keeps its own."""
    parameter = next(p for p in model.graph.parameters if p.name == name)
    kept = parameter.array
    parameter.assign(how(kept))
    try:
        exe = dagir.lower(model, backend, **options)
        exe.points()
        _ = getattr(exe, "session", None), exe.artifact
    finally:
        parameter.assign(kept)
    return exe


def chain(length):
    x = inputs = dagir.Input((16,), name="x")
    for place in range(length):
        x = layers.Dense(16, activation="tanh", name=f"dense_{place}")(x) + x * 0.5
    return dagir.Model(inputs, x)


@pytest.mark.parametrize("place", [0, 41, 99, 124])
def test_a_fault_in_a_model_of_500_nodes_is_found_in_under_twelve_runs(place):
    model = chain(125)
    assert len(model.graph.nodes) == 500
    report = dagir.verify(model, {"faulty": spoiled(model, f"dense_{place}/kernel")})
    assert not report.ok
    found = report.first_divergence
    assert (found.node, found.layer) == (f"dense_{place}/Gemm", f"dense_{place}")
    assert found.runs < 12
    assert json.loads(report.to_json())["first_divergence"]["layer"] == f"dense_{place}"
    assert f"dense_{place}/Gemm" in str(report)


def steps(**options):
    """Convolutions with a norm that is folded, over a time axis of unknown size, in a nested model."""
    x = dagir.Input(("time", 3), name="x")
    y = layers.Conv1D(4, 3, padding="same", name="first")(x)
    y = layers.BatchNormalization(name="norm")(y)
    inner = dagir.Model(x, layers.Conv1D(5, 3, activation="tanh", name="second")(y), name="inner")
    outer = dagir.Input(("time", 3), name="outer")
    model = dagir.Model(outer, layers.Dense(2, name="last")(ops.mean(inner(outer), 1)))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    return model


@pytest.mark.parametrize("weight", ["first/kernel", "norm/gamma", "second/bias", "last/kernel"])
def test_folded_moved_and_nested_nodes_are_found_at_dynamic_sizes(weight):
    model = steps()
    weights = {p.name: p for p in model.weights}
    kept = weights[weight].array
    weights[weight].assign(kept * 1.01)
    exe = dagir.lower(model, "onnx")
    _ = exe.session, exe.artifact  # read the weights
    weights[weight].assign(kept)
    found = dagir.verify(model, {"faulty": exe}).first_divergence
    layer = weight.split("/", maxsplit=1)[0]
    assert any(name.endswith(layer) for name in (found.layer, *found.also)), found


def test_every_value_that_survives_the_passes_is_what_it_was():
    model = steps()
    exe, right = dagir.lower(model, "onnx"), dagir.lower(model, "numpy", precision="float64")
    names = list(exe.points())
    assert len(names) >= 5
    for time in (4, 9):
        array = np.random.default_rng(time).normal(size=(2, time, 3)).astype("float32")
        for got, want in zip(exe.observe([array], names), right.observe([array], names), strict=True):
            np.testing.assert_allclose(got, want, rtol=1e-4, atol=1e-5)


def test_points_follow_the_layout_pass_and_the_folds():
    points = points_of(toy_resnet.model())
    _, standings = points_after(points)
    assert len(standings) >= len(points.values) - 2
    assert {standing.axes for standing in standings.values()} == {None, (0, 2, 3, 1)}


def test_a_wrong_rule_of_the_interpreter_is_found(monkeypatch):
    right = rules[ops.Tanh]
    monkeypatch.setitem(rules._rules, ops.Tanh, lambda op, x: right(op, x) * (1.001 if x.dtype == "float32" else 1))
    report = dagir.verify(chain(3), ("numpy",))
    assert report.first_divergence.layer == "dense_0"
    assert report.first_divergence.op == "Tanh"


def test_a_wrong_layer_of_keras_is_found():
    model = chain(4)
    found = dagir.verify(model, {"faulty": spoiled(model, "dense_2/kernel", "keras")}).first_divergence
    assert (found.node, found.layer) == ("dense_2", "dense_2")


def test_a_fault_that_a_later_node_hides_from_one_path_is_found_on_the_other():
    x = dagir.Input((8,), name="x")
    y = layers.Dense(8, name="wrong")(x)
    model = dagir.Model(x, ops.relu(ops.sign(y)) + layers.Dense(8, name="other")(y))
    found = dagir.verify(model, {"faulty": spoiled(model, "wrong/kernel")}).first_divergence
    assert found.layer == "wrong"


def test_nothing_is_found_where_nothing_is_wrong():
    model = chain(3)
    oracle = Oracle(model, 6)
    arrays = [np.ones((2, 16), "float32")]
    exe = dagir.lower(model, "onnx")
    assert bisect("onnx", exe, oracle, arrays, oracle.inside(arrays, np.random.default_rng(0)), [0]) is None
    report = dagir.verify(model, {"onnx": exe})
    with pytest.raises(dagir.ArgumentError, match="no first divergence"):
        report.write_reproduction("nowhere")


@pytest.mark.parametrize("build", [lambda: (chain(20), "dense_11"), lambda: (toy_resnet.model(), "conv2d_3")])
def test_the_smallest_part_shows_the_fault_alone(build, tmp_path):
    model, layer = build()
    report = dagir.verify(model, {"faulty": spoiled(model, f"{layer}/kernel")})
    folder = report.write_reproduction(tmp_path / "found")
    assert sorted(path.name for path in folder.iterdir()) == [
        "inputs.npz", "model.dagir", "model.onnx", "reproduce.py", "versions.json",
    ]  # fmt: skip
    facts = json.loads((folder / "versions.json").read_text())
    assert facts["shown_by_this_part_alone"]
    assert facts["layer"] == layer
    assert len(dagir.load(folder / "model.dagir").graph.nodes) <= 2
    lines = (folder / "reproduce.py").read_text().strip().splitlines()
    assert len(lines) <= 12
    out = subprocess.run([sys.executable, "reproduce.py"], cwd=folder, capture_output=True, text=True, check=True)
    assert float(out.stdout.split()[-1]) > 1e-5


def test_a_fault_in_and_after_a_bidirectional_that_became_one_node_is_named():
    x = dagir.Input(("time", 3), name="x")
    both = layers.Bidirectional(layers.LSTM(4, return_sequences=True), name="both")(x)
    model = dagir.Model(x, layers.Dense(2, activation="tanh", name="last")(both))
    weights = {parameter.name.split("/")[0]: parameter.name for parameter in model.graph.parameters[::-1]}
    for layer in ("both", "last"):
        report = dagir.verify(model, {"faulty": spoiled(model, weights[layer])})
        assert report.first_divergence.layer.split("/")[0] == layer


def test_values_that_became_one_are_all_points():
    """Masking computes its mask for its output, and once more for the layers after it."""
    x = dagir.Input(("time", 3), name="x")
    model = dagir.Model(x, layers.LSTM(4)(layers.Masking(name="masking")(x)))
    titles = dagir.lower(model, "onnx").points()
    twice = [name for name in points_of(model).values if name.startswith("masking/reduce_any")]
    assert len(twice) == 2
    assert len({titles[name] for name in twice}) == 1
