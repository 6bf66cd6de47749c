"""If and Loop: the graphs of their branches and bodies, run by the loop of the interpreter."""

from __future__ import annotations

import numpy as np

from dagir import ops
from dagir.ir.types import Array, fixed
from dagir_numpy.rules import Bodies, rules
from dagir_numpy.run_sizes import none_of


@rules.rule(ops.If)
def if_(op: ops.If, condition: Array, *xs: Array) -> Bodies:
    return (yield (op.then_branch if condition else op.else_branch), xs)


@rules.rule(ops.Loop)
def loop(op: ops.Loop, count: Array | None = None, condition: Array | None = None, *xs: Array) -> Bodies:
    state, rest = xs[: op.carried], xs[op.carried :]
    ys: list[tuple[Array, ...]] = []
    goes_on, end, place = condition is None or bool(condition), _end(op, count), 0
    while goes_on and (end is None or place < end):
        results = yield op.body, [np.asarray(place, np.int64), *state, *rest]
        if op.tested:
            goes_on, results = bool(results[0]), results[1:]
        state = tuple(results[: op.carried])
        ys.append(tuple(results[op.carried :]))
        place += 1
    if not ys and op.outputs:
        given = [np.asarray(0, np.int64), *state, *rest]
        return [*state, *none_of(op.body.outputs[op.carried :], op.body, given, axis=0)]
    return [*state, *(np.stack(y) for y in zip(*ys, strict=True))]


def _end(op: ops.Loop, count: Array | None) -> int | None:
    if op.steps:
        return fixed(op.steps[0])  # the interpreter puts the number here
    return None if count is None else int(count)
