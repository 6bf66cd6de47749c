"""Reads a graph of ONNX into nodes of dagir: node by node, through the table of rules. Nothing of it is run."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from onnx import FunctionProto, GraphProto, NodeProto

from dagir.errors import DagirError, FileError
from dagir.ir.dims import Dim
from dagir.ir.graph import Value, next_serial
from dagir.support import limits
from dagir_onnx.importing.attributes import attributes_of, check_flags
from dagir_onnx.importing.known_arrays import known_constant
from dagir_onnx.importing.naming import give_name
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.node_order import in_order, needed
from dagir_onnx.importing.refusals import Missing, Problem, Problems, Refused, refusal_of
from dagir_onnx.importing.registry import NEWEST_OPSET, find_rule, load, plain_domain
from dagir_onnx.importing.schema_functions import has_function, require_known_version, schema_function
from dagir_onnx.importing.sizes import folded, is_constant
from dagir_onnx.importing.stored_arrays import StoredArrays
from dagir_onnx.importing.tensors import Tensor
from dagir_onnx.importing.weights import Weights

_DEEPEST = 100
_ODD = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError)
_KEPT = ("DequantizeLinear",)  # codes stay codes: integer kernels are found by them
_UNSAID = {"com.microsoft": 1}  # the versions that onnxruntime takes of domains which a file uses and does not import
Held = Tensor | Missing | None


@dataclass
class Scope:
    """The names that are known where a node stands. outer: the graph around this one, whose names it may read."""

    opsets: Mapping[str, int]
    outer: Scope | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)  # of the call of a function
    path: str = ""  # of the calls that this is inside of, for errors
    values: dict[str, Held] = field(default_factory=dict)

    def find(self, name: str) -> tuple[bool, Held]:
        """Whether a name is known here, and what it is."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return True, scope.values[name]
            scope = scope.outer
        return False, None


class GraphReader:
    """Reads graphs. What cannot be read becomes a problem, and reading goes on, so that one error names all."""

    def __init__(
        self, source: str, arrays: StoredArrays, functions: Sequence[FunctionProto], frozen: Collection[str] = ()
    ) -> None:
        load()
        self.source, self.arrays = source, arrays
        self.problems, self.weights = Problems(), Weights(frozen)
        self.functions = {(plain_domain(f.domain), f.name, f.overload): f for f in functions}
        self.scope = Scope({})
        self.loops = 0
        """How many loops the reading is inside of: the names of their variables tell it."""
        self.equalities: dict[Value, tuple[Dim, Dim]] = {}
        self.partly_known: dict[Value, tuple[Dim | None, ...]] = {}
        self._depth = 0
        self._noted: set[tuple[str, str]] = set()  # the op and the name of each node that was refused

    # ---- graphs

    def read_main(self, graph: GraphProto, opsets: Mapping[str, int], inputs: Mapping[str, Held]) -> list[Held]:
        """The outputs of the main graph."""
        self.scope = Scope(opsets, values=dict(inputs))
        return self._read(graph, self.scope)

    def call_graph(self, graph: GraphProto, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The outputs of a graph inside a node. Raises Refused where one cannot be taken, which was noted then."""
        names = [each.name for each in graph.input]
        if len(names) != len(inputs):
            raise Refused(f"its graph {graph.name!r} takes {len(names)} inputs, and gets {len(inputs)}")
        around = self.scope
        values: dict[str, Held] = dict(zip(names, inputs, strict=True))
        scope = Scope(around.opsets, around, around.attributes, around.path, values)
        found = self._within(scope, lambda: self._read(graph, scope))
        return [_there(each) for each in found]

    def call_function(self, function: FunctionProto, call: NodeCall) -> list[Held]:
        """The outputs of a function, read in place of the node that calls it."""
        imported = {plain_domain(each.domain): each.version for each in function.opset_import}
        opsets = {"": NEWEST_OPSET, **self.scope.opsets, **imported}
        given = {**_defaults(function, self.arrays), **call.attributes}
        values: dict[str, Held] = dict.fromkeys(function.input)
        values.update(zip(function.input, call.tensors, strict=False))
        scope = Scope(opsets, None, given, f"{self.scope.path}{call.name}/", values)
        wanted = [name if call.wants(place) else "" for place, name in enumerate(function.output)]
        return self._within(scope, lambda: self._read_nodes(function.node, wanted, scope))

    def _within(self, scope: Scope, read: Any) -> list[Held]:
        around, self.scope = self.scope, scope
        self._depth += 1
        try:
            if self._depth > _DEEPEST:
                raise Refused(f"its graphs and functions are nested more than {_DEEPEST} deep")
            found: list[Held] = read()
            return found
        finally:
            self._depth -= 1
            self.scope = around

    def _read(self, graph: GraphProto, scope: Scope) -> list[Held]:
        for tensor in graph.initializer:
            if tensor.name not in scope.values:
                scope.values[tensor.name] = self._stored(tensor.name, lambda each=tensor: self.arrays.array(each))
        for sparse in graph.sparse_initializer:
            name = sparse.values.name
            scope.values[name] = self._stored(name, lambda each=sparse: self.arrays.sparse(each))
        return self._read_nodes(graph.node, [each.name for each in graph.output], scope)

    def _stored(self, name: str, read: Any) -> Held:
        try:
            return self.weights.value(read(), name, is_initializer=True)
        except Refused as refused:
            return Missing(Problem(name, "initializer", refused.reason, refused.remedy))
        except FileError:
            raise
        except DagirError as error:
            return Missing(Problem(name, "initializer", error.summary, error.remedy))

    def _read_nodes(self, nodes: Sequence[NodeProto], outputs: Sequence[str], scope: Scope) -> list[Held]:
        ordered = in_order(nodes, lambda name: scope.find(name)[0])
        for node in needed(ordered, outputs):
            limits.spend("nodes", 1, f"the node {node.name!r}")
            operands = [self._operand(name, node, scope) if name else None for name in node.input]
            found = self._results(node, operands, scope)
            for place, name in enumerate(node.output):
                if name in scope.values:
                    raise FileError(f"{self.source}: node {node_name(node)!r} makes {name!r}, which is there already")
                if name:
                    scope.values[name] = found if isinstance(found, Missing) else _at(found, place)
        return [self._output(name, scope) for name in outputs]

    def _operand(self, name: str, node: NodeProto, scope: Scope) -> Held:
        known, held = scope.find(name)
        if not known:
            raise FileError(
                f"{self.source}: node {node_name(node)!r} ({node.op_type}) reads {name!r}, which nothing makes before"
            )
        return held

    def _output(self, name: str, scope: Scope) -> Held:
        if not name:
            return None
        known, held = scope.find(name)
        if not known:
            raise FileError(f"{self.source}: no node makes the output {name!r}")
        return held

    def note_unread(self, nodes: Iterable[NodeProto], opsets: Mapping[str, int]) -> None:
        """Note nodes without a rule among all nodes: behind a node that cannot be taken none was looked at."""
        for node in nodes:
            domain = plain_domain(node.domain)
            is_call = (domain, node.op_type, node.overload) in self.functions
            if is_call or (node.op_type, node_name(node)) in self._noted:
                continue
            version = opsets.get(domain, NEWEST_OPSET)
            if find_rule(domain, node.op_type, version) is None and not has_function(domain, node.op_type, version):
                refusal = refusal_of(domain, node.op_type, version)
                self._note(node, "", refusal.reason, refusal.remedy)

    def _note(self, node: NodeProto, path: str, reason: str, remedy: str | None = None) -> Missing:
        self._noted.add((node.op_type, node_name(node)))
        op = node.op_type if not plain_domain(node.domain) else f"{node.domain}.{node.op_type}"
        return self.problems.note(Problem(f"{path}{node_name(node)}", op, reason, remedy))

    # ---- nodes

    def _results(self, node: NodeProto, operands: list[Held], scope: Scope) -> Sequence[Held] | Missing:
        lost = next((each for each in operands if isinstance(each, Missing)), None)
        if lost is not None:
            if lost.problem.op in ("initializer", "input") and lost.problem not in self.problems.found:
                self.problems.note(lost.problem)
            return lost
        try:
            return self._named(node, f"{scope.path}{node_name(node)}", operands, scope)
        except Inner as inner:
            return inner.missing
        except Refused as refused:
            return self._note(node, scope.path, refused.reason, refused.remedy)
        except FileError:  # a damaged or a hostile file is no list of nodes
            raise
        except DagirError as error:
            return self._note(node, scope.path, error.summary, error.remedy)
        except _ODD as error:  # a node that no exporter writes: attributes of other types, inputs of other ranks
            lines = str(error).splitlines() or [""]
            reason = f"its inputs or attributes are not what ONNX says: {type(error).__name__}: {lines[0][:80]}"
            return self._note(node, scope.path, reason)

    def _named(self, node: NodeProto, name: str, operands: list[Held], scope: Scope) -> list[Held]:
        """The outputs of a node, with the names that the file gives them."""
        since = next_serial()
        call = NodeCall(
            name,
            plain_domain(node.domain),
            node.op_type,
            self._version(node, scope),
            tuple(operands),  # type: ignore[arg-type]  # nothing is missing here
            attributes_of(node, self.arrays, scope.attributes),
            tuple(node.output),
            self,
        )
        found = self._computed(call, node)
        results = list(found) if isinstance(found, (tuple, list)) else [found]
        if _is_folded(node, operands):
            results = [known_constant(each) if isinstance(each, Value) else each for each in results]
        for output, result in zip(node.output, results, strict=False):
            if output and isinstance(result, Value):
                give_name(result, output, since)
        return results

    def _version(self, node: NodeProto, scope: Scope) -> int:
        version = scope.opsets.get(plain_domain(node.domain), _UNSAID.get(node.domain))
        if version is None:
            if (plain_domain(node.domain), node.op_type, node.overload) in self.functions:
                return 1
            raise Refused(f"the model does not say which version of the domain {node.domain!r} it uses")
        return version

    def _computed(self, call: NodeCall, node: NodeProto) -> Any:
        function = self.functions.get((call.domain, call.op, node.overload))
        if not call.domain:
            check_flags(call.attributes)
        if function is not None:
            return self.call_function(function, call)
        require_known_version(call)
        known = folded(call)
        if known is not None:
            return known
        rule = find_rule(call.domain, call.op, call.version)
        if rule is not None:
            return rule(call)
        body = schema_function(call, node)
        if body is None:
            raise refusal_of(call.domain, call.op, call.version)
        return self.call_function(*body)


def _is_folded(node: NodeProto, operands: Sequence[Held]) -> bool:
    """Whether a node is computed while the graph is read: all inputs are there, and constants, with no weight."""
    return bool(operands) and all(map(is_constant, operands)) and node.op_type not in _KEPT


def _defaults(function: FunctionProto, arrays: StoredArrays) -> dict[str, Any]:
    """The attributes of a function that have a default."""
    return attributes_of(NodeProto(attribute=function.attribute_proto), arrays, {})


def _there(held: Held) -> Tensor:
    if isinstance(held, Missing):
        raise Inner(held)
    if held is None:
        raise Refused("a graph inside it gives an output that is not there")
    return held


class Inner(Refused):
    """Raised where a graph inside a node holds a node that cannot be taken: the problem is noted already."""

    def __init__(self, missing: Missing) -> None:
        super().__init__(missing.problem.reason, missing.problem.remedy)
        self.missing = missing


def _at(found: Sequence[Held], place: int) -> Held:
    if place >= len(found):
        return Missing(Problem("", "", f"output {place} is not given"))
    return found[place]


def node_name(node: NodeProto) -> str:
    """The name of a node, or of its first output: many files name no nodes."""
    return node.name or next((name for name in node.output if name), node.op_type)


__all__ = ["GraphReader", "Held", "Inner", "Scope", "node_name"]
