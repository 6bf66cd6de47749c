"""A model of layers beside a graph of nodes, as of a .keras and an .onnx file: both told by the layers of the first.

Nodes belong to the layer whose name is in their path: "conv/Relu", "StatefulPartitionedCall/net/conv/Relu". What a
format tells in its own way, the kinds, the attributes, and who calls whom, is left out.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from dagir.display.contents import Contents, LayerEntry, TensorEntry

HOW = (
    "layers beside nodes: matched by the layers' names in the paths of the nodes, weights by name, then by numbers; "
    "kinds, attributes and training are not compared, and a layer without a node of its own may be folded into another"
)


def told_alike(layers: Contents, nodes: Contents) -> tuple[Contents, Contents]:
    """Both with one entry for each layer of the first, and one for each path of the second that no layer has."""
    names = {entry.name for entry in layers.layers}
    outputs = {entry.name: entry.outputs for entry in layers.layers}
    groups: dict[str, list[LayerEntry]] = {}
    for entry in nodes.layers:
        groups.setdefault(_owner(entry.name, names), []).append(entry)
    grouped = tuple(_grouped(name, entries, outputs) for name, entries in groups.items())
    return replace(layers, layers=tuple(map(_plain, layers.layers))), replace(nodes, layers=grouped)


def _owner(path: str, names: set[str]) -> str:
    """The first layer in the path of a node; of none, where it begins."""
    parts = path.split("/")
    return next((part for part in parts if part in names), parts[0])


def _grouped(name: str, entries: list[LayerEntry], known: Mapping[str, tuple[TensorEntry, ...]]) -> LayerEntry:
    outputs = tuple(map(_nameless, entries[-1].outputs))
    wanted = tuple(map(_nameless, known.get(name, ())))
    if len(outputs) == len(wanted) and all(map(_is_turned, outputs, wanted)):
        outputs = wanted  # channels are first in one and last in the other
    weights = tuple(dict.fromkeys(weight for entry in entries for weight in entry.weights))
    return LayerEntry(name, "", outputs=outputs, weights=weights)


def _plain(entry: LayerEntry) -> LayerEntry:
    return LayerEntry(entry.name, "", outputs=tuple(map(_nameless, entry.outputs)), weights=entry.weights)


def _nameless(entry: TensorEntry) -> TensorEntry:
    return TensorEntry(entry.dtype, entry.shape)


def _is_turned(one: TensorEntry, two: TensorEntry) -> bool:
    """Whether the one has its channels first, and the other has the same sizes with its channels last."""
    if one.shape is None or two.shape is None or len(one.shape) != len(two.shape) or len(one.shape) < 3:
        return False
    return one.dtype == two.dtype and _sizes((*one.shape[2:], one.shape[1])) == _sizes(two.shape[1:])


def _sizes(shape: Iterable[object]) -> list[object]:
    """Numbers alone: sizes that have names are called otherwise in each file."""
    return [size if isinstance(size, int) else None for size in shape]
