"""The NumPy lowering. It keeps an array for each value.

`evaluate` runs a graph. The loop walks the nodes in order, looks up the rule of each, and keeps the results.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from dagir.errors import BackendError, DagirError, FeedError
from dagir.ir.dims import Dim
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.types import Array, DType
from dagir.ops import Call, Linear
from dagir.runtime.backend import Around, at_node
from dagir_numpy.allocation import keep_freed_memory
from dagir_numpy.chains import Chain
from dagir_numpy.correlation import WIDENED
from dagir_numpy.plan import Task, plan_of
from dagir_numpy.rules import Bodies, rules
from dagir_numpy.run_sizes import RunSizes

Run: TypeAlias = Generator[tuple[Graph, Sequence[Array]], Sequence[Array], list[Array]]


def evaluate(
    graph: Graph, arrays: Sequence[Array], precision: DType | None = None, around: Around | None = None
) -> list[Array]:
    """The outputs of a graph for input arrays.

    precision: compute every float in this dtype in place of its own; float64 is the oracle. around: called for each
    node in place of its rule, with the rule as an argument. Raises what a rule raises, with the node named.
    """
    keep_freed_memory()
    runs = [_run(graph, arrays, precision, around)]  # the innermost Call last
    with np.errstate(all="ignore"):
        return _finished(runs, precision, around)


def _finished(runs: list[Run], precision: DType | None, around: Around | None) -> list[Array]:
    resume: Callable[[], tuple[Graph, Sequence[Array]]] = runs[-1].__next__
    while True:
        try:
            inner, operands = resume()
        except StopIteration as done:
            runs.pop()
            results: list[Array] = done.value
            if not runs:
                return results
            resume = partial(runs[-1].send, results)
        except Exception as error:
            runs.pop()
            if not runs:
                raise
            resume = partial(runs[-1].throw, error)
        else:
            runs.append(_run(inner, operands, precision, around))
            resume = runs[-1].__next__


class _State:
    """The arrays of a run: of the values that a later node reads."""

    def __init__(self, graph: Graph, arrays: Sequence[Array], precision: DType | None) -> None:
        self.precision = precision
        self.plan = plan_of(graph)
        self.known = RunSizes(graph, arrays)
        self.arrays = {value: _convert(array, precision) for value, array in zip(graph.inputs, arrays, strict=True)}

    def read(self, value: Value) -> Array:
        """The array of a value: computed, given, or of a weight."""
        array = self.arrays.get(value)
        return _convert(_leaf(value), self.precision) if array is None else array

    def operands(self, node: Node) -> list[Array | None]:
        """The operands of a node. A large kernel of a linear map is as it is stored: its rule widens it in parts."""
        large = _large_kernel(node)
        stays = large if large not in self.arrays else None
        return [
            None if value is None else _leaf(value) if value is stays else self.read(value) for value in node.inputs
        ]

    def keep(self, nodes: Sequence[Node], values: Sequence[Value], results: Sequence[Array]) -> None:
        """Take up what nodes computed, and let go of what no later one reads."""
        self.arrays.update(zip(values, results, strict=True))
        for node in nodes:
            for value in self.plan.freed.get(node, ()):
                self.arrays.pop(value, None)


def _run(graph: Graph, arrays: Sequence[Array], precision: DType | None, around: Around | None) -> Run:
    """The loop. At a Call, a branch or a loop it yields a graph and its inputs, and is sent the results: no recursion.

    A weight may be an input: then the array of the caller is used in its place.
    """
    state = _State(graph, arrays, precision)
    for step in state.plan.steps:
        if step.task is not None and precision is None and around is None:
            _run_task(step.task, state)
            continue
        if around is None and step.chain is not None:
            found = _run_chain(step.chain, state)
            if found is not None:
                state.keep(step.nodes, step.chain.results, found)
                continue
        for node in step.nodes:
            operands = state.operands(node)
            try:
                results = yield from _run_node(node, operands, state, around)
            except (DagirError, ValueError) as error:
                told = _told(error, node, operands)
                raise told from told.__cause__
            state.keep((node,), node.outputs, results)
    return [state.read(value) for value in graph.outputs]


def _told(error: Exception, node: Node, operands: Sequence[Array | None]) -> Exception:
    """The error of a node, which names it where it can."""
    if isinstance(error, DagirError):
        return at_node(error, node)
    if isinstance(error, ValueError) and any(operand is not None and not operand.size for operand in operands):
        return at_node(FeedError(f"{node.op.op_name} of no elements: {error}"), node)
    return rules.user_error(node, error) or error


def _run_task(task: Task, state: _State) -> None:
    """One node in its own dtypes: the common case, with as little around the rule as there can be."""
    known, arrays = state.known, state.arrays
    operands: list[Array | None] = []
    try:
        known.before(task.node)
        for value in task.inputs:
            array = None if value is None else arrays.get(value)
            operands.append(_leaf(value) if array is None and value is not None else array)
        results = task.rule(task.op if task.fixed else task.op.substitute(known.numbers), *operands)
        found = rules.results(task.node, results)
        made = [np.asarray(result, dtype=dtype) for result, dtype in zip(found, task.dtypes, strict=True)]
        _check_shapes(task.node, made)
    except Exception as error:
        told = _told(error, task.node, operands)
        raise told from told.__cause__
    arrays.update(zip(task.outputs, made, strict=True))
    for value in task.freed:
        arrays.pop(value, None)


def _run_node(node: Node, operands: Sequence[Array | None], state: _State, around: Around | None) -> Bodies:
    """The results of one node."""
    state.known.before(node)
    sizes = state.known.numbers
    results: Sequence[Array]
    if isinstance(node.op, Call):
        results = yield node.op.graph, [operand for operand in operands if operand is not None]
    elif node.op.graph_fields:
        results = yield from _run_bodies(node, operands, state, around)
    else:
        decides = node in state.plan.sizing
        apply = partial(_in_own_dtype if decides else _apply_rule, node, sizes)
        results = apply(operands, state.precision) if around is None else around(node, operands, apply)
        _check_shapes(node, results)
    state.known.after(node, results)
    return results


def _run_chain(chain: Chain, state: _State) -> list[Array] | None:
    """The results of a chain, or None where its nodes must be run one by one. Raises what a node raises."""
    node = chain.nodes[0]
    try:
        for node in chain.nodes:
            state.known.before(node)
        node = chain.nodes[0]  # the others compute one element at a time, and raise nothing
        with np.errstate(all="ignore"):
            return chain.run(state.read, state.known.numbers, state.precision)
    except DagirError as error:
        raise at_node(error, node) from None


def _run_bodies(node: Node, operands: Sequence[Array | None], state: _State, around: Around | None) -> Bodies:
    """The results of a node by its rule, which runs bodies. `around` sees the nodes inside, and then the results."""
    found = yield from rules[type(node.op)](node.op.substitute(state.known.numbers), *operands)
    pairs = zip(found, node.outputs, strict=True)  # where no body ran, the rule does not know the precision
    results = tuple(x if x.size else x.astype(_dtype(value.dtype, state.precision)) for x, value in pairs)
    return results if around is None else around(node, operands, lambda *_: results)


def operands_of(
    node: Node, graph: Graph, arrays: Sequence[Array], precision: DType | None = None
) -> list[Array | None]:
    """The arrays that a node of a graph is given for input arrays."""
    read = [value for value in node.inputs if value is not None]
    found = iter(evaluate(Graph(graph.inputs, read, graph.name), arrays, precision))
    return [None if value is None else next(found) for value in node.inputs]


def runs_of_bodies(
    node: Node, operands: Sequence[Array | None], sizes: Mapping[str, Dim], precision: DType | None = None
) -> Iterator[tuple[Graph, Sequence[Array]]]:
    """Each run of a graph inside a node, with its inputs."""
    op = node.op.substitute(dict(sizes))
    runs: Bodies = rules[type(op)](op, *operands)
    with contextlib.suppress(StopIteration):
        graph, arrays = next(runs)
        while True:
            yield graph, arrays
            graph, arrays = runs.send(evaluate(graph, arrays, precision))


def _leaf(value: Value) -> Array:
    """The array of a parameter or constant."""
    assert isinstance(value.source, (Parameter, Constant))
    return value.source.array


def _large_kernel(node: Node) -> Value | None:
    """The kernel of a linear map, if it is a weight that is large."""
    kernel = node.inputs[1] if isinstance(node.op, Linear) else None
    is_large = kernel is not None and isinstance(kernel.source, Parameter) and kernel.source.array.nbytes >= WIDENED
    return kernel if is_large else None


def _apply_rule(
    node: Node, sizes: dict[str, Dim], operands: Sequence[Array | None], precision: DType | None
) -> tuple[Array, ...]:
    """The results of a node by its rule, in the dtypes of its outputs."""
    half = precision is None and any(value.dtype in (DType.FLOAT16, DType.BFLOAT16) for value in node.outputs)
    if half:  # halves are computed in float32 and rounded once, as accelerators do
        operands = [None if operand is None else _convert(operand, DType.FLOAT32) for operand in operands]
    try:
        with np.errstate(all="ignore"):
            results = rules[type(node.op)](node.op.substitute(sizes), *operands)
    except Exception as error:
        told = _told(error, node, operands)
        raise told from told.__cause__
    pairs = zip(node.outputs, rules.results(node, results), strict=True)
    return tuple([np.asarray(result, dtype=_dtype(value.dtype, precision)) for value, result in pairs])


def _check_shapes(node: Node, made: Sequence[Array]) -> None:
    """Raise BackendError where a rule gives another shape than the shape rule of the op has told."""
    for value, array in zip(node.outputs, made, strict=True):
        shape = value.type.shape
        if len(shape) != array.ndim or any(
            size != known for size, known in zip(array.shape, shape, strict=True) if isinstance(known, int)
        ):
            name = type(node.op).__name__
            raise BackendError(
                f"the rule of numpy for {name} gave {list(array.shape)}, and infer of {name} says {value.type}",
                remedy="mend the one that is wrong: both tell the shape of the same output",
            )


def _in_own_dtype(
    node: Node, sizes: dict[str, Dim], operands: Sequence[Array | None], precision: DType | None
) -> tuple[Array, ...]:
    """The results of a node that decides a size, whatever the precision of the others."""
    return _apply_rule(node, sizes, operands, None)


def _dtype(dtype: DType, precision: DType | None) -> Any:
    return (precision if precision is not None and dtype.is_float else dtype).numpy


def _convert(array: Array, precision: DType | None) -> Array:
    if precision is None or array.dtype == precision.numpy or not DType.of(array.dtype).is_float:
        return array
    return array.astype(precision.numpy, copy=False)
