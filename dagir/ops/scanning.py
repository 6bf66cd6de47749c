"""Scan: a graph applied to each step of a time axis, with states passed from step to step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from dagir.errors import DTypeError, ShapeError
from dagir.ir.graph import Graph, Op, Value, apply_node
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED
from dagir.ir.types import Equations, Inferred, TensorType
from dagir.ops.bodies import check_bodies, check_state, close, tracing_body
from dagir.ops.call import bind_sizes, keep_equations, substitute_type

__all__ = [
    "Scan",
]


@dataclass(frozen=True)
class Scan(Op):
    """xs: states t[n,*s], then sequences t[n,t,*d], then values that each step reads whole, mask bool[n,t]? -> ys,
    states.

    body: from the states, one step t[n,*d] of each sequence and the rest, to the outputs of that step t[n,*e] and the
    new states. ys: t[n,t,*e] in the order of the steps, which run from the first to the last, or with go_backwards
    from the last to the first. Where the mask is False the states do not change, and ys repeat their values of the
    step before (zeros before the first), or are zero with zero_output_for_mask.  keras.layers.RNN; ONNX Scan-11.
    """

    rounding = ROUNDED
    operands = ("*xs",)
    graph_fields = ("body",)
    body: Graph = field(hash=True)
    states: int
    sequences: int
    go_backwards: bool = False
    zero_output_for_mask: bool = False

    @property
    def outputs(self) -> int:
        """How many sequences come out."""
        return len(self.body.outputs) - self.states

    def is_masked(self, operands: int) -> bool:
        """Whether the last of this number of operands is a mask."""
        return operands > len(self.body.inputs)

    def whole_operands(self) -> dict[int, int]:
        """For each input of the body that every step reads whole, the operand that it is."""
        return {place: place for place in range(self.states + self.sequences, len(self.body.inputs))}

    def infer(self, *xs: TensorType) -> Inferred:
        """The sequences that come out, then the final states."""
        check_bodies(self.body)
        equations = Equations()
        given = len(self.body.inputs)
        if len(xs) not in (given, given + 1) or not self.sequences:
            raise ShapeError(f"a scan over {self.body.name} takes {given} inputs and a mask, got {len(xs)}")
        first, last = self.states, self.states + self.sequences
        batch, time = self._steps(equations, xs[first:last])
        steps = [x.with_shape((x.shape[0], *x.shape[2:])) for x in xs[first:last]]
        inner = [value.type for value in self.body.inputs]
        sizes = bind_sizes(equations, self.body.name, inner, [*xs[:first], *steps, *xs[last:given]])
        results = [substitute_type(value.type, sizes) for value in self.body.outputs]
        keep_equations(equations, self.body, sizes)
        for place, (before, after) in enumerate(zip(xs[:first], results[self.outputs :], strict=True)):
            check_state(equations, place, before, after)
        if len(xs) > given:
            _check_mask(equations, given, xs[given], (batch, time))
        for y in results[: self.outputs]:
            if not y.rank or equations.equate(y.shape[0], batch) is None:
                raise ShapeError(f"the output of a step is {y}, it needs the batch {batch} as its first axis")
        ys = [y.with_shape((batch, time, *y.shape[1:])) for y in results[: self.outputs]]
        return equations.inferred(*ys, *xs[:first])

    def _steps(self, equations: Equations, sequences: Sequence[TensorType]) -> tuple[Any, Any]:
        for place, x in enumerate(sequences, start=self.states):
            if x.rank < 2:
                raise ShapeError(f"a sequence needs a batch and a time axis, got {x}", marks={place: []})
            for axis in (0, 1):
                if equations.equate(x.shape[axis], sequences[0].shape[axis]) is None:
                    raise ShapeError(
                        f"sequences of {x.shape[axis]} and {sequences[0].shape[axis]} on axis {axis}",
                        marks={place: [axis], self.states: [axis]},
                    )
        return sequences[0].shape[0], sequences[0].shape[1]


def _check_mask(equations: Equations, place: int, mask: TensorType, steps: tuple[Any, Any]) -> None:
    if mask.dtype != "bool":
        raise DTypeError(f"a mask is bool, got {mask.dtype}", remedy="cast it: ops.cast(mask, 'bool')")
    if mask.rank != 2:
        raise ShapeError(f"the mask must have shape [batch, time], got rank {mask.rank}")
    for axis in (0, 1):
        if equations.equate(mask.shape[axis], steps[axis]) is None:
            raise ShapeError(
                f"axis {axis} of the mask has size {mask.shape[axis]}, the sequences have {steps[axis]}",
                marks={place: [axis]},
                remedy="the mask needs the batch and the time steps of the sequences",
            )


Step = Callable[[list[Value], list[Value]], tuple[Value, Sequence[Value]]]


def scan(
    step: Step,
    states: Sequence[Value],
    sequences: Sequence[Value],
    mask: Value | None = None,
    *,
    go_backwards: bool = False,
    zero_output_for_mask: bool = False,
    name: str = "step",
) -> tuple[Value, list[Value]]:
    """y [n, t, *e] and the final states of `step` over axis 1 of the sequences.

    step: from one step of each sequence [n, *d] and the states to an output [n, *e] and the new states; it is called
    once, on symbolic values of one step. Other values that it reads are passed in whole.
    """
    body = trace_step(step, [state.type for state in states], [_step_type(x.type) for x in sequences], name)
    return run_body(body, states, sequences, mask, go_backwards=go_backwards, zero_output_for_mask=zero_output_for_mask)


def run_body(
    body: Graph, states: Sequence[Value], sequences: Sequence[Value], mask: Value | None = None, **fields: Any
) -> tuple[Value, list[Value]]:
    """The same for a step that `trace_step` made."""
    op = Scan(body, len(states), len(sequences), **fields)
    captured = body.inputs[len(states) + len(sequences) :]
    y, *finals = apply_node(op, (*states, *sequences, *captured, mask)).outputs
    return y, finals


def trace_step(step: Step, states: Sequence[TensorType], steps: Sequence[TensorType], name: str) -> Graph:
    """The graph of one step. Its inputs: the states, the steps, then each value that it reads from outside.

    Nodes that do not depend on the states and steps stay outside, so that they are computed once and not at each
    step.
    """
    with tracing_body() as named:
        given = [Value(type, name=named(f"state_{i}")) for i, type in enumerate(states)]
        parts = [Value(type, name=named(f"step_{i}")) for i, type in enumerate(steps)]
        output, new = step(list(parts), list(given))
    if len(new) != len(given):
        raise ShapeError(f"a step of {name} takes {len(given)} states and gives {len(new)}")
    inputs, outputs = [*given, *parts], [as_value(value) for value in (output, *new)]
    return close(inputs, outputs, name)


def _step_type(sequence: TensorType) -> TensorType:
    return sequence.with_shape((sequence.shape[0], *sequence.shape[2:]))
