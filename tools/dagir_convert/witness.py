"""The source itself, run by Keras: dagir's reading of it is then compared with what was given, not only with itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import dagir
from dagir.equivalence import Report
from dagir.errors import FileError, VerificationError
from dagir_convert.errors import UsageError
from dagir_convert.sources import Loaded

NAME = "source, by Keras"
"""What its rows in a report are called."""


def witness(loaded: Loaded, model: dagir.Model, wanted: bool | None) -> dagir.Executable | None:
    """What Keras runs of a source; `model` is what is converted of it.

    wanted: None where it costs nothing: for a model in memory, not for a file, for which Keras would be imported.
    Raises UsageError where it is wanted and cannot be, FileError, BackendError.
    """
    original = loaded.original
    if wanted is False:
        return None
    if original is None:
        if wanted:
            raise UsageError(
                "--with-keras is for what Keras runs: a .keras or .h5 file, a Keras model in file.py:name",
                remedy="leave it out: the file that is written is compared with the model all the same",
            )
        return None
    if not _takes_the_sizes(loaded.model, model):
        if wanted:
            raise UsageError(
                "--input frees sizes that the model in Keras has fixed, so Keras cannot run it at others",
                remedy="leave out --with-keras, or --input",
            )
        return None
    if not wanted and isinstance(original, Path):
        return None
    try:
        return dagir.backend("keras").open(original, model)
    except FileError as error:
        error.remedy = error.remedy or "leave out --with-keras: dagir reads the file without Keras"
        raise


def _takes_the_sizes(before: dagir.Model, model: dagir.Model) -> bool:
    """Whether each size that was a number is the same number still."""
    pairs = zip(before.inputs, model.inputs, strict=True)
    return all(
        old == new or not isinstance(old, int)
        for first, second in pairs
        for old, new in zip(first.type.shape, second.type.shape, strict=True)
    )


def require(report: Report) -> Report:
    """The report if it is ok. Raises VerificationError; a reading that Keras does not confirm is told as such."""
    if any(row.backend == NAME and not row.ok for row in report.rows):
        facts: list[tuple[str, Any]] = [
            (f"{row.backend}, {row.output}", row.note or f"max error {row.max_error:.3g}")
            for row in report.rows
            if not row.ok
        ]
        if report.first_divergence is not None:
            facts.append(("first divergence", str(report.first_divergence)))
        raise VerificationError(
            "Keras computes something else from the source than dagir read in it",
            facts=facts,
            remedy="this is a fault of dagir's, or an op that has no one answer: please report the layer that is named",
        )
    return report.require()


def of_the_file(report: Report) -> Report:
    """The report without the rows of the source."""
    return replace(report, rows=tuple(row for row in report.rows if row.backend != NAME))


def confirmation(report: Report) -> str:
    """Who has confirmed the reading: "Keras 3.15.1", or nothing."""
    if all(row.backend != NAME for row in report.rows):
        return ""
    import keras

    return f"Keras {keras.__version__}"
