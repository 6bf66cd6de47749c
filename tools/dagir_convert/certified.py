"""The certificate of an .onnx file: written after verification, run again by `dagir-convert verify FILE`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import dagir
from dagir.equivalence import Report
from dagir.equivalence.certifying import certify
from dagir.errors import FileError, UnsafeFile, VerificationError
from dagir.runtime.capabilities import annotating, certifying
from dagir.support.backend_names import ONNX
from dagir_convert import sources
from dagir_convert.console import Output
from dagir_convert.errors import UsageError


def write(path: Path, report: Report | None, source: sources.Source, from_keras: bool, output: Output) -> None:
    """Write into an .onnx file what was verified, and how; other formats have no place for it. Raises FileError."""
    if path.suffix != ".onnx":
        return
    if report is None:
        annotating(dagir.backend(ONNX)).annotate(path, {"dagir.verified": "no"})
        return
    reason = certify(path, report, source.path.name, from_keras)
    if reason:
        output.note(f"no certificate: {reason}")


def run_again(source: sources.Source, output: Output) -> Report:
    """Draw the same inputs, run the file, and compare with its certificate. Raises UsageError, FileError."""
    if source.format != ONNX:
        raise UsageError(
            f"{source} alone is compared with nothing: certificates are in .onnx files",
            remedy=f"give what to compare it with: dagir-convert verify {source} OTHER",
        )
    with output.step(f"verifying {source} by its certificate"):
        try:
            return certifying(dagir.backend(ONNX), Report).recertify(source.path)
        except UnsafeFile:
            raise
        except FileError as error:
            error.remedy = error.remedy or _remedy(source)
            raise


def _remedy(source: sources.Source) -> str:
    return (
        f"compare it with the model that it was made from: dagir-convert verify MODEL {source}; "
        f"or convert that again: dagir-convert MODEL {source} --force"
    )


def require(report: Report, source: sources.Source) -> None:
    """Raise VerificationError, with what to do next, unless the file still gives the answers of its certificate."""
    try:
        report.require()
    except VerificationError as error:
        error.remedy = error.remedy or (
            "the file is the one that was certified, so that this onnxruntime or this machine computes otherwise: "
            f"find the node with dagir-convert verify MODEL {source}"
        )
        raise


def remarks(report: Report) -> Iterator[str]:
    """Of a certificate that was run again: what it holds, and what was found when it was written."""
    if not report.written:
        return
    yield report.judgement
    yield "it holds the worst element of each output and up to 32 others; all were compared when it was written:"
    yield f"{report.written['budget_used_percent']:.2g} % of the budget, their root mean square included"
    for each in _listed(report.measured.get("closeness")):
        facts = [_fact(name, fact) for name, fact in each.items() if name != "output" and fact not in (None, 0)]
        yield f"output {each.get('output')} against the model that it was narrowed from: {', '.join(facts)}"


def _listed(given: object) -> list[Mapping[str, object]]:
    """The mappings of a list: what a file tells may be anything."""
    return [each for each in given if isinstance(each, Mapping)] if isinstance(given, list) else []


def _fact(name: str, given: object) -> str:
    number = f"{given:.{6 if name == 'cosine' else 3}g}" if isinstance(given, (int, float)) else str(given)
    return f"{name.replace('_', ' ')} {number}"
