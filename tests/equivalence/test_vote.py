"""Executors vote; each pass is validated."""

from __future__ import annotations

import numpy as np
import pytest
from test_bisection import chain, spoiled, steps

import dagir
from dagir import layers, ops
from dagir.equivalence import blame, executors, verify_each_pass
from dagir.equivalence.pass_validation import require
from dagir.equivalence.report import Report, Row
from dagir.errors import VerificationError
from dagir.ir.graph import Graph
from dagir.ir.rewriter import emit, rebuild
from dagir.passes import DEPLOY
from dagir.passes.pipeline import Pass
from dagir_numpy.rules import rules


def test_every_executor_agrees_on_a_right_model():
    model = steps()
    verdict = blame(model, executors(model, ("numpy", "onnx")))
    assert verdict.ok, verdict
    assert len(verdict.groups) == 1
    assert {"the float64 oracle", "numpy, optimized", "onnx, optimizer off", "onnx reference"} <= set(verdict.groups[0])


def test_keras_votes_eagerly_traced_and_compiled():
    model = chain(2)
    verdict = blame(model, executors(model, ("keras",)))
    assert verdict.ok, verdict
    assert {"keras", "keras, tf.function", "keras, XLA"} <= set(verdict.groups[0])


def test_the_outlier_is_named_even_if_it_is_the_oracle(monkeypatch):
    model = chain(2)
    wrong = dagir.backend("onnx").lower(model)
    makers = {**executors(model, ("numpy", "onnx")), "another": lambda: spoiled(model, "dense_1/kernel")}
    assert blame(model, makers).outliers == ("another",)
    right = rules[ops.Tanh]
    monkeypatch.setitem(rules._rules, ops.Tanh, lambda op, x: right(op, x) * 1.001)
    onnx_only = {name: make for name, make in executors(model, ("onnx",)).items()} | {"mine": lambda: wrong}
    assert blame(model, onnx_only).outliers == ("the float64 oracle",)


def test_an_executor_that_fails_is_reported():
    def broken():
        raise RuntimeError("no kernel")

    verdict = blame(chain(1), {"numpy": lambda: dagir.lower(chain(1), "numpy"), "broken": broken})
    assert not verdict.ok
    assert verdict.failed == {"broken": "no kernel"}


class SwapsAdd(Pass):
    """x + y => x - y, which is wrong."""

    name = "swaps-add"

    def __call__(self, graph):
        def swap(node, operands):
            return [emit(node, ops.Subtract(), *operands)] if isinstance(node.op, ops.Add) else None

        return rebuild(graph, swap)


def test_a_faulty_pass_is_named_with_the_first_node_that_it_got_wrong():
    model = steps()
    assert all(result.ok for result in verify_each_pass(model))
    assert {result.name for result in verify_each_pass(model) if result.used is not None} >= {
        "inline",
        "channels-first",
    }
    x = dagir.Input((6, 5, 3), name="x")
    y = layers.Conv2D(3, 3, padding="same", name="conv")(x) + x
    model = dagir.Model(x, ops.relu(y) + 1.0)
    place = next(i for i, (step, _) in enumerate(DEPLOY) if step.name == "channels-first")
    results = verify_each_pass(model, (*DEPLOY[: place + 1], (SwapsAdd(), "a fault"), *DEPLOY[place + 1 :]))
    guilty = [result for result in results if not result.ok]
    assert [result.name for result in guilty] == ["swaps-add"]
    assert guilty[0].first_divergence.op == "Add"
    with pytest.raises(VerificationError, match="swaps-add"):
        require(results)


def test_a_pass_that_changes_nothing_is_not_run_again():
    x = dagir.Input((3,), name="x")
    assert all(result.used is None for result in verify_each_pass(Graph([x], [ops.exp(x)])))


def test_names_of_a_file_are_no_markup_of_the_table():
    row = Row("a[red]b", "[/]\x1b[31m", "[1]", "float32", 0.0, 0.0)
    text = str(Report((row,), (), 0, 2, 0.0))
    assert "a[red]b" in text and "[/]" in text and "\x1b" not in text


def test_user_samples_come_as_arrays_or_as_a_file(tmp_path):
    model = chain(1)
    array = np.ones((2, 16), "float32")
    np.savez(tmp_path / "samples.npz", x=array)
    assert dagir.verify(model, ("numpy",), tmp_path / "samples.npz").cases[0].input_shapes == ((2, 16),)
    (tmp_path / "broken.npz").write_bytes(b"no zip")
    with pytest.raises(dagir.FileError, match="cannot be read"):
        dagir.verify(model, ("numpy",), tmp_path / "broken.npz")


def test_top_1_agreement_of_a_classifier():
    x = dagir.Input((8,), name="x")
    model = dagir.Model(x, layers.Dense(4, activation="softmax")(x))
    report = dagir.verify(model, ("numpy", "onnx"))
    assert report.top_1 == {"numpy": 1.0, "onnx": 1.0}
    assert dagir.verify(chain(1), ("numpy",)).top_1 == {}


def test_a_number_is_transposed_without_passes_too():
    """ONNX takes no empty perm, and what removes the node is a pass."""
    x = dagir.Input(batch_shape=(), name="x")
    model = dagir.Model(x, dagir.ops.transpose(x, ()) * 2)
    assert blame(model, executors(model, ["onnx"]), {"x": np.float32(3)}).ok
