"""Compute in integers: QuantizeLinear and DequantizeLinear around what integer kernels do (QDQ)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dagir import ops
from dagir.ir.arrays import frozen
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.rewriter import Operands, copy_node, rebuild
from dagir.ir.types import Array, DType, type_of
from dagir.passes.derived import leaf_array
from dagir.passes.pipeline import Pass

_LARGEST_CODE = 127
"""Of a weight. Of two together it leaves room for the rounding of both below 128."""


@dataclass(frozen=True)
class Codes:
    """How numbers are codes: number = (code - zero) * scale. axis: of the scales, or None for one of each."""

    scale: Array
    zero: Array
    axis: int | None = None

    def coded(self, array: Array) -> Array:
        """The codes of numbers, as QuantizeLinear rounds them."""
        scale, zero = self._along(self.scale, array.ndim), self._along(self.zero, array.ndim)
        ends = np.iinfo(self.zero.dtype)
        codes = np.rint(array / scale.astype(np.float64)) + zero.astype(np.float64)
        return np.asarray(np.clip(codes, ends.min, ends.max)).astype(self.zero.dtype)

    def rounded(self, array: Array) -> Array:
        """The numbers that the codes of numbers stand for, in float64."""
        scale, zero = self._along(self.scale, array.ndim), self._along(self.zero, array.ndim)
        return np.asarray((self.coded(array).astype(np.float64) - zero) * scale.astype(np.float64))

    def _along(self, array: Array, rank: int) -> Array:
        if self.axis is None:
            return array
        return array.reshape([-1 if axis == self.axis else 1 for axis in range(rank)])


def codes_for_range(low: float, high: float, most: float | None = None) -> Codes:
    """uint8 codes of a range that holds 0, which is a code of its own. most: a number that no code may exceed."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255) if high > low else np.float32(1.0)
    scale = scale if scale >= np.finfo(np.float32).tiny else np.float32(1.0)
    zero = int(np.clip(np.rint(-low / scale), 0, 255))
    while most is not None and most > 0 and np.float32(255 - zero) * scale > np.float32(most):
        scale = np.nextafter(scale, np.float32(0))
    return Codes(np.asarray(scale), np.asarray(zero, np.uint8))


def codes_for_weight(array: Array, axis: int, *, full_range: bool = False) -> Codes:
    """int8 codes of a weight, symmetric, a scale for each place on the axis.

    Two codes of one place add up to at most 128, so that no kernel saturates, unless the full range is asked for: where
    a CPU has no VNNI, products of uint8 and int8 are added in pairs in 16 bits, which hold 255 * 128 and little more.
    """
    flat = np.moveaxis(array.astype(np.float64), axis, -1).reshape(-1, array.shape[axis])
    largest = np.abs(flat).max(axis=0, initial=0.0)
    if len(flat) > 1 and not full_range:
        ends = np.partition(flat, (1, len(flat) - 2), axis=0)
        largest = np.maximum(largest, np.maximum(ends[-1] + ends[-2], -(ends[0] + ends[1])))
    scale = (largest / _LARGEST_CODE).astype(np.float32)
    scale = np.where(scale >= np.finfo(np.float32).tiny, scale, np.float32(1.0)).astype(np.float32)
    return Codes(scale, np.zeros(scale.shape, np.int8), axis)


def codes_for_weight_of(node: Node, array: Array, full_range: bool = False) -> Codes:
    """The codes of the weight of a convolution or a product, a scale for each filter or column.

    full_range: as of `codes_for_weight`. Depthwise kernels add in 32 bits, and always take the full range.
    """
    op = node.op
    depthwise = isinstance(op, ops.Conv) and op.groups > 1 and array.shape[-2] == 1 and array.shape[-1] == op.groups
    return codes_for_weight(array, array.ndim - 1, full_range=full_range or depthwise)


@dataclass(frozen=True)
class Quantize(Pass):
    """y = Relu(Conv(x, w, b))   =>   y = DQ(Q(Relu(Conv(DQ(Q(x)), DQ(w'), DQ(b')))))

    Q is QuantizeLinear and DQ is DequantizeLinear; w' are int8 codes, one scale for each filter, b' int32 codes of the
    scale of x times that of w'. onnxruntime runs what stands between DQ and Q as one integer kernel.
    codes: of each value that is quantized, nodes: that read codes; both of the graph that is given. biases: of nodes
    whose bias is another one than the graph's. stored: recurrences whose kernels are codes, and that compute in float.
    full_range: of the codes of weights, as of `codes_for_weight`.
    """

    name = "quantize"
    codes: Mapping[Value, Codes] = field(default_factory=dict)
    nodes: frozenset[Node] = frozenset()
    biases: Mapping[Node, Array] = field(default_factory=dict)
    stored: frozenset[Node] = frozenset()
    full_range: bool = False

    def __call__(self, graph: Graph) -> Graph:
        """One walk."""
        return _Quantizing(self, graph).run()


class _Quantizing:
    """The pairs of Q and DQ, and the coded weights, that exist so far."""

    def __init__(self, step: Quantize, graph: Graph) -> None:
        self.step, self.graph = step, graph
        self.pairs: dict[Value, Value] = {}
        self.weights: dict[tuple[Value, bytes], Value] = {}

    def run(self) -> Graph:
        """The new graph."""
        return rebuild(self.graph, self._transform)

    def _transform(self, node: Node, operands: Operands) -> Sequence[Value] | None:
        if node in self.step.stored:
            return with_stored_codes(node, operands)
        reads_codes = node in self.step.nodes
        given = list(operands)
        if reads_codes:
            given = [self._read(old, new) for old, new in zip(node.inputs, operands, strict=True)]
            if has_weight(node):
                given = self._weighted(node, given)
        made = node if tuple(given) == node.inputs else copy_node(node, tuple(given))
        if not reads_codes:
            return None if made is node else made.outputs
        return [
            self._pair(old, new) if old in self.step.codes else new
            for old, new in zip(node.outputs, made.outputs, strict=True)
        ]

    def _read(self, old: Value | None, new: Value | None) -> Value | None:
        return self._pair(old, new) if old is not None and new is not None and old in self.step.codes else new

    def _pair(self, old: Value, new: Value) -> Value:
        """DQ(Q(new)); `new` itself where it is one already."""
        if new.node is not None and isinstance(new.node.op, ops.DequantizeLinear):
            return new
        if new not in self.pairs:
            codes = self.step.codes[old]
            scale, zero = Constant(frozen(codes.scale)).value, Constant(frozen(codes.zero)).value
            coded = _made(ops.QuantizeLinear(dtype=DType.UINT8), new.node, new, scale, zero)
            self.pairs[new] = _made(ops.DequantizeLinear(), new.node, coded, scale, zero)
        return self.pairs[new]

    def _weighted(self, node: Node, given: list[Value | None]) -> list[Value | None]:
        x, w = node.inputs[0], node.inputs[1]
        assert x is not None
        assert w is not None
        codes = codes_for_weight_of(node, leaf_array(w), self.step.full_range)
        key = w, codes.scale.tobytes()
        if key not in self.weights:
            self.weights[key] = _decoded(node, w, leaf_array(w), codes, "kernel")
        found = [given[0], self.weights[key]]
        b = node.inputs[2] if len(node.inputs) > 2 else None
        bias = self.step.biases.get(node, None if b is None else leaf_array(b))
        if bias is not None:
            scale = self.step.codes[x].scale * codes.scale
            ints = Codes(scale.astype(np.float32), np.zeros(scale.shape, np.int32), 0)
            found.append(_decoded(node, b, bias, ints, "bias"))
        return found


def _decoded(node: Node, like: Value | None, array: Array, codes: Codes, name: str, with_zero: bool = True) -> Value:
    """The codes of a weight as a weight, and what decodes them."""
    source = like.source if like is not None else None
    title = source.name if isinstance(source, Parameter) else f"{node.outputs[0].name}/{name}"
    coded = codes.coded(array)
    weight = Parameter(title, type_of(coded), array=frozen(coded), trainable=False).value
    zero = None if coded.dtype == np.int32 or not with_zero else Constant(frozen(codes.zero)).value
    return _made(ops.DequantizeLinear(codes.axis), node, weight, Constant(frozen(codes.scale)).value, zero)


def _made(op: Op, like: Node | None, *operands: Value | None) -> Value:
    given = operands if operands[-1] is not None else operands[:-1]
    types = tuple(op.infer(*[None if value is None else value.type for value in given]))
    scope, location = (like.scope, like.location) if like is not None else (None, None)
    return Node(op, given, types, scope=scope, location=location).outputs[0]


def with_stored_codes(node: Node, operands: Operands) -> Sequence[Value]:
    """y = LSTM(x, w, r, ...)   =>   y = LSTM(x, DQ(w'), DQ(r'), ...), a scale for each column of w and of r."""
    given = list(operands)
    for place, name in ((1, "kernel"), (2, "recurrent_kernel")):
        value = given[place]
        assert value is not None
        array = leaf_array(value)
        given[place] = _decoded(node, value, array, codes_for_weight(array, 1, full_range=True), name, False)
    return copy_node(node, tuple(given)).outputs


def has_stored_kernels(node: Node) -> bool:
    """Whether a node is a recurrence in float32 whose kernels are stored."""
    if not isinstance(node.op, (ops.LSTM, ops.GRU, ops.SimpleRNN)):
        return False
    return all(value is not None and is_leaf(value) and value.dtype is DType.FLOAT32 for value in node.inputs[1:3])


def has_weight(node: Node) -> bool:
    """Whether a node is a convolution or a linear map whose weights, and bias if any, are stored."""
    if not isinstance(node.op, (ops.Conv, ops.Linear)):
        return False
    return all(value is None or (is_leaf(value) and value.dtype is DType.FLOAT32) for value in node.inputs[1:])
