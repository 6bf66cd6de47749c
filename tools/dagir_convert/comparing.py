"""dagir-convert verify: any two of .keras, .h5, .dagir, .onnx, a SavedModel, file.py:name, or one .onnx file."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import dagir
from dagir.equivalence import Report, pass_validation
from dagir.equivalence.reproduction import check_folder
from dagir.equivalence.targets import opened, sides
from dagir.errors import DagirError, FileError
from dagir.runtime.capabilities import comparing
from dagir.support.backend_names import ONNX
from dagir_convert import certified, sources
from dagir_convert.console import Output
from dagir_convert.errors import UsageError
from dagir_convert.greetings import import_keras
from dagir_convert.targets import refuse_existing

_HALVES = {"float16", "bfloat16"}
Load = Callable[[sources.Source, Output], sources.Loaded]


def compare(
    first: sources.Source,
    second: sources.Source,
    load: Load,
    output: Output,
    *,
    seed: int = 0,
    names: Mapping[str, str] = {},
    inputs: Path | None = None,
    thresholds: dagir.Thresholds = dagir.Thresholds(),  # noqa: B008
    metric: dagir.Metric | None = None,
) -> tuple[Report, dagir.Model | None]:
    """Compare the second model with the float64 oracle of the first.

    An .onnx file is run by onnxruntime. If it is the first, the two are swapped, so that the oracle is the other model.
    Two .onnx files have no oracle; the report says how they are judged. With thresholds or inputs, the first of them is
    read, and is the model; so it is where the second alone is of a low precision. names: of the other model's inputs
    and outputs, by those in the .onnx file.
    """
    if _is_onnx(first) and _is_onnx(second) and not (thresholds.any or inputs or _is_narrowed(first, second)):
        files = comparing(dagir.backend(ONNX), Report)
        with output.bar(f"verifying {second} against {first}") as progress:
            pair = first.path, second.path
            return files.compare(*pair, seed=seed, progress=progress, names=names, tell=output.note), None
    if _is_onnx(first) and not _is_onnx(second):
        first, second = second, first
    model = load(first, output).model
    if names and not _is_onnx(second):
        raise UsageError("--map is for an .onnx file, and neither is one")
    exe = _executable(second, model, load, output, names)
    for line in exe.renamed:
        output.note(line)
    with output.bar(f"verifying {second}") as progress:
        report = dagir.verify(
            model,
            {second.path.name: exe},
            inputs,
            seed=seed,
            thresholds=thresholds,
            metric=metric,
            progress=progress,
        )
    return report, model


def _is_narrowed(first: sources.Source, second: sources.Source) -> bool:
    """Whether the second file is of a low precision, and the first is not."""
    wide, narrow = (dagir.backend(ONNX).describe(each.path) for each in (first, second))
    return "narrow" in dict(narrow.facts) and "narrow" not in dict(wide.facts)


def _is_onnx(source: sources.Source) -> bool:
    return source.format == ONNX


def _executable(
    source: sources.Source, model: dagir.Model, load: Load, output: Output, names: Mapping[str, str]
) -> dagir.Executable:
    if source.runs_code:
        loaded = load(source, output)
        return sides(model, {str(source): loaded.original or loaded.model}, {})[str(source)]
    if source.reading.custom or source.of_tensorflow:  # which Keras does not take as dagir does
        return sides(model, {source.path.name: load(source, output).model}, {})[source.path.name]
    if source.path.suffix == ".keras":
        import_keras()
    with output.step(f"reading {source}"):
        return opened(source.path, model, names)


def name_pairs(given: Sequence[str]) -> dict[str, str]:
    """FILE=MODEL, as a dict. Raises UsageError."""
    pairs = {each: each.rpartition("=") for each in given}
    for each, parts in pairs.items():
        if not all(parts):
            raise UsageError(f"--map {each}: is no FILE=MODEL", remedy="--map Identity:0=probabilities")
    return {file: model for file, _, model in pairs.values()}


def check_ends(html: Path | None, reproduce: Path | None, force: bool) -> None:
    """Check before any work is done that no existing file would be overwritten. Raises UsageError, FileError."""
    if html is not None:
        refuse_existing(html, force)
    if reproduce is not None:
        try:
            check_folder(reproduce, force, "use --force")
        except FileError as error:
            raise UsageError(error.summary, remedy=error.remedy) from None


def show(
    report: Report,
    output: Output,
    as_json: bool,
    html: Path | None,
    reproduce: Path | None,
    force: bool,
    inputs: Path | None = None,
    require: Callable[[Report], object] = Report.require,
) -> None:
    """Print the report, and write the page and the reproduction if wanted. Raises VerificationError if it is not ok.

    inputs: the samples that were run, for the sensitivity that the page of a lower precision shows. require: raises the
    error.
    """
    report = replace(report, repeat=shlex.join(["dagir-convert", *sys.argv[1:]]))
    if as_json:
        print(report.to_json())
    else:
        output.show(report.table())
        for name, each in report.scores.items():
            output.say(f"{name}: {each}")
        if not report.judgement.startswith("against"):
            output.say(report.judgement)
        if report.not_run:
            output.say(report.not_run)
        for line in certified.remarks(report):
            output.say(line)
    try:
        _write(report, output, html, reproduce, force, inputs)
    except DagirError as error:
        if report.ok:
            raise
        output.note(f"not written: {error}")  # the exit code must still say that the two differ
    require(report)


def _write(
    report: Report, output: Output, html: Path | None, reproduce: Path | None, force: bool, inputs: Path | None
) -> None:
    if html is not None:
        report.write_html(html, overwrite=force, sensitivity=_sensitivity(report, output, inputs))
        output.note(f"report: {html}")
    if reproduce is not None and not report.ok:
        output.note(f"reproduction: {report.write_reproduction(reproduce, overwrite=force)}")


def _sensitivity(report: Report, output: Output, inputs: Path | None) -> dagir.Sensitivity | None:
    """What narrowing each node costs, where all sides are in one half precision; it takes less than the comparison."""
    if report.context is None or not all(row.closeness is not None for row in report.rows):
        return None
    kinds = {exe.low_precision for exe in report.context.executables.values()}
    if len(kinds) != 1 or not kinds <= _HALVES:
        return None
    with output.step("analysing what narrowing costs"):
        return dagir.sensitivity(report.context.model, inputs, kinds.pop(), seed=report.seed)


def check_passes(model: dagir.Model, output: Output) -> None:
    """Validate each pass of the conversion. Raises VerificationError, which names the passes that are wrong."""
    with output.bar("checking each pass") as progress:
        results = pass_validation.verify_each_pass(model, progress=progress)
    for result in results:
        if result.used is not None:
            output.note(f"pass {result.name}: {100 * result.used:.2g} % of the budget")
    pass_validation.require(results)
