"""dagir.verify: every backend against the float64 oracle, within the budget that rounding is allowed."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from dagir.backend import Executable, graph_of, lower, signature
from dagir.equivalence.bisection import Divergence, Search, bisect
from dagir.equivalence.comparison import Finding, compare
from dagir.equivalence.inputs import Plan, draw, size_plans
from dagir.equivalence.oracle import Expected, Oracle
from dagir.equivalence.report import Case, Report, Row
from dagir.errors import ArgumentError, DagirError
from dagir.foreign import takes_a_model
from dagir.graph import Graph
from dagir.model import Model
from dagir.structure import flatten
from dagir.types import Array

BACKENDS = ("numpy", "onnx", "keras")


def verify(
    model: Model | Graph,
    backends: str | Sequence[str] | Mapping[str, Executable] = BACKENDS,
    inputs: Any = None,
    *,
    sizes: Sequence[Mapping[str, int]] | None = None,
    samples: int = 6,
    seed: int = 0,
    **options: Mapping[str, Any],
) -> Report:
    """Run a model on backends, and compare each answer with that of the float64 interpreter on the graph as written.

    backends: names, or executables by a name of your choice. inputs: what an executable takes; drawn from `seed` by
    default, at two choices of the named sizes, or at each choice in `sizes`. samples: evaluations from
    which the error budget is estimated. Further arguments are options of one backend: onnx={"device": "cuda"}.

    Returns a Report; `.ok` says whether rounding explains every difference. Raises ArgumentError, FeedError, and what
    lowering raises.
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("verify", model, "a Model or a Graph")
    if samples < 2:
        raise ArgumentError(f"samples must be 2 or more, got {samples}")
    start = time.perf_counter()
    executables = _executables(model, backends, options)
    oracle = Oracle(model, samples)
    findings: dict[tuple[str, int], list[Finding]] = {}
    cases: list[Case] = []
    failing: dict[tuple[str, int], list[Array]] = {}
    for arrays, expected in _cases(oracle, inputs, sizes, seed):
        cases.append(Case(tuple(tuple(array.shape) for array in arrays)))
        for name, exe in executables.items():
            answers = flatten(exe(list(arrays)))
            for place, (answer, wanted) in enumerate(zip(answers, expected, strict=True)):
                finding = compare(answer, wanted, graph_of(model).outputs[place].type)
                findings.setdefault((name, place), []).append(finding)
                if not finding.ok:
                    failing.setdefault((name, place), arrays)
    found = _first_divergence(executables, oracle, failing, seed)
    outputs = signature(model).outputs
    rows = [_row(name, *outputs[place], found) for (name, place), found in findings.items()]
    seconds = time.perf_counter() - start
    divergence, search = found or (None, None)
    return Report(tuple(rows), tuple(cases), seed, samples, seconds, divergence, search=search)


def _executables(
    model: Model | Graph, backends: str | Sequence[str] | Mapping[str, Executable], options: Mapping[str, Any]
) -> dict[str, Executable]:
    if isinstance(backends, Mapping):
        known: list[str] = []
        found = dict(backends)
    else:
        known = [backends] if isinstance(backends, str) else list(backends)
        found = {}
    for name, chosen in options.items():
        if name not in known or not isinstance(chosen, Mapping):
            raise ArgumentError(
                f"verify has no argument {name!r}",
                remedy=f"options of a backend are a dict under its name: {', '.join(known) or 'none is lowered here'}",
            )
    return found or {name: lower(model, name, **options.get(name, {})) for name in known}


def _first_divergence(
    executables: Mapping[str, Executable],
    oracle: Oracle,
    failing: Mapping[tuple[str, int], list[Array]],
    seed: int,
) -> tuple[Divergence, Search] | None:
    """Of the first executable that fails and can be watched."""
    for name, place in failing:
        exe, arrays = executables[name], failing[name, place]
        if not exe.points():
            continue
        inside = oracle.inside(arrays, np.random.default_rng(seed), exe.points())
        found = bisect(name, exe, oracle, arrays, inside, [place])
        if found is not None:
            return found
    return None


def _row(name: str, output: str, type: Any, findings: Sequence[Finding]) -> Row:
    worst = max(findings, key=lambda finding: finding.used)
    error = max(finding.max_error for finding in findings)
    return Row(name, output, f"[{', '.join(map(str, type.shape))}]", str(type.dtype), error, worst.used, worst.note)


def _cases(
    oracle: Oracle, inputs: Any, sizes: Sequence[Mapping[str, int]] | None, seed: int
) -> Iterator[tuple[list[Array], list[Expected]]]:
    """Feeds with the oracle's answers."""
    rng = np.random.default_rng(seed)
    if inputs is not None:
        arrays = oracle.arrange(inputs)
        yield arrays, oracle(arrays, rng)
        return
    plans = size_plans(oracle.graph) if sizes is None else [Plan((dict(chosen),)) for chosen in sizes]
    for plan in plans:
        yield _first_accepted(oracle, plan, rng)


def _first_accepted(
    oracle: Oracle, plan: Plan, rng: np.random.Generator
) -> tuple[list[Array], list[Expected]]:
    """The first sizes that the graph takes, and that leave something to compare."""
    refusal: Exception | None = None
    empty: tuple[list[Array], list[Expected]] | None = None
    for sizes in plan.tried:
        try:
            arrays = draw(oracle.graph, sizes, rng, plan.kind)
            expected = oracle(arrays, rng, overflow=plan.kind == "edges")
        except KeyError as error:
            raise ArgumentError(f"no size is given for {error}", remedy="name every size of the inputs") from None
        except (DagirError, ValueError, IndexError) as error:
            refusal = refusal or error
            continue
        if all(output.array.size for output in expected):
            return arrays, expected
        empty = empty or (arrays, expected)
    if empty is not None:
        return empty
    assert refusal is not None
    raise ArgumentError(
        f"no inputs could be drawn that the graph takes: {str(refusal).splitlines()[0]}",
        remedy="give some: verify(model, inputs=...), or the sizes: sizes=[{'time': 16}]",
    ) from refusal
