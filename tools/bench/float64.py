"""The float64 answer of an ONNX model: onnx's ReferenceEvaluator, mended, on the model with its weights in float64."""

from __future__ import annotations

import warnings

import numpy as np
from onnx import AttributeProto, ModelProto, TensorProto, numpy_helper
from onnx.reference import ReferenceEvaluator
from onnx.reference.ops import op_gru, op_lstm


def answer(proto, feeds):
    """The outputs for float64 feeds by name."""
    evaluator = ReferenceEvaluator(in_float64(proto), new_ops=[LSTM, GRU])
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        return evaluator.run(None, feeds)


_FLOATS = {TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16}


def in_float64(proto):
    """The same model with every float32, and what is shorter, made float64."""
    wide = ModelProto()
    wide.CopyFrom(proto)
    _widen(wide.graph)
    return wide


def _widen(graph):
    for tensor in graph.initializer:
        if tensor.data_type in _FLOATS:
            tensor.CopyFrom(numpy_helper.from_array(numpy_helper.to_array(tensor).astype(np.float64), tensor.name))
    for info in (*graph.input, *graph.output):
        if info.type.tensor_type.elem_type in _FLOATS:
            info.type.tensor_type.elem_type = TensorProto.DOUBLE
    for node in graph.node:
        for entry in node.attribute:
            if node.op_type == "Cast" and entry.name == "to" and entry.i in _FLOATS:
                entry.i = TensorProto.DOUBLE
            if entry.type == AttributeProto.GRAPH:
                _widen(entry.g)


class _RowByRow:
    """onnx's evaluator ignores `sequence_lens`: run it on each row alone, cut to its length."""

    def _run(self, x, w, r, b=None, sequence_lens=None, initial_h=None, *rest, **attributes):
        run = super()._run
        if sequence_lens is None:
            return run(x, w, r, b, None, initial_h, *rest, **attributes)
        rows = []
        for row, length in enumerate(sequence_lens):
            states = [None if s is None or s.ndim != 3 else s[:, row : row + 1] for s in (initial_h, *rest)]
            rows.append(run(x[:length, row : row + 1], w, r, b, None, *states, **attributes))
        steps = [np.pad(y, ((0, len(x) - len(y)), (0, 0), (0, 0), (0, 0))) for y, *_ in rows]
        return np.concatenate(steps, 2), *(np.concatenate(part, 1) for part in zip(*(r[1:] for r in rows), strict=True))


class LSTM(_RowByRow, op_lstm.LSTM):
    op_domain = ""


class GRU(_RowByRow, op_gru.GRU):
    op_domain = ""
