"""A SavedModel of TensorFlow, read as the protocol buffer and the checkpoint that it is. Nothing in it is run."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from dagir.errors import ArgumentError, FileError, UnsupportedLayer
from dagir.ir.graph import Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.types import type_of
from dagir.layers.core import Input
from dagir.modeling.model import Model
from dagir.support import limits
from dagir.support.did_you_mean import did_you_mean
from dagir_keras.reading.mapped_files import map_file
from dagir_keras.reading.problems import Problems, Refused
from dagir_keras.reading.tensorflow.checkpoint import Checkpoint
from dagir_keras.reading.tensorflow.concrete import input_dtype
from dagir_keras.reading.tensorflow.graph_def import GraphNode, graph_of
from dagir_keras.reading.tensorflow.graph_reader import GraphReader
from dagir_keras.reading.tensorflow.held import Table, Variable
from dagir_keras.reading.tensorflow.messages import Message, decode
from dagir_keras.reading.tensorflow.results import as_values
from dagir_keras.reading.tensorflow.saved_tables import read_table, tables_by_node
from dagir_keras.reading.tensorflow.saved_variables import Descriptions, variables_by_node

_SERVING = "serving_default"
_INNER = "__saved_model_"  # begins the names of signatures that are not for users


def read_saved_model(folder: str, signature: str | None = None) -> Model:
    """The model of a signature: its inputs and outputs have the names that the signature gives them.

    Raises FileError, UnsupportedLayer with every op that cannot be read, and ArgumentError for an unknown signature.
    """
    path = os.path.join(folder, "saved_model.pb")
    with limits.reading(path), _as_tensorflow_writes(path):
        meta = _serving_graph(decode(memoryview(map_file(path)), "SavedModel", path), path)
        name, found = _signature(meta, signature, folder)
        return _Reading(folder, meta).model(name, found)


@contextmanager
def _as_tensorflow_writes(path: str) -> Iterator[None]:
    """Within it, an unexpected error of the reader becomes a FileError: a part of the file is damaged."""
    try:
        yield
    except Refused as refused:
        raise UnsupportedLayer(f"{path}: {refused.reason}", remedy=refused.remedy) from None
    except RecursionError:
        raise FileError(f"{path}: its functions are nested too deep") from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
        lines = str(error).splitlines() or [""]
        raise FileError(f"{path}: is not what TensorFlow writes: {type(error).__name__}: {lines[0][:80]}") from error


def _serving_graph(saved: Message, path: str) -> Message:
    graphs: list[Message] = [each for each in saved["meta_graphs"] if "graph" in each]
    if not graphs:
        raise FileError(f"{path}: holds no graph")
    serving = [each for each in graphs if "serve" in each.get("info", {}).get("tags", [])]
    return (serving or graphs)[0]


def _signature(meta: Message, wanted: str | None, folder: str) -> tuple[str, Message]:
    known = {name: each for name, each in meta["signatures"].items() if not name.startswith(_INNER)}
    if wanted is not None and wanted not in known:
        listed = ", ".join(sorted(known)) or "none"
        raise ArgumentError(
            f"{folder}: has no signature {wanted!r}", remedy=did_you_mean(wanted, known) or f"it has: {listed}"
        )
    if wanted is None and _SERVING in known:
        wanted = _SERVING
    if wanted is None and len(known) != 1:
        listed = ", ".join(sorted(known)) or "none"
        raise ArgumentError(f"{folder}: has the signatures {listed}", remedy="choose one: signature='...'")
    name = wanted if wanted is not None else next(iter(known))
    return name, known[name]


@dataclass
class _Reading:
    """One SavedModel while it is read: the weights of the nodes that hold variables."""

    folder: str
    meta: Message
    variables_of: dict[str, Variable] = field(default_factory=dict)
    unique: Namer = field(default_factory=Namer)

    def model(self, name: str, signature: Message) -> Model:
        """The model of a signature."""
        inputs = {key: self._input(key, info) for key, info in sorted(signature["inputs"].items())}
        outputs = dict(sorted(signature["outputs"].items()))
        graph = graph_of(
            self.meta["graph"],
            name,
            [_place(info["name"])[0] for _, info in sorted(signature["inputs"].items())],
            [_place(info["name"]) for info in outputs.values()],
            runs_whole=False,
        )
        self.graph = graph
        self.keys, self.descriptions = variables_by_node(graph), Descriptions(self.meta, self.folder)
        prefix = os.path.join(self.folder, "variables", "variables")
        self.checkpoint = Checkpoint(prefix) if os.path.exists(f"{prefix}.index") else None
        problems = Problems()
        found = GraphReader(problems, self, names=True).call(graph, list(inputs.values()))
        problems.require_none(self.folder)
        values = dict(zip(outputs, as_values(found), strict=True))
        return Model.from_graph(list(inputs.values()), values, name=_model_name(self.folder), unused_inputs=True)

    def _input(self, name: str, info: Message) -> Value:
        shape = info.get("shape", {})
        if shape.get("unknown_rank") or not shape:
            raise FileError(
                f"{self.folder}: the input {name!r} has no known rank", remedy="export it with an input signature"
            )
        sizes = [each.get("size", 0) for each in shape["dims"]]
        dtype = input_dtype(name, info.get("dtype", 0))
        named = [_size_name(name, axis, len(sizes)) if size < 0 else size for axis, size in enumerate(sizes)]
        return Input(batch_shape=named, dtype=dtype, name=name)

    def variable(self, node: GraphNode) -> Variable:
        """The variable of a node: its array is a view of the file."""
        if node.name not in self.variables_of:
            key = self.keys.get(node.name)
            if key is None or self.checkpoint is None or key not in self.checkpoint:
                raise Refused(f"is a variable that the checkpoint of {self.folder} does not hold")
            array = self.checkpoint.array(key)
            told = self.descriptions.of(node, key)
            weight = Parameter(self.unique(told.name), type_of(array), array=array, trainable=told.trainable)
            self.variables_of[node.name] = Variable(weight)
        return self.variables_of[node.name]

    def table(self, node: GraphNode) -> Table:
        """The lookup table of a node, with the entries that the file gives it."""
        source = tables_by_node(self.graph).get(node.name)
        if source is None:
            raise Refused("is a lookup table that nothing fills")
        return read_table(node, source, self.graph, self.meta, self.folder)


def _size_name(name: str, axis: int, rank: int) -> str:
    plain = "".join(each if each.isalnum() else "_" for each in name)
    return "batch" if axis == 0 else f"{plain}_{axis}"


def _model_name(folder: str) -> str:
    found = os.path.basename(os.path.normpath(os.path.abspath(folder)))
    return found or "model"


def _place(text: str) -> tuple[str, int]:
    name, _, index = text.partition(":")
    return name, int(index or 0)
