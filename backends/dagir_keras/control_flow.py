"""If and Loop as keras.ops.cond and keras.ops.while_loop."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from keras import ops as K

from dagir import ops
from dagir.ir.graph import Graph
from dagir.passes import CheckSizes, Inline
from dagir_keras.bodies import apply_bodies, evaluate, sizes_of, spec
from dagir_keras.rules import rules
from dagir_keras.sizes import number


@rules.rule(ops.If)
def if_(op: ops.If, *xs: Any) -> Any:
    return apply_bodies(op, xs, _branch, _branch_specs)


def _branch_specs(op: ops.If, xs: Sequence[Any]) -> list[Any]:
    return [spec(value.type.shape, value.dtype) for value in op.then_branch.outputs]


def _branch(op: ops.If, xs: Sequence[Any]) -> tuple[Any, ...]:
    condition, rest = xs[0], list(xs[1:])

    def run(branch: Graph) -> tuple[Any, ...]:
        return tuple(evaluate(CheckSizes()(Inline()(branch)), rest, sizes_of(branch, [K.shape(x) for x in rest])))

    return tuple(K.cond(condition, lambda: run(op.then_branch), lambda: run(op.else_branch)))


@rules.rule(ops.Loop)
def loop(op: ops.Loop, count: Any = None, condition: Any = None, *xs: Any) -> Any:
    return apply_bodies(op, (count, condition, *xs), _loop, _loop_specs)


def _loop_specs(op: ops.Loop, xs: Sequence[Any]) -> list[Any]:
    ys = op.body.outputs[len(op.body.outputs) - op.outputs :]
    stacked = [spec((*op.steps, *y.type.shape), y.dtype) for y in ys]
    return [*(spec(x.shape, x.dtype) for x in xs[2 : 2 + op.carried]), *stacked]


def _loop(op: ops.Loop, xs: Sequence[Any]) -> tuple[Any, ...]:
    """The iteration, the condition, the carried values, and an array for each of ys, of which a step writes a row."""
    count, condition, state, rest = xs[0], xs[1], list(xs[2 : 2 + op.carried]), list(xs[2 + op.carried :])
    body, shapes = CheckSizes()(Inline()(op.body)), [(), *(K.shape(x) for x in xs[2:])]
    sizes = sizes_of(op.body, shapes)
    end = op.steps[0] if op.steps else count
    never = type(end) is int and end == 0  # a size that is known at run time only may be a tensor
    rows = 1 if never else end  # TensorFlow writes no row into an array of none, nor infers its shape
    ys = [
        K.zeros([rows, *(number(d, sizes) for d in y.type.shape)], dtype=str(y.dtype))
        for y in op.body.outputs[len(op.body.outputs) - op.outputs :]
    ]

    def advance(place: Any, goes_on: Any, *carry: Any) -> tuple[Any, ...]:
        before, buffers = list(carry[: op.carried]), carry[op.carried :]
        results = evaluate(body, [K.cast(place, "int64"), *before, *rest], sizes)
        if op.tested:
            goes_on, results = results[0], results[1:]
        pairs = zip(buffers, results[op.carried :], strict=True)
        written = [K.scatter_update(y, K.reshape(place, (1, 1)), K.expand_dims(row, 0)) for y, row in pairs]
        return (place + 1, goes_on, *results[: op.carried], *written)

    def goes(place: Any, goes_on: Any, *_: Any) -> Any:
        return goes_on if end is None else K.logical_and(goes_on, K.less(place, K.cast(end, "int32")))

    start = K.convert_to_tensor(True) if condition is None else condition
    final = K.while_loop(goes, advance, (K.convert_to_tensor(0, "int32"), start, *state, *ys))[2:]
    return tuple([y[:0] if never and place >= op.carried else y for place, y in enumerate(final)])
