"""Drawn operators of ONNX, with all their attributes, judged by onnxruntime, else by onnx's own evaluator."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx.reference import ReferenceEvaluator

import dagir
from convert.onnx_drawing import DRAWN

onnxruntime.set_default_logger_severity(4)


def judged(drawn, proto):
    """What onnxruntime computes, or onnx's evaluator where it has no kernel; None for what neither takes."""
    try:
        session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
        return session.run(None, drawn.feeds())
    except Exception as error:
        if "NOT_IMPLEMENTED" not in str(error):
            return None
    return ReferenceEvaluator(proto).run(None, drawn.feeds())


def agree(drawn, found, wanted):
    for place, right in enumerate(wanted):
        got = np.asarray(found[f"y{place}"])
        assert got.dtype == right.dtype and got.shape == right.shape, (drawn, got, right)
        if got.dtype.kind == "f":
            np.testing.assert_allclose(got, right, rtol=2e-5, atol=2e-5, err_msg=repr(drawn))
        else:
            np.testing.assert_array_equal(got, right, err_msg=repr(drawn))


@pytest.mark.parametrize("family", range(len(DRAWN)))
@settings(max_examples=2 * settings.default.max_examples)
@given(data=st.data())
def test_each_drawn_operator(family, data):
    drawn = data.draw(DRAWN[family])
    proto = drawn.model()
    wanted = judged(drawn, proto)
    if wanted is None:
        return
    agree(drawn, dagir.lower(dagir.from_onnx(proto))(drawn.feeds()), wanted)
    if data.draw(st.booleans()):
        free = drawn.model(free=True)
        try:
            found = dagir.lower(dagir.from_onnx(free))(drawn.feeds())
        except (dagir.errors.UnsupportedOp, dagir.errors.ShapeError):  # sizes that only numbers show to broadcast
            return
        agree(drawn, found, wanted)
