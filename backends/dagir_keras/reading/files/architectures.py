"""The architecture for weights that have none: JSON that `to_json` wrote, or the configuration itself."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Any

from dagir.errors import ArgumentError, FileError
from dagir.support import limits
from dagir_keras.reading.files.archive import HDF5, ZIP, Archive, parse_config
from dagir_keras.reading.files.hdf5 import open_hdf5
from dagir_keras.reading.files.keras2 import Writer
from dagir_keras.reading.mapped_files import map_file

_JSON = "write it with model.to_json(), and give that file"

_KERAS_3 = Writer((3, 0), said="Keras 3 of unknown version")  # before 3.11, one output is written as a list of one


def read_architecture(given: Any) -> tuple[dict[str, Any], Writer, str]:
    """The record of a model, who wrote it, and what it is called in messages. Raises FileError, ArgumentError.

    given: the path of a JSON, .keras or .h5 file, JSON text, or a configuration as a dict.
    """
    if isinstance(given, Mapping):
        return _of_record(_plain(given), "the architecture")
    if isinstance(given, str) and given.lstrip()[:1] == "{":
        return _of_record(parse_config(given, "the architecture"), "the architecture")
    if not isinstance(given, (str, os.PathLike)):
        raise ArgumentError(
            f"architecture is the path of a JSON file, a configuration or a model, got {type(given).__name__}",
            remedy=_JSON,
        )
    return _of_file(os.fspath(given))


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration as JSON has it: lists in place of tuples."""
    try:
        return parse_config(json.dumps(given), "the architecture")
    except (TypeError, ValueError, RecursionError) as error:
        raise ArgumentError(f"the architecture is no configuration: {error}", remedy=_JSON) from None


def _of_file(path: str) -> tuple[dict[str, Any], Writer, str]:
    if path.lower().endswith((".yaml", ".yml")):
        raise FileError(f"{path}: is YAML, which can name any Python object, and is not read", remedy=_JSON)
    data = map_file(path)
    if data[:4] == ZIP:
        archive = Archive(path, data)
        about = archive.text("metadata.json") if "metadata.json" in archive.names else b""
        record = archive.config()
        return record, Writer.of_metadata(about, record), path
    if data[:8] == HDF5:
        root = open_hdf5(memoryview(data), path)
        text = root.text("model_config")
        if text is None:
            raise FileError(f"{path}: has no model_config: it holds weights, and no architecture", remedy=_JSON)
        record = parse_config(text, f"{path}: model_config")
        return record, Writer.of(root.text("keras_version"), root.text("backend"), record), path
    limits.spend("json bytes", len(data), f"the architecture {path} of {len(data)} bytes")
    return _of_record(parse_config(data[:], path), path)


def _of_record(found: dict[str, Any], where: str) -> tuple[dict[str, Any], Writer, str]:
    """Of JSON, which names its version in Keras 2 alone."""
    writer = Writer.of(found.get("keras_version"), found.get("backend"), found)
    if writer.version is None:
        writer = _KERAS_3
    if (
        isinstance(found.get("layers"), list) and not is_of_dagir(found) and "class_name" not in found
    ):  # of model.get_config()
        kind = "Functional" if "input_layers" in found else "Sequential"
        found = {"class_name": kind, "config": found}
    if is_of_dagir(found):
        return found, writer, where
    if not isinstance(found.get("class_name"), str) or not isinstance(found.get("config"), (dict, list)):
        raise FileError(f"{where}: is no architecture of a Keras model: it has no class_name and config", remedy=_JSON)
    return found, writer, where


def is_of_dagir(record: Mapping[str, Any]) -> bool:
    """Whether a configuration is one of `dagir.Model.get_config`, which numbers its layers."""
    return isinstance(record.get("layers"), list) and type(record.get("model")) is int
