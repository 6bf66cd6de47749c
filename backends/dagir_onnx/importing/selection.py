"""What the data choose, how many there are known when the model runs: NonZero, Compress, Unique, NonMaxSuppression."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.data_names import fresh_size
from dagir.ir.graph import Value, apply, apply_node
from dagir.ir.types import normalize_axis
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant


@rule("NonZero")
def _non_zero(call: NodeCall) -> Value:
    x = call.input(0)
    if not x.ndim:
        raise call.refused("its input is a scalar, which has no places", "give it an axis")
    return apply(ops.NonZero((fresh_size("nonzero"),)), x)


@rule("Compress")
def _compress(call: NodeCall) -> Value:
    return ops.compress(call.input(1), call.input(0), call.attribute("axis"))


@rule("Unique")
def _unique(call: NodeCall) -> Sequence[Value]:
    x, axis = call.input(0), call.attribute("axis")
    place = None if axis is None else normalize_axis(axis, x.ndim)
    op = ops.Unique((fresh_size("unique"),), place, bool(call.attribute("sorted", 1)))
    return apply_node(op, (x,)).outputs


@rule("NonMaxSuppression")
def _non_max_suppression(call: NodeCall) -> Value:
    """By default no box is chosen, and boxes that overlap at all exclude each other."""
    boxes, scores = call.input(0), call.input(1)
    most, overlap, least = (call.optional(place) for place in (2, 3, 4))
    if most is None:
        most = constant(np.asarray(0, np.int64))
    if overlap is None:
        overlap = constant(np.asarray(0, np.float32))
    op = ops.NonMaxSuppression((fresh_size("selected"),), bool(call.attribute("center_point_box", 0)))
    return apply(op, boxes, scores, _scalar(most), _scalar(overlap), None if least is None else _scalar(least))


def _scalar(number: Value) -> Value:
    """A tensor of one number, which ONNX writes as a scalar or as a vector."""
    return number if not number.ndim else ops.reshape(number, ())
