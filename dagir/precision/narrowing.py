"""Models with narrow dtypes: analysed, planned, rewritten, and measured against the model that they come from."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from dagir import ops
from dagir.equivalence.closeness import Closeness, closeness
from dagir.errors import ArgumentError, UnsupportedOp
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.nest import pack
from dagir.ir.rewriter import Operands, rebuild
from dagir.ir.types import Array, DType
from dagir.modeling.model import Model
from dagir.modeling.signature import Signature
from dagir.passes import DEPLOY, Narrow
from dagir.passes.channels_first import ChannelsFirst
from dagir.passes.narrow import stays_wide
from dagir.precision.calibration import first_rows
from dagir.precision.drawing import arranged
from dagir.precision.planning import at_steps, costly, out_of_range, plan, together
from dagir.precision.rounding import dtype_of
from dagir.precision.sensitivity import Sensitivity, analyse
from dagir.runtime.backend import Apply, backend, graph_of, signature
from dagir.runtime.probes import Points, points_after, points_of
from dagir.support.backend_names import NUMPY

FOLDS = DEPLOY[: next(place for place, (step, _) in enumerate(DEPLOY) if isinstance(step, ChannelsFirst))]
"""What goes before the narrowing: what is folded in float32 is rounded once, and a folded node needs no cast."""

_ROUNDINGS = 16.0
"""A node that moves the outputs by more than this many units of the dtype stays wide, unless a budget is given."""
_TRIES = 6


@dataclass(frozen=True)
class Narrowed:
    """A narrow model, and what is known of it. kept: by the name of a node that stays wide, the reason.

    closeness: of each output, on the samples, in NumPy. casts: how many casts there are.
    """

    model: Model
    precision: str
    kept: Mapping[str, str]
    casts: int
    closeness: tuple[Closeness, ...]
    analysed: Callable[[], Sensitivity] = field(repr=False, compare=False)

    @cached_property
    def table(self) -> Sensitivity:
        """What narrowing each node costs. It is computed where it is asked for, if nothing was decided by it."""
        return self.analysed()

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        return {
            "precision": self.precision,
            "kept_wide": dict(self.kept),
            "casts": self.casts,
            "closeness": [each.to_dict() for each in self.closeness],
        }


def narrowed_model(
    model: Model | Graph,
    precision: str,
    inputs: object = None,
    *,
    budget: float | None = None,
    narrow_io: bool = False,
    seed: int = 0,
) -> Narrowed:
    """The model with float32 computed in a narrow dtype.

    precision: "float16" or "bfloat16" narrow all but the nodes that leave the range of the dtype or cost more than
    `budget` each, as a relative movement of the outputs; "mixed" narrows to float16, and keeps the worst nodes wide
    until all others together cost no more than `budget`, by default one unit of float16. inputs: samples, as for
    `sensitivity`. narrow_io: whether inputs and outputs are narrow too. Raises ArgumentError, UnsupportedOp.
    """
    dtype = dtype_of(precision)
    check_budget(budget)
    arrays = arranged(model, inputs, seed)
    interface = signature(model)
    graph = folded(points_of(model))
    if all(stays_wide(node) for node in graph.nodes):
        raise UnsupportedOp(f"{graph.name} computes nothing in float32 that could be narrowed")
    table = analyse(graph, first_rows(graph, arrays), dtype, seed)
    must = {**out_of_range(table, dtype), **at_steps(graph)}
    if precision == "mixed":
        must = {**together(table, dtype.eps if budget is None else budget, must), **must}
    else:
        must = {**costly(table, _ROUNDINGS * dtype.eps if budget is None else budget), **must}
    found = _search(graph, table, dtype, must, arrays, _limit(precision, budget, dtype))
    step, kept, narrow = found.step, found.kept, found.graph
    pairs = zip(interface.outputs, found.right, found.answers, strict=True)
    close = [closeness(name, [new], [old]) for (name, _), old, new in pairs]
    if narrow_io:
        narrow = replace(step, narrow_ends=True)(graph)
    casts = _casts(narrow) - _casts(graph)
    result = as_model(narrow, interface, graph_of(model).name)
    told = {row.name: kept[row.node] for row in table if row.node in kept}
    return Narrowed(result, precision, told, casts, tuple(close), lambda: table)


def folded(points: Points) -> Graph:
    """The graph after `FOLDS`, each value under the name of the one of the model that it is.

    A convolution with a normalization folded in computes what the normalization did: under its own name, the file would
    be compared with another value. What is no value of the model gets a name that none has.
    """
    graph, standings = points_after(points, FOLDS)
    names = {each.value: name for name, each in standings.items() if each.axes is None and each.shape is None}

    def rename(node: Node, operands: Operands) -> Sequence[Value] | None:
        if len(node.outputs) > 1 or node.op.graph_fields:
            return None
        name = names.get(node.output)
        if name is None and node.output.name in points.values:
            name = f"{node.output.name}_before"
        if name is None or name == node.output.name:
            return None
        return _renamed(node, operands, name)

    return rebuild(graph, rename)


def _renamed(node: Node, operands: Operands, name: str) -> Sequence[Value]:
    return Node(
        node.op,
        operands,
        (node.output.type,),
        scope=node.scope,
        location=node.location,
        equations=node.equations,
        name=name,
    ).outputs


def _casts(graph: Graph) -> int:
    return sum(isinstance(node.op, ops.Cast) for node in graph.nodes)


def check_budget(budget: object) -> None:
    """Raise ArgumentError for what is no relative error."""
    if budget is not None and (isinstance(budget, bool) or not isinstance(budget, (int, float)) or not budget > 0):
        raise ArgumentError(
            f"budget is a relative error above 0, got {budget!r}", remedy="0.001 allows a thousandth of the outputs"
        )


def _limit(precision: str, budget: float | None, dtype: DType) -> float | None:
    """What the whole may cost."""
    return (dtype.eps if budget is None else budget) if precision == "mixed" else None


@dataclass(frozen=True)
class _Found:
    """A step that keeps to the limit, what stays wide, the graph after it, the answers before and after."""

    step: Narrow
    kept: Mapping[Node, str]
    graph: Graph
    right: Sequence[Array]
    answers: Sequence[Array]


def _search(
    graph: Graph,
    table: Sensitivity,
    dtype: DType,
    must: dict[Node, str],
    arrays: Sequence[Array],
    limit: float | None,
) -> _Found:
    """Narrow, measure, and keep more nodes wide where the measure shows more than the analysis: at most a few times."""
    right, lost_anyway = _evaluated(graph, arrays)
    anyway = {_key(node) for node in lost_anyway}
    by_key = {_key(node): node for node in graph.nodes}
    tighter = limit
    for _ in range(_TRIES):
        planned = plan(graph, table, dtype, must)
        step = Narrow(dtype, frozenset(planned.kept), planned.stored)
        narrow = step(graph)
        answers, nodes = _evaluated(narrow, arrays)
        lost = [by_key[key] for key in map(_key, nodes) if key in by_key and key not in anyway]
        if lost:
            must = {**must, **dict.fromkeys(lost, "gives NaN or infinity")}
            continue
        if limit is None or tighter is None:
            break
        measured = _measured(right, answers)
        if measured <= limit:
            break
        tighter *= min(limit / measured, 0.7)
        must = {**must, **together(table, tighter, must)}
    return _Found(step, planned.kept, narrow, right, answers)


def _measured(right: Sequence[Array], found: Sequence[Array]) -> float:
    """The largest relative error of an output."""
    pairs = [(new, old) for new, old in zip(found, right, strict=True) if old.dtype.kind == "f"]
    return max((closeness("", [new], [old]).relative for new, old in pairs), default=0.0)


def _key(node: Node) -> tuple[str, str]:
    """What a node and its narrow counterpart have in common."""
    return node.op.op_name, node.outputs[0].name


def answers_of(graph: Graph, arrays: Sequence[Array]) -> list[Array]:
    """The outputs, in the dtypes of the graph."""
    exe: Any = backend(NUMPY).lower(graph)
    fitting = [array.astype(value.dtype.numpy) for array, value in zip(arrays, graph.inputs, strict=True)]
    with np.errstate(all="ignore"):
        found: list[Array] = exe.trace(fitting, lambda _, operands, apply: apply(operands, None))
    return found


def _evaluated(graph: Graph, arrays: Sequence[Array]) -> tuple[list[Array], list[Node]]:
    """The outputs in the dtypes of the graph, and the nodes that make NaN or infinity of finite numbers."""
    found: list[Node] = []

    def around(node: Node, operands: Sequence[Array | None], apply: Apply) -> tuple[Array, ...]:
        results = apply(operands, None)
        if not _finite(results) and _finite(operands):
            found.append(node)
        return results

    exe: Any = backend(NUMPY).lower(graph)
    fitting = [array.astype(value.dtype.numpy) for array, value in zip(arrays, graph.inputs, strict=True)]
    with np.errstate(all="ignore"):
        answers: list[Array] = exe.trace(fitting, around)
    return answers, found


def _finite(arrays: Sequence[Array | None]) -> bool:
    floats = [array for array in arrays if array is not None and array.dtype.kind not in "iubTOUS"]
    return all(bool(np.isfinite(array.astype(np.float64)).all()) for array in floats)


def as_model(graph: Graph, interface: Signature, name: str) -> Model:
    """A model of the graph with the names and structures of the interface."""
    titles, ends = {title for title, _ in interface.outputs}, set(graph.outputs)

    def rename(node: Node, operands: Operands) -> Sequence[Value] | None:
        """Leave the names of the outputs to these: a cast may stand behind what had the name."""
        taken = len(node.outputs) == 1 and node.output.name in titles and node.output not in ends
        return _renamed(node, operands, f"{node.output.name}_before") if taken else None

    graph = rebuild(graph, rename)
    outputs = [_named(value, title) for value, (title, _) in zip(graph.outputs, interface.outputs, strict=True)]
    begin, end = pack(interface.input_structure, graph.inputs), pack(interface.output_structure, outputs)
    return Model.from_graph(begin, end, name=name, unused_inputs=True)


def _named(value: Value, title: str) -> Value:
    """The output under its own name: a cast, or an identity, is made again with it."""
    maker = value.node
    if maker is not None and value.name == title:
        return value
    again = maker is not None and isinstance(maker.op, ops.Cast)
    op, source = (maker.op, maker.inputs[0]) if maker is not None and again else (ops.Identity(), value)
    scope, location = (maker.scope, maker.location) if maker is not None else (None, None)
    return Node(op, (source,), (value.type,), scope=scope, location=location, name=title).outputs[0]
