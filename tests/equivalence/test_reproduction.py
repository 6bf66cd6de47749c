"""The folder that a report writes holds both sides: its script shows the fault, whatever the other side is."""

from __future__ import annotations

import json
import subprocess
import sys

import numpy as np
import onnx
import pytest

import dagir
from dagir import layers, ops
from dagir_numpy.rules import rules


def net(spoil=0.0, **options):
    """Two branches over a time axis, the first of whose kernels may be off."""
    dagir.clear_session()
    x = dagir.Input(("time", 6), name="x")
    y = layers.Conv1D(5, 3, strides=2, activation="tanh", name="first")(x)
    z = layers.Dense(4, name="second")(y)
    z = layers.LSTM(3, name="memory")(z)
    model = dagir.Model(x, layers.Dense(2, activation="softmax", name="last")(z), **options)
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.4, weight.shape))
    kernel = next(weight for weight in model.weights if weight.name == "second/kernel")
    kernel.assign(kernel.array + np.float32(spoil))
    return model


def two_outputs(spoil=0.0):
    """A model whose second output alone may be off, from inputs of awkward names."""
    dagir.clear_session()
    x, y = dagir.Input((4,), name="file"), dagir.Input((4,), dtype="bfloat16", name="path")
    first = layers.Dense(3, name="first")(x)
    second = layers.Dense(2, name="second")(ops.cast(y, "float32"))
    model = dagir.Model({"file": x, "path": y}, {"a": first, "b": second})
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape))
    kernel = next(weight for weight in model.weights if weight.name == "second/kernel")
    kernel.assign(kernel.array + np.float32(spoil))
    return model


class Blind(dagir.Executable):
    """An executable of someone else's: it cannot be watched, cut or written."""

    def __init__(self, exe):
        super().__init__(exe._graph, exe.signature)
        self.exe = exe

    def _run(self, arrays):
        return dagir.ir.nest.flatten(self.exe(list(arrays)))


class Off(Blind):
    """The same, and all wrong."""

    def _run(self, arrays):
        return [array + 1 for array in super()._run(arrays)]


def shown(report, folder):
    """What the script says: the largest difference."""
    assert not report.ok
    report.write_reproduction(folder)
    out = subprocess.run([sys.executable, "reproduce.py"], cwd=folder, capture_output=True, text=True, check=False)
    assert out.returncode == 0, out.stderr
    return float(out.stdout.split()[-1])


def facts(folder):
    return json.loads((folder / "versions.json").read_text())


@pytest.mark.parametrize("build", [net, two_outputs])
@pytest.mark.parametrize("backend", ["numpy", "onnx", "keras"])
def test_another_model_is_shown_by_its_own_part(backend, build, tmp_path):
    model, other = build(), build(0.05)
    report = dagir.verify(model, {"other": dagir.lower(other, backend)})
    for one, another in zip(model.weights, other.weights, strict=True):  # what was compared is what is written
        one.assign(another.array)
    assert shown(report, tmp_path) > 1e-4
    if backend == "onnx" and build is two_outputs:
        return  # onnxruntime shows NumPy no bfloat16, so nothing is watched
    assert facts(tmp_path)["shown_by_this_part_alone"]
    assert report.first_divergence.layer == "second"
    assert len(dagir.load(tmp_path / "model.dagir").graph.nodes) <= 2


def test_another_model_under_other_names_is_shown(tmp_path):
    dagir.clear_session()
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(3, name="right")(x))
    y = dagir.Input(("n", 4)[1:], name="y")
    other = dagir.Model(y, layers.Dense(3, name="wrong")(y))
    report = dagir.verify(model, {"other": dagir.lower(other, "numpy")})
    assert report.first_divergence is None
    assert shown(report, tmp_path) > 1e-4
    assert not facts(tmp_path)["shown_by_this_part_alone"]


@pytest.mark.parametrize("build", [net, two_outputs])
def test_what_cannot_be_cut_is_written_whole(build, tmp_path):
    model, other = build(), build(0.05)
    dagir.to_keras(other).save(tmp_path / "other.keras")
    exe = dagir.backend("keras").open(tmp_path / "other.keras", model)
    exe.part = lambda *_: None
    assert shown(dagir.verify(model, {"other": exe}), tmp_path / "found") > 1e-4
    assert (tmp_path / "found" / "model.keras").exists()
    assert not facts(tmp_path / "found")["shown_by_this_part_alone"]


@pytest.mark.parametrize("build", [net, two_outputs])
def test_what_cannot_be_written_leaves_its_answer(build, tmp_path):
    model, other = build(), build(0.05)
    report = dagir.verify(model, {"other": Blind(dagir.lower(other, "numpy"))})
    assert report.first_divergence is None
    assert shown(report, tmp_path) > 1e-4
    assert (tmp_path / "found.npy").exists()


def test_a_file_with_weights_outside_is_written_with_them(tmp_path):
    model = net()
    path = dagir.to_onnx(net(0.05), tmp_path / "other.onnx", external_data=True)
    exe = dagir.backend("onnx").open(path, model)
    exe.part = lambda *_: None
    report = dagir.verify(model, {"other": exe})
    (tmp_path / "found").mkdir()
    found = shown(report, tmp_path / "found")
    assert found > 1e-4
    assert onnx.load(tmp_path / "found" / "model.onnx").graph.initializer


def test_a_mask_that_goes_along_with_a_tensor_of_keras_is_not_cut_off(tmp_path):
    def reader(spoil):
        dagir.clear_session()
        words = dagir.Input(("time",), dtype="int32", name="words")
        x = layers.LSTM(4, name="memory")(layers.Embedding(9, 4, mask_zero=True, name="table")(words))
        model = dagir.Model(words, layers.Dense(2, name="head")(x))
        for weight in model.weights:
            weight.assign(np.random.default_rng(len(weight.name)).normal(0, 0.5, weight.shape))
        kernel = next(weight for weight in model.weights if weight.name == "memory/lstm_cell/kernel")
        kernel.assign(kernel.array + np.float32(spoil))
        return model

    report = dagir.verify(reader(0.0), {"other": dagir.lower(reader(0.01), "keras")})
    found = report.first_divergence
    assert found.layer == "memory"
    assert shown(report, tmp_path) == pytest.approx(found.max_error, rel=0.3)


def test_a_part_that_is_wrong_in_its_own_way_is_not_taken_for_the_fault(tmp_path):
    exe = dagir.lower(net(0.05), "numpy")
    exe.part = lambda model, *_: Off(dagir.lower(model, "numpy"))
    report = dagir.verify(net(), {"other": exe})
    assert 1e-4 < shown(report, tmp_path) < 0.9
    assert not facts(tmp_path)["shown_by_this_part_alone"]


@pytest.mark.parametrize("kind", ["bool", "nan"])
def test_answers_that_have_no_difference_are_counted(kind, tmp_path):
    dagir.clear_session()
    x = dagir.Input((4,), name="x")

    def build(number):
        made = {"bool": ops.greater(x, number), "nan": x / number}
        return dagir.Model(x, made[kind])

    report = dagir.verify(
        build(0.0), {"other": dagir.lower(build(0.5), "numpy")}, np.linspace(-1, 1, 8, dtype="float32").reshape(2, 4)
    )
    assert shown(report, tmp_path) >= 1


def test_a_rule_of_the_interpreter_is_shown_where_it_is_wrong(monkeypatch, tmp_path):
    right = rules[ops.Tanh]
    monkeypatch.setitem(rules._rules, ops.Tanh, lambda op, x: right(op, x) * (1.001 if x.dtype == "float32" else 1))
    folder = dagir.verify(net(), "numpy").write_reproduction(tmp_path)
    assert facts(folder)["shown_by_this_part_alone"]


def test_two_files_without_an_oracle_have_no_reproduction(tmp_path):
    for name, spoil in (("a.onnx", 0.0), ("b.onnx", 0.05)):
        dagir.to_onnx(net(spoil), tmp_path / name)
    report = dagir.backend("onnx").compare(tmp_path / "a.onnx", tmp_path / "b.onnx")
    with pytest.raises(dagir.ArgumentError, match=r"of a model[\s\S]*\.keras"):
        report.write_reproduction(tmp_path / "found")
