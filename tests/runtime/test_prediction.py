"""predict picks the fastest backend that is installed, says which, and keeps what it ran until weights change."""

from __future__ import annotations

import gc
import re
import weakref
from dataclasses import dataclass

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.runtime import fastest, prediction
from dagir.support.extras import MissingExtra
from dagir_numpy.rules import rules as numpy_rules

X = np.random.default_rng(0).normal(size=(70, 4)).astype("float32")


@dagir.register_op("tests.runtime.prediction")
@dataclass(frozen=True)
class Odd(dagir.Op):
    """x: f[*s] -> f[*s]; a rule for NumPy alone."""

    def infer(self, x):
        return (x,)


@numpy_rules.rule(Odd)
def _odd(op, x):
    return -x


def network():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3, activation="tanh")(x))


@pytest.fixture
def lowered(monkeypatch):
    """The backends that predict lowers to, in turn."""
    names = []

    def told(model, name, **options):
        names.append(name)
        return dagir.lower(model, name, **options)

    for module in (fastest, prediction):
        monkeypatch.setattr(module, "lower", told)
    return names


def test_onnxruntime_is_taken_where_it_is_installed(lowered, capsys):
    model = network()
    found = model.predict(X, verbose=2)
    assert lowered == ["onnx"]
    assert re.fullmatch(r"predicted 70 rows in \d+\.\d\d s on onnx\n", capsys.readouterr().err)
    np.testing.assert_array_equal(found, model.predict(X, backend="onnx"))


def test_where_it_is_not_numpy_is_taken_and_the_reason_told(monkeypatch, capsys):
    def absent(model, name, **options):
        if name == "onnx":
            raise MissingExtra("backend 'onnx' needs a package that is not installed: onnxruntime")
        return dagir.lower(model, name, **options)

    monkeypatch.setattr(fastest, "lower", absent)
    model = network()
    np.testing.assert_array_equal(model.predict(X, verbose=1), model.predict(X, backend="numpy"))
    said = capsys.readouterr().err
    assert said.endswith("s on numpy; not onnx: backend 'onnx' needs a package that is not installed: onnxruntime\n")


def test_a_model_that_onnx_cannot_hold_runs_on_numpy(capsys):
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, dagir.apply(Odd(), x))
    np.testing.assert_array_equal(model.predict(X, verbose=2), -X)
    assert "on numpy; not onnx: " in capsys.readouterr().err


def test_nothing_is_said_unasked_where_nobody_looks_on(capsys):
    network().predict(X)
    network().predict(X, verbose=0)
    assert capsys.readouterr() == ("", "")


def test_a_bar_and_the_line_are_shown_on_a_terminal(monkeypatch, capsys):
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    network().predict(X)
    assert "on onnx" in capsys.readouterr().err


def test_what_ran_runs_again_until_weights_change(lowered):
    model = network()
    first = model.predict(X)
    model.predict(X[:1])
    model.predict_on_batch(X)
    assert lowered == ["onnx"]
    model.weights[0].assign(model.weights[0].numpy() * 2)
    assert np.abs(model.predict(X) - first).max() > 1e-3
    model.predict(X, backend="numpy")
    model.predict(X, backend="numpy", precision="float64")
    model.predict(X, backend="numpy", precision="float64")
    assert lowered == ["onnx", "onnx", "numpy", "numpy"]


def test_what_is_kept_does_not_outlive_its_model():
    model = network()
    model.predict(X)
    gone = weakref.ref(model)
    del model
    gc.collect()
    assert gone() is None


def test_errors_of_the_arguments():
    with pytest.raises(dagir.ArgumentError, match="option 'precision' and no backend"):
        network().predict(X, precision="float64")
    with pytest.raises(dagir.ArgumentError, match="'auto', 0, 1 or 2 for verbose"):
        network().predict(X, verbose="loud")


def test_the_remedy_for_a_shape_and_an_option_helps():
    x = dagir.Input((4, 3), name="x")
    model = dagir.Model(x, dagir.layers.Dense(2)(x))
    with pytest.raises(dagir.FeedError) as told:
        dagir.lower(model)(np.zeros((4, 3), "float32"))
    assert "x[None]" in told.value.remedy
    with pytest.raises(dagir.FeedError) as told:
        dagir.lower(model)(np.zeros((8, 4), "float32"))
    assert told.value.remedy is None
    with pytest.raises(dagir.ArgumentError, match="'batch'") as told:
        model.predict(np.zeros((2, 4, 3), "float32"), batch=2)
    assert "did you mean batch_size" in told.value.remedy
