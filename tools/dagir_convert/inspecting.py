"""dagir-convert inspect: what a file holds, as a tree of layers, as a table, or as JSON."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import dagir
from dagir.display.contents import Contents, LayerEntry, TensorEntry, contents_of
from dagir.support.backend_names import ONNX
from dagir.support.printable import printable
from dagir_convert import sources
from dagir_convert.console import Output, counts_table, entries_table, human_size
from dagir_convert.conversion import load
from dagir_convert.scopes import in_scopes
from dagir_convert.sheets import Cell, Sheet


@dataclass(frozen=True)
class View:
    """How it is shown. flat: a row for each layer with its whole path, in place of a tree. depth: of the tree."""

    flat: bool = False
    depth: int | None = None
    weights: bool = False


def contents(source: sources.Source, output: Output) -> Contents:
    """What a source holds; an .onnx file is not read as a model. Raises BackendError, FileError."""
    if source.format == ONNX:
        return dagir.backend(ONNX).contents(source.path)
    return contents_of(load(source, output).model)


def inspect(source: sources.Source, output: Output, as_json: bool, view: View = View()) -> None:
    """Print the inputs, outputs, layers, ops and weights. Raises BackendError for a format that cannot be read."""
    found = contents(source, output)
    if as_json:
        print(json.dumps({"source": str(source), "format": source.format or "python", **found.to_dict()}, indent=2))
        return
    output.show(entries_table(_named(found.inputs), _named(found.outputs)))
    _layers_sheet(found, view).print(output)
    if view.weights:
        _weights_sheet(found).print(output)
    output.show(counts_table("op", found.op_counts))
    nodes = sum(found.op_counts.values())
    settings = sum(each.is_setting for each in found.weights)
    size = f"{len(found.weights) - settings} weights of {human_size(found.bytes)}"
    output.say(f"{source}: {nodes} nodes, {found.parameters:,} parameters in {size}")
    if settings:
        output.say(f"not counted: {settings} constant{'s' * (settings > 1)} of axes, shapes and indices")
    for label, text in found.facts:
        output.say(f"{label}: {text}")


def _named(tensors: Iterable[TensorEntry]) -> list[tuple[str, str]]:
    return [(each.name or "", str(each)) for each in tensors]


def _layers_sheet(found: Contents, view: View) -> Sheet:
    sheet = Sheet(("layer", "kind", "output", ">params", ">size"))
    rows = _flat_rows(found.layers) if view.flat else _tree_rows(in_scopes(found), view.depth)
    for guide, entry in rows:
        outputs = ", ".join(str(each) for each in entry.outputs)
        numbers = [f"{entry.parameters:,}", human_size(entry.bytes)] if entry.parameters else ["", ""]
        shared = "" if entry.shared_with is None else f", is {printable(entry.shared_with)}"
        sheet.add(Cell(entry.name, guide, _calls(entry)), Cell(entry.kind, after=shared), outputs, *numbers)
    return sheet


def _calls(entry: LayerEntry) -> str:
    return f" ({entry.calls} calls)" if entry.calls > 1 else ""


def _tree_rows(layers: Iterable[LayerEntry], depth: int | None) -> Iterator[tuple[str, LayerEntry]]:
    """Each entry with the lines of the tree before it: from the first to the last, children after their parent."""
    pending = [("", "", entry, 1) for entry in reversed(list(layers))]
    while pending:
        guide, below, entry, level = pending.pop()
        yield guide, entry
        if depth is not None and level >= depth:
            continue
        last = len(entry.layers) - 1
        pending += [
            (below + ("└ " if place == last else "├ "), below + ("  " if place == last else "│ "), child, level + 1)
            for place, child in reversed(list(enumerate(entry.layers)))
        ]


def _flat_rows(layers: Iterable[LayerEntry]) -> Iterator[tuple[str, LayerEntry]]:
    pending = [("", entry) for entry in reversed(list(layers))]
    while pending:
        path, entry = pending.pop()
        yield path, entry
        pending += [(printable(f"{path}{entry.name}/"), child) for child in reversed(entry.layers)]


def _weights_sheet(found: Contents) -> Sheet:
    sheet = Sheet(("weight", "type", ">params", ">size", "trained"))
    trained = {None: "", True: "yes", False: "no"}
    for each in found.weights:
        kind, size = str(TensorEntry(each.dtype, each.shape)), human_size(each.bytes)
        told = "setting" if each.is_setting else trained[each.trainable]
        sheet.add(each.name, kind, f"{each.parameters:,}", size, told)
    return sheet
