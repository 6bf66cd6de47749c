"""If and Loop. A branch that sizes decide is read in place; what the data decide becomes the IR's If and Loop."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.graph import Value, apply_node, next_serial
from dagir.ir.traversal import values_behind
from dagir.ir.types import DType, Equation, TensorType
from dagir.ops.bodies import close
from dagir.ops.control_flow import Loop, choose
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.telling import tell
from dagir_onnx.importing.tensors import Sizes, Tensor, constant, entries, value


@rule("If")
def _if(call: NodeCall) -> Sequence[Tensor]:
    known = call.array(0)
    if known is not None:
        return call.call_graph(call.graph("then_branch" if known.reshape(-1)[0] else "else_branch"), [])
    since = next_serial()
    left, right = (
        [value(each) for each in call.call_graph(call.graph(name), [])] for name in ("then_branch", "else_branch")
    )
    condition = call.input(0)
    held = _decided_by_equation(call, condition, left, right, since)
    return chosen(_scalar(condition), left, right, since) if held is None else held


def _decided_by_equation(
    call: NodeCall, condition: Value, left: Sequence[Value], right: Sequence[Value], since: int
) -> Sequence[Value] | None:
    """The branch that an equation of sizes decides, where the two give values of different ranks.

    Exporters write so what drops an axis if its size is 1. That branch has the equation, so it is checked when the
    model runs; None where no branch has it.
    """
    pair = call.reader.equalities.get(condition)
    if pair is None or [each.ndim for each in left] == [each.ndim for each in right]:
        return None
    nodes = values_behind(left)
    made = {value.node for value in nodes if value.node is not None and value.node.serial >= since}
    if not any({each.left, each.right} == set(pair) for node in made for each in node.equations):
        return None
    equation = Equation(*pair)
    tell(f"{call.reader.source}: node {call.name!r} (If) is taken to have {equation}, which is checked when it runs")
    return left


def chosen(condition: Value, left: Sequence[Value], right: Sequence[Value], since: int) -> list[Value]:
    """The outputs of a branch: what both sides give, and what is the same in both as it is."""
    results = list(left)
    places = [place for place, (a, b) in enumerate(zip(left, right, strict=True)) if a is not b]
    made = choose(condition, [left[place] for place in places], [right[place] for place in places], since)
    for place, output in zip(places, made, strict=True):
        results[place] = output
    return results


def _scalar(given: Value) -> Value:
    """A tensor of one element as a scalar: ONNX takes both."""
    return ops.reshape(given, ()) if given.ndim else given


@rule("Loop")
def _loop(call: NodeCall) -> Sequence[Tensor]:
    body, given = call.graph("body"), [call.input(place) for place in range(2, len(call.tensors))]
    count, condition = call.tensor(0), call.optional(1)
    again = None if condition is None else call.array(1)
    if again is not None and not again.reshape(-1)[0]:
        condition = constant(np.asarray(False))
    elif again is not None:
        condition = None
    steps = _steps(count)
    call.reader.loops += 1
    try:
        names = [_named(call, name) for name in ("iteration", *(f"state_{place}" for place in range(len(given))))]
        before = [Value(TensorType(DType.INT64, ()), name=names[0])]
        before += [Value(each.type, name=name) for each, name in zip(given, names[1:], strict=True)]
        after = call.call_graph(body, [before[0], constant(np.asarray(True)), *before[1:]])
    finally:
        call.reader.loops -= 1
    return _node(call, before, given, [value(each) for each in after], (count, steps, condition))


def _named(call: NodeCall, name: str) -> str:
    """The name of a variable, which those of the loops around do not have."""
    return name if call.reader.loops == 1 else f"{name}_in_{call.reader.loops}"


def _steps(count: Tensor | None) -> Dim | None:
    """The number of iterations, if it is known as a size."""
    known = None if count is None else entries(count)
    if known is None:
        return None
    found: Dim = known.reshape(()).item()
    return max(found, 0) if isinstance(found, int) else found


def _node(
    call: NodeCall,
    before: Sequence[Value],
    given: Sequence[Value],
    after: Sequence[Value],
    end: tuple[Tensor | None, Dim | None, Value | None],
) -> Sequence[Value]:
    count, steps, condition = end
    carried = len(given)
    goes_on, states, rows = _scalar(after[0]), list(after[1 : 1 + carried]), list(after[1 + carried :])
    tested = not _is_true(goes_on)
    if rows and (tested or condition is not None or steps is None):
        raise call.refused(
            "it stacks a value of each iteration, and the data decide how often it runs",
            "carry an array of a known size, or give the number of iterations as a size",
        )
    if steps is None and count is None and not tested and condition is None:
        raise call.refused("nothing ends it")
    body = close(before, [*([goes_on] if tested else []), *states, *rows], "loop", near=given)
    sized = () if steps is None or tested or condition is not None else (steps,)
    number = None if sized or count is None else ops.cast(_scalar(value(count)), DType.INT64)
    if condition is not None and not tested:
        condition = _scalar(condition)
    op = Loop(body, carried, tested, sized)
    captured = body.inputs[len(before) :]
    first = None if condition is None else _scalar(condition)
    return apply_node(op, (number, first, *given, *captured)).outputs


def _is_true(condition: Value) -> bool:
    found = condition.source
    array = getattr(found, "array", None)
    return array is not None and bool(np.all(array))


__all__ = ["Sizes", "chosen"]
