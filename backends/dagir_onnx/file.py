"""Writes .onnx files: directly from the arrays, to a temporary file that is renamed.

The file is written field by field in protobuf's format, so that no weight is copied into a message.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO

from onnx import GraphProto, ModelProto, StringStringEntryProto, TensorProto

from dagir.errors import FileError
from dagir.support.file_replacement import check_free, put
from dagir.support.paths import checked
from dagir_onnx.weights import SMALL, Initializers, bytes_of, header, size_of, write_data, write_numbers

EMBEDDED_LIMIT = 2**31 - 2**24  # protobuf's limit is 2 GiB; the graph needs some of it


def write(
    model: ModelProto, initializers: Initializers, path: Path, *, external_data: bool | None, overwrite: bool
) -> Path:
    """Write the model and its weights, and return the path. The same model gives the same bytes.

    external_data: True puts weights into a second file, where any is larger than `SMALL`; with none, there is one file.
    Raises FileError where a file cannot be written or would replace another.
    """
    checked(path, as_text=True)
    if path.is_dir():
        raise FileError(f"{path} is a folder", remedy="give the name of a file")
    outside = size_of(initializers) > EMBEDDED_LIMIT if external_data is None else external_data
    large = {name: tensor for name, tensor in initializers.items() if outside and bytes_of(tensor) > SMALL}
    outside = bool(large)
    data_path = path.with_name(path.name + ".data")
    for target in [path, *([data_path] if outside else [])]:
        check_free(target, overwrite, "choose another path, or pass overwrite=True")
    try:
        with tempfile.TemporaryDirectory(prefix=f".{path.name}.", dir=path.parent) as folder:
            staged, data = Path(folder) / path.name, Path(folder) / data_path.name
            with staged.open("wb") as file:
                _write_model(model, initializers, write_data(large, data) if outside else {}, file)
            put([*([(data, data_path)] if outside else []), (staged, path)], overwrite=overwrite)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    return path


def add_metadata(path: Path, entries: Mapping[str, str]) -> None:
    """Add metadata_props to a file: protobuf joins the parts of a repeated field, wherever they stand."""
    props = [StringStringEntryProto(key=key, value=text) for key, text in entries.items()]
    try:
        with path.open("ab") as file:
            file.write(ModelProto(metadata_props=props).SerializeToString(deterministic=True))
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error


def _write_model(
    model: ModelProto, initializers: Initializers, outside: Mapping[str, TensorProto], file: BinaryIO
) -> None:
    """The fields of the model, then its graph: a length, the fields of the graph, and each initializer."""
    rest = ModelProto()
    rest.CopyFrom(model)
    rest.ClearField("graph")
    graph = model.graph.SerializeToString(deterministic=True)
    tag = _tag(GraphProto.INITIALIZER_FIELD_NUMBER)
    heads: dict[str, bytes] = {}
    length = len(graph)
    for name, tensor in initializers.items():
        body = 0 if name in outside else bytes_of(tensor)
        head = (outside.get(name) or header(name, tensor)).SerializeToString(deterministic=True)
        if name not in outside:
            head += _tag(TensorProto.RAW_DATA_FIELD_NUMBER) + _varint(body)
        heads[name] = tag + _varint(len(head) + body) + head
        length += len(heads[name]) + body
    file.write(rest.SerializeToString(deterministic=True))
    file.write(_tag(ModelProto.GRAPH_FIELD_NUMBER) + _varint(length) + graph)
    for name, tensor in initializers.items():
        file.write(heads[name])
        if name not in outside:
            write_numbers(tensor.array, file)


def _tag(field: int) -> bytes:
    """The key of a field that has a length."""
    return _varint(field << 3 | 2)


def _varint(number: int) -> bytes:
    """Seven bits a byte, the lowest first; the high bit says that more follow."""
    parts = bytearray()
    while number > 0x7F:
        parts.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes([*parts, number])
