"""How much the outputs of a model move when the arithmetic of one node is narrowed: for all nodes, from one analysis.

The graph is evaluated once in float64. At each node this shows what narrowing does to its own results: the difference d
between the results and those of the rounded operands, rounded. Then a few passes go backwards (reverse mode, see
dagir.precision.adjoints), each with another direction r of the outputs: they give what every value is worth, g = J^T r,
for the Jacobian J from that value to the outputs. To first order the outputs move by J d, and r . J d = g . d. The mean
of its squares over random directions, orthogonal to each other and with random signs for each row of the batch, is the
square of the movement; it is exact for a row of as many elements as there are directions.

Rounding errors are so small that the first order is all there is, except at steps (a comparison, an argmax).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from math import isfinite, sqrt
from os import PathLike
from typing import Any, TypeAlias

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.leaves import is_leaf
from dagir.ir.naming import value_names
from dagir.ir.types import Array, DType
from dagir.modeling.model import Model
from dagir.precision import linear_adjoints, norm_adjoints  # noqa: F401  # they add their rules to the table
from dagir.precision.adjoints import Arrays, Evaluated, adjoint
from dagir.precision.drawing import arranged
from dagir.precision.rounding import dtype_of, narrowed
from dagir.runtime.backend import Apply, backend
from dagir.runtime.feeds import Feed
from dagir.runtime.probes import points_of
from dagir.support.backend_names import NUMPY
from dagir.support.frameworks import takes_a_model
from dagir.support.html_table import html_table
from dagir.support.plain_text import PlainText
from dagir.support.printable import printable

NarrowNode: TypeAlias = Callable[[Node, Arrays, Callable[[Arrays], Sequence[Array]]], Sequence[Array]]

DIRECTIONS = 12
"""The most directions of the outputs, one pass backwards each. Of a row with fewer elements, all are taken."""

_TITLES = ("node", "op", "harm", "own", "low", "high", "overflow", "underflow")
_NUMBERS = ("harm", "own", "low", "high", "underflow")
_MOST_SHOWN = 20

_LARGE = 1 << 22
_FEW_DIRECTIONS = 3
"""Where more elements than `_LARGE` are computed, a pass takes long."""


@dataclass(frozen=True)
class NodeSensitivity:
    """One node. harm: the relative movement of the outputs where this node alone is narrowed: its operands and results.

    own: the same without the operands that other nodes make, whose rounding is theirs where these are narrow too.
    low, high: the least and the largest finite number among its results. overflow: whether a finite number becomes
    infinite or NaN. underflow: the share of the results that are not 0 and become 0.
    """

    name: str
    op: str
    layer: str
    harm: float
    own: float
    low: float
    high: float
    overflow: bool
    underflow: float
    node: Node = field(repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """Plain data; infinite harm is None, as JSON has no infinity."""
        finite = {"harm": self.harm, "own": self.own}
        return {
            "node": self.name,
            "op": self.op,
            "layer": self.layer,
            **{key: number if isfinite(number) else None for key, number in finite.items()},
            "low": self.low,
            "high": self.high,
            "overflow": self.overflow,
            "underflow": self.underflow,
        }

    def cells(self) -> tuple[str, ...]:
        """The row of a table, by _TITLES."""
        numbers = [f"{number:.2g}" for number in (self.harm, self.own, self.low, self.high)]
        flushed = f"{100 * self.underflow:.2g} %" if self.underflow else ""
        return (printable(self.name), self.op, *numbers, "overflow" if self.overflow else "", flushed)


@dataclass(frozen=True, repr=False)
class Sensitivity:
    """A table of nodes, the most harmful first. whole: the relative movement to expect where all nodes are narrowed.

    >>> x = dagir.Input((3,), name="x")
    >>> table = dagir.sensitivity(dagir.Model(x, ops.exp(ops.exp(x) * 9)), np.float32([[1, 2, 3]]))
    >>> table.rows[0].op, table.rows[0].overflow
    ('Exp', True)
    """

    rows: tuple[NodeSensitivity, ...]
    precision: str
    whole: float

    def __iter__(self) -> Iterator[NodeSensitivity]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def to_dict(self) -> dict[str, Any]:
        """Plain data, for JSON."""
        whole = self.whole if isfinite(self.whole) else None
        return {"precision": self.precision, "whole": whole, "nodes": [row.to_dict() for row in self.rows]}

    def to_json(self) -> str:
        """The same as JSON text."""
        return json.dumps(self.to_dict(), indent=2)

    def table(self, most: int | None = None) -> Any:
        """A rich table of the first rows: node, op, harm, range, and what leaves the range of the dtype."""
        from rich import box
        from rich.table import Table

        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for title in _TITLES:
            table.add_column(title, justify="right" if title in _NUMBERS else "left", overflow="fold")
        for row in self.rows[:most]:
            table.add_row(*row.cells())
        return table

    def __repr__(self) -> str:
        return f"<Sensitivity {self.precision}: {len(self)} nodes, the outputs move by {self.whole:.2g} of their size>"

    def _repr_html_(self) -> str:
        """The table that a notebook shows, of the worst nodes."""
        shown = html_table(_TITLES, (row.cells() for row in self.rows[:_MOST_SHOWN]), _NUMBERS)
        rest = f"<p>and {len(self) - _MOST_SHOWN} nodes of less harm</p>" if len(self) > _MOST_SHOWN else ""
        return f"{shown}{rest}"

    def __str__(self) -> str:
        text = PlainText(110)
        text.add(self.table())
        return str(text)


def sensitivity(
    model: Model | Graph, inputs: Feed | PathLike[str] | None = None, precision: str = "float16", *, seed: int = 0
) -> Sensitivity:
    """For each node, how far the outputs move where its arithmetic is narrowed; the nodes in order of harm.

    inputs: what an executable takes, or an .npz or .npy file with it; the more samples, the better. By default some are
    drawn from `seed`. precision: "float16", "bfloat16", or "mixed", which narrows to float16. A node with branches or a
    loop inside counts as one, whose operands and results are narrowed; a node that reads weights alone is no row.
    Raises ArgumentError for a model whose outputs hold no floats, FeedError.

    >>> x = dagir.Input((3,), name="x")
    >>> table = dagir.sensitivity(dagir.Model(x, ops.tanh(ops.square(x))), np.float32([[0.1, 0.2, 0.3]]))
    >>> [(row.name, row.overflow) for row in table]
    [('square', False), ('tanh', False)]
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("sensitivity", model, "a Model or a Graph")
    dtype = dtype_of(precision)
    graph = points_of(model).graph
    found = analyse(graph, arranged(model, inputs, seed), dtype, seed)
    return Sensitivity(found.rows, precision, found.whole)


def analyse(
    graph: Graph, arrays: Sequence[Array], dtype: DType, seed: int = 0, narrow: NarrowNode | None = None
) -> Sensitivity:
    """The same for a graph without nested models, and arrays in the order of its inputs.

    narrow: gives the results of a node that is narrowed in another way, from (node, operands, its evaluation).
    """
    rng = np.random.default_rng(seed)
    run = _Forward(graph, arrays, dtype, narrow)
    worth = _Worth(run, rng)
    names = value_names(graph)
    rows = [_row(node, names[node.outputs[0]], run, worth) for node in run.nodes]
    finite = [row.own for row in rows if isfinite(row.own)]
    rows.sort(key=lambda row: -row.harm)
    return Sensitivity(tuple(rows), str(dtype), sqrt(sum(own * own for own in finite)))


class _Forward:
    """One evaluation in float64, with what narrowing does at each node."""

    def __init__(self, graph: Graph, arrays: Sequence[Array], dtype: DType, narrow: NarrowNode | None = None) -> None:
        self.graph, self.dtype, self.narrow = graph, dtype, narrow
        self.evaluated: dict[Node, Evaluated] = {}
        self.errors: dict[Node, tuple[list[Array], list[Array]]] = {}  # of all operands, and without those of others
        outer = set(graph.nodes)
        self.fixed = _fixed(graph)

        def around(node: Node, operands: Arrays, apply: Apply) -> tuple[Array, ...]:
            results = apply(operands, DType.FLOAT64)
            if node in outer:
                self._learn(node, operands, results, apply)
            return results

        exe: Any = backend(NUMPY).lower(graph, precision="float64")
        with np.errstate(all="ignore"):
            self.answers: list[Array] = exe.trace(arrays, around)
        self.nodes = [
            node
            for node in graph.nodes
            if node in self.evaluated and _has_floats(node) and node.outputs[0] not in self.fixed
        ]

    def _learn(self, node: Node, operands: Arrays, results: Sequence[Array], apply: Apply) -> None:
        again = _of_bodies(node) if node.op.graph_fields else lambda given: apply(given, DType.FLOAT64)
        at = Evaluated(node, list(operands), list(results), again)
        self.evaluated[node] = at
        if not _has_floats(node):
            return
        if self.narrow is not None:
            found = [_moved(*pair) for pair in zip(self.narrow(node, at.operands, at.apply), at.results, strict=True)]
            self.errors[node] = found, found
            return
        whole = self._error(at, [value is not None for value in node.inputs])
        ours = [value in self.fixed or value in self.graph.inputs for value in node.inputs]
        self.errors[node] = whole, self._error(at, ours)

    def _error(self, at: Evaluated, rounded: Sequence[bool]) -> list[Array]:
        operands = [
            narrowed(array, self.dtype) if wanted and array is not None else array
            for array, wanted in zip(at.operands, rounded, strict=True)
        ]
        results = at.apply(operands) if any(rounded) else at.results
        return [_moved(narrowed(new, self.dtype), old) for new, old in zip(results, at.results, strict=True)]


def _moved(new: Array, old: Array) -> Array:
    """What narrowing adds to a result; numbers that are no floats are not compared."""
    return np.asarray(new - old) if old.dtype.kind == "f" else np.zeros(old.shape)


def _fixed(graph: Graph) -> set[Value | None]:
    """The weights and constants, and what is computed of them alone: it is computed once, before any run."""
    fixed: set[Value | None] = {None}
    for node in graph.nodes:
        fixed.update(value for value in node.inputs if value is not None and is_leaf(value))
        if fixed.issuperset(node.inputs) and not node.op.random:
            fixed.update(node.outputs)
    return fixed - set(graph.inputs)


def _of_bodies(node: Node) -> Any:
    """The evaluation of a node with graphs inside, on operands of its own."""
    inputs = [None if value is None else Value(value.type) for value in node.inputs]
    alone = Node(node.op, tuple(inputs), tuple(value.type for value in node.outputs))
    graph = Graph([value for value in inputs if value is not None], alone.outputs)
    exe: Any = backend(NUMPY).lower(graph, precision="float64")

    def apply(operands: Arrays) -> list[Array]:
        found: list[Array] = exe.trace(
            [array for array in operands if array is not None], lambda _, given, rule: rule(given, DType.FLOAT64)
        )
        return found

    return apply


def _has_floats(node: Node) -> bool:
    return any(value.dtype.is_float for value in node.outputs)


class _Worth:
    """What the values are worth: r . J for each direction r of the outputs."""

    def __init__(self, run: _Forward, rng: np.random.Generator) -> None:
        self.movements: dict[Node, tuple[list[float], list[float]]] = {node: ([], []) for node in run.nodes}
        for direction in _directions(run, rng):
            self._backwards(run, direction, rng)

    def _backwards(self, run: _Forward, direction: dict[Value, Array], rng: np.random.Generator) -> None:
        worth, given = dict(direction), set(run.graph.inputs)
        for node in reversed(run.graph.nodes):
            gradients = [worth.pop(value, None) for value in node.outputs]
            at = run.evaluated.get(node)
            if at is None or all(gradient is None for gradient in gradients):
                continue
            if node in self.movements:
                self._note(node, run, gradients)
            for place, value in enumerate(node.inputs):
                if (
                    value is None
                    or value.node is None
                    or not value.dtype.is_float
                    or value in given
                    or value in run.fixed
                ):
                    continue
                with np.errstate(all="ignore"):
                    found = np.nan_to_num(adjoint(at, place, gradients, rng), nan=0.0, posinf=0.0, neginf=0.0)
                worth[value] = worth[value] + found if value in worth else found

    def _note(self, node: Node, run: _Forward, gradients: Arrays) -> None:
        rows = _batch(node, run)
        for held, errors in zip(self.movements[node], run.errors[node], strict=True):
            told = np.zeros(rows)
            for gradient, error in zip(gradients, errors, strict=True):
                if gradient is not None:
                    with np.errstate(all="ignore"):
                        moved = np.where(gradient == 0, 0.0, gradient * error)
                        told += moved.reshape(rows, -1).sum(axis=1)
            held.append(float(np.square(told).sum()))

    def movement(self, node: Node) -> tuple[float, float]:
        """The relative movement of the outputs, from all that the node rounds, and from what it alone does."""
        whole, own = (sum(found) for found in self.movements[node])
        return sqrt(whole) if isfinite(whole) else float("inf"), sqrt(own) if isfinite(own) else float("inf")


def _batch(node: Node, run: _Forward) -> int:
    """The number of rows of the batch, if the node's results and the outputs all have it first."""
    outputs = [value for value in run.graph.outputs if value.dtype.is_float]
    first = {value.type.shape[0] if value.type.rank else None for value in (*outputs, *node.outputs)}
    size = run.evaluated[node].results[0].shape[0] if len(first) == 1 and None not in first else 1
    return size if size and not isinstance(next(iter(first)), int) else 1


def _directions(run: _Forward, rng: np.random.Generator) -> Iterator[dict[Value, Array]]:
    """Directions of all outputs together; each over the norm of its output, so that movements are relative."""
    outputs = {
        value: array for value, array in zip(run.graph.outputs, run.answers, strict=True) if value.dtype.is_float
    }
    if not outputs:
        raise ArgumentError(
            "no output of the model holds floats, so that narrowing has no measure",
            remedy="analyse the part before: dagir.extract(model, outputs=[...])",
        )
    sizes = {value: max(array.size // (len(array) if array.ndim else 1), 1) for value, array in outputs.items()}
    computed = sum(array.size for at in run.evaluated.values() for array in at.results)
    count = min(DIRECTIONS if computed <= _LARGE else _FEW_DIRECTIONS, max(sizes.values()))
    bases = {value: _basis(size, count, rng) for value, size in sizes.items()}
    for number in range(count):
        direction: dict[Value, Array] = {}
        for value, array in outputs.items():
            finite = np.where(np.isfinite(array), array, 0.0)
            norm = sqrt(float(np.square(finite).sum())) or 1.0
            rows = array.size // sizes[value] if array.size else 0
            signs = rng.choice([-1.0, 1.0], (rows, 1))
            spread = (signs * bases[value][number]).reshape(array.shape) / (norm * sqrt(len(outputs)))
            direction[value] = direction[value] + spread if value in direction else spread
        yield direction


def _basis(size: int, count: int, rng: np.random.Generator) -> Array:
    """count directions of which the mean square of a projection is right: orthogonal where that many fit."""
    if size <= count:
        basis = np.linalg.qr(rng.standard_normal((size, size)))[0]
        return np.concatenate([basis, np.zeros((count - size, size))])
    if size <= 4096:
        return np.asarray(np.linalg.qr(rng.standard_normal((size, count)))[0].T * sqrt(size / count))
    return rng.choice([-1.0, 1.0], (count, size)) / sqrt(count)


def _row(node: Node, name: str, run: _Forward, worth: _Worth) -> NodeSensitivity:
    at = run.evaluated[node]
    found = [array for array in at.results if array.dtype.kind == "f"]
    flat = np.concatenate([array.reshape(-1) for array in found])
    finite = flat[np.isfinite(flat)]
    overflow = any(
        bool((~np.isfinite(error) & np.isfinite(array)).any())
        for error, array in zip(run.errors[node][0], at.results, strict=True)
        if array.dtype.kind == "f"
    )
    harm, own = (float("inf"),) * 2 if overflow else worth.movement(node)
    lost = float(np.mean((narrowed(flat, run.dtype) == 0) & (flat != 0))) if flat.size else 0.0
    layer = node.scope.path if node.scope is not None else ""
    ends = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    return NodeSensitivity(name, type(node.op).__name__, layer, harm, own, *ends, overflow, lost, node)
