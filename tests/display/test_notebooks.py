"""What a notebook shows of models, reports, tables and errors, without a notebook."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.equivalence import blame, executors


def small():
    x = dagir.Input((4,), name="<x>")
    return dagir.Model(x, layers.Dense(3, name="<b>d<|b>")(x), name="small")


def differing():
    model = small()
    other = dagir.clone(model)
    for mine, theirs in zip(model.weights, other.weights, strict=True):
        theirs.assign(mine.numpy() + np.float32(0.5))
    return dagir.verify(model, {"<other>": other})


def test_tables_escape_names_and_are_no_dumps():
    report, table = differing(), dagir.sensitivity(small())
    for shown in (report, table, report.first_divergence, blame(small(), executors(small(), ["numpy"]))):
        assert repr(shown).startswith("<") and "(name=" not in repr(shown) and "rows=" not in repr(shown)
    for html in (report._repr_html_(), table._repr_html_()):
        assert "<table" in html and "<b>d" not in html and "&lt;b&gt;d" in html
    for head in ("max error", "scale", "relative", "budget used", "verdict"):
        assert f">{head}</th>" in report._repr_html_()


def test_a_long_table_is_cut_and_says_so():
    x = y = dagir.Input((4,), name="x")
    for _ in range(23):
        y = ops.tanh(y)
    html = dagir.sensitivity(dagir.Model(x, y))._repr_html_()
    assert html.count("<tr>") == 21 and "and 3 nodes of less harm" in html


def test_the_text_of_a_report_is_text_in_a_notebook_too(monkeypatch):
    """rich shows what it prints there at once, and leaves the text empty, unless it is told not to."""
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    assert "differs" in str(differing())
    assert "<b>d" in str(dagir.sensitivity(small()))


def test_executables_say_what_they_take():
    assert repr(dagir.lower(small(), "numpy")) == "<NumpyExecutable: <x> -> <b>d<|b>>"


def user_code():
    return ops.matmul(dagir.Input((3,)), np.ones((4, 5), "float32"))


def test_the_traceback_of_an_error_holds_the_lines_of_the_user_alone():
    with pytest.raises(dagir.ShapeError) as caught:
        user_code()
    text = "\n".join(caught.value._render_traceback_())
    assert text.startswith("ShapeError: matmul needs equal inner sizes")
    assert "return ops.matmul(dagir.Input((3,))" in text and "remedy" in text
    assert text.count("File ") == 2 and "dagir/ops" not in text


def test_a_cell_is_told_by_its_number(monkeypatch):
    """IPython runs it as a file in a folder of its own, whose name says nothing to the user."""
    known = types.SimpleNamespace(format_code_name=lambda file: ("Cell", "In[3]") if file == __file__ else None)
    shell = types.SimpleNamespace(compile=known)
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    with pytest.raises(dagir.ShapeError) as caught:
        user_code()
    text = "\n".join(caught.value._render_traceback_())
    assert "called at  Cell In[3]:" in str(caught.value) and 'File "Cell In[3]", line' in text
    assert "return ops.matmul(dagir.Input((3,))" in text and __file__ not in text
    assert dagir.Input((3,), name="x").source.location.short.startswith("Cell In[3]:")


def test_a_notebook_without_widgets_has_no_bar_and_no_warning(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "ipykernel", types.ModuleType("ipykernel"))
    monkeypatch.setattr("dagir.runtime.prediction_progress.find_spec", lambda name: None)
    monkeypatch.setattr("rich.progress.Progress.__init__", lambda *_, **__: pytest.fail("a bar was drawn"))
    small().predict(np.zeros((3, 4), "float32"), backend="numpy")
    assert "predicted 3 rows" in capsys.readouterr().err


def test_the_cause_of_an_error_is_named():
    try:
        try:
            raise KeyError("k")
        except KeyError as cause:
            raise dagir.ArgumentError("wrong") from cause
    except dagir.ArgumentError as error:
        assert error._render_traceback_()[-1] == "caused by KeyError: 'k'"


@pytest.mark.parametrize(("mode", "short"), [("Context", True), ("Verbose", False)])
def test_a_user_who_asks_for_all_frames_gets_them(monkeypatch, mode, short):
    shell = types.SimpleNamespace(InteractiveTB=types.SimpleNamespace(mode=mode))
    monkeypatch.setitem(sys.modules, "IPython", types.SimpleNamespace(get_ipython=lambda: shell))
    error = dagir.ArgumentError("wrong")
    if short:
        assert error._render_traceback_()[0].startswith("ArgumentError: wrong")
    else:
        with pytest.raises(LookupError):  # IPython shows its own traceback then
            error._render_traceback_()
