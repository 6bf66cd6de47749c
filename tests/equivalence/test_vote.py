"""Executors vote; each pass is validated; a report becomes a page."""

from __future__ import annotations

import html.parser
import re

import numpy as np
import pytest
from test_bisection import chain, spoiled, steps

import dagir
from dagir import layers, ops
from dagir.equivalence import blame, executors, verify_each_pass
from dagir.equivalence.html_report import NOT_COMPARED, colour, page
from dagir.equivalence.inspection import node_rows
from dagir.equivalence.pass_validation import require
from dagir.equivalence.report import Report, Row
from dagir.errors import VerificationError
from dagir.ir.graph import Graph
from dagir.ir.rewriter import emit, rebuild
from dagir.passes import DEPLOY
from dagir.passes.pipeline import Pass


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
    from dagir_numpy.rules import rules

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


class Page(html.parser.HTMLParser):
    def __init__(self):
        super().__init__()
        self.rows, self.links = 0, []

    def handle_starttag(self, tag, attrs):
        self.rows += tag == "tr"
        self.links += [value for key, value in attrs if key in ("src", "href", "xlink:href") and value]


@pytest.mark.parametrize("right", [True, False])
def test_a_report_is_one_page_without_network(right, tmp_path):
    model = chain(3)
    exe = dagir.lower(model, "onnx") if right else spoiled(model, "dense_1/kernel")
    report = dagir.verify(model, {"onnx": exe, "numpy": dagir.lower(model, "numpy")})
    text = report.write_html(tmp_path / "report.html").read_text(encoding="utf-8")
    page = Page()
    page.feed(text)
    assert page.rows >= len(model.graph.nodes) + 4
    assert all(link.startswith("data:") for link in page.links)
    assert ("First divergence" in text) is not right
    assert ("reproduction.zip" in text) is not right
    drawn = re.findall(r'<g id="node\d+" class="node">.*?</g>\n', text, flags=re.S)
    assert any("#f87171" in box for box in drawn) is not right


def colours(text):
    """The colour of each box of the drawing, by its name."""
    boxes = re.findall(r'<g id="node\d+" class="node">.*?</g>\n', text, flags=re.S)
    return {
        re.search(r"<title>(.*?)(?:: not compared)?</title>", box)[1]: re.search(r'fill="(#\w+)"', box)[1]
        for box in boxes
    }


def test_a_page_says_where_nothing_was_compared(tmp_path):
    """A convolution whose normalization is folded into it makes no value of its own in the file."""
    image = dagir.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(name="a->b")(layers.Conv2D(4, 3, use_bias=False, name="fused")(image))
    model = dagir.Model(image, layers.GlobalAveragePooling2D(name="pool")(x))
    for backends, compared in ((["onnx"], False), (["numpy", "onnx"], True)):
        report = dagir.verify(model, backends)
        rows = {row.layer: row for row in node_rows(report.context, 0)}
        assert "onnx" not in rows["fused"].findings
        text = page(report)
        drawn = colours(text)
        assert (drawn["fused"] == NOT_COMPARED) is not compared
        assert drawn["a&#45;&gt;b"] not in (NOT_COMPARED, colour(0.0)) and drawn["pool"] != NOT_COMPARED
        assert text.count("'>not compared<") == 1 and (f"background:{NOT_COMPARED}'>not compared:" in text)
    assert NOT_COMPARED not in {colour(share / 1000) for share in range(1100)}


class Blind(dagir.Executable):
    """Of someone else's: nothing inside can be watched."""

    def __init__(self, exe):
        super().__init__(exe._graph, exe.signature)
        self.exe = exe

    def _run(self, arrays):
        return dagir.ir.nest.flatten(self.exe(list(arrays)))


def test_what_cannot_be_watched_is_compared_at_its_outputs():
    model = chain(2)
    report = dagir.verify(model, {"other": Blind(dagir.lower(model, "numpy"))})
    used = [row.used for row in node_rows(report.context, 0)]
    assert used[:-1] == [None] * (len(used) - 1) and used[-1] is not None
    drawn = list(colours(page(report)).values())
    assert drawn.count(NOT_COMPARED) == len(drawn) - 2  # the input, which nothing computes, and the output


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
