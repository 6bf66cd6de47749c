"""The row of a report for one output of one side, from its findings in all cases."""

from __future__ import annotations

from collections.abc import Sequence

from dagir.equivalence.bisection import Divergence
from dagir.equivalence.comparison import Finding
from dagir.equivalence.report import Row
from dagir.ir.types import TensorType


def row_of(
    backend: str, output: str, type: TensorType, findings: Sequence[Finding], scaled: Divergence | None = None
) -> Row:
    """The row. scaled: the node that is found to scale a channel, where no error budget tells it."""
    worst = max(findings, key=lambda finding: finding.used)
    largest = max(findings, key=lambda finding: finding.max_error)
    used, note = worst.used, worst.note
    if scaled is not None and worst.ok:
        used, note = float("inf"), f"{scaled.node}: {scaled.note}"
    shape = f"[{', '.join(map(str, type.shape))}]"
    return Row(backend, output, shape, str(type.dtype), largest.max_error, used, note, scale=largest.scale)
