"""The rows of a report, one for each output of a side, and how many rows of tables were read."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dagir.equivalence.bisection import Divergence
from dagir.equivalence.comparison import Finding
from dagir.equivalence.inputs import table_rows
from dagir.equivalence.oracle import Expected
from dagir.equivalence.report import Row
from dagir.ir.graph import Graph
from dagir.ir.types import Array, TensorType
from dagir.modeling.model import Model
from dagir.runtime.backend import graph_of, signature


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


def rows_read(model: Model | Graph, runs: Sequence[tuple[list[Array], list[Expected]]]) -> dict[str, tuple[int, int]]:
    """For each input that indexes a table: how many of its rows are read in all cases, and how many it has."""
    graph = graph_of(model)
    names = [name for name, _ in signature(model).inputs]
    places = [(graph.inputs.index(value), rows) for value, rows in table_rows(graph).items() if value in graph.inputs]
    return {
        names[place]: (len(np.unique(np.concatenate([arrays[place].ravel() for arrays, _ in runs]))), rows)
        for place, rows in places
    }
