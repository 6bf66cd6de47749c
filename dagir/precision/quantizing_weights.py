"""Models whose products have stored matrices as codes: int8 with inputs quantized as they come, and int4 in blocks."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from functools import cache, partial
from typing import Any

import numpy as np

from dagir.errors import UnsupportedOp
from dagir.ir.graph import Graph, Node
from dagir.ir.naming import value_names
from dagir.ir.types import Array, DType
from dagir.modeling.model import Model
from dagir.passes import DEPLOY, FlatProducts, FuseBidirectional, run
from dagir.passes.quantize import codes_for_range, has_stored_kernels
from dagir.passes.quantize_recurrences import codes_for_recurrence, is_integer_lstm
from dagir.passes.quantize_weights import QuantizeBlocks, QuantizeDynamic, blocks, codes_for_product, is_linear_map
from dagir.precision.calibration import parts
from dagir.precision.drawing import arranged
from dagir.precision.kept_float import small_last_products
from dagir.precision.narrowing import Narrowed
from dagir.precision.quantizing import asked, costly, measured, with_coded_kernels
from dagir.precision.sensitivity import Sensitivity, analyse
from dagir.runtime.probes import points_of

BLOCK = 32
"""Rows of a matrix of 4 bits that share a scale."""


def weights_quantized_model(
    model: Model | Graph,
    how: str,
    inputs: object = None,
    *,
    keep_float: Collection[str] = (),
    budget: float | None = None,
    full_range: bool = False,
    seed: int = 0,
) -> Narrowed:
    """The model with the stored matrices of its products as codes, and all else in float.

    how: "int8-dynamic" has inputs quantized as they come, by their range in each run; "int4-weights" has codes of 4
    bits with a scale for each block of 32 rows, and computes in float. The others are those of `quantized_model`.

    Dynamic products keep the rank of their inputs: onnxruntime's integer products take any rank and no activation, and
    a Reshape to rows hides from it that results have the sizes of operands, whose memory they could take.
    """
    arrays = arranged(model, inputs, seed)
    dynamic = how == "int8-dynamic"
    graph = run(points_of(model).graph, DEPLOY, disable=(FlatProducts.name, FuseBidirectional.name) if dynamic else ())
    kept = asked(graph, value_names(graph), keep_float)
    nodes = [node for node in graph.nodes if is_linear_map(node) or (dynamic and has_stored_kernels(node))]
    kept = {**small_last_products(graph, nodes), **kept}
    nodes = [node for node in nodes if node not in kept]
    if not nodes:
        raise UnsupportedOp(
            f"{graph.name} has no product with a stored matrix that could be quantized",
            remedy='quantize="int8" takes convolutions, precision="float16" any model',
        )
    analysed = cache(partial(_analysed_weights, graph, arrays, nodes, dynamic, full_range, seed))
    if budget is not None:
        kept = {**kept, **costly(analysed(), budget)}
    chosen = frozenset(node for node in nodes if node not in kept)
    step = QuantizeDynamic(chosen, full_range) if dynamic else QuantizeBlocks(chosen, BLOCK)
    return measured(model, graph, step, arrays, kept, how, analysed)


def _analysed_weights(
    graph: Graph, arrays: Sequence[Array], nodes: Collection[Node], dynamic: bool, full_range: bool, seed: int
) -> Sensitivity:
    """What the codes of each matrix cost, and those of what is multiplied with it."""
    integers = set(nodes)

    def narrow(node: Node, operands: Sequence[Array | None], apply: Any) -> Sequence[Array]:
        x, w = (*operands, None, None)[:2]
        if node not in integers or x is None or w is None:
            return list(apply(operands))
        if has_stored_kernels(node):
            return list(apply(_coded_operands(node, operands, full_range)))
        if dynamic:
            x = codes_for_range(float(x.min(initial=0.0)), float(x.max(initial=0.0))).rounded(x)
            w = codes_for_product(w, full_range).rounded(w)
        else:
            codes, scale = blocks(w, BLOCK)
            w = codes * np.repeat(scale.astype(np.float64), BLOCK, axis=0)[: len(codes)]
        return list(apply([x, w, *operands[2:]]))

    return analyse(graph, parts(graph, arrays)[0], DType.FLOAT32, seed, narrow)


def _coded_operands(node: Node, operands: Sequence[Array | None], full_range: bool) -> list[Array | None]:
    """The operands of a recurrence in codes. The states of an LSTM become codes too, at each step: not here."""
    if not is_integer_lstm(node):
        return with_coded_kernels(operands)
    x, w, r, *rest = operands
    assert x is not None
    rounded = codes_for_range(float(x.min(initial=0.0)), float(x.max(initial=0.0))).rounded(x)
    coded = [None if each is None else codes_for_recurrence(each, full_range).rounded(each) for each in (w, r)]
    return [rounded, *coded, *rest]
