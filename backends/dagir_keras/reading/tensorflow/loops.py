"""Loops of TensorFlow's graphs, which become Loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim, max_dim, min_dim
from dagir.ir.graph import Value, apply_node
from dagir.ir.types import DType, TensorType
from dagir.ops.bodies import close
from dagir.ops.control_flow import Loop
from dagir.ops.sizes import measured
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.control_flow import truth
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.growing_lists import WRITES, makes_longer
from dagir_keras.reading.tensorflow.held import Missing, TensorList, missing_among, parts_of, rebuilt
from dagir_keras.reading.tensorflow.tensors import Sizes, entries, sized, value


@handler("While", "StatelessWhile")
def _while(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    lost = missing_among(operands)
    if lost is not None:
        return lost
    test, body = function.library[node.function("cond")], function.library[node.function("body")]
    return _While(reader, test, body, list(operands)).results()


@dataclass
class _While:
    """One loop. Its variables: those that stay as they are, counters, and those that the loop carries."""

    reader: GraphReader
    test: GraphFunction
    body: GraphFunction
    given: list[Any]

    def results(self) -> list[Any]:
        """What the variables are at the end."""
        self.fixed = {out for out, place in self.reader.passed_on(self.body).items() if out == place}
        self.counters = {place: start for place in range(len(self.given)) if (start := self._start(place)) is not None}
        self.steps = self._known_steps()
        lists = [i for i, each in enumerate(self.given) if isinstance(each, TensorList) and i not in self.fixed]
        growing = [i for i in lists if self.given[i].length is None and makes_longer(self.body, i)]
        self.reader.loops += 1
        try:
            self._give_types(lists, growing)
            counted = self._counted([i for i in growing if self.steps is None or not self._is_stacked(i)])
            if self.steps is None:
                self.counters = {}
            return self._looped(lists, counted)
        finally:
            self.reader.loops -= 1

    # ---- counters, and how often it runs

    def _start(self, place: int) -> Dim | None:
        """Where a variable starts that grows by 1 at each iteration; None for another one."""
        known = None if not isinstance(self.given[place], (Value, Sizes)) else entries(self.given[place])
        if known is None or known.ndim or place in self.fixed:
            return None
        node = self._behind(self.body, self.body.outputs[place][0])
        if node is None or node.op not in ("AddV2", "Add"):
            return None
        sides = [name for name, _ in node.inputs]
        other = [name for name in sides if self._argument(self.body, name) != place]
        if len(other) != 1:
            return None
        one = self._known(self.body, other[0])
        return known.item() if one == 1 else None

    def _known_steps(self) -> Dim | None:
        """The number of iterations, if every condition is that a counter is below something known before the loop."""
        pending, bounds = [self.test.outputs[0][0]], []
        while pending:
            name = pending.pop()
            node = self._behind(self.test, name)
            if node is None:
                return None
            if node.op == "LogicalAnd":
                pending += [each for each, _ in node.inputs]
                continue
            bound = self._bound(node)
            if bound is None:
                return None
            bounds.append(bound)
        steps = bounds[0]
        for bound in bounds[1:]:
            steps = min_dim(steps, bound)
        return max_dim(steps, 0)

    def _bound(self, node: GraphNode) -> Dim | None:
        """How many iterations pass until this comparison ends the loop."""
        if node.op != "Less":
            return None
        place = self._argument(self.test, node.inputs[0][0])
        limit = self._known(self.test, node.inputs[1][0])
        if place not in self.counters or limit is None:
            return None
        return limit - self.counters[place]

    def _known(self, function: GraphFunction, name: str) -> Dim | None:
        """A number that stays as it is through the loop: a constant, or a variable that the body passes on."""
        place = self._argument(function, name)
        if place is not None:
            found = self.given[place] if place in self.fixed else None
        else:
            node = function.nodes.get(name)
            found = self.reader.call(_only(function, node), [])[0] if node is not None and node.op == "Const" else None
        known = entries(found) if isinstance(found, (Value, Sizes)) else None
        return None if known is None or known.ndim else known.item()

    def _argument(self, function: GraphFunction, name: str) -> int | None:
        """Which argument this is, directly or through nodes that pass it on."""
        start = function.origin(name, ("Identity",), function.arguments)
        return function.arguments.index(start) if start in function.arguments else None

    def _behind(self, function: GraphFunction, name: str) -> GraphNode | None:
        """The node that computes something, behind those that pass it on."""
        return function.nodes.get(function.origin(name, ("Identity",)))

    # ---- the body

    def _give_types(self, lists: Sequence[int], growing: Sequence[int]) -> None:
        """Read the body once where the type of a list's items is told only by what is written into it."""
        unknown = [i for i in lists if self.given[i].item_type() is None]
        if not unknown:
            return
        before = [self._symbol(i) for i in range(len(self.given))]
        before = [each.opened(None) if i in growing else each for i, each in enumerate(before)]
        with self.reader.trial():
            results = self.reader.call(self.body, self._entering(before, Value(_ITERATION, name="iteration")))
        for place in unknown:
            after = results[place]
            if isinstance(after, Missing):
                raise Refused(after.problem.reason, after.problem.remedy)
            kind = after.item_type() if isinstance(after, TensorList) else None
            if kind is None:
                raise Refused("a loop carries a list of tensors whose shape nothing tells")
            self.given[place] = replace(self.given[place], element=kind.shape, dtype=kind.dtype)

    def _counted(self, growing: Sequence[int]) -> list[int]:
        """Run the loop without what it writes into lists, where their lengths in the end hang on the data.

        So the number of iterations is known before the loop itself. Gives the lists that have got room in an array,
        and are written item by item; others are stacked.
        """
        if not growing:
            return []
        with self.reader.trial():
            steps, lengths = self._count(growing)
        self.steps = ops.size_from(steps) if self.steps is None else self.steps
        written = [i for i in growing if not self._is_stacked(i)]
        for place, length in zip(growing, lengths, strict=True):
            if place in written:
                self.given[place] = self.given[place].opened(ops.size_from(length))
        return written

    def _count(self, growing: Sequence[int]) -> tuple[Value, Sequence[Value]]:
        """The number of iterations, and the lengths of the lists in the end."""
        given = [each.opened(None) if i in growing else each for i, each in enumerate(self.given)]
        iteration = Value(_ITERATION, name=self._named("iteration"))
        before, after = self._without_items(given, growing, iteration)
        starts = [value(np.asarray(0, np.int64)), *(part for i in before for part in parts_of(given[i]))]
        passed = [iteration + 1, *(part for i in before for part in parts_of(after[i]))]
        steps = Value(_ITERATION, name=self._named("steps"))
        inputs = [iteration, steps, *(part for i in before for part in before[i])]
        again = [self._condition(after)] if self.steps is None else []
        begin = self._condition(given) if self.steps is None else None
        body = close(inputs, [*again, *passed], "count", near=starts)
        op = Loop(body, len(passed), bool(again), () if self.steps is None else (self.steps,))
        made = apply_node(op, (None, begin, *starts, *body.inputs[len(inputs) :])).outputs
        return made[0], made[1 : 1 + len(growing)]

    def _without_items(
        self, given: list[Any], growing: Sequence[int], iteration: Value
    ) -> tuple[dict[int, list[Value]], list[Any]]:
        """The inputs of the body, and its outputs, without what is read from the growing lists and computed of it.

        These lists come first. Raises Refused where their lengths hang on it.
        """
        others = [i for i in range(len(given)) if i not in (*self.fixed, *self.counters, *growing)]
        lost: dict[int, Missing] = {}
        while True:
            before = self._symbols(given, [*growing, *(i for i in others if i not in lost)])
            inside = [lost.get(i, self._inside(i, given, before, iteration)) for i in range(len(given))]
            after = self.reader.call(self.body, inside)
            more = {i: after[i] for i in before if isinstance(after[i], Missing)}
            if not more:
                return before, after
            for place in growing:
                if place in more:
                    raise Refused(more[place].problem.reason, more[place].problem.remedy)
            lost |= more

    def _symbols(self, given: Sequence[Any], carried: Sequence[int]) -> dict[int, list[Value]]:
        """The inputs of the body for the variables that are carried."""
        found: dict[int, list[Value]] = {}
        for place in carried:
            parts = parts_of(given[place])
            names = [f"state_{place}", f"rows_{place}"] if len(parts) > 1 else [f"state_{place}"]
            found[place] = [Value(p.type, name=self._named(n)) for p, n in zip(parts, names, strict=True)]
        return found

    def _looped(self, lists: Sequence[int], counted: Sequence[int]) -> list[Any]:
        stacked = [i for i in lists if i not in counted and self._is_stacked(i)]
        given = self.given
        carried = [i for i in range(len(given)) if i not in (*self.fixed, *self.counters, *stacked)]
        iteration = Value(_ITERATION, name=self._named("iteration"))
        before = self._symbols(given, carried)
        after = self.reader.call(self.body, [self._inside(i, given, before, iteration) for i in range(len(given))])
        lost = missing_among(after)
        if lost is not None:
            return [lost] * len(given)
        rows = [_only_row(after[i]) for i in stacked]
        inputs = [iteration, *(part for i in carried for part in before[i])]
        made = self._node(given, inputs, after, carried, rows)
        final = self._leaving(given, carried, stacked, made)
        return [replace(each, length=None) if i in counted else each for i, each in enumerate(final)]

    def _node(
        self, given: list[Any], inputs: Sequence[Value], after: list[Any], carried: list[int], rows: list[Value]
    ) -> Sequence[Value]:
        """The outputs of the Loop: the carried variables, then the rows that it stacks."""
        starts = [part for i in carried for part in parts_of(given[i])]
        passed = [part for i in carried for part in parts_of(after[i])]
        tests = self.steps is None
        again = [self._condition(after)] if tests else []
        body = close(inputs, [*again, *passed, *rows], "while", near=starts)
        op = Loop(body, len(passed), tests, () if self.steps is None else (self.steps,))
        captured = body.inputs[1 + len(passed) :]
        if isinstance(self.steps, SymbolicDim) and not starts and not captured:  # an operand tells the size
            body = close([*inputs, kept := Value(_ITERATION, name=self._named("steps"))], [kept, *rows], "while")
            return apply_node(
                Loop(body, 1, False, op.steps), (None, None, ops.cast(measured(self.steps), DType.INT64))
            ).outputs[1:]
        return apply_node(op, (None, self._condition(given) if tests else None, *starts, *captured)).outputs

    def _named(self, name: str) -> str:
        """The name of a variable, which those of the loops around do not have."""
        return name if self.reader.loops == 1 else f"{name}_in_{self.reader.loops}"

    def _leaving(self, given: list[Any], carried: list[int], stacked: list[int], made: Sequence[Value]) -> list[Any]:
        final: list[Any] = list(given)
        for place, start in self.counters.items():
            assert self.steps is not None
            final[place] = sized(np.asarray(start + self.steps, object), given[place].dtype)
        results = iter(made)
        for place in carried:
            final[place] = rebuilt(given[place], [next(results) for _ in parts_of(given[place])])
        for place, output in zip(stacked, results, strict=True):
            final[place] = replace(given[place], count=self.steps, array=output, written=())
        return final

    def _inside(self, place: int, given: list[Any], before: dict[int, list[Value]], iteration: Value) -> Any:
        """A variable as the body sees it."""
        if place in self.counters:
            return ops.cast(iteration + _number(self.counters[place]), given[place].dtype)
        if place in before:
            return rebuilt(given[place], before[place])
        return given[place]

    def _symbol(self, place: int) -> Any:
        each = self.given[place]
        if place in self.fixed or isinstance(each, TensorList):
            return each
        return Value(value(each).type, name=self._named(f"state_{place}"))

    def _entering(self, before: list[Any], iteration: Value) -> list[Any]:
        return [self._inside(i, before, {}, iteration) for i in range(len(before))]

    def _condition(self, variables: Sequence[Any]) -> Value:
        (found,) = self.reader.call(self.test, variables)
        if isinstance(found, Missing):
            raise Refused(f"its condition cannot be read: {found.problem.reason}", found.problem.remedy)
        return truth(found)

    def _is_stacked(self, place: int) -> bool:
        """Whether the loop writes each item of an empty list once, in their order."""
        listed = self.given[place]
        if self.steps is None or listed.array is not None or listed.written:
            return False
        node = self._behind(self.body, self.body.outputs[place][0])
        if node is None or node.op not in WRITES or self._argument(self.body, node.inputs[0][0]) != place:
            return False
        if node.op == "TensorListPushBack":
            return bool(listed.count == 0)
        grows = listed.count == 0 and node.attribute("resize_if_index_out_of_bounds")
        if listed.count != self.steps and not grows:
            return False
        return self.counters.get(self._argument(self.body, node.inputs[1][0])) == 0  # type: ignore[arg-type]


def _only_row(listed: TensorList) -> Value:
    """What an iteration writes into a list of which it writes one item."""
    ((_, item),) = listed.written
    return item


_ITERATION = TensorType(DType.INT64, ())


def _number(start: Dim) -> Value:
    return value(sized(np.asarray(start, object), DType.INT64))


def _only(function: GraphFunction, node: GraphNode) -> GraphFunction:
    """One node of a function that reads nothing, as a function."""
    return replace(function, arguments=(), outputs=((node.name, 0),))
