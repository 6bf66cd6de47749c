"""The certificate of an .onnx file: written when it was verified, run again by `dagir-convert verify FILE`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dagir
from dagir.equivalence import Report
from dagir_convert import sources
from dagir_convert.console import Output
from dagir_convert.errors import UsageError
from dagir_convert.witness import confirmation, of_the_file


def write(path: Path, report: Report, source: sources.Source) -> None:
    """Write what was verified into the file. Only .onnx has room for it."""
    if path.suffix == ".onnx":
        onnx: Any = dagir.backend("onnx")
        confirmed = confirmation(report)
        text = f"{source.path.name}, which {confirmed} confirms" if confirmed else source.path.name
        onnx.certify(path, of_the_file(report), text)


def run_again(source: sources.Source, output: Output) -> Report:
    """Draw the same inputs, run the file, and compare with the answers that it holds. Raises UsageError, FileError."""
    if source.path.suffix != ".onnx":
        raise UsageError(f"{source} has no certificate: .onnx files have", remedy="give a second model to compare with")
    onnx: Any = dagir.backend("onnx")
    with output.step(f"verifying {source} by its certificate"):
        report: Report = onnx.recertify(source.path)
    return report
