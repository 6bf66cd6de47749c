"""The opsets that a runtime supports."""

from __future__ import annotations

import re

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Op
from dagir.ir.leaves import is_leaf
from dagir.ir.types import DType
from dagir.ops.call import first_of, graphs_of
from dagir.support.integers import whole

OLDEST_OPSET, DEFAULT_OPSET, NEWEST_OPSET = 13, 21, 24
IR_VERSIONS = {13: 7, 14: 7, 15: 8, 16: 8, 17: 8, 18: 8, 19: 9, 20: 9, 21: 10, 22: 10, 23: 11, 24: 12}
"""The IR version of the onnx release that brought an opset: what runs the opset takes it."""

SLOWER_FROM: dict[type[Op], int] = {ops.AveragePool: 19}
"""Ops that onnxruntime computes slower from an opset on: its AveragePool-19 took 13 times as long as AveragePool-11,
and made NASNetMobile 1.4 times as slow (onnxruntime 1.32, CPU, where the channels are no multiple of its block)."""

SINCE: dict[DType, int] = {
    **dict.fromkeys(
        (DType.FLOAT8_E4M3FN, DType.FLOAT8_E4M3FNUZ, DType.FLOAT8_E5M2, DType.FLOAT8_E5M2FNUZ),
        19,
    ),
    DType.INT4: 21,
    DType.UINT4: 21,
    DType.FLOAT4_E2M1FN: 23,
    DType.FLOAT8_E8M0FNU: 24,
    DType.INT2: 25,
    DType.UINT2: 25,
}
"""The opset from which on the operators take a dtype."""

_CODES_SINCE_21 = (DType.INT16, DType.UINT16)
"""Codes that QuantizeLinear and DequantizeLinear take from opset 21 on; those of SINCE too."""

_ONNXRUNTIME = {
    **{(1, 6): 13, (1, 8): 14, (1, 9): 15, (1, 11): 16, (1, 12): 17},
    **{(1, 14): 18, (1, 15): 19, (1, 17): 20, (1, 18): 21, (1, 21): 22, (1, 22): 23, (1, 24): 24},
}
"""The first release of onnxruntime that takes an opset as its own. onnxruntime.ai/docs/reference/compatibility."""

FROZEN = "dagir.frozen"
"""The key of the metadata that lists the initializers which are not trained, as JSON."""


def choose_opset(opset: int | None = None, target: str | None = None, graph: Graph | None = None) -> int:
    """The opset to write: the requested one, or the default unless the target is too old, or does worse with it.

    target: as "onnxruntime==1.17" or "onnxruntime==1.17.3". Raises ArgumentError with the range.
    """
    newest = NEWEST_OPSET if target is None else _newest_of(target)
    if opset is None:
        return max(min(DEFAULT_OPSET, newest, _fastest_of(graph), _loaded_of(graph)), min(newest, _least_of(graph)))
    opset = whole("opset", opset, 0)
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        raise ArgumentError(f"opset {opset} is not offered", remedy=f"use {OLDEST_OPSET} to {NEWEST_OPSET}")
    if opset > newest:
        raise ArgumentError(f"{target} takes opset {newest} at most, not {opset}", remedy="leave out the opset")
    return opset


def _fastest_of(graph: Graph | None) -> int:
    found = [first - 1 for kind, first in SLOWER_FROM.items() if graph is not None and first_of(graph, (kind,))]
    return min(found, default=NEWEST_OPSET)


def _loaded_of(graph: Graph | None) -> int:
    """20 where int8 codes are computed: onnxruntime makes them uint8, and from 21 on leaves int8 in an attribute.

    Blocks and codes of 16 bits need 21.
    """
    computed = False
    for node in (node for each in (() if graph is None else graphs_of(graph)) for node in each.nodes):
        op, codes = node.op, node.outputs[0]
        if isinstance(op, ops.DequantizeLinear) and node.inputs[0] is not None:
            codes = node.inputs[0]
            computed = computed or (codes.dtype is DType.INT8 and not is_leaf(codes))
        blocks = op.block_size if isinstance(op, (ops.QuantizeLinear, ops.DequantizeLinear)) else None
        if blocks or (blocks == 0 and codes.dtype in _CODES_SINCE_21):
            return NEWEST_OPSET
    return 20 if computed else NEWEST_OPSET


def _least_of(graph: Graph | None) -> int:
    """The opset that the dtypes of a graph need; 0 for those that every opset has."""
    values = (
        value
        for each in (() if graph is None else graphs_of(graph))
        for node in each.nodes
        for value in (*node.inputs, *node.outputs)
        if value is not None
    )
    return max((SINCE.get(value.dtype, 0) for value in values), default=0)


def _newest_of(target: str) -> int:
    found = re.fullmatch(r"onnxruntime(?:-gpu)?==(\d+)\.(\d+)(\.\w+)*", target.replace(" ", ""))
    if found is None:
        raise ArgumentError(f"unknown target {target!r}", remedy="give one as onnxruntime==1.20")
    version = (int(found[1]), int(found[2]))
    known = [opset for first, opset in _ONNXRUNTIME.items() if first <= version]
    if not known:
        (major, minor), opset = next(iter(_ONNXRUNTIME.items()))
        raise ArgumentError(
            f"{target} is too old: dagir writes opset {opset} or newer",
            remedy=f"use onnxruntime {major}.{minor} or newer",
        )
    return max(known)
