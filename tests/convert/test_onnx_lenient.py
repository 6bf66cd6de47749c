"""Files that onnxruntime runs, though they lack what exporters take care of: sorted nodes, equal sizes, channels."""

from __future__ import annotations

import numpy as np
import onnx.parser
import onnxruntime
import pytest

import dagir

RNG = np.random.default_rng(0)


def drawn(*shape):
    return RNG.standard_normal(shape).astype("float32")


STATISTICS = {"s": drawn(1), "b": drawn(1), "m": drawn(1), "v": np.abs(drawn(1))}
CASES = {
    "nodes out of order": (
        "(float[5] x) => (float[5] y) { y = Exp (late) unread = Abs (late) late = Neg (early) early = Sin (x) }",
        {"x": drawn(5)},
    ),
    "a graph that reads what comes later": (
        "(float[5] x, bool c) => (float[5] y) { y = If (c) <"
        "then_branch = a () => (float[5] p) { q = Neg (late) p = Exp (q) },"
        "else_branch = b () => (float[5] r) { r = Identity (x) }> late = Sin (x) }",
        {"x": drawn(5), "c": np.array(True)},
    ),
    "a sum over a size of 1 and of 3": (
        '(float[2, 1] a, float[3, 4] b) => (float[2, 4] y) { y = Einsum <equation = "ij,jk"> (a, b) }',
        {"a": drawn(2, 1), "b": drawn(3, 4)},
    ),
    "a batch of 1 beside one of 4": (
        '(float[1, 2, 3] a, float[4, 3, 2] b) => (float[M, 2, 2] y) { y = Einsum <equation = "bik,bkj->bij"> (a, b) }',
        {"a": drawn(1, 2, 3), "b": drawn(4, 3, 2)},
    ),
    "a 1 behind the dots": (
        '(float[2, 1] a, float[N, 3, 2] b) => (float[N, 2, 2] y) { y = Einsum <equation = "ik,...kj->...ij"> (a, b) }',
        {"a": drawn(2, 1), "b": drawn(4, 3, 2)},
    ),
    "a batch normalization of one axis": (
        "(float[N] x, float[1] s, float[1] b, float[1] m, float[1] v) => (float[N] y)"
        "{ y = BatchNormalization (x, s, b, m, v) }",
        {"x": drawn(5), **STATISTICS},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_what_onnxruntime_runs(case):
    text, feed = CASES[case]
    proto = onnx.parser.parse_model(f'<ir_version: 8, opset_import: ["": 17]> net {text}')
    session = onnxruntime.InferenceSession(proto.SerializeToString(), providers=["CPUExecutionProvider"])
    (wanted,) = session.run(None, feed)
    model = dagir.from_onnx(proto)
    for backend in ("numpy", "onnx"):
        np.testing.assert_allclose(dagir.lower(model, backend)(feed)["y"], wanted, rtol=1e-5, atol=1e-6)
