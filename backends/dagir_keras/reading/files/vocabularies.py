"""What layers of categories have learned, which files hold beside the configuration.

A .keras file has the vocabularies of lookup layers as text beside the weights, and Keras 2 has the boundaries of
Discretization, or rather what they are computed from, among the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from dagir.errors import FileError
from dagir.layers.categorical import boundaries_of
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.files.archive import Archive
from dagir_keras.reading.files.hdf5 import Dataset, Group
from dagir_keras.reading.files.weights import places

_LOOKUPS = {"StringLookup": str, "IntegerLookup": int}


def fill_vocabularies(record: Mapping[str, Any], archive: Archive, path: str = "assets") -> None:
    """Put each vocabulary into the configuration of its layer, models inside included. Raises FileError."""
    for inner, place in _placed(record):
        where = f"{path}/layers/{place}"
        fill_vocabularies(inner, archive, where)
        options = inner.get("config")
        if str(inner.get("class_name")) in _LOOKUPS and isinstance(options, dict) and options.get("vocabulary") is None:
            found = _vocabulary(inner, options, archive, f"{where}/vocabulary.txt")
            options["vocabulary"] = found


def _placed(record: Mapping[str, Any]) -> Iterator[tuple[dict[str, Any], str]]:
    """The records of a model's layers, each with the name of its place in a .keras file."""
    config = record.get("config")
    listed = config.get("layers") if isinstance(config, dict) else None
    if not isinstance(listed, list) or not all(isinstance(inner, dict) for inner in listed):
        return
    skipped = "InputLayer" if record.get("class_name") == "Sequential" else None
    records = [inner for inner in listed if inner.get("class_name") != skipped and not _is_operation(inner)]
    yield from zip(records, places(records), strict=True)


def fill_boundaries(record: Mapping[str, Any], opened: Callable[[], Group], path: str = "") -> None:
    """Put the boundaries of Discretization layers into their configurations, of a .keras file; models inside included.

    opened: gives the weights, if there is such a layer. Raises FileError.
    """
    for inner, place in _placed(record):
        fill_boundaries(inner, opened, f"{path}layers/{place}/")
        if inner.get("class_name") == "Discretization" and _config(inner).get("bin_boundaries") is None:
            _fill_boundaries_of(inner, opened().get(f"{path}layers/{place}/vars/0"))


def fill_legacy_boundaries(record: Mapping[str, Any], stored: Group) -> None:
    """The same of an .h5 file, for the layers of the outermost model."""
    for inner, _ in _placed(record):
        name = _config(inner).get("name") if inner.get("class_name") == "Discretization" else None
        group = stored.group(name) if isinstance(name, str) and name in stored.names else None
        listed = (group.texts("weight_names") if group is not None else None) or []
        if group is not None and len(listed) == 1:
            _fill_boundaries_of(inner, group.get(listed[0]))


def _fill_boundaries_of(record: Mapping[str, Any], data: Any) -> None:
    config = _config(record)
    bins = config.get("num_bins")
    if not isinstance(data, Dataset) or data.shape[:1] != (2,) or type(bins) is not int or bins < 1:
        return
    if config.get("bin_boundaries") is None:
        config["bin_boundaries"] = boundaries_of(data.array(), bins)


def _config(record: Mapping[str, Any]) -> dict[str, Any]:
    found = record.get("config")
    return found if isinstance(found, dict) else {}


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
