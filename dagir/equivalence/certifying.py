"""Run a written .onnx file, verify it, and store a certificate in it; used from Python and from the command line.

The file is compared with the float64 evaluation of the model. If the model was read from Keras, that evaluates what
dagir read, which may be wrong. So a Keras model that is still in memory is run too, as a witness of the reading.
"""

from __future__ import annotations

import os
import tempfile
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from dagir.equivalence.closeness import Closeness, Thresholds
from dagir.equivalence.metric import Metric
from dagir.equivalence.report import Report
from dagir.equivalence.verification import verify
from dagir.errors import FileError, VerificationError
from dagir.ir.graph import Graph
from dagir.modeling.model import Model
from dagir.ops.call import parameters_of
from dagir.runtime.backend import Executable, backend, graph_of
from dagir.runtime.capabilities import annotating, certifying
from dagir.support.backend_names import KERAS, ONNX
from dagir.support.file_replacement import check_free, put

WITNESS = "source, by Keras"
"""The name in a report of the rows for the source itself, run by Keras."""
RUNTIME_WITNESS = "source, by onnxruntime"
"""The same for an .onnx file, run by onnxruntime."""
_WITNESSES = {WITNESS: ("Keras", "keras"), RUNTIME_WITNESS: ("onnxruntime", "onnxruntime")}  # names, distributions


@dataclass(frozen=True)
class _Origin:
    """Where a model was read from: a weak reference to a Keras model in memory, or None for a file."""

    source: weakref.ref[object] | None
    options: Mapping[str, object]


_ORIGINS: weakref.WeakKeyDictionary[Model, _Origin] = weakref.WeakKeyDictionary()


def remember(model: Model, source: object, options: Mapping[str, object]) -> None:
    """Record that `model` was read from the Keras model `source`, or from a Keras file if `source` is None."""
    _ORIGINS[model] = _Origin(None if source is None else weakref.ref(source), options)


def origin_of(model: Any) -> Any:
    """The Keras model that `model` was read from, if it is still in memory and both still have the same weights."""
    origin = _ORIGINS.get(model) if isinstance(model, Model) else None
    if origin is None or origin.source is None or (source := origin.source()) is None:
        return None
    again = backend(KERAS).read(source, **origin.options)
    pairs = zip(parameters_of(graph_of(again)), parameters_of(graph_of(model)), strict=False)
    same = all(np.array_equal(new.array, old.array, equal_nan=True) for new, old in pairs)
    return source if same else None


def was_read(model: object) -> bool:
    """Whether a model was read from a Keras model, in memory or in a file."""
    return isinstance(model, Model) and model in _ORIGINS


def takes_the_sizes(before: Model, model: Model) -> bool:
    """Whether each fixed size of the inputs is unchanged: Keras cannot run its model with other sizes."""
    pairs = zip(before.inputs, model.inputs, strict=True)
    return all(
        old == new or not isinstance(old, int)
        for first, second in pairs
        for old, new in zip(first.type.shape, second.type.shape, strict=True)
    )


def require(report: Report) -> Report:
    """The report if it is ok. Raises VerificationError, which says so if the source does not confirm the reading."""
    wrong = next((row.backend for row in report.rows if row.backend in _WITNESSES and not row.ok), None)
    if wrong is not None:
        facts: list[tuple[str, Any]] = [
            (f"{row.backend}, {row.output}", row.note or f"max error {row.max_error:.3g}")
            for row in report.rows
            if not row.ok
        ]
        if report.first_divergence is not None:
            facts.append(("first divergence", str(report.first_divergence)))
        raise VerificationError(
            f"{_WITNESSES[wrong][0]} computes something else from the source than dagir read in it",
            facts=facts,
            remedy="this is a fault of dagir's, or an op that has no one answer: please report the layer that is named",
        )
    return report.require()


def of_the_file(report: Report) -> Report:
    """The report without the rows for the source."""
    return replace(report, rows=tuple(row for row in report.rows if row.backend not in _WITNESSES))


def confirmation(report: Report) -> str:
    """What confirmed the reading, such as "Keras 3.15.1"; an empty string if nothing did."""
    found = next((row.backend for row in report.rows if row.backend in _WITNESSES), None)
    if found is None:
        return ""
    name, distribution = _WITNESSES[found]
    return f"{name} {_version(distribution)}"


def _version(distribution: str) -> str:
    from importlib.metadata import version  # takes as long as a tenth of dagir

    return version(distribution)


def certify(path: Path, report: Report, source: str, from_keras: bool) -> str:
    """Write into an .onnx file its certificate, and one line that says how it was verified. Raises FileError.

    from_keras: whether Keras could confirm the source. Returns the reason if there is no certificate, else "".
    """
    confirmed = confirmation(report)
    told = f"{source}, which {confirmed} confirms" if confirmed else source
    onnx = backend(ONNX)
    reason = certifying(onnx, Report).certify(path, of_the_file(report), told)
    text = f"by onnxruntime {_version('onnxruntime')} against float64, {len(report.cases)} cases, seed {report.seed}"
    if confirmed:
        text += f"; the source by {confirmed}"
    elif from_keras:
        text += "; the source not confirmed by Keras"
    annotating(onnx).annotate(path, {"dagir.verified": text, "dagir.confirmed_by": confirmed or "nothing"})
    return reason


def written(
    model: Model | Graph,
    path: Path,
    write: Callable[[Path], Any],
    *,
    witness: Any = None,
    from_keras: bool = False,
    source: str,
    overwrite: bool,
    measure: Callable[[Path], Mapping[str, Any]] | None = None,
) -> Path:
    """Write to a temporary folder beside `path`, verify and certify the file there, and only then move it to `path`.

    write: writes to the path that it is given. witness: a Keras model, or the path of its file, that is run too.
    measure: tells how close the file is, for the certificate. Raises
    VerificationError, and then nothing is written; FileError.
    """
    check_free(path, overwrite, "choose another path, or pass overwrite=True")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            staged = Path(folder) / path.name
            write(staged)
            tested: dict[str, Executable] = {ONNX: backend(ONNX).open(staged, model)}
            if witness is not None:
                tested[WITNESS] = backend(KERAS).open(witness, model)
            report = require(verify(model, tested))
            if measure is not None:
                report = replace(report, measured=measure(staged))
            reason = certify(staged, report, source, from_keras)
            if reason:
                raise VerificationError(f"{path}: {reason}", remedy="leave out verify=True: the file is written then")
            files = sorted(Path(folder).iterdir(), key=lambda file: file.name == path.name)
            put([(file, path.with_name(file.name)) for file in files], overwrite=overwrite)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def measured(
    model: Model | Graph, near: Sequence[Closeness], exe: Executable | None, samples: Any, metric: Metric | None
) -> dict[str, Any]:
    """How close a narrow model is to the model, for the certificate, as plain data. Raises VerificationError.

    near: of its outputs. exe: what was written, run on the samples where a metric is asked for.
    """
    found: dict[str, Any] = {"closeness": [each.to_dict() for each in near]}
    if metric is not None and exe is not None:
        given = Path(samples) if isinstance(samples, str) else samples
        report = verify(model, {"narrow": exe}, given, thresholds=Thresholds(cosine=-1.0), metric=metric).require()
        found["score"] = report.scores["narrow"].to_dict()
    return found


def confirmed(model: Model | Graph, witness: Any) -> None:
    """Compare a Keras model, or the path of its file, with what was read of it. Raises VerificationError."""
    require(verify(model, {WITNESS: backend(KERAS).open(witness, model)}))


def verified(path: str | os.PathLike[str]) -> Report:
    """Run the certificate in an .onnx file again: the same inputs are drawn, and the same error budgets are applied.

    Certificates are written by dagir-convert and by `to_onnx(..., verify=True)`. `str(report)` is a table,
    `report.judgement` says what the file is compared with. path: of the file. Raises FileError if the file has no
    certificate, if the certificate proves nothing, or if the file was changed.

    >>> dagir.verified("digits.onnx").ok  # doctest: +SKIP
    """
    return certifying(backend(ONNX), Report).recertify(path)
