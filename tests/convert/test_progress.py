"""The bar of dagir-convert: on a terminal, once a step takes long; a line now and then where nobody looks."""

from __future__ import annotations

import io
import time

import pytest
from rich.console import Console

from dagir_convert import console
from dagir_convert.console import Output


def output(monkeypatch, terminal=True, **options):
    """An Output whose stderr is a text of ours."""
    text = io.StringIO()
    monkeypatch.setattr(console, "_console", lambda stderr: Console(file=text, force_terminal=terminal, width=100))
    monkeypatch.setattr(console, "PATIENCE", 0.05)
    return Output(**options), text


def test_a_long_step_shows_the_stage_and_the_share(monkeypatch):
    shown, text = output(monkeypatch)
    with shown.bar("verifying net.onnx") as tell:
        tell("case 1 of 2", 3, 12)
        deadline = time.monotonic() + 60  # a busy machine may draw it late
        while "25%" not in text.getvalue() and time.monotonic() < deadline:
            time.sleep(0.05)
    assert "verifying net.onnx: case 1 of 2" in text.getvalue()
    assert "25%" in text.getvalue()


def test_a_short_step_shows_nothing(monkeypatch):
    shown, text = output(monkeypatch)
    monkeypatch.setattr(console, "PATIENCE", 60.0)
    with shown.bar("verifying net.onnx") as tell:
        tell("case 1 of 2", 3, 12)
    assert "verifying" not in text.getvalue()


def test_a_long_step_without_a_terminal_tells_by_lines(monkeypatch):
    shown, text = output(monkeypatch, terminal=False)
    monkeypatch.setattr(console, "PACE", 0.05)
    with shown.bar("verifying net.onnx") as tell:
        tell("case 1 of 2", 3, 12)
        deadline = time.monotonic() + 60
        while text.getvalue().count("\n") < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
    first, *_ = text.getvalue().splitlines()
    assert first.startswith("verifying net.onnx: case 1 of 2, 3 of 12 evaluations")
    assert "\x1b" not in text.getvalue()


def test_a_short_step_without_a_terminal_says_nothing(monkeypatch):
    shown, text = output(monkeypatch, terminal=False)
    monkeypatch.setattr(console, "PACE", 60.0)
    with shown.bar("verifying net.onnx") as tell, shown.step("reading"):
        tell("case 1 of 2", 3, 12)
    assert text.getvalue() == ""


@pytest.mark.parametrize("options", [{"quiet": True}, {"plain": True}])
def test_there_is_no_bar_where_nobody_looks(monkeypatch, options):
    shown, text = output(monkeypatch, **options)
    with shown.bar("verifying net.onnx") as tell:
        assert tell is None
        time.sleep(0.2)
    assert text.getvalue() == ""
