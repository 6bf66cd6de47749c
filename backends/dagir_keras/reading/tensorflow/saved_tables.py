"""Where the lookup tables of a SavedModel have their entries: constants, or a file among its assets."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from dagir.errors import UnsafeFile
from dagir.ir.types import Array
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.mapped_files import map_file
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, array_of
from dagir_keras.reading.tensorflow.held import Table
from dagir_keras.reading.tensorflow.messages import Message, decode
from dagir_keras.reading.tensorflow.tables import lines_of

_IMPORTS = ("LookupTableImportV2", "LookupTableImport", "InitializeTableV2", "InitializeTable")
_FILES = ("InitializeTableFromTextFileV2", "InitializeTableFromTextFile")
_CALLS = ("PartitionedCall", "StatefulPartitionedCall")
_PASSES = ("Identity", "ReadVariableOp")


@dataclass(frozen=True)
class Source:
    """The node that fills a table, and the nodes of the graph that give what it reads."""

    node: GraphNode
    operands: tuple[str, ...]


def tables_by_node(graph: GraphFunction) -> Mapping[str, Source]:
    """For each node that makes a table, what fills it: in the graph itself, or in a function that it calls."""
    found: dict[str, Source] = {}
    for node, operands in _fillings(graph):
        found.setdefault(operands[0], Source(node, operands[1:]))
    return found


def _fillings(graph: GraphFunction) -> Iterator[tuple[GraphNode, tuple[str, ...]]]:
    for node in graph.nodes.values():
        if node.op in (*_IMPORTS, *_FILES):
            yield node, tuple(_behind(graph, name) for name, _ in node.inputs)
        elif node.op in _CALLS and "f" in node.attributes and node.function("f") in graph.library:
            inner = graph.library[node.function("f")]
            given = dict(zip(inner.arguments, (name for name, _ in node.inputs), strict=False))
            for each in inner.nodes.values():
                if each.op in (*_IMPORTS, *_FILES):
                    yield each, tuple(_behind(graph, given.get(name, "")) for name, _ in each.inputs)


def _behind(graph: GraphFunction, name: str) -> str:
    """The node that copies of a value come from; of a variable, the node that it is assigned."""
    for _ in range(len(graph.nodes)):
        node = graph.nodes.get(name)
        if node is None or node.op not in (*_PASSES, "VarHandleOp") or (node.op != "VarHandleOp" and not node.inputs):
            break
        name = node.inputs[0][0] if node.op != "VarHandleOp" else _assigned(graph, name)
    return name


def _assigned(graph: GraphFunction, variable: str) -> str:
    for node in graph.nodes.values():
        if node.op == "AssignVariableOp" and len(node.inputs) == 2 and node.inputs[0][0] == variable:
            return node.inputs[1][0]
    return ""


def read_table(node: GraphNode, source: Source, graph: GraphFunction, meta: Message, folder: str) -> Table:
    """The table of a node. Raises Refused, FileError, UnsafeFile."""
    if source.node.op in _IMPORTS:
        keys, values = (_constant(graph, name) for name in source.operands)
        if keys.size != values.size:
            raise Refused(f"is a table of {keys.size} keys and {values.size} values")
        return Table(keys, values)
    text = _asset(source.operands[0], meta, folder)
    key, content = (node.attributes[name]["type"] for name in ("key_dtype", "value_dtype"))
    how = source.node.attribute
    if how("offset"):
        raise Refused("is a table of a file that begins behind its first line")
    columns = (int(how("key_index")), int(how("value_index")))
    size = how("vocab_size")
    return lines_of(text, key, content, columns, how("delimiter") or "\t", -1 if size is None else size)


def _constant(graph: GraphFunction, name: str) -> Array:
    node = graph.nodes.get(name)
    if node is None or node.op != "Const":
        raise Refused("is a table whose entries are computed")
    return array_of(node.attributes["value"]["tensor"])


def _asset(name: str, meta: Message, folder: str) -> bytes:
    """The bytes of the file that a node stands for, which lies among the assets and nowhere else.

    TensorFlow 1 lists the assets in a collection.
    """
    listed = meta["collections"].get("saved_model_assets", {}).get("anything", {}).get("value", [])
    assets = [*meta["assets"], *(decode(each.get("value", b""), "Asset", folder) for each in listed)]
    files = {each.get("tensor", {}).get("name", "").partition(":")[0]: each.get("filename", "") for each in assets}
    if name not in files:
        raise Refused("is a table of a file that is not among the assets of the SavedModel")
    file = files[name]
    home = os.path.join(folder, "assets")
    path = os.path.join(home, file)
    odd = not file or file in (".", "..") or any(each in file for each in "/\\:\0")
    if odd or os.path.dirname(os.path.realpath(path)) != os.path.realpath(home):
        raise UnsafeFile(
            f"{folder}: the asset {shown(file)} does not lie in its folder of assets",
            remedy="put the file itself there, under a name without folders",
        )
    data = map_file(path)
    limits.spend("json bytes", len(data), f"the table {shown(file)} of {len(data)} bytes")
    text = bytes(data[:])
    limits.spend("json values", text.count(b"\n"), f"the table {shown(file)}")
    return text


__all__ = ["Source", "read_table", "tables_by_node"]
