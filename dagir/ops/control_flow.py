"""If and Loop: branches and loops that depend on the data. Their bodies are graphs whose inputs are all listed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Constant, Graph, Op, Operand, Structure, Value, apply_node, next_serial
from dagir.ir.nest import flatten, pack
from dagir.ir.operands import as_value
from dagir.ir.rounding import ROUNDED
from dagir.ir.types import DType, Equations, Inferred, TensorType
from dagir.ops.bodies import check_bodies, check_scalar, check_state, close
from dagir.ops.call import bind_sizes, keep_equations, substitute_type

__all__ = [
    "If",
    "Loop",
    "cond",
    "switch",
]

_COUNT = TensorType(DType.INT64, ())
_COMPARE = "compare something, or cast it: ops.cast(x, 'bool')"


@dataclass(frozen=True)
class If(Op):
    """condition: bool[], xs -> the outputs of then_branch where the condition holds, else those of else_branch.

    xs: the inputs of both branches. One branch runs. Both give outputs of the same types.  ONNX If-11.
    """

    rounding = ROUNDED
    operands = ("condition", "*xs")
    graph_fields = ("then_branch", "else_branch")
    then_branch: Graph = field(hash=True)
    else_branch: Graph = field(hash=True)

    def whole_operands(self) -> dict[int, int]:
        """For each input of a branch, the operand that it is."""
        return {place: 1 + place for place in range(len(self.then_branch.inputs))}

    def infer(self, condition: TensorType, *xs: TensorType) -> Inferred:
        """The types that both branches give."""
        check_scalar("the condition", condition, DType.BOOL, _COMPARE, 0)
        check_bodies(self.then_branch, self.else_branch)
        equations = Equations()
        left, right = (_results(equations, branch, xs) for branch in (self.then_branch, self.else_branch))
        if len(left) != len(right):
            raise ShapeError(f"one branch gives {len(left)} outputs, the other {len(right)}")
        for place, (a, b) in enumerate(zip(left, right, strict=True)):
            _check_agreement(equations, place, a, b)
        return equations.inferred(*left)


def _results(equations: Equations, branch: Graph, xs: Sequence[TensorType]) -> list[TensorType]:
    """The types that a branch gives. What its nodes leave open need not hold where the other branch runs."""
    if len(xs) != len(branch.inputs):
        raise ShapeError(f"{branch.name} takes {len(branch.inputs)} inputs, got {len(xs)}")
    sizes = bind_sizes(equations, branch.name, [value.type for value in branch.inputs], xs)
    return [substitute_type(value.type, sizes) for value in branch.outputs]


def _check_agreement(equations: Equations, place: int, a: TensorType, b: TensorType) -> None:
    same = a.dtype is b.dtype and a.rank == b.rank
    if not same or any(equations.equate(m, n) is None for m, n in zip(a.shape, b.shape, strict=True)):
        raise ShapeError(
            f"output {place} is {a} in one branch and {b} in the other",
            remedy="both branches give the same dtypes and shapes: cast, pad or broadcast one of them",
        )


@dataclass(frozen=True)
class Loop(Op):
    """count: int64[]?, condition: bool[]?, xs: the carried values, then values read whole -> carried, ys.

    body: from the iteration int64[], the carried values and the rest, to the condition bool[] of the next iteration
    if `tested`, the new carried values, and one step t[*s] of each of ys. It runs while the condition holds, `count`
    times at most. steps: (n,) if the number of iterations is a size n, in place of a count; only then, and if it is
    not tested, there are ys: t[n,*s].  ONNX Loop-11.
    """

    rounding = ROUNDED
    operands = ("count", "condition", "*xs")
    shape_fields = ("steps",)
    graph_fields = ("body",)
    body: Graph = field(hash=True)
    carried: int
    tested: bool = False
    steps: tuple[int | SymbolicDim, ...] = ()

    @property
    def outputs(self) -> int:
        """How many ys come out, beside the carried values."""
        return len(self.body.outputs) - self.carried - self.tested

    def whole_operands(self) -> dict[int, int]:
        """For each input of the body that every iteration reads whole, the operand that it is."""
        return {place: 1 + place for place in range(1 + self.carried, len(self.body.inputs))}

    def infer(self, count: TensorType | None = None, condition: TensorType | None = None, *xs: TensorType) -> Inferred:
        """The carried values as they came in, and ys."""
        self._check_end(count, condition)
        check_bodies(self.body)
        equations = Equations()
        if len(xs) != len(self.body.inputs) - 1 or not 0 <= self.carried <= len(xs):
            raise ShapeError(f"a loop over {self.body.name} takes {len(self.body.inputs) - 1} values, got {len(xs)}")
        inner = [value.type for value in self.body.inputs]
        sizes = bind_sizes(equations, self.body.name, inner, [_COUNT, *xs])
        results = [substitute_type(value.type, sizes) for value in self.body.outputs]
        keep_equations(equations, self.body, sizes)
        if self.tested:
            check_scalar("the condition of the next iteration", results.pop(0), DType.BOOL, _COMPARE)
        for place, (before, after) in enumerate(zip(xs[: self.carried], results, strict=False)):
            check_state(equations, place, before, after)
        ys = [y.with_shape((*self.steps, *y.shape)) for y in results[self.carried :]]
        return equations.inferred(*xs[: self.carried], *ys)

    def _check_end(self, count: TensorType | None, condition: TensorType | None) -> None:
        if count is not None:
            check_scalar("the count", count, DType.INT64, "cast it: ops.cast(count, 'int64')", 0)
        if condition is not None:
            check_scalar("the condition", condition, DType.BOOL, _COMPARE, 1)
        if self.outputs < 0:
            raise ShapeError(f"a step of {self.body.name} does not give the {self.carried} carried values")
        if len(self.steps) > 1 or (self.steps and count is not None):
            raise ArgumentError("a loop has one number of iterations: count, or steps=(n,)")
        if not self.steps and count is None and not self.tested:
            raise ArgumentError(f"the loop over {self.body.name} never ends", remedy="give a count or a condition")
        if self.outputs and (not self.steps or self.tested or condition is not None):
            raise ShapeError(
                f"the loop over {self.body.name} stacks a value of each iteration, and their number is no size",
                remedy="give the number of iterations as steps=(n,), or carry an array of a known size",
            )


def cond(pred: Operand, true_fn: Callable[[], Structure], false_fn: Callable[[], Structure]) -> Any:
    """What true_fn() returns where pred holds, else what false_fn() returns; one of them is computed.

    pred: bool[]. Both functions return the same structure, with values of the same types.  keras.ops.cond.
    Raises ShapeError, DTypeError.

    >>> show(ops.cond(ops.array(2.0) > 1.0, lambda: ops.array(1.0), lambda: ops.array(-1.0)))
    1.0
    """
    known = _known_truth(pred)
    if known is not None:
        return (true_fn if known else false_fn)()
    since = next_serial()
    first, second = true_fn(), false_fn()
    left, right = flatten(first), flatten(second)
    if len(left) != len(right) or [x is None for x in left] != [x is None for x in right]:
        raise ShapeError(
            f"one branch gives {len(left)} values, the other {len(right)}", remedy="return the same structure from both"
        )
    pairs = [_alike(a, b) for a, b in zip(left, right, strict=True) if a is not None]
    made = iter(choose(as_value(pred), [a for a, _ in pairs], [b for _, b in pairs], since))
    return pack(first, [None if leaf is None else next(made) for leaf in left])


def choose(pred: Value, left: Sequence[Value], right: Sequence[Value], since: int) -> tuple[Value, ...]:
    """The node of a branch. since: what was made after this serial number, for one side, is computed by that side."""
    if not left:
        return ()
    near = [pred, *left, *right]
    branches = [close((), side, name, since, near) for side, name in ((left, "then"), (right, "else"))]
    outer = list(dict.fromkeys(value for branch in branches for value in branch.inputs))
    both = [Graph(outer, branch.outputs, branch.name) for branch in branches]
    return apply_node(If(*both), (pred, *outer)).outputs


def _known_truth(pred: object) -> bool | None:
    """The truth value of a condition that is known while the graph is written."""
    if isinstance(pred, Value) and isinstance(pred.source, Constant):
        pred = pred.source.array
    return bool(pred) if isinstance(pred, (bool, np.bool_, np.ndarray)) and np.ndim(pred) == 0 else None


def _alike(a: Any, b: Any) -> tuple[Value, Value]:
    """Both as values; a Python number takes the dtype of the other."""
    if isinstance(a, (bool, int, float)) and not isinstance(b, (bool, int, float)):
        b = as_value(b)
        return as_value(a, like=b), b
    a = as_value(a)
    return a, as_value(b, like=a)


def switch(index: Operand, branches: Sequence[Callable[..., Structure]], *operands: Structure) -> Any:
    """What branches[index](*operands) returns; an index outside of the list is the first or the last one.

    index: an integer scalar.  keras.ops.switch. Raises ArgumentError, ShapeError, DTypeError.

    >>> show(ops.switch(ops.array(1), [lambda x: x, lambda x: x * 10.0], ops.array(2.0)))
    20.0
    """
    if not branches:
        raise ArgumentError("switch needs a branch", remedy="give at least one function")
    place = as_value(index)
    if isinstance(place.source, Constant) and place.ndim == 0:
        return branches[min(max(int(place.source.array), 0), len(branches) - 1)](*operands)
    last = len(branches) - 1
    if not last:
        return branches[0](*operands)
    return cond(
        place <= 0,
        lambda: branches[0](*operands),
        lambda: switch(place - 1, branches[1:], *operands),
    )


def iterations(count: Operand | Dim) -> tuple[Value | None, tuple[Dim, ...]]:
    """The operand `count` and the field `steps` of a Loop that runs so many times."""
    if isinstance(count, (int, SymbolicDim)) and not isinstance(count, bool):
        return None, (count,)
    return as_value(count), ()
