"""A minimal model that still shows a divergence, written as a folder that explains itself.

The part of the model between the last right values and the first wrong one, with the sizes of the inputs that showed
it. Where that part alone does not show it (a kernel that is fused with what comes before), the part grows backwards.
"""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from dagir.backend import Executable
from dagir.equivalence.bisection import Divergence, Search
from dagir.equivalence.comparison import compare
from dagir.equivalence.oracle import Expected, Oracle
from dagir.errors import DagirError
from dagir.graph import Node, Value
from dagir.layers import Input
from dagir.model import Model
from dagir.types import Array, take_equations

_PACKAGES = ("dagir", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "keras", "tensorflow")

_SCRIPT = '''"""{title}"""
import numpy as np
import onnxruntime

import dagir

feeds = dict(np.load("inputs.npz"))
right = dagir.lower(dagir.load("model.dagir"), "numpy", precision="float64")(feeds)
found = onnxruntime.InferenceSession("model.onnx").run(None, feeds)[0]
print("right", right.ravel()[:8], "found", found.ravel()[:8], "max error", np.abs(found - right).max(), sep="\\n")
'''

_SCRIPT_LOWERED = '''"""{title}"""
import numpy as np

import dagir

model, feeds = dagir.load("model.dagir"), dict(np.load("inputs.npz"))
right = dagir.lower(model, "numpy", precision="float64")(feeds)
found = dagir.lower(model, "{backend}")(feeds)
print("right", right.ravel()[:8], "found", found.ravel()[:8], "max error", np.abs(found - right).max(), sep="\\n")
'''


class Part:
    """A piece of a graph as a model of its own, all sizes known, and the arrays that go in."""

    def __init__(self, model: Model, inputs: Mapping[str, Value], feeds: dict[str, Array]) -> None:
        self.model, self.inputs, self.feeds = model, inputs, feeds


def part_before(search: Search, name: str, cut: Sequence[str]) -> Part:
    """What computes a point from other points (`cut`) and the inputs of the model."""
    graph_inputs = dict(zip(search.oracle.points.graph.inputs, search.arrays, strict=True))
    target = search.values[name]
    stops = {search.values[each]: each for each in cut}
    wanted = [value for value in (*stops, *graph_inputs) if value is not target]
    needed = _needed(target, set(wanted))
    sizes = search.oracle.bind(search.arrays)
    feeds: dict[str, Array] = {}
    replaced: dict[Value | None, Value | None] = {None: None}
    inputs: dict[str, Value] = {}
    for place, value in enumerate([each for each in wanted if each in needed]):
        title = f"minimal_input_{place}"
        array = graph_inputs[value] if value in graph_inputs else search.inside[stops[value]].array
        array = array.astype(value.dtype.numpy)
        source = Input(batch_shape=array.shape, dtype=str(value.dtype), name=title)
        inputs[title], feeds[title], replaced[value] = value, array, source
    for node in _nodes_between(target, set(wanted)):
        copied = _copied(node, replaced, sizes)
        replaced.update(zip(node.outputs, copied.outputs, strict=True))
    output = replaced[target]
    assert output is not None
    return Part(Model([replaced[value] for value in inputs.values()], output, name="minimal"), inputs, feeds)


def _copied(node: Node, replaced: Mapping[Value | None, Value | None], sizes: Mapping[str, int]) -> Node:
    """The node without its layer, whose call was of values that are not in the part."""
    operands = tuple([replaced.get(value, value) for value in node.inputs])
    op = node.op.substitute(dict(sizes))
    types = op.infer(*[None if value is None else value.type for value in operands])
    return Node(op, operands, types, location=node.location, equations=take_equations())


def _needed(target: Value, stops: set[Value]) -> set[Value]:
    return {value for node in _nodes_between(target, stops) for value in node.inputs if value is not None}


def _nodes_between(target: Value, stops: set[Value]) -> list[Node]:
    found: dict[Node, None] = {}
    pending = [target]
    while pending:
        value = pending.pop()
        node = value.node
        if value not in stops and node is not None and node not in found:
            found[node] = None
            pending.extend(operand for operand in node.inputs if operand is not None)
    return sorted(found, key=lambda node: node.serial)


def smallest(search: Search, name: str) -> tuple[Part, Executable | None, bool]:
    """The smallest part that shows it, what runs it, and whether it does show it.

    Cut at the nearest points first, then further back, in steps that double; at last the whole model up to the point.
    """
    cuts: list[list[str]] = []
    border = [search.names[node] for node in search.neighbours(name)]
    for _ in range(3):
        cuts.append(border)
        further = [search.names[node] for each in border for node in search.neighbours(each)]
        border = list(dict.fromkeys(further))
    cuts.append([])
    tried: tuple[Part, Executable | None, bool] | None = None
    for cut in cuts:
        try:
            part = part_before(search, name, cut)
            exe = search.exe.part(
                part.model, {title: _name_of(value, search) for title, value in part.inputs.items()}, name
            )
        except (DagirError, ValueError, KeyError):
            continue
        shown = exe is not None and not _agrees(part, exe, search.oracle.samples)
        if shown or tried is None:
            tried = part, exe, shown
        if shown:
            break
    if tried is None:
        return part_before(search, name, []), None, False
    return tried


def _name_of(value: Value, search: Search) -> str:
    points = search.oracle.points
    if value in points.names:
        return points.names[value]
    return search.exe.signature.inputs[points.graph.inputs.index(value)][0]


def _agrees(part: Part, exe: Executable, samples: int) -> bool:
    oracle = Oracle(part.model, samples)
    arrays = oracle.arrange(part.feeds)
    expected: list[Expected] = oracle(arrays, np.random.default_rng(0))
    found = [np.asarray(exe(arrays))]
    return all(
        compare(array, wanted, value.type).ok
        for array, wanted, value in zip(found, expected, part.model.graph.outputs, strict=True)
    )


def write_reproduction(folder: str | os.PathLike[str], search: Search, found: Divergence) -> Path:
    """Write model.dagir, model.onnx where the target is one, inputs.npz, reproduce.py and versions.json."""
    target = Path(folder)
    target.mkdir(parents=True, exist_ok=True)
    part, exe, shown = smallest(search, found.point)
    part.model.save(target / "model.dagir")
    feeds: dict[str, Any] = part.feeds
    np.savez(target / "inputs.npz", **feeds)
    saver: Any = exe
    is_onnx = type(exe).__module__.startswith("dagir_onnx")
    if is_onnx:
        saver.save(target / "model.onnx")
    backend = type(search.exe).__module__.removeprefix("dagir_").split(".")[0]
    script = (_SCRIPT if is_onnx else _SCRIPT_LOWERED).format(title=f"{found.node}: {found.op}", backend=backend)
    (target / "reproduce.py").write_text(script, encoding="utf-8")
    facts = {**found.to_dict(), "shown_by_this_part_alone": shown, "versions": versions()}
    (target / "versions.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
    return target


def versions() -> dict[str, str]:
    """Of this Python, this machine, and the packages that compute."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


__all__: list[Any] = ["Part", "part_before", "smallest", "versions", "write_reproduction"]
