"""Recurrences as ONNX's own LSTM, GRU and RNN, exact for any mask.

ONNX runs a prefix of each row (sequence_lens); Keras skips masked steps anywhere. So the steps that count are moved to
the front of their row, and the operator runs on these. Then the outputs are moved back: y[t] is the output of the last
counted step up to t, which has the number cumsum(mask)[t] - 1.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np

from dagir import ops
from dagir.ir.types import Array, DType, TensorType
from dagir.ops.steps import as_scan
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.half_precision import narrowed, widened
from dagir_onnx.lowering import emit_subgraph
from dagir_onnx.rules import rules

Recurrence: TypeAlias = ops.LSTM | ops.GRU | ops.SimpleRNN | ops.DynamicQuantizeLSTM

_NATIVE: dict[type, tuple[str, tuple[int, ...]]] = {  # its name, and the places of its gates in Keras's order
    ops.LSTM: ("LSTM", (0, 3, 1, 2)),
    ops.DynamicQuantizeLSTM: ("DynamicQuantizeLSTM", (0, 3, 1, 2)),
    ops.GRU: ("GRU", (0, 1, 2)),
    ops.SimpleRNN: ("RNN", (0,)),
}
_ACTIVATIONS: dict[str, tuple[str, list[float], list[float]]] = {  # name, alpha, beta
    "linear": ("Affine", [1.0], [0.0]),
    "tanh": ("Tanh", [], []),
    "sigmoid": ("Sigmoid", [], []),
    "hard_sigmoid": ("HardSigmoid", [1 / 6], [0.5]),
    "relu": ("Relu", [], []),
    "leaky_relu": ("LeakyRelu", [0.2], []),
    "elu": ("Elu", [1.0], []),
    "softplus": ("Softplus", [], []),
    "softsign": ("Softsign", [], []),
}


@rules.rule(ops.LSTM, ops.GRU, ops.SimpleRNN)
def recurrence(op: Recurrence, emit: Emitter, *operands: Tensor | None) -> tuple[Tensor, ...]:
    dtype = emit.outputs[0].dtype
    if not is_native(op, dtype):
        graph = as_scan(op, [None if tensor is None else tensor.type for tensor in operands])
        return tuple(emit_subgraph(emit, graph, [tensor for tensor in operands if tensor is not None]))
    mask = operands[4 + op.states] if len(operands) == 5 + op.states else None
    wide = [widened(emit, tensor) for tensor in operands[: 4 + op.states]]
    wide += [None] * (4 + op.states - len(wide))
    x, w, r, b = wide[:4]
    states = wide[4:]
    assert x is not None
    assert w is not None
    assert r is not None
    counted = None if mask is None else Counted.of(emit, mask)
    y, *finals = _native(op, emit, x if counted is None else counted.first(emit, x), w, r, b, states, counted)
    if counted is not None:
        y = counted.spread(op, emit, y)
        finals = [counted.or_initial(emit, *pair) for pair in zip(finals, states, strict=True)]
    y = reversed_steps(emit, y) if op.go_backwards else y
    return tuple(narrowed(emit, tensor, dtype) for tensor in (y, *finals))


def reversed_steps(emit: Emitter, y: Tensor) -> Tensor:
    """y [n, t, u], which the operators give in the order of time, from its last step to its first."""
    step = emit.ints(-1)
    return cast(Tensor, emit("Slice", y, step, emit.ints(np.iinfo(np.int64).min + 1), emit.ints(1), step))


def _native(
    op: Recurrence,
    emit: Emitter,
    x: Tensor,
    w: Tensor,
    r: Tensor,
    b: Tensor | None,
    states: Sequence[Tensor | None],
    counted: Counted | None,
) -> tuple[Tensor, ...]:
    """y [n, t, u] in the order of x's steps, and the final states [n, u]."""
    op_type, _ = _NATIVE[type(op)]
    units, kind = cast(int, r.type.shape[0]), x.type
    results = emit(
        op_type,
        emit.transposed(x, (1, 0, 2)),
        kernel_of(op, emit, w),
        kernel_of(op, emit, r),
        None if b is None else bias_of(op, emit, b),
        None if counted is None else counted.lengths,
        *[None if state is None else emit("Unsqueeze", state, emit.ints(0)) for state in states],
        outputs=1 + op.states,
        type=kind,
        hidden_size=units,
        direction="reverse" if op.go_backwards else None,
        linear_before_reset=1 if isinstance(op, ops.GRU) and op.reset_after else None,
        **activations_of(op),
    )
    return in_order_of_steps(op, emit, results, kind, units)


def in_order_of_steps(
    op: Recurrence, emit: Emitter, results: Sequence[Tensor], kind: TensorType, units: int
) -> tuple[Tensor, ...]:
    """y [n, t, u] and the final states [n, u] of what the operator gives for one direction. kind: of x."""
    batch, steps, _ = kind.shape
    for tensor, rank in zip(results, (4, 3, 3), strict=False):
        emit.views.know(tensor, rank)
    y = emit("Squeeze", results[0], emit.ints(1), type=kind.with_shape((steps, batch, units)))
    state = kind.with_shape((batch, units))
    finals = [emit("Squeeze", final, emit.ints(0), type=state) for final in results[1:]]
    return (emit.transposed(y, (1, 0, 2)), *finals)


def native_name(op: Recurrence) -> str:
    """The name of the operator in ONNX."""
    return _NATIVE[type(op)][0]


def is_native(op: Recurrence, dtype: DType) -> bool:
    """Whether ONNX has names for its activations, and onnxruntime a kernel, which it has not for float64."""
    return dtype is not DType.FLOAT64 and set(_names(op)) <= _ACTIVATIONS.keys()


def _names(op: Recurrence) -> list[str]:
    if isinstance(op, ops.SimpleRNN):
        return [op.activation]
    return [op.recurrent_activation, *[op.activation] * op.states]


def activations_of(*ways: Recurrence) -> dict[str, Any]:
    """The attributes that name the activations of one or two directions; none for ONNX's defaults."""
    names = [name for op in ways for name in _names(op)]
    own = ["tanh"] if isinstance(ways[0], ops.SimpleRNN) else ["sigmoid", "tanh", "tanh"][: ways[0].states + 1]
    if names == own * len(ways):
        return {}
    found = [_ACTIVATIONS[name] for name in names]
    alpha = [number for _, numbers, _ in found for number in numbers]
    beta = [number for _, _, numbers in found for number in numbers]
    return {
        "activations": [name for name, _, _ in found],
        "activation_alpha": alpha or None,
        "activation_beta": beta or None,
    }


def kernel_of(op: Recurrence, emit: Emitter, kernel: Tensor) -> Tensor:
    """[i, gates * u] to [1, gates * u, i], the gates in ONNX's order."""
    if kernel.codes is not None and kernel.scale is not None:
        return _decoded(op, emit, kernel.codes, kernel.scale)
    rows, columns = kernel.type.shape
    kind = kernel.type.with_shape((1, columns, rows))
    if kernel.is_initializer:
        return emit.derived(kernel, f"kernel of {native_name(op)}", lambda array: arranged(op, array), kind)
    reordered = _reordered(op, emit, emit.transposed(kernel, (1, 0)))
    return cast(Tensor, emit("Unsqueeze", reordered, emit.ints(0), type=kind))


def arranged(op: Recurrence, array: Array) -> Array:
    """[i, gates * u] as [1, gates * u, i], the gates in ONNX's order."""
    _, order = _NATIVE[type(op)]
    gates = array.reshape(len(array), op.gates, -1)[:, list(order)]
    return gates.reshape(1, len(array), -1).transpose(0, 2, 1)


def _decoded(op: Recurrence, emit: Emitter, codes: Tensor, scale: Tensor) -> Tensor:
    """A kernel of codes, by nodes that onnxruntime computes as a session begins: DequantizeLinear runs each time."""
    rows, columns = codes.type.shape
    how = f"kernel of {native_name(op)}"
    turned = emit.derived(codes, how, lambda array: arranged(op, array), codes.type.with_shape((1, columns, rows)))
    factors = emit.derived(scale, how, lambda array: arranged(op, array[None]), scale.type.with_shape((1, columns, 1)))
    emit.has_unread = True
    return cast(Tensor, emit("Mul", emit("Cast", turned, to=TO_ONNX[DType.FLOAT32]), factors))


def _reordered(op: Recurrence, emit: Emitter, tensor: Tensor) -> Tensor:
    """The gates along axis 0 in ONNX's order, at run time."""
    _, order = _NATIVE[type(op)]
    if op.gates == 1:
        return tensor
    parts = emit("Split", tensor, axis=0, num_outputs=op.gates, outputs=op.gates)
    return cast(Tensor, emit("Concat", *[parts[gate] for gate in order], axis=0, type=tensor.type))


def bias_of(op: Recurrence, emit: Emitter, bias: Tensor) -> Tensor:
    """[gates * u], or both biases [2, gates * u], to [1, 2 * gates * u]: that of x, then that of the state or 0."""
    _, order = _NATIVE[type(op)]
    columns = cast(int, bias.type.shape[-1])
    kind = bias.type.with_shape((1, 2 * columns))
    if bias.is_initializer:

        def arranged(array: Array) -> Array:
            both = array if array.ndim == 2 else np.stack([array, np.zeros_like(array)])
            return both.reshape(2, op.gates, -1)[:, list(order)].reshape(1, -1)

        return emit.derived(bias, f"bias of {_NATIVE[type(op)][0]}", arranged, kind)
    if bias.type.rank == 2:  # those of a GRU; their order stays
        return cast(Tensor, emit("Reshape", bias, emit.ints(1, -1), type=kind))
    zeros = emit.constant(np.zeros(columns, bias.type.dtype.numpy))
    joined = emit("Concat", _reordered(op, emit, bias), zeros, axis=0)
    return cast(Tensor, emit("Unsqueeze", joined, emit.ints(0), type=kind))


@dataclass(frozen=True)
class Counted:
    """The steps that a mask counts.

    Tensors: mask bool[n, t]; before, through int64[n, t], how many are counted before a step, and including it; count
    int64[n, 1]; some bool[n, 1]; lengths int32[n], at least 1."""

    mask: Tensor
    before: Tensor
    through: Tensor
    count: Tensor
    some: Tensor
    lengths: Tensor

    @classmethod
    def of(cls, emit: Emitter, mask: Tensor) -> Counted:
        """Computed from the mask."""
        whole = mask.type.with_dtype(DType.INT64)
        rows = TensorType(DType.INT64, (mask.type.shape[0], 1))
        ones = emit("Cast", mask, to=TO_ONNX[DType.INT64], type=whole)
        through = emit("CumSum", ones, emit.constant(1, np.int64), type=whole)
        count = emit("ReduceSum", ones, emit.ints(1), keepdims=1, type=rows)
        some = emit("Greater", count, emit.constant(0, np.int64), type=rows.with_dtype(DType.BOOL))
        least = emit("Max", emit("Squeeze", count, emit.ints(1)), emit.constant(1, np.int64))
        lengths = emit("Cast", least, to=TO_ONNX[DType.INT32], type=TensorType(DType.INT32, rows.shape[:1]))
        return cls(mask, emit("Sub", through, ones), through, count, some, lengths)

    def first(self, emit: Emitter, x: Tensor) -> Tensor:
        """The rows of x, with the counted steps first and in order, then the others."""
        one = emit.constant(1, np.int64)
        others = emit("Not", self.mask)
        skipped = emit("Cast", others, to=TO_ONNX[DType.INT64], type=self.before.type)
        behind = emit("CumSum", skipped, emit.constant(1, np.int64))
        here = emit("Sub", emit("Add", self.through, behind), one)  # the number of each step
        place = emit("Where", self.mask, self.before, emit("Add", self.count, emit("Sub", behind, one)))
        order = emit("ScatterElements", here, place, here, axis=1)
        return cast(Tensor, emit("GatherND", x, emit("Unsqueeze", order, emit.ints(-1)), batch_dims=1))

    def spread(self, op: Recurrence, emit: Emitter, y: Tensor) -> Tensor:
        """y at all steps, from y of the counted steps: zero before the first, and at masked steps if the op says so."""
        if op.go_backwards:  # the steps counted so far come after a step
            found = emit("Less", self.before, self.count, type=self.mask.type)
            place = self.before
        else:
            found = emit("Greater", self.through, emit.constant(0, np.int64), type=self.mask.type)
            place = emit("Max", emit("Sub", self.through, emit.constant(1, np.int64)), emit.constant(0, np.int64))
        if op.zero_output_for_mask:
            found = self.mask
        repeated = emit("GatherND", y, emit("Unsqueeze", place, emit.ints(-1)), batch_dims=1)
        return cast(
            Tensor,
            emit(
                "Where", emit("Unsqueeze", found, emit.ints(-1)), repeated, emit.constant(0, y.type.dtype), type=y.type
            ),
        )

    def or_initial(self, emit: Emitter, final: Tensor, initial: Tensor | None) -> Tensor:
        """The final state; in rows without a counted step, which still need a length of 1, the initial state."""
        start = initial or emit.constant(0, final.type.dtype)
        return cast(Tensor, emit("Where", self.some, final, start, type=final.type))
