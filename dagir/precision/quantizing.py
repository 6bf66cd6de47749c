"""Models of integers: which nodes are quantized, the ranges of their values, and the corrected biases.

What is quantized: convolutions and products with stored weights; sums, products and concatenations of values that are
quantized; average pools between them; and what moves or chooses elements of these, with the codes that it is given. An
activation that limits a range (a relu, a clip) belongs to the node before it. Softmax, normalizations and the last
layer's results stay float: a last product reads codes and gives floats, which its integer kernels do as well, and a
convolution that makes an output is not quantized, nor are small first and last layers.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cache, partial
from math import inf, isfinite
from typing import Any, TypeAlias

import numpy as np

from dagir import ops
from dagir.equivalence.closeness import closeness
from dagir.errors import ArgumentError, UnsupportedOp
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.naming import value_names
from dagir.ir.types import Array, DType
from dagir.modeling.model import Model
from dagir.passes import DEPLOY, FuseBidirectional, Pass, run
from dagir.passes.derived import leaf_array
from dagir.passes.quantize import (
    Codes,
    Quantize,
    codes_for_range,
    codes_for_weight,
    codes_for_weight_of,
    has_stored_kernels,
    has_weight,
)
from dagir.precision.calibration import Ranges, check_method, parts
from dagir.precision.drawing import arranged
from dagir.precision.equalization import equalized
from dagir.precision.kept_float import not_worthwhile
from dagir.precision.narrowing import Narrowed, answers_of, as_model
from dagir.precision.sensitivity import Sensitivity, analyse
from dagir.runtime.backend import Apply, backend, graph_of, signature
from dagir.runtime.probes import points_of
from dagir.support.backend_names import NUMPY
from dagir.support.did_you_mean import did_you_mean

CodesOfWeight: TypeAlias = Callable[[Node, Array], Codes]

_LIMITING = (ops.Relu, ops.Clip)
_PASSING = (ops.MaxPool, ops.Reshape, ops.Transpose, ops.ExpandDims, ops.Squeeze)
_QUANTIZING = (ops.QuantizeLinear, ops.DynamicQuantizeLinear, ops.DynamicQuantizeLSTM)
_JOINING = (ops.Add, ops.Multiply, ops.Concatenate, ops.AveragePool)


def quantized_model(
    model: Model | Graph,
    inputs: object = None,
    *,
    ranges: str = "mse",
    keep_float: Collection[str] = (),
    budget: float | None = None,
    full_range: bool = False,
    seed: int = 0,
) -> Narrowed:
    """The model with convolutions and products in int8, and QuantizeLinear and DequantizeLinear around them.

    inputs: samples to calibrate with, as for `sensitivity`. ranges: of values, by "minmax", "percentile", "entropy" or
    "mse". keep_float: names of layers or nodes that stay float. budget: nodes stay float, the worst first, until the
    others together move the outputs by no more, as a relative error. full_range: whether codes of weights go up to 127
    wherever they stand, which saturates on a CPU without VNNI. Raises ArgumentError, UnsupportedOp.
    """
    check_method(ranges)
    arrays = arranged(model, inputs, seed)
    graph = run(points_of(model).graph, DEPLOY, disable=(FuseBidirectional.name,))
    graphs = [graph, equalized(graph, arrays)]
    integers = partial(
        _integers, model, arrays, ranges=ranges, keep_float=keep_float, budget=budget, full_range=full_range, seed=seed
    )
    return min([integers(each) for each in graphs if each is not None], key=_lost)


def _lost(narrowed: Narrowed) -> float:
    """How far the outputs are off on the samples."""
    lost = sum(each.relative**2 for each in narrowed.closeness)
    return lost if isfinite(lost) else inf


def _integers(
    model: Model | Graph,
    arrays: Sequence[Array],
    graph: Graph,
    *,
    ranges: str,
    keep_float: Collection[str],
    budget: float | None,
    full_range: bool,
    seed: int,
) -> Narrowed:
    kept = {**not_worthwhile(graph), **asked(graph, value_names(graph), keep_float)}
    choice = _Choice(graph, kept)
    if not any(has_weight(node) or has_stored_kernels(node) for node in graph.nodes if node not in kept):
        raise UnsupportedOp(
            f"{graph.name} has no convolution and no product with stored weights that could be quantized",
            remedy='precision="float16" narrows any model',
        )
    seen = Ranges(graph, arrays, set(choice.codes_of.values()), seed)
    codes = _codes(choice.codes_of, seen, ranges)
    of_weight = partial(codes_for_weight_of, full_range=full_range)
    analysed = cache(partial(_analysed, graph, arrays, tuple(choice.nodes), tuple(kept), codes, of_weight, seed))
    if budget is not None:
        kept = {**kept, **costly(analysed(), budget)}
        choice = _Choice(graph, kept)
        codes = {value: codes[value] for value in choice.codes_of}
    stored = frozenset(node for node in graph.nodes if has_stored_kernels(node) and node not in kept)
    biases = _corrected(graph, arrays, choice.nodes, codes, of_weight)
    step = Quantize(codes, frozenset(choice.nodes), biases, stored, full_range)
    return measured(model, graph, step, arrays, kept, "int8", analysed)


def measured(
    model: Model | Graph,
    graph: Graph,
    step: Pass,
    arrays: Sequence[Array],
    kept: Mapping[Node, str],
    how: str,
    analysed: Callable[[], Sensitivity],
) -> Narrowed:
    """The graph after the step as a model, compared with the graph on the samples."""
    interface, names = signature(model), value_names(graph)
    narrow = step(graph)
    pairs = zip(interface.outputs, answers_of(graph, arrays), answers_of(narrow, arrays), strict=True)
    close = tuple([closeness(name, [new], [old]) for (name, _), old, new in pairs])
    count = sum(isinstance(node.op, _QUANTIZING) for node in narrow.nodes)
    told = {names[node.outputs[0]]: reason for node, reason in kept.items()}
    return Narrowed(as_model(narrow, interface, graph_of(model).name), how, told, count, close, analysed)


def asked(graph: Graph, names: Mapping[Value, str], keep_float: Collection[str]) -> dict[Node, str]:
    """The nodes that are to stay float by name: of the node, of its layer, or of a layer around it."""
    found: dict[Node, str] = {}
    for wanted in keep_float:
        nodes = [node for node in graph.nodes if _is_called(node, names, wanted)]
        if not nodes:
            known = [node.scope.path for node in graph.nodes if node.scope is not None]
            raise ArgumentError(f"no node or layer is called {wanted!r}", remedy=did_you_mean(wanted, known))
        found.update(dict.fromkeys(nodes, "was asked for"))
    return found


def _is_called(node: Node, names: Mapping[Value, str], wanted: str) -> bool:
    path = node.scope.path if node.scope is not None else ""
    return path == wanted or path.startswith(f"{wanted}/") or wanted in [names[value] for value in node.outputs]


class _Choice:
    """What is quantized. nodes: those that read codes. codes_of: for each quantized value the value whose codes it has:
    itself, or one that it was moved from.
    """

    def __init__(self, graph: Graph, kept: Mapping[Node, str]) -> None:
        self.kept, self.outputs = kept, set(graph.outputs)
        self.readers: dict[Value, list[Node]] = {}
        for node in graph.nodes:
            for value in node.inputs:
                if value is not None:
                    self.readers.setdefault(value, []).append(node)
        self.nodes: list[Node] = []
        self.codes_of: dict[Value, Value] = {}
        self.before_limits: set[Value] = set()  # results whose codes begin behind the activation that reads them
        for node in graph.nodes:
            if node not in kept and node.inputs and all(value.dtype is DType.FLOAT32 for value in node.outputs):
                self._choose(node)

    def _choose(self, node: Node) -> None:
        x, out = node.inputs[0], node.outputs[0]
        if x is None:
            return
        if has_weight(node):
            is_conv = isinstance(node.op, ops.Conv)
            if is_conv and out in self.outputs:
                return
            self.codes_of.setdefault(x, x)
            self._end(out, is_conv)
        elif isinstance(node.op, _LIMITING) and x in self.before_limits:
            self.codes_of[out] = out
        elif isinstance(node.op, _PASSING) and x in self.codes_of and out not in self.outputs:
            self.codes_of[out] = self.codes_of[x]
        elif isinstance(node.op, _JOINING) and all(value in self.codes_of for value in node.inputs):
            self._end(out)
        else:
            return
        self.nodes.append(node)

    def _end(self, out: Value, always: bool = False) -> None:
        """Decide where the codes of a result begin: there, behind its activation, or nowhere: the rest is float.

        always: whether the integer kernel gives codes alone, as that of a convolution; that of a product gives floats.
        """
        reading = self.readers.get(out, [])
        if out in self.outputs or not (always or any(self._takes_codes(node) for node in reading)):
            return
        if len(reading) == 1 and isinstance(reading[0].op, _LIMITING) and reading[0] not in self.kept:
            self.before_limits.add(out)
        else:
            self.codes_of[out] = out

    def _takes_codes(self, node: Node) -> bool:
        """Whether a node may be quantized, or the ones behind its activation or its reshape."""
        pending = [node]
        while pending:
            node = pending.pop()
            if node in self.kept:
                continue
            if has_weight(node) or isinstance(node.op, _JOINING):
                return True
            if isinstance(node.op, (*_LIMITING, *_PASSING, ops.ReduceMean)):
                pending += self.readers.get(node.outputs[0], [])
        return False


def _codes(quantized: Mapping[Value, Value], seen: Ranges, method: str) -> dict[Value, Codes]:
    """The codes of each value. Values that share them have the range of the one that they come from."""
    found: dict[Value, Codes] = {}
    for source in set(quantized.values()):
        low, high = seen.of(source, method)
        op = source.node.op if source.node is not None else None
        low = 0.0 if isinstance(op, ops.Relu) else max(low, op.minimum) if isinstance(op, ops.Clip) else low
        most = op.maximum if isinstance(op, ops.Clip) else None
        found[source] = codes_for_range(low, high, most)
    return {value: found[source] for value, source in quantized.items()}


def _quantized_operands(
    node: Node, operands: Sequence[Array | None], codes: Mapping[Value, Codes], of_weight: CodesOfWeight
) -> list[Any]:
    """The operands as an integer kernel has them."""
    given: list[Any] = []
    for place, (value, array) in enumerate(zip(node.inputs, operands, strict=True)):
        if value is None or array is None:
            given.append(array)
        elif value in codes:
            given.append(codes[value].rounded(array))
        elif place == 1 and has_weight(node):
            given.append(of_weight(node, array).rounded(array))
        else:
            given.append(array)
    return given


def _analysed(
    graph: Graph,
    arrays: Sequence[Array],
    chosen: Collection[Node],
    kept: Collection[Node],
    codes: Mapping[Value, Codes],
    of_weight: CodesOfWeight,
    seed: int,
) -> Sensitivity:
    """What quantizing each node costs: its operands, which hold weights, and its results."""
    integers = set(chosen)

    def rounded(node: Node, results: Sequence[Array]) -> list[Array]:
        pairs = zip(node.outputs, results, strict=True)
        return [codes[value].rounded(array) if value in codes else array for value, array in pairs]

    def narrow(node: Node, operands: Sequence[Array | None], apply: Any) -> Sequence[Array]:
        if has_stored_kernels(node) and node not in kept:
            return list(apply(with_coded_kernels(operands)))
        if node not in integers:
            return rounded(node, apply(operands)) if node.outputs[0] in codes else list(apply(operands))
        return rounded(node, apply(_quantized_operands(node, operands, codes, of_weight)))

    return analyse(graph, parts(graph, arrays)[0], DType.FLOAT32, seed, narrow)


def with_coded_kernels(operands: Sequence[Array | None]) -> list[Array | None]:
    """The operands of a recurrence whose kernels are codes."""
    x, *kernels = operands[:3]
    coded = [w if w is None else codes_for_weight(w, 1, full_range=True).rounded(w) for w in kernels]
    return [x, *coded, *operands[3:]]


def costly(table: Sensitivity, budget: float) -> dict[Node, str]:
    """The worst nodes with weights, until the others together cost no more than the budget."""
    left = sum(row.own**2 for row in table)
    found: dict[Node, str] = {}
    for row in sorted(table, key=lambda row: -row.own):
        if left <= budget**2:
            break
        if has_weight(row.node) or has_stored_kernels(row.node):
            found[row.node] = f"costs {row.own:.2g}"
            left -= row.own**2
    return found


def _corrected(
    graph: Graph,
    arrays: Sequence[Array],
    chosen: Collection[Node],
    codes: Mapping[Value, Codes],
    of_weight: CodesOfWeight,
) -> dict[Node, Array]:
    """Biases by which the results of each node have the mean, for each channel, that they have in float.

    Nagel et al., "Data-free quantization through weight equalization and bias correction" (ICCV 2019), from samples.
    """
    wanted = {node for node in chosen if has_weight(node)}
    sums: dict[Node, Array] = {}
    count = 0

    def around(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        results = apply(operands, None)
        if node in wanted:
            rounded = _quantized_operands(node, operands, codes, of_weight)
            given = [None if each is None else each.astype(np.float32) for each in rounded]
            found = apply(given, None)[0]
            axis = node.op.channel_axis if isinstance(node.op, ops.Conv) else results[0].ndim - 1
            others = tuple(each for each in range(found.ndim) if each != axis)
            off = (results[0] - found).mean(axis=others)
            sums[node] = sums[node] + off if node in sums else off
        return results

    exe: Any = backend(NUMPY).lower(graph)
    for part in parts(graph, arrays):
        count += 1
        with np.errstate(all="ignore"):
            exe.trace(part, around)
    found: dict[Node, Array] = {}
    for node, total in sums.items():
        b = node.inputs[2] if len(node.inputs) > 2 else None
        bias = np.zeros(total.shape) if b is None or not is_leaf(b) else leaf_array(b).astype(np.float64)
        found[node] = bias + np.nan_to_num(total / max(count, 1), nan=0.0, posinf=0.0, neginf=0.0)
    return found
