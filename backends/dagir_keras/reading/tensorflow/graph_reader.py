"""Reads a graph of TensorFlow into nodes of dagir: op by op, through the table of rules. Nothing of it is run."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Protocol

from dagir.errors import DagirError, FileError
from dagir.ir.graph import Constant, Value, next_serial
from dagir.ir.naming import Namer
from dagir.support import limits
from dagir_keras.reading.problems import Problem, Problems, Refused
from dagir_keras.reading.tensorflow import complex_numbers
from dagir_keras.reading.tensorflow.dilations import with_dilations
from dagir_keras.reading.tensorflow.frames import with_loops
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, array_of
from dagir_keras.reading.tensorflow.held import Missing, Text, Variable, is_counted, missing_among
from dagir_keras.reading.tensorflow.refusals import refuse_raw_op
from dagir_keras.reading.tensorflow.registry import call_raw_op, raw_ops

_DEEPEST = 100
_COST_OF_CALL = 16  # that a call takes of the budget of a file: functions that call each other twice double the work
_PASSES = {"Identity", "Snapshot", "StopGradient", "PreventGradient", "CheckNumerics", "RefIdentity", "Placeholder"}
_PASSES |= {"PlaceholderWithDefault"}  # an input of a signature is an argument, and no node
_CHECKS = {"NoOp", "Assert"}
_ASSIGNS = (
    "Assign",
    "ResourceScatter",
    "ScatterUpdate",
    "ScatterAdd",
    "ScatterSub",
    "ResourceApply",
    "ResourceStrided",
)
_CALLS = {"PartitionedCall", "StatefulPartitionedCall", "If", "StatelessIf", "Case", "StatelessCase"}
"""Ops that run functions, which may need only some of what they are given."""

Handler = Callable[["GraphReader", GraphNode, Sequence[Any], GraphFunction], Any]
handlers: dict[str, Handler] = {}
"""The ops that a rule of the table cannot be written for: they call functions, or hold state, lists or tables."""


def handler(*names: str) -> Callable[[Handler], Handler]:
    """Decorate the handler of an op, or of several."""

    def register(function: Handler) -> Handler:
        handlers.update(dict.fromkeys(names, function))
        return function

    return register


class Resources(Protocol):
    """What the nodes of a graph that hold state stand for."""

    def variable(self, node: GraphNode) -> Variable:
        """The variable of a node. Raises Refused."""

    def table(self, node: GraphNode) -> Any:
        """The lookup table of a node. Raises Refused."""


class GraphReader:
    """Reads functions. What cannot be read becomes a problem, and reading goes on, so that one error names all."""

    def __init__(self, problems: Problems, resources: Resources, *, names: bool = False) -> None:
        """names: whether the values get the names of the nodes, as those of a file."""
        raw_ops()  # imports the families, those of handlers too
        self.problems, self.resources, self.names = problems, resources, names
        self.predicates: dict[tuple[str, str], Any] = {}
        """The conditions of the Switches that were read, by function and node."""
        self.constants: dict[Value, str] = {}
        """The constants that were read, with the names of their nodes."""
        self.loops = 0
        """How many loops the reading is inside of: the names of their variables tell it."""
        self._unique = Namer()
        self._depth = 0
        self._lowered: dict[int, tuple[GraphFunction, GraphFunction]] = {}  # the first keeps its id in use
        self._changes: set[tuple[str, str]] = set()

    def call(self, function: GraphFunction, operands: Sequence[Any]) -> list[Any]:
        """The outputs of a function: tensors, or what else its graph passes on; Missing for what cannot be read."""
        self._depth += 1
        try:
            function = self._without_frames(function)
            if self._depth > _DEEPEST:
                raise Refused(f"its functions call each other more than {_DEEPEST} deep")
            values: dict[str, tuple[Any, ...]] = {
                name: (operand,) for name, operand in zip(function.arguments, operands, strict=True)
            }
            if function.runs_whole:
                self._refuse_changes(function)
            for node in function.needed():
                limits.spend("nodes", _COST_OF_CALL if node.op in _CALLS else 1, f"the function {function.name!r}")
                values[node.name] = self._results(node, [self._read(values, each) for each in node.inputs], function)
            return [self._read(values, output) for output in function.outputs]
        finally:
            self._depth -= 1

    def _without_frames(self, function: GraphFunction) -> GraphFunction:
        """The function with one node in place of each loop of TensorFlow 1, and of each dilated convolution."""
        if id(function) not in self._lowered:
            self._lowered[id(function)] = function, with_dilations(with_loops(function))
        return self._lowered[id(function)][1]

    def _read(self, values: Mapping[str, tuple[Any, ...]], output: tuple[str, int]) -> Any:
        found, index = values[output[0]], output[1]
        if len(found) == 1 and isinstance(found[0], Missing):
            return found[0]
        if index >= len(found):
            raise Refused(f"the graph reads output {index} of {output[0]!r}, which has {len(found)}")
        return found[index]

    def _results(self, node: GraphNode, operands: list[Any], function: GraphFunction) -> tuple[Any, ...]:
        calls = node.op in _CALLS or node.op in function.library or is_counted(node.op, operands)
        if not calls and (lost := missing_among(operands)) is not None:
            if not self._has_rule(node.op):  # what stands behind a node that cannot be taken is named with it
                refused = refuse_raw_op(node.op)
                self._missing(node, refused.reason, refused.remedy)
            return (lost,)
        since = next_serial()
        try:
            found = self._computed(node, operands, function)
        except Refused as refused:
            return (self._missing(node, refused.reason, refused.remedy),)
        except FileError:  # a damaged or a hostile file is no list of layers
            raise
        except DagirError as error:
            return (self._missing(node, error.summary, error.remedy),)
        results = tuple(found) if isinstance(found, (tuple, list)) else (found,)
        if self.names:
            self._give_names(results, node, since)
        return results

    def _has_rule(self, op: str) -> bool:
        known = op in _PASSES or op in _CHECKS or op in ("IdentityN", "Const") or op in handlers
        return known or op in raw_ops() or complex_numbers.has_rule(op)

    def _give_names(self, results: Sequence[Any], node: GraphNode, since: int) -> None:
        """Name what a node gave, if it made it (after this serial number) and nothing named it yet."""
        for place, each in enumerate(results):
            made = each.node if isinstance(each, Value) else None
            if made is not None and made.serial >= since and each.explicit_name is None:
                each.take_name(self._unique(f"{node.name}:{place}" if place else node.name))

    @contextmanager
    def trial(self) -> Iterator[None]:
        """Within it, what is read is looked at and thrown away: it takes no names, and its problems are no matter."""
        before = self.names, self.problems
        self.names, self.problems = False, Problems()
        try:
            yield
        finally:
            self.names, self.problems = before

    def _refuse_changes(self, function: GraphFunction) -> None:
        """Note the nodes that change a variable: the next call would give another answer, and later reads do."""
        for node in function.nodes.values():
            if node.op.startswith(_ASSIGNS) and (function.name, node.name) not in self._changes:
                self._changes.add((function.name, node.name))
                self._missing(
                    node,
                    "assigns a variable at inference, and a graph holds no state",
                    "call it with training=False, or take the state as an input and give the new one as an output",
                )

    def _missing(self, node: GraphNode, reason: str, remedy: str | None) -> Missing:
        problem = Problem(node.name, node.op, reason, remedy)
        self.problems.note(problem)
        return Missing(problem)

    def _computed(self, node: GraphNode, operands: list[Any], function: GraphFunction) -> Any:
        if node.op in _PASSES and operands:
            return operands[0]
        if node.op in _CHECKS:
            return ()
        if node.op == "IdentityN":
            return tuple(operands)
        if node.op == "Const":
            array = array_of(node.attributes["value"]["tensor"])
            if array.dtype.kind == "c":
                return complex_numbers.constant(array)
            if array.dtype == object:
                return Text(array)
            made = Constant(array).value
            self.constants[made] = node.name
            return made
        if node.op in handlers:
            return handlers[node.op](self, node, operands, function)
        if node.op in function.library:
            return self.call(function.library[node.op], operands)
        if complex_numbers.is_complex(node.op, operands, node.plain):
            return complex_numbers.call_complex(node.op, operands, node.plain)
        return call_raw_op(node.op, [_tensor(operand) for operand in operands], node.plain)

    def passed_on(self, function: GraphFunction) -> dict[int, int]:
        """For each output of a function that is an argument as it came in, which one it is."""
        places = {name: place for place, name in enumerate(function.arguments)}
        found = {}
        for index, (name, _) in enumerate(function.outputs):
            start = function.origin(name, _PASSES, places)
            if start in places:
                found[index] = places[start]
        return found


def _tensor(operand: Any) -> Any:
    if isinstance(operand, Variable):
        return operand.parameter.value
    if isinstance(operand, Text):
        raise Refused("computes on text", "do it before the model")
    return operand


__all__ = ["GraphReader", "Resources", "handler", "handlers"]
