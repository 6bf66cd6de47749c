"""The vocabularies of lookup layers: a .keras file has them as text beside the weights, not in config.json."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dagir.errors import FileError
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.files.archive import Archive
from dagir_keras.reading.files.weights import places

_LOOKUPS = {"StringLookup": str, "IntegerLookup": int}


def fill_vocabularies(record: Mapping[str, Any], archive: Archive, path: str = "assets") -> None:
    """Put each vocabulary into the configuration of its layer, models inside included. Raises FileError."""
    config = record.get("config")
    listed = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(listed, list) or not all(isinstance(inner, dict) for inner in listed):
        return
    skipped = "InputLayer" if record.get("class_name") == "Sequential" else None
    records = [inner for inner in listed if inner.get("class_name") != skipped and not _is_operation(inner)]
    for inner, place in zip(records, places(records), strict=True):
        where = f"{path}/layers/{place}"
        fill_vocabularies(inner, archive, where)
        options = inner.get("config")
        if str(inner.get("class_name")) in _LOOKUPS and isinstance(options, dict) and options.get("vocabulary") is None:
            found = _vocabulary(inner, options, archive, f"{where}/vocabulary.txt")
            options["vocabulary"] = found


def _is_operation(record: Mapping[str, Any]) -> bool:
    return str(record.get("module")).startswith("keras.src.ops.")


def _vocabulary(record: Mapping[str, Any], options: Mapping[str, Any], archive: Archive, name: str) -> list[Any] | None:
    if name not in archive.names:
        return None
    places = options.get("num_oov_indices", 1)
    if type(places) is not int or not 0 <= places < 1 << 31:
        raise FileError(f"{archive.path}: num_oov_indices of layer {shown(record.get('name'))} is {shown(places)}")
    text = archive.text(name)
    limits.spend("json values", text.count(b"\n"), f"member {shown(name)}")
    lines = text.decode("utf-8", "replace").split("\n")
    special = int(options.get("mask_token") is not None and options.get("output_mode", "int") == "int")
    tokens = lines[special + places :]
    try:
        return [_LOOKUPS[str(record["class_name"])](token) for token in tokens]
    except ValueError:
        raise FileError(f"{archive.path}: {name} holds what is no integer") from None
