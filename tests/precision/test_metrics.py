"""The user's own metric on labelled samples: what a narrow file may lose of it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest

import dagir
from dagir import layers


@pytest.fixture(scope="module")
def classes():
    """A network, samples, and labels that are right for nine in ten of them."""
    x = dagir.Input((6,), name="x")
    model = dagir.Model(x, layers.Dense(4, activation="softmax", name="y")(layers.Dense(8, activation="relu")(x)))
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.normal(size=weight.shape).astype("float32"))
    samples = rng.normal(size=(40, 6)).astype("float32")
    labels = dagir.lower(model)(samples).argmax(-1)
    labels[::10] = (labels[::10] + 1) % 4
    return model, samples, labels


def test_accuracy_is_counted_and_held(classes):
    model, samples, labels = classes
    report = dagir.verify(model, "onnx", samples, metric=dagir.Metric("accuracy", labels))
    assert report.ok and report.scores["onnx"].model == report.scores["onnx"].found == 0.9
    assert "accuracy 0.9000" in str(report) and report.to_dict()["scores"]["onnx"]["ok"]
    other = dagir.Model(model.inputs[0], 1 - model.outputs[0])
    loose = dagir.Thresholds(cosine=-1.0)
    wrong = dagir.verify(model, {"b": other}, samples, thresholds=loose, metric=dagir.Metric("accuracy", labels, 0.1))
    assert not wrong.ok and all(row.ok for row in wrong.rows)
    with pytest.raises(dagir.VerificationError, match="the metric is lower than allowed"):
        wrong.require()
    mean = dagir.Metric(lambda labels, output: float(output[np.arange(len(labels)), labels].mean()), labels)
    assert 0 < dagir.verify(model, "numpy", samples, metric=mean).scores["numpy"].found < 1


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        (np.zeros(39, int), "there are 39 labels, and the output has 40 rows"),
        (np.array(["a"] * 40), "the labels are numbers"),
        (np.full(40, 0.5), "whole numbers"),
        (np.zeros((40, 3), int), "the labels have shape"),
        ([[1], [1, 2]], "different lengths"),
    ],
)
def test_labels_that_do_not_fit_are_one_error(classes, labels, told):
    model, samples, _ = classes
    with pytest.raises(dagir.ArgumentError, match=told):
        dagir.verify(model, "numpy", samples, metric=dagir.Metric("accuracy", labels))


def test_labels_that_are_not_there_are_one_error(classes):
    model, samples, _ = classes
    with pytest.raises(dagir.FileError, match=r"labels: there is no file nowhere\.npy"):
        dagir.verify(model, "numpy", samples, metric=dagir.Metric("accuracy", "nowhere.npy"))


def test_what_is_asked_for_is_checked(classes, tmp_path):
    model, _, labels = classes
    with pytest.raises(dagir.ArgumentError, match="there is no metric 'accurracy'"):
        dagir.Metric("accurracy", labels)
    with pytest.raises(dagir.ArgumentError, match="max_drop"):
        dagir.Metric("accuracy", labels, -1)
    with pytest.raises(dagir.ArgumentError, match="of given samples"):
        dagir.verify(model, "numpy", metric=dagir.Metric("accuracy", labels))
    with pytest.raises(dagir.ArgumentError, match="of low precision that is verified"):
        dagir.to_onnx(model, tmp_path / "m.onnx", metric=dagir.Metric("accuracy", labels))


def test_the_certificate_holds_what_was_measured(classes, tmp_path):
    model, samples, labels = classes
    path, how = tmp_path / "m.onnx", {"precision": "float16", "calibrate": samples, "verify": True}
    dagir.to_onnx(model, path, metric=dagir.Metric("accuracy", labels, 0.02), **how)
    measured = dagir.verified(path).measured
    assert measured["score"]["model"] == 0.9 and measured["closeness"][0]["cosine"] > 0.999
    proto = onnx.load(path)
    entry = [each for each in proto.metadata_props if each.key == "dagir.certificate"][-1]
    data = json.loads(entry.value)
    data["measured"]["facts"]["score"]["found"] = 0.99
    entry.value = json.dumps(data)
    onnx.save(proto, tmp_path / "edited.onnx")
    with pytest.raises(dagir.FileError, match="tells other numbers"):
        dagir.verified(tmp_path / "edited.onnx")
    never = dagir.Metric(lambda labels, output: -float(output.dtype == np.float32), labels)
    with pytest.raises(dagir.VerificationError, match="lower than allowed"):
        dagir.to_onnx(model, tmp_path / "none.onnx", metric=never, **how)
    assert not (tmp_path / "none.onnx").exists()


def test_the_tool_takes_a_metric(classes, tmp_path):
    model, samples, labels = classes
    model.save(tmp_path / "m.dagir")
    np.savez(tmp_path / "x.npz", x=samples)
    np.save(tmp_path / "y.npy", labels)
    np.save(tmp_path / "short.npy", labels[:3])

    def run(*arguments):
        tool = Path(sys.executable).with_name("dagir-convert")
        command = [tool, *map(str, arguments), "--metric", "accuracy", "--json"]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=False, cwd=tmp_path)

    made = run("m.dagir", "m.onnx", "--precision", "float16", "--calibrate", "x.npz", "--labels", "y.npy")
    assert made.returncode == 0, made.stderr
    assert json.loads(made.stdout)["measured"]["score"]["model"] == 0.9
    told = run("verify", "m.dagir", "m.onnx", "--inputs", "x.npz", "--labels", "y.npy", "--max-drop", "0.005")
    assert told.returncode == 0 and json.loads(told.stdout)["scores"]["m.onnx"]["ok"]
    wrong = run("verify", "m.dagir", "m.onnx", "--inputs", "x.npz", "--labels", "short.npy")
    assert wrong.returncode == 2 and "there are 3 labels" in wrong.stderr
