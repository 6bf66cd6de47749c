"""Drawn operators of ONNX with windows, sampling, padding, places and quantization, read, and written again."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from convert.onnx_window_drawing import DRAWN
from convert.test_onnx_drawn_nodes import agree, judged


@pytest.mark.parametrize("family", range(len(DRAWN)))
@settings(max_examples=2 * settings.default.max_examples)
@given(data=st.data())
def test_each_drawn_operator(family, data):
    drawn = data.draw(DRAWN[family])
    proto = drawn.model()
    wanted = judged(drawn, proto)
    if wanted is None:
        return
    model = dagir.from_onnx(proto)
    agree(drawn, dagir.lower(model)(drawn.feeds()), wanted)
    agree(drawn, dagir.lower(model, "onnx")(drawn.feeds()), wanted)


@pytest.mark.parametrize("family", range(len(DRAWN)))
@given(data=st.data())
def test_with_sizes_of_the_run(family, data):
    """Sizes that have names; a few attributes need numbers, and then the node is refused."""
    drawn = data.draw(DRAWN[family])
    wanted = judged(drawn, drawn.model())
    if wanted is None:
        return
    try:
        model = dagir.from_onnx(drawn.model(free=True))
    except dagir.errors.UnsupportedOp:
        return
    for name in ("numpy", "onnx"):
        agree(drawn, dagir.lower(model, name)(drawn.feeds()), wanted)
