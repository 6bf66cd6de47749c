"""Calls, branches and loops of TensorFlow's graphs: calls are read in place, the others become If and Loop."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, max_dim, min_dim
from dagir.ir.graph import Constant, Value, apply_node, next_serial
from dagir.ir.types import DType, TensorType
from dagir.ops.bodies import close
from dagir.ops.control_flow import Loop, choose
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.held import Missing, TensorList, Variable, missing_among
from dagir_keras.reading.tensorflow.tensors import Sizes, Tensor, entries, sized, value


@handler("PartitionedCall", "StatefulPartitionedCall")
def _call(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    return reader.call(function.library[node.function("f")], operands)


# ---- branches


@handler("If", "StatelessIf")
def _if(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    predicate, given = operands[0], operands[1:]
    if isinstance(predicate, Missing):
        return predicate
    names = node.function("then_branch"), node.function("else_branch")
    known = _known_truth(predicate)
    if known is not None:
        return reader.call(function.library[names[0 if known else 1]], given)
    since = next_serial()
    sides = [reader.call(function.library[name], given) for name in names]
    return _chosen(_truth(predicate), sides, since)


@handler("Case", "StatelessCase")
def _case(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    index, given = operands[0], operands[1:]
    if isinstance(index, Missing):
        return index
    names = [each["name"] for each in node.attributes["branches"]["list"]["func"]]
    known = entries(index)
    if known is not None and isinstance(known.item(), int):
        place = known.item() if 0 <= known.item() < len(names) else len(names) - 1
        return reader.call(function.library[names[place]], given)
    chosen = value(index)
    since = next_serial()
    result = reader.call(function.library[names[-1]], given)
    for place in reversed(range(len(names) - 1)):
        result = _chosen(ops.equal(chosen, place), [reader.call(function.library[names[place]], given), result], since)
    return result


def _known_truth(predicate: Tensor) -> bool | None:
    if isinstance(predicate, Value) and isinstance(predicate.source, Constant):
        return bool(predicate.source.array)
    known = entries(predicate)
    return None if known is None or not isinstance(known.item(), int) else bool(known.item())


def _truth(predicate: Tensor) -> Value:
    """A predicate as TensorFlow takes it: any number but zero is true."""
    found = value(predicate)
    return found if found.dtype is DType.BOOL else ops.not_equal(found, 0)


def _chosen(predicate: Value, sides: Sequence[Sequence[Any]], since: int) -> list[Any]:
    """The outputs of a branch: what both sides give, and what is the same in both as it is."""
    left, right = sides
    lost = missing_among([*left, *right])
    if lost is not None:
        return [lost] * len(left)
    results: list[Any] = list(left)
    places = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a is not b]
    pairs = [(_array(left[i]), _array(right[i])) for i in places]
    made = choose(predicate, [a for a, _ in pairs], [b for _, b in pairs], since)
    for place, output in zip(places, made, strict=True):
        given = left[place]
        results[place] = replace(given, array=output, written=()) if isinstance(given, TensorList) else output
    return results


def _array(operand: Any) -> Value:
    if isinstance(operand, TensorList):
        array = operand.filled().array
        assert array is not None
        return array
    if isinstance(operand, Variable):
        raise Refused("a branch chooses between variables", "read them first, and choose between their values")
    return value(operand)


# ---- loops


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
        if self.steps is None:
            self.counters = {}
        lists = [i for i, each in enumerate(self.given) if isinstance(each, TensorList) and i not in self.fixed]
        self.reader.loops += 1
        try:
            self._give_types(lists)
            return self._looped(lists)
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

    def _give_types(self, lists: Sequence[int]) -> None:
        """Read the body once where the type of a list's items is told only by what is written into it."""
        unknown = [i for i in lists if self.given[i].item_type() is None]
        if not unknown:
            return
        before = [self._symbol(i) for i in range(len(self.given))]
        results = self.reader.call(self.body, self._entering(before, Value(_ITERATION, name="iteration")))
        for place in unknown:
            after = results[place]
            kind = after.item_type() if isinstance(after, TensorList) else None
            if kind is None:
                raise Refused("a loop carries a list of tensors whose shape nothing tells")
            self.given[place] = replace(self.given[place], element=kind.shape, dtype=kind.dtype)

    def _looped(self, lists: Sequence[int]) -> list[Any]:
        stacked = [i for i in lists if self._is_stacked(i)]
        given = self._filled([i for i in lists if i not in stacked])
        carried = [i for i in range(len(given)) if i not in (*self.fixed, *self.counters, *stacked)]
        iteration = Value(_ITERATION, name=self._named("iteration"))
        before = {i: Value(_array(given[i]).type, name=self._named(f"state_{i}")) for i in carried}
        after = self.reader.call(self.body, [self._inside(i, given, before, iteration) for i in range(len(given))])
        lost = missing_among(after)
        if lost is not None:
            return [lost] * len(given)
        rows = [_only_row(after[i]) for i in stacked]
        made = self._node(given, [iteration, *before.values()], after, carried, rows)
        return self._leaving(given, carried, stacked, made)

    def _node(
        self, given: list[Any], inputs: Sequence[Value], after: list[Any], carried: list[int], rows: list[Value]
    ) -> Sequence[Value]:
        """The outputs of the Loop: the carried variables, then the rows that it stacks."""
        starts = [_array(given[i]) for i in carried]
        tests = self.steps is None
        again = [self._condition(after)] if tests else []
        body = close(inputs, [*again, *(_array(after[i]) for i in carried), *rows], "while", near=starts)
        op = Loop(body, len(carried), tests, () if self.steps is None else (self.steps,))
        captured = body.inputs[1 + len(carried) :]
        return apply_node(op, (None, self._condition(given) if tests else None, *starts, *captured)).outputs

    def _filled(self, lists: Sequence[int]) -> list[Any]:
        """The variables before the loop; these lists as arrays."""
        if any(self.given[i].count == 0 for i in lists):
            raise Refused(
                "a loop makes a list longer, and how often it runs is not known before",
                "give tf.TensorArray the size that it has in the end",
            )
        return [each.filled() if i in lists else each for i, each in enumerate(self.given)]

    def _named(self, name: str) -> str:
        """The name of a variable, which those of the loops around do not have."""
        return name if self.reader.loops == 1 else f"{name}_in_{self.reader.loops}"

    def _leaving(self, given: list[Any], carried: list[int], stacked: list[int], made: Sequence[Value]) -> list[Any]:
        final: list[Any] = list(given)
        for place, start in self.counters.items():
            assert self.steps is not None
            final[place] = sized(np.asarray(start + self.steps, object), given[place].dtype)
        for place, output in zip([*carried, *stacked], made, strict=True):
            listed = isinstance(given[place], TensorList)
            final[place] = replace(given[place], array=output, written=()) if listed else output
            if place in stacked:
                final[place] = replace(final[place], count=self.steps)
        return final

    def _inside(self, place: int, given: list[Any], before: dict[int, Value], iteration: Value) -> Any:
        """A variable as the body sees it."""
        if place in self.counters:
            return ops.cast(iteration + _number(self.counters[place]), given[place].dtype)
        if place in before:
            listed = isinstance(given[place], TensorList)
            return replace(given[place], array=before[place], written=()) if listed else before[place]
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
        return _truth(found)

    def _is_stacked(self, place: int) -> bool:
        """Whether the loop writes each item of an empty list once, in their order."""
        listed = self.given[place]
        if self.steps is None or listed.array is not None or listed.written:
            return False
        node = self._behind(self.body, self.body.outputs[place][0])
        if node is None or node.op != "TensorListSetItem" or self._argument(self.body, node.inputs[0][0]) != place:
            return False
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
