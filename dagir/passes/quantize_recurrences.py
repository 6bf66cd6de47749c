"""Recurrences with kernels of codes: LSTMs that multiply in integers, the others with codes that are stored alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Node, Parameter, Value
from dagir.ir.rewriter import Operands
from dagir.ir.types import Array, type_of
from dagir.passes.derived import leaf_array
from dagir.passes.dynamic_codes import dynamic_codes
from dagir.passes.quantize import Codes, has_stored_kernels, with_stored_codes


def is_integer_lstm(node: Node) -> bool:
    """Whether a node is an LSTM that DynamicQuantizeLSTM computes: its kernels and its bias stored, and no mask."""
    given = [*node.inputs, *[None] * 7]
    b = given[3]
    stored = b is None or isinstance(b.source, (Constant, Parameter))
    return isinstance(node.op, ops.LSTM) and has_stored_kernels(node) and stored and given[6] is None


def codes_for_recurrence(array: Array, full_range: bool) -> Codes:
    """Codes of a kernel [i, 4 * u], as of `dynamic_codes`, with a zero point for each scale.

    Of a row at a time, onnxruntime's kernel takes a sixth longer with a scale for each column, and with uint8 a tenth
    longer than with int8 on a CPU with VNNI.
    """
    codes = dynamic_codes(array, full_range)
    return Codes(codes.scale, np.full(codes.scale.shape, codes.zero, codes.zero.dtype), codes.axis)


def with_coded_kernels(node: Node, operands: Operands, full_range: bool) -> Sequence[Value]:
    """y = LSTM(x, w, r, b, h0, c0)   =>   y = DynamicQuantizeLSTM(x, w', r', b, h0, c0, , s, z, s', z')

    Of another recurrence the kernels are stored as codes, and it computes in float.
    """
    op = node.op
    if not isinstance(op, ops.LSTM) or not is_integer_lstm(node):
        return with_stored_codes(node, operands)
    x, w, r, *rest = operands
    kernels: list[Value] = []
    factors: list[Value] = []
    for value, name in ((w, "kernel"), (r, "recurrent_kernel")):
        assert value is not None
        array = leaf_array(value)
        codes = codes_for_recurrence(array, full_range)
        source, coded = value.source, codes.coded(array)
        title = source.name if isinstance(source, Parameter) else f"{node.outputs[0].name}/{name}"
        kernels.append(Parameter(title, type_of(coded), array=frozen(coded), trainable=False).value)
        factors += [Constant(frozen(codes.scale)).value, Constant(frozen(codes.zero)).value]
    b, h0, c0, *_ = [*rest, None, None, None]
    given = (x, *kernels, b, h0, c0, None, *factors)
    integer = ops.DynamicQuantizeLSTM(op.activation, op.go_backwards, op.zero_output_for_mask, op.recurrent_activation)
    types = tuple(integer.infer(*[None if value is None else value.type for value in given]))  # type: ignore[arg-type]
    return Node(integer, given, types, scope=node.scope, location=node.location).outputs
