"""A graph as plain data without its weights, for other formats, such as Keras's, that hold a layer of dagir."""

from __future__ import annotations

import base64
import binascii
import math
from typing import Any

import numpy as np

from dagir.ir.graph import Graph
from dagir.ir.types import Array, DType
from dagir.serialization.collecting import Collection
from dagir.serialization.container import raw_bytes
from dagir.serialization.loading import Reader
from dagir.serialization.reading import Place, Record, expect, index
from dagir.serialization.saving import FORMAT, VERSION, Writer
from dagir.serialization.structures import decode_dtype
from dagir.support.location import LayerCall


def describe_graph(graph: Graph, within: LayerCall | None = None) -> dict[str, Any]:
    """The graph as JSON data. Weights are kept as their types, constants whole. Read it with `restore_graph`.

    within: the layer call that the nodes belong to, which is kept. Raises FileError for objects that a file cannot
    hold.
    """
    parts = Collection(graph, within)
    document = Writer(parts, graph.name)
    body = document.document()
    weights = {record["tensor"] for record in body["parameters"]} - set(body["constants"])
    body["checksums"] = dict.fromkeys(document.tensors, 0)
    tensors = {name: _describe(array, name not in weights) for name, array in document.tensors.items()}
    place = {} if within is None else {"within": parts.calls[within]}
    return {"format": FORMAT, "version": VERSION, **place, "tensors": tensors, "document": body}


def restore_graph(data: object, source: str) -> tuple[Graph, LayerCall | None]:
    """The graph that `describe_graph` got, with weights of zero. Raises FileError that names `source` and the key."""
    place = Place(source)
    record = Record(data, place)
    if record.take("format", str) != FORMAT or record.take("version", int) > VERSION:
        raise place.error("is a graph of a newer dagir", "install a newer dagir")
    tensors = {name: _restore(entry, place / "tensors" / name) for name, entry in record.take("tensors", dict).items()}
    within = record.take("within", int, -1)
    reader = Reader(Record(record.take("document", dict), place / "document"), tensors, {}, checksums=False)
    record.done()
    graph = reader.read().graph(0, place / "document" / "graphs")
    if within == -1:
        return graph, None
    return graph, reader.calls[index(within, len(reader.calls), "call", place / "within")]


def _describe(array: Array, whole: bool) -> dict[str, object]:
    entry: dict[str, object] = {"dtype": str(DType.of(array.dtype)), "shape": list(array.shape)}
    return entry | {"data": base64.b64encode(raw_bytes(array).data).decode()} if whole else entry


def _restore(entry: object, place: Place) -> Array:
    record = Record(entry, place)
    dtype = decode_dtype(record.take("dtype", str), place / "dtype").numpy
    shape = [index(size, 2**31, "size", place / "shape" / i) for i, size in enumerate(record.take("shape", list))]
    text = record.raw("data")
    record.done()
    if text is None:
        return np.broadcast_to(np.zeros((), dtype), shape)  # a declared size costs no memory
    try:
        data = base64.b64decode(expect(text, str, place / "data"), validate=True)
    except binascii.Error:
        raise (place / "data").error("is no base64") from None
    if len(data) != math.prod(shape) * dtype.itemsize:
        raise (place / "data").error(f"holds {len(data)} bytes, its shape and dtype say otherwise")
    return np.frombuffer(data, dtype).reshape(shape)
