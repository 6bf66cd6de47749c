"""Bisection within branches and loops: the run of a body that goes wrong, and the first node that is wrong in it.

Each run of a body is evaluated by itself, on the values that the oracle carries into it: the branch that is taken, or
one iteration after the other. So a fault that grows from iteration to iteration is found where it begins.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir.equivalence.bisection import Divergence, Run, Search
from dagir.equivalence.comparison import compare
from dagir.equivalence.oracle import Oracle
from dagir.ir.graph import Node
from dagir.ir.nest import flatten
from dagir.ir.types import Array
from dagir.runtime.backend import Executable
from dagir.runtime.probes import Body, body_of, holds_bodies


def locate(
    backend: str, exe: Executable, oracle: Oracle, arrays: Sequence[Array], output: int, seed: int
) -> tuple[Divergence, Search] | None:
    """The first divergence before an output, within bodies too, and the search that found it; None if none is found."""
    found = _in_the_graph(exe, oracle, arrays, output, seed)
    if found is None:
        return None
    while (inner := _in_bodies(*found, seed)) is not None:
        found = inner
    search, name = found
    return search.describe(backend, name), search


def _in_the_graph(
    exe: Executable, oracle: Oracle, arrays: Sequence[Array], output: int, seed: int
) -> tuple[Search, str] | None:
    """Among the points of the executable; then node by node, if these are too far apart to show a branch or a loop."""
    search = search_in(exe, oracle, arrays, seed)
    name = search.first([output])
    hidden = search.between(name) if name is not None else None
    if name is not None and hidden is not None and (len(hidden) == 1 or not any(map(holds_bodies, hidden))):
        return search, name
    coarse = None if name is None else (search, name)
    finer = exe.node_by_node()
    return coarse if finer is None else _finer(finer, oracle, arrays, output, hidden, seed) or coarse


def _finer(
    exe: Executable, oracle: Oracle, arrays: Sequence[Array], output: int, nodes: Sequence[Node] | None, seed: int
) -> tuple[Search, str] | None:
    """Node by node among some nodes; None if none of them is wrong, or the target cannot run so."""
    try:
        search = search_in(exe, oracle, arrays, seed)
        name = search.first([output]) if nodes is None else search.among(nodes)
    except Exception:  # each framework has errors of its own
        return None
    return None if name is None else (search, name)


def search_in(exe: Executable, oracle: Oracle, arrays: Sequence[Array], seed: int) -> Search:
    """A search among the points of an executable."""
    return Search(exe, oracle, arrays, oracle.inside(arrays, np.random.default_rng(seed), exe.points()))


def _in_bodies(search: Search, name: str, seed: int) -> tuple[Search, str] | None:
    """One step inwards; None where no body makes the point, or each run of the body is right by itself."""
    node = search.node(name)
    if not holds_bodies(node):
        return None
    sides: dict[str, tuple[Body, Executable, Oracle]] = {}
    for number, (field, given) in enumerate(search.oracle.runs_of_bodies(name, search.arrays)):
        try:
            if field not in sides:
                sides[field] = _sides(search, name, body_of(node, field))
            body, exe, oracle = sides[field]
            arrays = _kept(body, given)
            outputs = _wrong(exe, oracle, arrays, seed)
            search.runs += 1
            if outputs:
                run = Run(name, field, None if len(node.op.graph_fields) > 1 else number)
                return _first_within(search, search_in(exe, oracle, arrays, seed), outputs, run)
        except Exception:  # the target has no such body, or cannot run it by itself: each framework has its errors
            return None
    return None


def _sides(search: Search, name: str, body: Body) -> tuple[Body, Executable, Oracle]:
    exe = search.exe.body(name, body, search.arrays)
    if exe is None or len(exe.signature.inputs) != len(body.kept):
        raise LookupError(f"{name} has no such body")
    return body, exe, Oracle(body.points.graph, search.oracle.samples, search.oracle.meter, body.points)


def _kept(body: Body, given: Sequence[Array]) -> list[Array]:
    """The inputs of the body that are no weights, in the dtypes of the model."""
    pairs = zip(body.kept, body.points.graph.inputs, strict=True)
    return [given[place].astype(value.dtype.numpy) for place, value in pairs]


def _wrong(exe: Executable, oracle: Oracle, arrays: list[Array], seed: int) -> list[int]:
    """The outputs of one run that rounding does not explain; a budget that is exceeded is estimated once more."""
    answers, values = flatten(exe(list(arrays))), oracle.graph.outputs
    wrong = list(range(len(values)))
    for count in (None, oracle.precise // 2):
        expected = oracle(arrays, np.random.default_rng(seed), count=count)
        wrong = [place for place in wrong if not compare(answers[place], expected[place], values[place].type).ok]
        if not wrong:
            break
    return wrong


def _first_within(outer: Search, inner: Search, outputs: Sequence[int], run: Run) -> tuple[Search, str] | None:
    """The first point that is wrong in a run. Where it has none, the run stays without one, and None is returned."""
    inner.around, inner.runs = (*outer.around, run), outer.runs
    inner.outermost = outer.outermost
    name = inner.first(outputs)
    return None if name is None else (inner, name)


__all__ = ["locate", "search_in"]
