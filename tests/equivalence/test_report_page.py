"""The page of a report: its structure, its colours, what is escaped, and where its links lead. No browser is run."""

from __future__ import annotations

import base64
import hashlib
import html.parser
import re
from importlib import resources
from math import isnan

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_bisection import chain, spoiled

import dagir
from dagir import layers, ops
from dagir.equivalence import page_graph
from dagir.equivalence.html_report import page
from dagir.equivalence.inspection import node_rows
from dagir.equivalence.page_graph import Colouring, course, draw, places_of
from dagir.equivalence.page_scales import BUDGET, INPUT, NOT_COMPARED, RELATIVE, SENSITIVITY, in_order, rules
from dagir.equivalence.repeating import as_called
from dagir.equivalence.report import Row

HOSTILE = "<script>alert(1)<script><img src=x onerror=alert(2)>'\"&amp;--></style>".replace("/", "")


class Page(html.parser.HTMLParser):
    """What a page holds. open: elements that were opened and not closed."""

    NEVER_CLOSED = frozenset(["meta", "img", "input", "br", "li", "tr", "td", "th", "dt", "dd", "thead", "tbody"])

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.wrong, self.inline = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in self.NEVER_CLOSED:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        if tag not in self.NEVER_CLOSED and (not self.open or self.open.pop() != tag):
            self.wrong.append(tag)

    def handle_data(self, data):
        if self.open and self.open[-1] in ("script", "style"):
            self.inline.append((self.open[-1], data))

    def all(self, tag):
        return [attrs for name, attrs in self.elements if name == tag]

    @property
    def ids(self):
        return [attrs["id"] for _, attrs in self.elements if "id" in attrs]


def boxes(text):
    """The step and the first fill of each box of the drawing, by its title."""
    drawn = re.findall(r'<g id="part\d+" class="node box (\w+)( guilty)?">(.*?)</g>\n', text, flags=re.S)
    return {
        re.search("<title>(.*?)</title>", box)[1]: (step, bool(guilty), re.search(r'fill="(#\w+)"', box)[1])
        for step, guilty, box in drawn
    }


def differing(length=3):
    model = chain(length)
    return dagir.verify(model, {"onnx": spoiled(model, "dense_1/kernel"), "numpy": "numpy"})


@pytest.mark.parametrize("right", [True, False])
def test_a_report_is_one_page_without_network(right, tmp_path):
    model = chain(3)
    report = dagir.verify(model, ("onnx", "numpy")) if right else differing()
    text = report.write_html(tmp_path / "report.html").read_text(encoding="utf-8")
    found = Page(text)
    assert (found.wrong, found.open) == ([], [])
    rows = [attrs["id"] for attrs in found.all("tr") if "id" in attrs]
    assert rows == [f"row{place}" for place in range(len(model.graph.nodes))]
    assert len(found.ids) == len(set(found.ids))
    links = [value for _, attrs in found.elements for key in ("src", "href", "xlink:href") if (value := attrs.get(key))]
    assert links and all(link.startswith(("data:", "#")) for link in links)
    assert {link[1:] for link in links if link.startswith("#")} <= set(found.ids)
    assert {attrs.get("data-part") for attrs in found.all("tr")} - {None} <= {name[4:] for name in found.ids}
    assert ("First divergence" in text) is not right
    assert ("reproduction.zip" in text) is not right
    assert text.count("class=badge") == 0 and ("badge good'>equal" in text) is right


def test_the_first_divergence_is_marked_and_every_link_to_it_leads_there():
    report = differing()
    text = page(report)
    found = Page(text)
    jumps = [attrs["href"] for attrs in found.all("a") if "data-graph" in attrs]
    assert len(jumps) == 2 and len(set(jumps)) == 1
    rows = {row.name: place for place, row in enumerate(node_rows(report.context, 0))}
    assert jumps[0] == f"#row{rows[report.first_divergence.point]}"
    drawn = boxes(text)
    assert [(name, step) for name, (step, guilty, _) in drawn.items() if guilty] == [
        (report.first_divergence.layer, "over")
    ]


def test_the_policy_of_a_page_allows_its_own_scripts_and_style_and_nothing_else():
    found = Page(page(differing()))
    (policy,) = (attrs["content"] for attrs in found.all("meta") if "content-security-policy" in str(attrs).lower())
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    assert rules["default-src"] == "'none'" and "unsafe" not in policy and "http" not in policy
    for tag, content in found.inline:
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in rules[f"{tag}-src"]
    assert [tag for tag, _ in found.inline] == ["style", "script", "script", "script"]
    assert not any("style" in attrs or any(key.startswith("on") for key in attrs) for _, attrs in found.elements)


def test_names_of_a_file_are_no_markup_of_the_page():
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, ops.exp(layers.Dense(3, name=HOSTILE)(x)), name=HOSTILE)
    report = dagir.verify(model, {HOSTILE: dagir.lower(model, "numpy")})
    text = page(report)
    found = Page(text)
    assert (found.wrong, found.open) == ([], [])
    assert found.all("img") == [] and len(found.all("script")) == 3
    assert "alert(1)" in text


def test_a_page_says_where_nothing_was_compared():
    """A convolution whose normalization is folded into it makes no value of its own in the file."""
    image = dagir.Input((8, 8, 3), name="image")
    x = layers.BatchNormalization(name="a->b")(layers.Conv2D(4, 3, use_bias=False, name="fused")(image))
    model = dagir.Model(image, layers.GlobalAveragePooling2D(name="pool")(x))
    for backends, compared in ((["onnx"], False), (["numpy", "onnx"], True)):
        report = dagir.verify(model, backends)
        rows = {row.layer: row for row in node_rows(report.context, 0)}
        assert "onnx" not in rows["fused"].findings
        text = page(report)
        drawn = boxes(text)
        assert (drawn["fused"][0] == "none") is not compared
        assert "none" not in (drawn["a&#45;&gt;b"][0], drawn["pool"][0])
        assert drawn["image"] == ("input", False, INPUT.fill)
        assert text.count(">not compared<") == (1 if compared else 2)  # the cell, and the line in the box
        legend = re.search("<ul class=legend.*?</ul>", text)[0]
        assert (NOT_COMPARED.label in legend) is not compared


def test_the_legend_lists_every_colour_that_is_used_and_no_other():
    for report in (differing(), dagir.verify(chain(2), ["numpy"])):
        text = page(report)
        listed = set(re.findall("swatch (\\w+)'", text))
        drawn = {step for step, _, _ in boxes(text).values()}
        bars = set(re.findall("<path class=(\\w+) d", re.search("<svg id=course.*?</svg>", text)[0]))
        assert listed == drawn | bars


def test_fills_are_those_of_the_legend():
    text = page(differing())
    fills = {step.name: step.fill for step in (*(step for _, step in BUDGET.steps), NOT_COMPARED, INPUT)}
    for step, _, fill in boxes(text).values():
        assert fill == fills[step]
        assert f".{step}{{--fill:{fill};" in text


@given(st.floats(min_value=0) | st.just(float("nan")))
def test_a_number_has_one_step_and_more_is_never_cooler(number):
    for scale in (BUDGET, RELATIVE, SENSITIVITY):
        order = [step for _, step in scale.steps]
        assert scale.step(number) in order
        assert scale.step(None) is scale.none and scale.none not in order
        assert order.index(scale.step(number)) <= order.index(scale.step(max(number * 2, 1e-9)))
        assert 0 <= scale.height(None if isnan(number) else number) <= 1
    assert (BUDGET.step(number).name == "over") is not (number <= 1)


def test_a_class_of_the_page_has_one_colour():
    names = re.findall(r"\.(\w+)\{--fill", rules().split("@media")[0])
    assert len(names) == len(set(names))
    for scale in (BUDGET, RELATIVE, SENSITIVITY):
        assert {step.name for _, step in scale.steps} | {scale.none.name, INPUT.name} <= set(names)


def test_colours_tell_steps_apart_and_are_dashed_where_nothing_was_compared():
    for scale in (BUDGET, RELATIVE, SENSITIVITY):
        steps = in_order(scale, [*(step for _, step in scale.steps), scale.none, INPUT])
        assert len({step.fill for step in steps}) == len({step.dark[0] for step in steps}) == len(steps)
        assert [step.dashed for step in steps] == [step is scale.none for step in steps]


def test_nodes_are_in_the_box_that_holds_them():
    inside = dagir.Input((4,), name="inside")
    nested = dagir.Model(inside, ops.tanh(layers.Dense(4, name="d")(inside)), name="nested")
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, ops.exp(nested(nested(x)) + x))
    report = dagir.verify(model, ["numpy"])
    rows = node_rows(report.context, 0)
    names = [part.name for part in dagir.display.layer_graph.anatomy(model).parts]
    places = places_of(model, report, rows)
    assert None not in places
    assert [names[place] for place in places] == ["nested"] * 4 + ["add", "exp"]


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
    steps = [step for step, _, _ in boxes(page(report)).values()]
    assert steps.count("none") == len(steps) - 2  # the input, which nothing computes, and the output


def test_a_lower_precision_is_not_coloured_by_a_budget_that_says_nothing(tmp_path):
    model = chain(2)
    narrow = dagir.to_onnx(model, tmp_path / "narrow.onnx", precision="float16")
    report = dagir.verify(model, narrow)
    text = page(report)
    assert RELATIVE.title in text and "beyond its budget" not in text and ">close<" in text
    assert "&lt;= 0.01" in text and "&gt;= 0.9999" in text and "budget used" not in text.split("<h2>Nodes")[0]
    table = dagir.sensitivity(model, precision="float16")
    told = page(report, table)
    assert SENSITIVITY.title in told and "All nodes in float16" in told
    harms = {row.name: row.harm for row in table}
    (name, step), *_ = [(name, step) for name, (step, _, _) in boxes(told).items() if name != "x"]
    largest = max(harm for point, harm in harms.items() if point.startswith(f"{name}/"))
    assert step == SENSITIVITY.step(largest).name


def test_what_is_too_big_or_cannot_be_drawn_is_told(monkeypatch):
    report = differing()
    monkeypatch.setattr(page_graph, "MOST_DRAWN", 2)
    text = page(report)
    assert "too many to be drawn" in text and "id=graph" not in text and "id=course" in text and "id=row0" in text
    monkeypatch.setattr(page_graph, "MOST_DRAWN", 1500)

    def missing(*_):
        raise dagir.BackendError("no Graphviz", remedy="pip install it")

    monkeypatch.setattr(page_graph, "painted_svg", missing)
    assert "no Graphviz (pip install it)" in page(report)
    assert draw(object(), [], [], Colouring(BUDGET, {}), None).told


def test_the_course_has_a_bar_for_each_node():
    report = differing()
    rows = node_rows(report.context, 0)
    text = course(rows, Colouring(BUDGET, {row.name: row.used for row in rows}))
    assert sorted(int(at) for at in re.findall(r"M(\d+) 100", text)) == list(range(len(rows)))


def test_scale_and_relative_error_stand_beside_the_absolute_one():
    report = differing()
    wrong = next(row for row in report.rows if not row.ok)
    assert wrong.scale > 0 and wrong.relative == wrong.max_error / wrong.scale
    assert wrong.to_dict()["relative_error"] == wrong.relative and wrong.to_dict()["scale"] == wrong.scale
    text = page(report)
    assert f">{wrong.scale:.2g}<" in text and f">{wrong.relative:.2g}<" in text
    assert Row("a", "b", "[2]", "float32", 1.0, 2.0).relative is None
    assert f"numbers up to {report.first_divergence.scale:.2g}" in text


def test_the_call_that_made_a_report_is_in_it(tmp_path):
    model = chain(1)
    report = dagir.verify(model, ("numpy",), seed=3)
    assert report.repeat == "dagir.verify(model, ['numpy'], seed=3)"
    assert "dagir.verify(model, [&#x27;numpy&#x27;], seed=3)" in page(report)
    np.savez(tmp_path / "samples.npz", x=np.ones((2, 16), "float32"))
    path = str(tmp_path / "samples.npz")
    kept = dagir.Thresholds(rtol=0.1)
    report = dagir.verify(model, {"n": "numpy"}, path, samples=4, thresholds=kept)
    expected = (
        f"dagir.verify(model, {{'n': 'numpy'}}, {path!r}, seed=0, thresholds=dagir.Thresholds(rtol=0.1), samples=4)"
    )
    assert report.repeat == expected
    assert eval(report.repeat, {"dagir": dagir, "model": model}).ok
    told = as_called([model], ["m"], np.ones(2), seed=0, thresholds=dagir.Thresholds(), metric=object(), onnx={"a": 1})
    assert told == "dagir.verify(model, {'m': ...}, inputs, seed=0, metric=metric, onnx={'a': 1})"


def test_the_library_of_the_page_has_its_licence_beside_it():
    assets = resources.files("dagir.equivalence").joinpath("page_assets")
    assert "MIT-License" in assets.joinpath("panzoom.min.js").read_text()
    assert "Permission is hereby granted" in assets.joinpath("panzoom.LICENSE.txt").read_text()


def test_two_files_and_a_certificate_have_a_page_without_a_graph(tmp_path):
    """No model stands behind them: outputs, the first node that diverges, and how to repeat it."""
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(3, activation="tanh", name="head")(x))
    right = dagir.to_onnx(model, tmp_path / "right.onnx", verify=True)
    model.weights[0].assign(model.weights[0].numpy() * np.float32(1.5))
    wrong = dagir.to_onnx(model, tmp_path / "wrong.onnx")
    two = dagir.backend("onnx").compare(right, wrong)
    text = two.write_html(tmp_path / "two.html").read_text(encoding="utf-8")
    assert ">differs<" in text and "First divergence" in text and "head" in text
    assert "id=graph" not in text and "no model stands behind" in text and "Show it" not in text
    certificate = dagir.verified(right)
    text = certificate.write_html(tmp_path / "one.html").read_text(encoding="utf-8")
    assert ">equal<" in text and "When the file was written" in text
    for shown in (text, two.write_html(tmp_path / "two.html").read_text(encoding="utf-8")):
        scripts = re.findall(r"<script>(.*?)</script>", shown, re.S)
        assert len(scripts) == 1 and "byId(" not in scripts[0]  # nothing that looks for a graph


def test_the_button_promises_no_graph_that_is_not_there(tmp_path, monkeypatch):
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(3, name="head")(ops.tanh(x)))
    other = dagir.clone(model)
    other.weights[0].assign(other.weights[0].numpy() + np.float32(0.5))
    report = dagir.verify(model, {"other": other})
    assert "Show it in the graph" in page(report)
    monkeypatch.setattr("dagir.equivalence.page_graph.MOST_DRAWN", 0)
    assert "Show it in the graph" not in page(report) and "Show its numbers" in page(report)
