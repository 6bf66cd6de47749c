"""Summaries of a model or a file: inputs, outputs, counts of ops and weights."""

from __future__ import annotations

from collections import Counter
from math import prod
from pathlib import Path

import dagir
from dagir.layers.unknown import unknown_layers
from dagir.ops.call import Call, graphs_of, parameters_of
from dagir.runtime.backend import FileSummary
from dagir.support.backend_names import ONNX


def summary_of_target(path: Path, model: dagir.Model) -> FileSummary:
    """The summary of a written file: read from an .onnx file itself, for other formats made from the model."""
    if path.suffix == ".onnx":
        return dagir.backend(ONNX).describe(path)
    return summarize(model)


def summarize(model: dagir.Model) -> FileSummary:
    """The summary of a dagir model, including the ops of nested models."""
    counts: Counter[str] = Counter()
    parameters = parameters_of(model.graph)
    for graph in graphs_of(model.graph):
        counts.update(type(node.op).__name__ for node in graph.nodes if not isinstance(node.op, Call))
    inputs, outputs = (
        tuple((name, str(type)) for name, type in side) for side in (model.signature.inputs, model.signature.outputs)
    )
    sizes = [parameter.dtype.numpy.itemsize * prod(parameter.shape) for parameter in parameters]
    unknown = unknown_layers(graphs_of(model.graph))
    facts = tuple((f"opaque {layer.name}", f"{layer.original}: {layer.why}") for layer in unknown)
    return FileSummary(inputs, outputs, dict(counts), len(parameters), sum(sizes), facts)
