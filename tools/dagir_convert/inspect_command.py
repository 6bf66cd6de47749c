"""The command `dagir-convert inspect`."""

from __future__ import annotations

from typing import Annotated

import typer

from dagir_convert import inspecting, sources
from dagir_convert.console import Output
from dagir_convert.errors import UsageError
from dagir_convert.parameters import Architecture, Custom, Json, Opaque, Outputs, Signature, States, reading


def inspect(
    file: Annotated[
        str,
        typer.Argument(
            metavar="FILE", help="A .onnx, .keras, .h5, .hdf5, .dagir or .pb file, a SavedModel, or file.py:name."
        ),
    ],
    flat: Annotated[
        bool, typer.Option("--flat", help="A row for each layer with its path, in place of a tree.")
    ] = False,
    depth: Annotated[int | None, typer.Option(help="Of the tree: 1 opens nothing.", metavar="N")] = None,
    weights: Annotated[bool, typer.Option("--weights", help="List the weights too.")] = False,
    architecture: Architecture = None,
    custom: Custom = None,
    opaque: Opaque = None,
    signature: Signature = None,
    outputs: Outputs = None,
    states: States = None,
    as_json: Json = False,
) -> None:
    """Print the inputs, outputs, layers, ops and weights of a model: nothing of it is run.

    Nested models, shared layers and the bodies of branches and loops are a tree; so are the nodes of an .onnx file
    whose names are paths. --json prints the same with all facts of each tensor, layer and weight.
    """
    if depth is not None and depth < 1:
        raise UsageError(f"--depth {depth}: is no depth", remedy="give 1 or more")
    if flat and depth is not None:
        raise UsageError("--depth is of the tree, and --flat shows none", remedy="leave one of them out")
    found = sources.parse(file, reading(architecture, custom, opaque or [], signature, outputs, states))
    inspecting.inspect(found, Output(plain=as_json), as_json, inspecting.View(flat, depth, weights))
