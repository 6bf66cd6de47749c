"""DynamicQuantizeLSTM of com.microsoft, where codes are stored and nothing is masked; else a Scan over the steps."""

from __future__ import annotations

from typing import cast

import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType
from dagir.ops.coded_recurrences import coded_as_scan
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.lowering import emit_subgraph
from dagir_onnx.rnn import activations_of, arranged, bias_of, in_order_of_steps, is_native, reversed_steps
from dagir_onnx.rules import rules

_KERNELS = ("w", "r")


@rules.rule(ops.DynamicQuantizeLSTM)
def dynamic_quantize_lstm(op: ops.DynamicQuantizeLSTM, emit: Emitter, *operands: Tensor | None) -> tuple[Tensor, ...]:
    x, w, r, b, h0, c0, mask, *factors = operands
    assert x is not None
    assert w is not None
    assert r is not None
    if mask is not None or not is_native(op, x.type.dtype) or not _has_kernel(x, w, r, b, *factors):
        graph = coded_as_scan(op, [None if tensor is None else tensor.type for tensor in operands])
        return tuple(emit_subgraph(emit, graph, [tensor for tensor in operands if tensor is not None]))
    states = [None if state is None else emit("Unsqueeze", state, emit.ints(0)) for state in (h0, c0)]
    results = emit(
        "DynamicQuantizeLSTM",
        emit.transposed(x, (1, 0, 2)),
        _kernel(op, emit, w),
        _kernel(op, emit, r),
        None if b is None else bias_of(op, emit, b),
        None,
        *states,
        None,
        *[_factors(op, emit, cast(Tensor, factor), _KERNELS[place // 2]) for place, factor in enumerate(factors)],
        domain="com.microsoft",
        outputs=3,
        type=x.type,
        hidden_size=r.type.shape[0],
        direction="reverse" if op.go_backwards else None,
        **activations_of(op),
    )
    y, *finals = in_order_of_steps(op, emit, results, x.type, cast(int, r.type.shape[0]))
    return (reversed_steps(emit, y) if op.go_backwards else y, *finals)


def _has_kernel(x: Tensor, w: Tensor, r: Tensor, b: Tensor | None, *factors: Tensor | None) -> bool:
    """Whether onnxruntime has a kernel: for float32 and stored weights, codes of one dtype.

    Zero points of columns must be one number, which is 0 for int8.
    """
    if any(tensor is not None and tensor.type.dtype is not DType.FLOAT32 for tensor in (x, b)):
        return False
    known = [tensor for tensor in factors if tensor is not None]
    if not all(tensor.is_initializer for tensor in (w, r, *known, *([] if b is None else [b]))):
        return False
    pairs = list(zip(known[::2], known[1::2], strict=True))
    if w.type.dtype is not r.type.dtype or any(scale.type.rank != zero.type.rank for scale, zero in pairs):
        return False
    zeros = [zero.array for _, zero in pairs if zero.type.rank]
    return all(not np.ptp(array) and (array.dtype == np.uint8 or not array.any()) for array in zeros)


def _kernel(op: ops.DynamicQuantizeLSTM, emit: Emitter, codes: Tensor) -> Tensor:
    """[i, 4 * u] to [1, i, 4 * u], the gates in ONNX's order."""

    def turned(array: Array) -> Array:
        return np.ascontiguousarray(arranged(op, array).transpose(0, 2, 1))

    return emit.derived(codes, "codes of an LSTM", turned, codes.type.with_shape((1, *codes.type.shape)))


def _factors(op: ops.DynamicQuantizeLSTM, emit: Emitter, factors: Tensor, kernel: str) -> Tensor:
    """A scale or a zero point of all as [1], those of columns as [1, 4 * u].

    A zero point of int8 is one that no other kernel has: see `exact_codes`.
    """
    own = f" of {emit.outputs[0].name}, {kernel}" if factors.type.dtype is DType.INT8 else ""
    if not factors.type.rank:
        kind = factors.type.with_shape((1,))
        return emit.derived(factors, f"of a direction{own}", lambda array: array.reshape(1), kind)
    kind = factors.type.with_shape((1, *factors.type.shape))
    return emit.derived(factors, f"of gates{own}", lambda array: arranged(op, array[None]).reshape(1, -1), kind)
