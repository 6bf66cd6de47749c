"""A SavedModel of TensorFlow, read as the protocol buffer and the checkpoint that it is. Nothing in it is run."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from dagir.errors import ArgumentError, FileError
from dagir.modeling.model import Model
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir.support.did_you_mean import did_you_mean
from dagir_keras.reading.mapped_files import map_file
from dagir_keras.reading.tensorflow.checkpoint import Checkpoint
from dagir_keras.reading.tensorflow.graph_ends import (
    Entrance,
    entrance_at,
    given_by_user,
    named_outputs,
    place_of,
    placeholders,
    require_node,
    sinks,
)
from dagir_keras.reading.tensorflow.graph_file import GraphFile, as_tensorflow_writes, main_graph
from dagir_keras.reading.tensorflow.messages import Message, decode

_SERVING = "serving_default"
_INNER = "__saved_model_"  # begins the names of signatures that are not for users
_OF_KERAS = ("keras_api", "_misc_assets")  # what a root has that Keras 2 saved, and one that Keras 3 exported


def read_saved_model(folder: str, signature: str | None = None, inputs: Any = None, outputs: Any = None) -> Model:
    """The model of a signature: its inputs and outputs have the names that the signature gives them.

    inputs: shapes or arrays for inputs, by name. outputs: names of tensors in place of a signature.
    Raises FileError, UnsupportedLayer with every op that cannot be read, and ArgumentError for an unknown signature.
    """
    path = os.path.join(folder, "saved_model.pb")
    with limits.reading(path), as_tensorflow_writes(path):
        meta = _serving_graph(decode(memoryview(map_file(path)), "SavedModel", path), path)
        prefix = os.path.join(folder, "variables", "variables")
        checkpoint = Checkpoint(prefix) if os.path.exists(f"{prefix}.index") else None
        file = GraphFile(folder, meta, checkpoint, name=_model_name(folder))
        given = given_by_user(inputs)
        if outputs is not None:
            if signature is not None:
                raise ArgumentError("outputs names tensors in place of a signature", remedy="give one of the two")
            return read_parts(file, given, outputs)
        found = _signature(meta, signature, folder)
        entrances = [_entrance(name, info, folder) for name, info in sorted(found["inputs"].items())]
        ends = {name: place_of(_tensor(name, info, folder)) for name, info in sorted(found["outputs"].items())}
        return file.model(entrances, ends, given, one_batch=_is_of_keras(meta))


def read_frozen_graph(path: str, inputs: Any = None, outputs: Any = None) -> Model:
    """The model of a .pb file that holds a graph alone, whose weights are constants.

    inputs: the names of its inputs, or shapes or arrays for them; by default its placeholders. outputs: the names of
    its results; by default what no node reads. Raises FileError, UnsupportedLayer, ArgumentError.
    """
    with limits.reading(path), as_tensorflow_writes(path):
        data = memoryview(map_file(path))
        _refuse_other(bytes(data[:5]), path)
        graph = decode(data, "Graph", path)
        if not graph["nodes"]:
            raise FileError(f"{path}: holds no graph of TensorFlow")
        title = os.path.splitext(os.path.basename(path))[0] or "model"
        meta = {"graph": graph, "assets": [], "collections": {}}
        return read_parts(GraphFile(path, meta, None, name=title, is_frozen=True), given_by_user(inputs), outputs)


def _refuse_other(begin: bytes, path: str) -> None:
    if begin[:1] == b"\x08":  # the version of its schema
        raise FileError(f"{path}: is the file of a SavedModel", remedy="give its folder, where it is saved_model.pb")
    if begin[:4] == b"node":
        raise FileError(
            f"{path}: is a graph as text",
            remedy="write it as bytes: tf.io.write_graph(graph, folder, name, as_text=False)",
        )


def read_parts(file: GraphFile, given: Mapping[str, Any], names: Any) -> Model:
    """The model between placeholders and sinks, or between the nodes that the user names."""
    graph = main_graph(file.meta)
    ends = sinks(graph) if names is None else named_outputs(graph, names, file.where)
    if not ends:
        raise ArgumentError(f"{file.where}: nothing in it is a result", remedy="name them: outputs=['logits']")
    entrances = {each.name: each for each in placeholders(graph)}
    own = {name: entrances.get(name) or entrance_at(require_node(graph, name, file.where)) for name in given}
    rest = {name: each for name, each in entrances.items() if name not in own}
    return file.model([*own.values(), *rest.values()], ends, given, kept=own)


def _serving_graph(saved: Message, path: str) -> Message:
    graphs: list[Message] = [each for each in saved["meta_graphs"] if "graph" in each]
    if not graphs:
        raise FileError(f"{path}: holds no graph")
    serving = [each for each in graphs if "serve" in each.get("info", {}).get("tags", [])]
    return (serving or graphs)[0]


def _signature(meta: Message, wanted: str | None, folder: str) -> Message:
    known = {name: each for name, each in meta["signatures"].items() if not name.startswith(_INNER)}
    listed = ", ".join(f"{shown(name)} ({_told(each)})" for name, each in sorted(known.items())[:20])
    if wanted is not None and wanted not in known:
        near = did_you_mean(wanted, known)
        remedy = f"it has: {listed or 'none'}"
        raise ArgumentError(f"{folder}: has no signature {wanted!r}", remedy=f"{near} {remedy}" if near else remedy)
    if not known:
        raise ArgumentError(
            f"{folder}: has no signature", remedy="name the tensors that it shall give: outputs=['logits']"
        )
    if wanted is None and _SERVING in known:
        wanted = _SERVING
    if wanted is None and len(known) != 1:
        raise ArgumentError(f"{folder}: has the signatures {listed}", remedy="choose one: signature='...'")
    found: Message = known[wanted if wanted is not None else next(iter(known))]
    return found


def _told(signature: Message) -> str:
    """The names of what a signature takes and gives."""
    sides = (", ".join(shown(name) for name in sorted(signature[side])[:8]) for side in ("inputs", "outputs"))
    return " -> ".join(sides)


def _entrance(name: str, info: Message, folder: str) -> Entrance:
    return Entrance.told(name, place_of(_tensor(name, info, folder))[0], info)


def _tensor(name: str, info: Message, folder: str) -> str:
    if "name" not in info:
        raise ArgumentError(
            f"{folder}: {shown(name)} of its signature is a sparse or a ragged tensor, which no dtype of dagir holds",
            remedy="choose another signature, or export one with dense tensors",
        )
    found: str = info["name"]
    return found


def _is_of_keras(meta: Message) -> bool:
    """Whether Keras wrote it: the inputs of its models have one batch."""
    objects = meta.get("objects", {}).get("nodes", [])
    return any(each.get("name") in _OF_KERAS for each in (objects[0]["children"] if objects else ()))


def _model_name(folder: str) -> str:
    found = os.path.basename(os.path.normpath(os.path.abspath(folder)))
    return found or "model"


__all__ = ["read_frozen_graph", "read_saved_model"]
