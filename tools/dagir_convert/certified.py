"""The certificate of an .onnx file: written after verification, run again by `dagir-convert verify FILE`."""

from __future__ import annotations

from pathlib import Path

import dagir
from dagir.equivalence import Report
from dagir.equivalence.certifying import certify
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
        raise UsageError(f"{source} has no certificate: .onnx files have", remedy="give a second model to compare with")
    with output.step(f"verifying {source} by its certificate"):
        return certifying(dagir.backend(ONNX), Report).recertify(source.path)
