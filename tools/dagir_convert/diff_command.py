"""The command `dagir-convert diff`."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from dagir_convert import diffing, sources
from dagir_convert.console import Output
from dagir_convert.parameters import Custom, Inputs, Json, Quiet, Signature

DIFFERENT = 1
"""The exit code where the two differ, as that of diff; where they could not be compared, it is larger."""


def diff(
    first: Annotated[str, typer.Argument(metavar="A", help="The model as it was.")],
    second: Annotated[str, typer.Argument(metavar="B", help="The model as it is.")],
    run: Annotated[bool, typer.Option("--run/--no-run", help="Run both on the same inputs, and compare.")] = True,
    inputs: Inputs = None,
    seed: Annotated[int, typer.Option(help="Of the inputs that are drawn.", metavar="N")] = 0,
    custom: Custom = None,
    signature: Signature = None,
    quiet: Quiet = False,
    as_json: Json = False,
) -> None:
    """Print what changed from A to B: inputs and outputs, layers, weights, and the outputs on the same inputs.

    Layers are matched by name, then by weights, then by structure. Two .onnx files are compared node by node; any
    other two as models: .keras, .h5, .hdf5, .dagir, .onnx and .pb files, folders of SavedModels, and file.py:name.
    Layers and a graph of nodes, as of a .keras and an .onnx file, are matched by the layers' names in the paths of the
    nodes: shapes, weights and outputs are compared, and a line says how.
    Both are run by dagir's NumPy interpreter. Whether a file computes what a model does within rounding, verify tells.

    The exit code is 0 where they are the same, 1 where they differ, and 2, 4 or 5 where they could not be compared.
    """
    one, two = (_read_by(sources.parse(each), custom, signature) for each in (first, second))
    output = Output(quiet=quiet, plain=as_json)
    differs = diffing.diff(one, two, output, as_json, run=run, seed=seed, inputs=inputs)
    sys.exit(DIFFERENT if differs else 0)


def _read_by(source: sources.Source, custom: list[Path] | None, signature: str | None) -> sources.Source:
    """The source with the options that its format has."""
    own = tuple(custom or ()) if source.takes_custom else ()
    chosen = signature if source.format == sources.SAVED_MODEL else None
    return replace(source, reading=replace(source.reading, custom=own, signature=chosen))
