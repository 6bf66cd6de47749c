"""What verify takes as the other side, and how it refuses the rest: one clear error before anything runs."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers
from dagir.equivalence import blame, verify_each_pass
from dagir.testing import assert_equivalent


@pytest.fixture(scope="module")
def model():
    dagir.clear_session()
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3, name="dense")(x), name="right")


def wrong(model, name="wrong"):
    """The same model with another weight."""
    other = dagir.clone(model)
    for one, weight in zip(other.weights, model.weights, strict=True):
        one.assign(weight.array + np.float32(0.01))
    return dagir.Model(other.inputs, other.outputs[0], name=name)


class Mine:
    """Something else."""


def files(model, folder):
    model.save(folder / "net.dagir")
    dagir.to_onnx(model, folder / "net.onnx")
    for suffix in ("keras", "h5"):
        dagir.to_keras(model).save(folder / f"net.{suffix}")
    return [folder / f"net.{suffix}" for suffix in ("dagir", "onnx", "keras", "h5")]


def kinds(model, folder):
    """Every kind of other side."""
    return [model, model.graph, dagir.lower(model, "numpy"), dagir.to_keras(model), *files(model, folder)]


def test_whatever_a_model_may_be_equal_to_is_taken(model, tmp_path):
    (tmp_path / "right").mkdir(), (tmp_path / "wrong").mkdir()
    for right, other in zip(kinds(model, tmp_path / "right"), kinds(wrong(model), tmp_path / "wrong"), strict=True):
        assert dagir.verify(model, {"mine": right}).ok
        report = dagir.verify(model, other)
        assert not report.ok
        report = dagir.verify(model, ["numpy", other])
        assert [row.ok for row in report.rows] == [True, False]
    assert dagir.verify(model, str(tmp_path / "right" / "net.onnx")).rows[0].backend == "net.onnx"
    assert dagir.verify(model, wrong(model)).rows[0].backend == "wrong"
    assert dagir.verify(model, {"b": dagir.to_keras(wrong(model))}).first_divergence is not None


def test_a_keras_model_of_a_class_of_its_own_is_run(model):
    import keras

    class Own(keras.Model):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x):
            return self.inner(x) * 1.01

    assert not dagir.verify(model, Own(dagir.to_keras(model))).ok


def test_assert_equivalent_takes_a_model_in_the_place_of_feeds(model):
    assert_equivalent(model, dagir.clone(model).__class__(model.inputs, model.outputs[0], name="same"))
    assert_equivalent(model, dagir.lower(model, "numpy"))
    with pytest.raises(AssertionError, match="wrong"):
        assert_equivalent(model, wrong(model))
    with pytest.raises(AssertionError, match="error"):
        assert_equivalent(model, [np.ones((2, 4), "float32")], wrong(model))


@pytest.mark.parametrize("arguments, said", [
    ({"backends": Mine()}, "not compared with Mine"),
    ({"backends": {"b": 3}}, "not compared with int 3"),
    ({"backends": ["numpy", 3]}, "not compared with int 3"),
    ({"backends": "net.txt"}, "no backend 'net.txt'"),
    ({"backends": {"b": "net.txt"}}, "no backend 'net.txt'"),
    ({"backends": "numpy", "sizes": []}, "sizes takes one or more"),
    ({"backends": "numpy", "sizes": [3]}, "sizes takes one or more"),
    ({"backends": "numpy", "sizes": {"batch": 2.5}}, "size 'batch' takes an int, got 2.5"),
    ({"backends": "numpy", "samples": 2.5}, "samples takes an int, got 2.5"),
    ({"backends": "numpy", "seed": -1}, "seed must be 0 or more, got -1"),
    ({"backends": "numpy", "seed": "a"}, "seed takes an int, got 'a'"),
])  # fmt: skip
def test_the_rest_is_refused_before_anything_runs(model, arguments, said, monkeypatch):
    monkeypatch.setattr("dagir.equivalence.verification.Oracle", None)
    with pytest.raises(dagir.DagirError, match=said):
        dagir.verify(model, **arguments)


def test_sides_of_other_inputs_or_outputs_are_refused(model, tmp_path, monkeypatch):
    x = model.inputs[0]
    two = dagir.Model(x, [model.outputs[0], model.outputs[0] + 1], name="two")
    monkeypatch.setattr("dagir.equivalence.verification.Oracle", None)
    for other in kinds(two, tmp_path):
        with pytest.raises(dagir.ArgumentError, match=r"other inputs and outputs|has 2 outputs|outputs of .* not the"):
            dagir.verify(model, {"two": other})
    with pytest.raises(dagir.ArgumentError, match="1 input, 2 outputs"):
        dagir.verify(model, two)
    with pytest.raises(dagir.ArgumentError, match="two sides are called 'right'"):
        dagir.verify(model, [model, model])


def test_one_choice_of_sizes_is_a_dict(model):
    report = dagir.verify(model, "numpy", sizes={"batch": np.int64(2)}, samples=np.int32(3), seed=np.int64(1))
    assert [case.input_shapes for case in report.cases] == [((2, 4),)]


def test_other_functions_of_the_harness_refuse_what_is_no_model(model):
    with pytest.raises(dagir.ArgumentError, match="blame takes a Model or a Graph"):
        blame("x")
    with pytest.raises(dagir.ArgumentError, match="verify_each_pass takes a Model or a Graph"):
        verify_each_pass(3)
    with pytest.raises(dagir.ArgumentError, match="samples"):
        blame(model, samples=1)


def test_arguments_of_to_onnx_are_told(model, tmp_path):
    for arguments, said in (
        ({"opset": "17"}, "opset takes an int, got '17'"),
        ({"dynamic_axes": {}}, r"no argument 'dynamic_axes'[\s\S]*input_shapes"),
        ({"targett": "x"}, "did you mean target"),
    ):
        with pytest.raises(dagir.ArgumentError, match=said):
            dagir.to_onnx(model, tmp_path / "x.onnx", **arguments)
