"""The share of the error budget that each inner value uses, node by node, on each executable that can be observed."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from dagir.equivalence.bisection import judge
from dagir.equivalence.comparison import Finding
from dagir.equivalence.oracle import Expected
from dagir.equivalence.report import Context
from dagir.ir.diagnostics import op_text
from dagir.ir.nest import flatten
from dagir.ir.types import Array
from dagir.runtime.backend import Executable

BINS = tuple(2.0**power for power in range(-12, 5))
"""Upper ends of the histogram's bins, as shares of an element's budget; the last bin has no end."""


@dataclass(frozen=True)
class NodeRow:
    """One inner value. findings: by backend. counts: elements by share of their budget, for the worst backend."""

    name: str
    layer: str
    op: str
    shape: str
    source: str
    findings: Mapping[str, Finding]
    titles: Mapping[str, str]
    counts: tuple[int, ...] = field(default=())

    @property
    def used(self) -> float | None:
        """The largest share of the budget over all backends that were compared for this value; None if none was."""
        return self.share()

    def share(self, without: Collection[str] = ()) -> float | None:
        """The same, without some backends."""
        return max((each.used for name, each in self.findings.items() if name not in without), default=None)

    @property
    def worst(self) -> Finding | None:
        """Of the backend that uses most of the budget."""
        return max(self.findings.values(), key=lambda finding: finding.used, default=None)

    @property
    def relative(self) -> float | None:
        """The largest error over the scale, of all backends; infinite where one has NaN or infinity alone."""
        return max((relative(finding) for finding in self.findings.values()), default=None)


def relative(finding: Finding) -> float:
    """The largest error over the scale of the right answer: 0 where there is no error."""
    if not finding.max_error:
        return 0.0
    return finding.max_error / finding.scale if finding.scale else float("inf")


def node_rows(context: Context, seed: int) -> list[NodeRow]:
    """A row for each node, in graph order, without an entry for a backend that cannot be observed there.

    A value is not compared if the backend fuses it away or has no counterpart for it; outputs are always compared.
    """
    values = context.oracle.points.values
    inside = context.oracle.inside(context.arrays, np.random.default_rng(seed))
    seen: dict[str, dict[str, Array]] = {}
    titles: dict[str, Mapping[str, str]] = {}
    for backend, exe in context.executables.items():
        titles[backend] = exe.points()
        names = [name for name in titles[backend] if name in inside]
        arrays = exe.observe(context.arrays, names) if names else []
        seen[backend] = {**_outputs(context, exe), **dict(zip(names, arrays, strict=True))}
    rows = []
    for name, value in values.items():
        node = value.node
        assert node is not None
        found = {b: judge(arrays[name], inside[name], value) for b, arrays in seen.items() if name in arrays}
        worst = max(found, key=lambda backend: found[backend].used, default=None)
        rows.append(
            NodeRow(
                name,
                node.scope.path if node.scope is not None else "",
                op_text(node.op),
                f"{value.dtype}{list(inside[name].array.shape)}",
                node.location.short if node.location is not None else "",
                found,
                {backend: titles[backend].get(name, "an output") for backend in found},
                histogram(seen[worst][name], inside[name]) if worst is not None else (),
            )
        )
    return rows


def _outputs(context: Context, exe: Executable) -> dict[str, Array]:
    """The answers, by the names of the output points."""
    names = {value: name for name, value in context.oracle.points.values.items()}
    with np.errstate(all="ignore"):
        answers = flatten(exe(list(context.arrays)))
    made = zip(context.oracle.points.graph.outputs, answers, strict=True)
    return {names[value]: np.asarray(array) for value, array in made if value in names}


def histogram(array: Array, expected: Expected) -> tuple[int, ...]:
    """A histogram of the elements by the share of their budget: first the exact elements, then BINS."""
    if expected.budget is None or array.shape != expected.array.shape:
        wrong = int((array != expected.array).sum()) if array.shape == expected.array.shape else array.size
        return (array.size - wrong, *([0] * len(BINS)), wrong)
    with np.errstate(all="ignore"):
        rounded = expected.array.astype(array.dtype).astype(np.float64)
        error = np.abs(np.where(array == rounded, 0, array - expected.array))
        share = np.nan_to_num(np.where(error == 0, 0, error / expected.budget), nan=np.inf)
    exact = int((share == 0).sum())
    places = np.searchsorted(BINS, share[share > 0])
    return (exact, *(int(n) for n in np.bincount(places, minlength=len(BINS) + 1)))
