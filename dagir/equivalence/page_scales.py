"""What the colours of a report page mean: the steps of a scale, each with its colours by light and in the dark."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from math import isfinite, log10


@dataclass(frozen=True)
class Step:
    """One colour. name: its class in the page. label: what the legend says. fill, line: by light; dark: in the dark.

    dashed: whether a box has a dashed frame, so that it is told from the others without its colour.
    """

    name: str
    label: str
    fill: str
    line: str
    dark: tuple[str, str]
    dashed: bool = False


INPUT = Step("input", "input: nothing is computed", "#ffffff", "#94a3b8", ("#0f172a", "#64748b"))
NOT_COMPARED = Step(
    "none",
    "not compared: fused with its neighbours, or without a counterpart",
    "#e2e5ea",
    "#6b7280",
    ("#343b47", "#9ca3af"),
    dashed=True,
)
_NO_FLOATS = Step("none", "not in the table", NOT_COMPARED.fill, NOT_COMPARED.line, NOT_COMPARED.dark, dashed=True)


@dataclass(frozen=True)
class Scale:
    """Steps by their upper ends. none: where there is no number. low, high: powers of ten, the ends of the course.

    percent: whether numbers are shown so. limit: the number that is drawn as a line.
    """

    title: str
    course: str
    steps: tuple[tuple[float, Step], ...]
    none: Step
    low: int
    high: int
    percent: bool = False
    limit: float | None = None

    def step(self, number: float | None) -> Step:
        """The step of a number."""
        if number is None:
            return self.none
        return next((step for upper, step in self.steps if number <= upper), self.steps[-1][1])

    def text(self, number: float | None) -> str:
        """A number as the page shows it."""
        if number is None:
            return "not compared" if self.none is NOT_COMPARED else "-"
        if not isfinite(number):
            return "all" if self.percent else "overflow"
        if number == 0:
            return "exact" if self.percent else "0"
        if not self.percent:
            return f"{number:.2g}"
        return f"{100 * number:.3g} %" if number < 10 else f"{float(f'{100 * number:.3g}'):,.0f} %"

    def height(self, number: float | None) -> float:
        """The height of a bar, from 0 to 1."""
        if number is None or number <= 0:
            return 0.0
        power = log10(number) if isfinite(number) else self.high
        return min(max((power - self.low) / (self.high - self.low), 0.0), 1.0)


BUDGET = Scale(
    "Share of the error budget that is used",
    "Share of the error budget, node by node from the inputs to the outputs; the line is 100 %",
    (
        (0.0, Step("b0", "exact", "#e7f5ec", "#15803d", ("#14352a", "#4ade80"))),
        (0.01, Step("b1", "up to 1 %", "#fefce8", "#a16207", ("#2f2d16", "#d6b550"))),
        (0.25, Step("b2", "up to 25 %", "#fef3c7", "#a16207", ("#45380f", "#e0b93f"))),
        (0.5, Step("b3", "up to 50 %", "#fde68a", "#92580a", ("#614a0c", "#f0c445"))),
        (1.0, Step("b4", "up to 100 %", "#fdba74", "#9a3412", ("#7c3f10", "#fdba74"))),
        (float("inf"), Step("over", "beyond its budget", "#f87171", "#991b1b", ("#a11c1c", "#fecaca"))),
    ),
    NOT_COMPARED,
    -5,
    2,
    percent=True,
    limit=1.0,
)


def _by_power(overflow: str) -> tuple[tuple[float, Step], ...]:
    return (
        (1e-6, Step("p0", "up to 1e-6", "#eef2ff", "#4338ca", ("#1c2145", "#a5b4fc"))),
        (1e-4, Step("p1", "up to 1e-4", "#dbe3ff", "#4338ca", ("#262d66", "#a5b4fc"))),
        (1e-3, Step("p2", "up to 1e-3", "#c3cdfd", "#3730a3", ("#333c8f", "#c7d2fe"))),
        (1e-2, Step("p3", "up to 1e-2", "#a5b4fc", "#312e81", ("#4450b8", "#e0e7ff"))),
        (1e300, Step("p4", "above 1e-2", "#c4a1f5", "#581c87", ("#7538b8", "#f3e8ff"))),
        (float("inf"), Step("p5", overflow, "#f0abfc", "#86198f", ("#a21caf", "#fae8ff"))),
    )


RELATIVE = Scale(
    "Largest error over the largest magnitude, of a lower precision",
    "Relative error, node by node from the inputs to the outputs",
    _by_power("NaN or infinity in one of both only"),
    NOT_COMPARED,
    -9,
    0,
)
SENSITIVITY = Scale(
    "How far the outputs move where this layer alone is narrowed",
    "Sensitivity, node by node from the inputs to the outputs",
    _by_power("overflows"),
    _NO_FLOATS,
    -9,
    0,
)


def rules() -> str:
    """The CSS that gives each class its colours."""
    steps = [*(step for scale in (BUDGET, RELATIVE) for _, step in scale.steps), NOT_COMPARED, INPUT]
    light = "".join(f".{step.name}{{--fill:{step.fill};--line:{step.line}}}" for step in steps)
    dark = "".join(f".{step.name}{{--fill:{step.dark[0]};--line:{step.dark[1]}}}" for step in steps)
    return f"{light}@media (prefers-color-scheme:dark){{{dark}}}"


def in_order(scale: Scale, used: Iterable[Step]) -> list[Step]:
    """The steps that occur, in the order of the scale."""
    names = {step.name for step in used}
    return [step for step in (*(step for _, step in scale.steps), scale.none, INPUT) if step.name in names]
