"""Linear models of the domain ai.onnx.ml: one product, and the label of the largest score."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_onnx.importing.lookup import ML
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant


def _scores(call: NodeCall, rows: int) -> Value:
    """x: t[n, features] -> f32[n, rows]."""
    x = ops.cast(call.input(0), DType.FLOAT32)
    kernel = np.asarray(call.attribute("coefficients"), np.float32).reshape(rows, -1)
    found = ops.matmul(x, constant(kernel.T))
    bias = call.attribute("intercepts")
    return found if not bias else ops.add(found, constant(np.asarray(bias, np.float32)))


@rule("LinearRegressor", domain=ML)
def _linear_regressor(call: NodeCall) -> Value:
    if call.attribute("post_transform", "NONE") != "NONE":
        raise call.refused(f"it transforms its results by {call.attribute('post_transform')}")
    return _scores(call, call.attribute("targets", 1))


@rule("LinearClassifier", domain=ML)
def _linear_classifier(call: NodeCall) -> Sequence[Value]:
    """The label of the largest score, int64[n], and the scores. One row of coefficients scores the second of two."""
    labels, bias = call.attribute("classlabels_ints"), call.attribute("intercepts")
    if not labels:
        raise call.refused("its labels are texts", "give the classes whole numbers")
    rows, transform = len(bias or labels), call.attribute("post_transform", "NONE")
    if call.input(0).ndim != 2 or len(labels) != max(rows, 2):
        raise call.refused("its input is no matrix, or its labels are not as many as its scores")
    if transform not in ("NONE", "LOGISTIC", *(("SOFTMAX",) if rows > 1 else ())):
        raise call.refused(f"it transforms its results by {transform}")
    found = _scores(call, rows)
    if rows > 1:
        place = ops.argmax(found, 1)
    else:
        place = ops.cast(ops.greater(found[:, 0], 0.0), DType.INT32)
        first = ops.negative(found) if transform == "LOGISTIC" else ops.subtract(1.0, found)
        found = ops.concatenate([first, found], 1)
    if transform != "NONE":
        found = ops.sigmoid(found) if transform == "LOGISTIC" else ops.softmax(found)
    return [ops.take(constant(np.asarray(labels, np.int64)), place, 0), found]
