"""The certificate of an .onnx file: written when it was verified, run again by `dagir-convert verify FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagir
from dagir.equivalence import Report
from dagir.equivalence.certifying import certify
from dagir_convert import sources
from dagir_convert.console import Output
from dagir_convert.errors import UsageError


def write(path: Path, report: Report | None, source: sources.Source, from_keras: bool, output: Output) -> None:
    """Write into an .onnx file what was verified, and how; other files have no room for it. Raises FileError."""
    if path.suffix != ".onnx":
        return
    if report is None:
        onnx: Any = dagir.backend("onnx")
        onnx.annotate(path, {"dagir.verified": "no"})
        return
    reason = certify(path, report, source.path.name, from_keras)
    if reason:
        output.note(f"no certificate: {reason}")


def run_again(source: sources.Source, output: Output) -> Report:
    """Draw the same inputs, run the file, and compare with the answers that it holds. Raises UsageError, FileError."""
    if source.path.suffix != ".onnx":
        raise UsageError(f"{source} has no certificate: .onnx files have", remedy="give a second model to compare with")
    onnx: Any = dagir.backend("onnx")
    with output.step(f"verifying {source} by its certificate"):
        report: Report = onnx.recertify(source.path)
    return report
