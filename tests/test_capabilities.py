"""What a backend can do beside lowering is asked of it, and refused where it cannot."""

from __future__ import annotations

import pytest

import dagir
from dagir.equivalence import Report
from dagir.runtime.backend import backend
from dagir.runtime.capabilities import annotating, certifying, comparing
from dagir.support.backend_names import ALL, NUMPY, ONNX


def test_onnx_annotates_compares_and_certifies():
    onnx = backend(ONNX)
    assert annotating(onnx) is comparing(onnx, Report) is certifying(onnx, Report) is onnx


@pytest.mark.parametrize("ask", [annotating, lambda of: comparing(of, Report), lambda of: certifying(of, Report)])
def test_what_a_backend_cannot_do_is_refused(ask):
    with pytest.raises(dagir.BackendError, match="the numpy backend"):
        ask(backend(NUMPY))


def test_the_backends_have_the_names():
    assert [backend(name).name for name in ALL] == list(ALL)
