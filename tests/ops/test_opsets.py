"""Every op at the oldest and the newest opset that are offered; the other tests use the default."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dagir import ops, testing
from dagir.errors import UnsupportedOp
from dagir.ir.graph import Op
from dagir.runtime.backend import backend

OPS = sorted(
    (cls for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, Op) and cls is not ops.Call),
    key=lambda cls: cls.__name__,
)


NEWEST = {ops.RoiAlign: 21, ops.RoiMaxPool: 21}  # onnxruntime has no kernels for the operators of later opsets


@pytest.mark.parametrize("opset", [18, 24])
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_onnxruntime_takes_every_op(op, opset):
    if op in backend("onnx").rules.gaps:
        pytest.skip(backend("onnx").rules.gaps[op])

    @settings(max_examples=max(2, settings.default.max_examples // 5))
    @given(st.data())
    def agrees(data):
        graph, feeds = data.draw(testing.cases(op)).graph()
        try:
            found = backend("onnx").lower(graph, opset=min(opset, NEWEST.get(op, opset)))(feeds)
        except UnsupportedOp as error:  # what an older opset has not, such as a grid of three axes
            assert opset == 18 and "opset=" in str(error), error
            return
        wanted = backend("numpy").lower(graph, precision="float64")(feeds)
        for got, want, value in zip(found, wanted, graph.outputs, strict=True):
            testing.assert_close(got, want, f"opset {opset}", value.dtype)

    agrees()
