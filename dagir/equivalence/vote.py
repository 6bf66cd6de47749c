"""Blame: run a model on every executor, let the answers vote, and name the outlier, which may be the oracle itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dagir.equivalence.cases import first_accepted
from dagir.equivalence.comparison import compare
from dagir.equivalence.inputs import size_plans
from dagir.equivalence.oracle import Expected, Oracle
from dagir.equivalence.report import Report
from dagir.equivalence.verification import verify
from dagir.errors import BackendError, DagirError
from dagir.ir.graph import Graph
from dagir.ir.nest import flatten
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, backend
from dagir.support.backend_names import ALL
from dagir.support.frameworks import takes_a_model
from dagir.support.integers import whole

Makers: TypeAlias = Mapping[str, Callable[[], Executable]]

_FAILURES = (DagirError, RuntimeError, ValueError, TypeError, LookupError, ArithmeticError, AttributeError)
"""What an executor may raise that is not dagir's own; the reference evaluator has all of them."""

ORACLE = "the float64 oracle"


@dataclass(frozen=True, repr=False)
class Verdict:
    """report: on the executors that ran. outliers: those that differ from the majority. failed: error by executor."""

    report: Report
    outliers: tuple[str, ...]
    groups: tuple[tuple[str, ...], ...]
    failed: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether all executors ran and agree."""
        return self.report.ok and not self.outliers and not self.failed

    def __repr__(self) -> str:
        names = [*self.outliers, *self.failed]
        return f"<Verdict: {'all agree' if self.ok else ', '.join(names) or 'none agrees with ' + ORACLE}>"

    def __str__(self) -> str:
        lines = [str(self.report)]
        if self.outliers:
            lines.append(f"outlier: {', '.join(self.outliers)} (the others agree: {', '.join(self.groups[0])})")
        lines += [f"{name} failed: {why}" for name, why in self.failed.items()]
        return "\n".join(lines)


def executors(model: Model | Graph, backends: Collection[str] = ALL) -> dict[str, Any]:
    """The executors that can run a model on this machine, by name: functions that make the executables."""
    found: dict[str, Callable[[], Executable]] = {}
    for name in backends:
        try:
            found.update(backend(name).variants(model))
        except BackendError:
            continue  # not installed
    return found


def blame(
    model: Model | Graph, makers: Makers | None = None, inputs: Any = None, *, samples: int = 6, seed: int = 0
) -> Verdict:
    """Run a model on every available executor, or on the given ones, and let them vote.

    An executor that raises is reported, not hidden. The report compares each executor with the oracle; the vote
    compares them with each other, so that it also shows a fault of the oracle.
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("blame", model, "a Model or a Graph")
    samples, seed = whole("samples", samples, 2), whole("seed", seed, 0)
    ready: dict[str, Executable] = {}
    failed: dict[str, str] = {}
    oracle = Oracle(model, samples)
    if inputs is None:
        arrays, expected, _ = first_accepted(oracle, size_plans(oracle.graph)[-1], [seed, 0])
    else:
        arrays = oracle.arrange(inputs)
        expected = oracle(arrays, np.random.default_rng(seed))
    answers: dict[str, list[Array]] = {ORACLE: [each.array for each in expected]}
    for name, make in (makers or executors(model)).items():
        try:
            exe = make()
            answers[name] = flatten(exe(list(arrays)))
            ready[name] = exe
        except _FAILURES as error:
            failed[name] = str(error).splitlines()[0] if str(error) else type(error).__name__
    groups = _vote(answers, expected, oracle)
    report = verify(model, ready, arrays if inputs is None else inputs, samples=samples, seed=seed)
    outliers = tuple(name for group in groups[1:] for name in group)
    return Verdict(report, outliers, groups, failed)


def _vote(
    answers: Mapping[str, Sequence[Array]], expected: Sequence[Expected], oracle: Oracle
) -> tuple[tuple[str, ...], ...]:
    """Groups of executors that agree with the first executor of their group; the largest group comes first."""
    groups: list[list[str]] = []
    for name, found in answers.items():
        home = next((group for group in groups if _agree(answers[group[0]], found, expected, oracle)), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    return tuple(tuple(group) for group in sorted(groups, key=len, reverse=True))


def _agree(left: Sequence[Array], right: Sequence[Array], expected: Sequence[Expected], oracle: Oracle) -> bool:
    """Whether two answers differ by at most two budgets, since the error of each may be one budget."""
    for one, other, wanted, value in zip(left, right, expected, oracle.graph.outputs, strict=True):
        if wanted.budget is None:
            target = Expected(one, None, wanted.variants)
        else:
            unit = value.dtype.eps * np.abs(np.nan_to_num(wanted.array))
            target = Expected(one.astype(np.float64), 2 * wanted.budget + unit)
        if not compare(other.astype(value.dtype.numpy), target, value.type).ok:
            return False
    return True
