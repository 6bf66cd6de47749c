"""Codes that onnxruntime multiplies exactly on every CPU."""

from __future__ import annotations

from collections import Counter
from typing import Any

from onnx import ModelProto, TensorProto

from dagir_onnx.untrusted_proto import subgraphs

_AS_BYTES = "session.x64quantprecision"
"""Makes uint8 of weights in int8, for which there are kernels on every CPU of this family that do not saturate."""
_AS_FLOATS = "session.disable_quant_qdq"
"""Takes codes that DequantizeLinear reads for the floats that they are."""


def multiply_exactly(options: Any, model: ModelProto) -> None:
    """Have the codes of a model multiplied without saturation, whatever the CPU.

    onnxruntime 1.32 makes uint8 of a weight or a zero point once for each node that reads it, and fails at the second
    one (tests/upstream/test_onnxruntime.py): a model with such a one computes with its codes as floats.
    """
    options.add_session_config_entry(_AS_FLOATS if _shares_codes(model) else _AS_BYTES, "1")


def _shares_codes(model: ModelProto) -> bool:
    stored = {tensor.name for tensor in model.graph.initializer if tensor.data_type == TensorProto.INT8}
    reads, pending = Counter[str](), list(model.graph.node)
    dequantized: set[str] = set()
    while pending:
        node = pending.pop()
        reads.update(set(node.input))
        if node.op_type == "DequantizeLinear" and node.input[0] in stored:
            dequantized.update(node.output)
        for body in subgraphs(node):
            pending.extend(body.node)
    return any(reads[name] > 1 for name in stored | dequantized)


def own_zero_points(model: ModelProto) -> None:
    """Give each DequantizeLinear of a weight in int8 a zero point that no other one reads: see `multiply_exactly`."""
    stored = {tensor.name: tensor for tensor in model.graph.initializer}
    pending, taken = list(model.graph.node), Counter[str]()
    while pending:
        node = pending.pop()
        for body in subgraphs(node):
            pending.extend(body.node)
        if node.op_type != "DequantizeLinear" or len(node.input) < 3 or node.input[0] not in stored:
            continue
        zero = stored.get(node.input[2])
        if zero is None or zero.data_type != TensorProto.INT8:
            continue
        taken[zero.name] += 1
        if taken[zero.name] > 1:
            copy = model.graph.initializer.add()
            copy.CopyFrom(zero)
            copy.name = node.input[2] = f"{zero.name}.{taken[zero.name]}"
