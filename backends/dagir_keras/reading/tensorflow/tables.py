"""Lookup tables that never change: from keys to values, as constants of the graph."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import Array, DType
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode
from dagir_keras.reading.tensorflow.graph_reader import GraphReader, handler
from dagir_keras.reading.tensorflow.held import CapturedTable, Table, Text
from dagir_keras.reading.tensorflow.tensors import constant_of, sized, value


@handler("HashTableV2", "HashTable", "MutableHashTableV2")
def _made(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Table:
    table: Table = reader.resources.table(node)
    return table


@handler("LookupTableFindV2", "LookupTableFind")
def _find(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Value:
    holder, given, default = operands
    table, x = _table(holder, node.attribute("Tin"), node.attribute("Tout")), value(given)
    if not table.keys.size:
        raise Refused("looks up in a table without keys")
    keys = _words(table.keys)
    other = _words(_constant(default))[0]
    x = x if x.dtype == DType.STRING else ops.cast(x, "int64")
    if table.values.dtype.kind in "OS" or table.values.dtype == np.int64:
        return ops.lookup(x, keys, _words(table.values), other)
    place = ops.lookup(x, keys, range(len(keys)), len(keys))
    return ops.take(np.append(table.values, table.values.dtype.type(other)), place, axis=0)


@handler("LookupTableSizeV2", "LookupTableSize")
def _size(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Any:
    table = operands[0]
    count = table.size() if isinstance(table, CapturedTable) else _table(table, None, None).keys.size
    return sized(np.asarray(count, object), DType.INT64)


@handler("StringToHashBucketFast", "StringToHashBucketStrong", "StringToHashBucket")
def _bucket(reader: GraphReader, node: GraphNode, operands: Sequence[Any], function: GraphFunction) -> Value:
    """Of one bucket, which a vocabulary has for all words that it does not know, the number is 0."""
    if node.attribute("num_buckets") != 1:
        raise Refused("computes hashes of text, which no ONNX op does", "use one bucket: num_oov_buckets=1")
    return ops.lookup(value(operands[0]), ("",), (0,), 0)


def _table(holder: Any, key: Any, content: Any) -> Table:
    if isinstance(holder, CapturedTable):
        return holder.entries(key, content)
    if not isinstance(holder, Table):
        raise Refused(f"looks up in what is no table: {type(holder).__name__}")
    return holder


def _constant(data: Any) -> Array:
    found = data.array if isinstance(data, Text) else constant_of(data)
    if found is None:
        raise Refused("has a default that is computed when the model runs", "give the table a constant default")
    return found


def _words(array: Array) -> list[Any]:
    """The numbers, or texts, of an array."""
    found = array.reshape(-1).tolist()
    try:
        return [each.decode("utf-8") if isinstance(each, bytes) else each for each in found]
    except UnicodeDecodeError:
        raise Refused("is a table of texts that are not UTF-8") from None


def lines_of(text: bytes, key: Any, content: Any, columns: tuple[int, int], delimiter: str, size: int) -> Table:
    """The table of a file of lines, from which columns keys and values are taken: -2 the line, -1 its number."""
    lines = text.split(b"\n")
    if lines[-1] == b"":
        lines.pop()
    lines = [line.removesuffix(b"\r") for line in (lines if size < 0 else lines[:size])]
    found = [_column(lines, column, delimiter.encode()) for column in columns]
    return Table(_of_dtype(found[0], key), _of_dtype(found[1], content))


def _column(lines: list[bytes], column: int, delimiter: bytes) -> list[Any]:
    if column == -1:
        return list(range(len(lines)))
    if column == -2:
        return list(lines)
    parts = [line.split(delimiter) for line in lines]
    if column < 0 or any(len(part) <= column for part in parts):
        raise Refused(f"is a table of a file whose lines have no column {column}")
    return [part[column] for part in parts]


def _of_dtype(entries: list[Any], number: Any) -> Array:
    if number == 7:
        return np.asarray(entries, object)
    try:
        return np.asarray(entries).astype(dtype_of(number).numpy)
    except ValueError:
        raise Refused("is a table of numbers, and its file holds text") from None
