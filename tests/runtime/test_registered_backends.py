"""Backends that a program makes known itself."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import ops


class Doubling(dagir.Backend):
    """NumPy's answers."""

    name = "doubling"
    rules = dagir.Rules("doubling")

    def lower(self, model, **options):
        return dagir.lower(model, "numpy")


class Named(Doubling):
    def __init__(self, name):
        self.name = name


def test_a_registered_backend_is_found_by_its_name():
    dagir.register_backend(Doubling())
    x = dagir.Input((3,), name="x")
    model = dagir.Model(x, ops.square(x))
    np.testing.assert_array_equal(dagir.lower(model, "doubling")(np.float32([[1, 2, 3]])), [[1, 4, 9]])
    assert dagir.verify(model, ["doubling"]).ok
    dagir.register_backend(Doubling())  # a module that is loaded again


@pytest.mark.parametrize(
    "thing, reason", [(Named("onnx"), "another backend named 'onnx'"), (Doubling, "takes a Backend")]
)
def test_what_is_no_backend_or_has_the_name_of_another(thing, reason):
    with pytest.raises(dagir.ArgumentError, match=reason):
        dagir.register_backend(thing)


def test_the_public_face_is_what_dir_shows():
    assert set(dir(dagir)) == {*dagir.__all__, "__version__"}


def test_reports_are_short_in_a_session_and_a_table_in_a_notebook():
    x = dagir.Input((3,), name="<x>")
    report = dagir.verify(
        dagir.Model(
            x,
            ops.tanh(
                x,
            ),
        ),
        ["numpy"],
    )
    assert repr(report).startswith("<Report ok: 1 outputs, ")
    assert ">numpy</td>" in report._repr_html_()
    assert "<x>" not in report._repr_html_()
