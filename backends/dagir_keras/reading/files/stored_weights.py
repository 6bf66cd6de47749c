"""Weights without an architecture: `.weights.h5`, the older `.h5`, and shards that `.weights.json` lists."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from dagir.errors import FileError, UnsafeFile
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.files.archive import HDF5, ZIP, Archive, parse_config, plain
from dagir_keras.reading.files.hdf5 import Dataset, Group, open_hdf5
from dagir_keras.reading.mapped_files import map_file

_MAX_SHARDS = 10_000
_CHECKPOINT = "load them into the Keras model, and write model.save_weights('name.weights.h5')"


@dataclass(frozen=True)
class StoredWeights:
    """The group that holds the weights. by_name: a group for each layer, as in `.h5` files, not by class and number."""

    group: Group
    by_name: bool


def open_weights(path: str) -> StoredWeights:
    """The weights in a file, or in the shards beside it, by its content. Raises FileError, UnsafeFile."""
    _refuse_checkpoint(path)
    data = map_file(path)
    if data[:4] == ZIP:
        archive = Archive(path, data)
        if "model.weights.h5" not in archive.names:
            raise FileError(f"{path}: has no model.weights.h5: it holds no weights")
        where = f"{path}: model.weights.h5"
        return StoredWeights(open_hdf5(archive.member("model.weights.h5"), where), False)
    if data[:8] == HDF5:
        return _in_hdf5(open_hdf5(memoryview(data), path), path)
    if data[:256].lstrip()[:1] == b"{":
        limits.spend("json bytes", len(data), f"its {len(data)} bytes of JSON")
        return StoredWeights(_Shards(path, parse_config(data[:], path)).root(), False)
    raise FileError(
        f"{path}: holds no weights of Keras: it is no HDF5 file (.weights.h5, .h5), no zip (.keras) "
        "and no list of shards (.weights.json)"
    )


def _in_hdf5(root: Group, path: str) -> StoredWeights:
    if root.texts("layer_names") is not None:
        return StoredWeights(root, True)
    whole = root.group("model_weights")
    if whole is not None:
        return StoredWeights(whole, True)
    if not any(root.group(name) for name in ("layers", "vars", "_layer_checkpoint_dependencies")):
        raise FileError(f"{path}: is an HDF5 file without weights of Keras: it has neither layers nor layer_names")
    return StoredWeights(root, False)


def _refuse_checkpoint(path: str) -> None:
    """Name a checkpoint of TensorFlow, which is several files with the path as the beginning of their names."""
    name = os.path.basename(path)
    is_part = name.endswith(".index") or ".data-0" in name or name == "checkpoint"
    is_folder = os.path.isdir(path) and os.path.exists(os.path.join(path, "checkpoint"))
    if is_part or is_folder or (not os.path.exists(path) and os.path.exists(f"{path}.index")):
        raise FileError(f"{path}: is a checkpoint of TensorFlow, which only TensorFlow reads", remedy=_CHECKPOINT)


class _Shards:
    """The shards that a `.weights.json` lists, which lie beside it."""

    def __init__(self, path: str, config: Mapping[str, Any]) -> None:
        self.path = path
        entries = config.get("weight_map")
        if not isinstance(entries, dict):
            raise FileError(f"{path}: has no weight_map, so it is no list of shards")
        self.listed = {place: self._names(place, names) for place, names in entries.items()}
        shards = list(dict.fromkeys(name for names in self.listed.values() for name in names))
        if len(shards) > _MAX_SHARDS:
            raise UnsafeFile(f"{path}: lists {len(shards)} shards, more than the {_MAX_SHARDS} that are read")
        self.opened = {name: self._open(name) for name in shards}

    def _names(self, place: str, names: Any) -> list[str]:
        found = names if isinstance(names, list) else [names]
        for name in found:
            if not isinstance(name, str) or not name:
                raise FileError(f"{self.path}: says that {shown(place)} is in {shown(name)}, which is no name")
            if name in (".", "..") or any(mark in name for mark in "/\\:\0"):
                raise UnsafeFile(f"{self.path}: shard {shown(name)} is not beside it; no other folder is read")
        return found

    def _open(self, name: str) -> Group:
        folder = os.path.dirname(self.path)
        shard = os.path.join(folder, name)
        if os.path.dirname(os.path.realpath(shard)) != os.path.realpath(folder or "."):
            raise UnsafeFile(f"{self.path}: shard {shown(name)} is a link into another folder, which is not read")
        if not os.path.exists(shard):
            raise FileError(f"{self.path}: its shard {plain(name)} is missing", remedy="put it beside the file")
        data = map_file(shard)
        if data[:8] != HDF5:
            raise FileError(f"{shard}: is no HDF5 file, and {self.path} lists it as a shard")
        return open_hdf5(memoryview(data), shard)

    def root(self) -> Group:
        """All shards as one group. Raises FileError where a shard lacks what the list says of it."""
        for place, names in self.listed.items():
            for name in names:
                if self.opened[name].group(place) is None:
                    raise FileError(f"{self.path}: says that {shown(place)} is in {plain(name)}, which lacks it")
        return ShardedGroup(self.path, list(self.opened.values()))


class ShardedGroup(Group):
    """The groups of one path in several files, as one."""

    def __init__(self, source: str, parts: Sequence[Group], path: str = "") -> None:
        self.source, self.parts, self.path = source, parts, path

    @property
    def where(self) -> str:
        """The list of shards, and the path in them."""
        return f"{self.source}: {plain(self.path) or '/'}"

    @property
    def names(self) -> list[str]:
        """The names of the members, of all shards."""
        return list(dict.fromkeys(name for part in self.parts for name in part.names))

    def member(self, name: str) -> Group | Dataset | None:
        """The member of a name. Raises FileError for numbers that stand in two shards."""
        found = [member for part in self.parts if (member := part.member(name)) is not None]
        groups = [member for member in found if isinstance(member, Group)]
        if groups and len(groups) == len(found):
            return ShardedGroup(self.source, groups, f"{self.path}/{name}")
        if len(found) > 1:
            raise FileError(f"{self.where}/{plain(name)} stands in more than one shard")
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """None: what is sharded has no attributes that are read."""
        return None

    def texts(self, name: str) -> list[str] | None:
        """None, as `text`."""
        return None

    def check(self) -> None:
        """Read the attributes of all parts."""
        for part in self.parts:
            part.check()


def names_with_weights(group: Group) -> Iterator[str]:
    """The names of the groups in a group that hold numbers somewhere."""
    for name in group.names:
        inner = group.member(name)
        if isinstance(inner, Group) and _holds_numbers(inner):
            yield name


def _holds_numbers(group: Group) -> bool:
    waiting = [group]
    for part in waiting:  # which grows
        members = [part.member(name) for name in part.names]
        if any(isinstance(member, Dataset) for member in members):
            return True
        waiting += [member for member in members if isinstance(member, Group)]
    return False
