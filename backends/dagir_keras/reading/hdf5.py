"""HDF5, guarded. h5py follows links into other files and allocates what a file declares; this refuses both.

Arrays are views of the mapped file where their bytes lie there as they are, which is how Keras writes them. Groups and
datasets are asked through h5py's own low level, which does not resolve a link to know of it, and takes half the time.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import h5py
import ml_dtypes
import numpy as np
from h5py import h5d, h5g, h5l, h5o

from dagir.errors import FileError, UnsafeFile
from dagir.types import Array
from dagir.weights import frozen
from dagir_keras.reading.archive import MAX_COMPRESSED, MAX_RATIO, SMALL, Window

_FILTERS = {1, 2, 3}  # deflate, shuffle, fletcher32: part of HDF5 itself, no plug-in is loaded
MAX_NAMES = 1 << 20
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError)  # what h5py raises on damage


def open_hdf5(view: memoryview, where: str) -> Group:
    """The root group of an HDF5 file that lies in `view`. Raises FileError."""
    try:
        file = h5py.File(Window(view), "r")
    except _BROKEN as error:
        raise FileError(f"{where}: is truncated, or is no HDF5 file: {_first_line(error)}") from None
    return Group(file["/"].id, view, where, "")


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0][:120] if str(error) else type(error).__name__


class Group:
    """A group whose links all stay within the file."""

    def __init__(self, group: h5g.GroupID, view: memoryview, file: str, path: str) -> None:
        self._group, self._view, self.file, self.path = group, view, file, path

    @property
    def where(self) -> str:
        """The file and the path in it, for messages."""
        return f"{self.file}: {self.path or '/'}"

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        found: list[bytes] = []
        try:
            self._group.links.iterate(found.append)
        except _BROKEN as error:
            raise FileError(f"{self.where}: is damaged: {_first_line(error)}") from None
        return [name.decode("utf-8", "surrogateescape") for name in found]

    @cached_property
    def _attributes(self) -> h5py.AttributeManager:
        return h5py.Group(self._group).attrs

    def __contains__(self, name: str) -> bool:
        return self._step(name) is not None if "/" not in name else self.get(name) is not None

    def get(self, path: str) -> Group | Dataset | None:
        """The member at a path; None where there is none. Raises UnsafeFile for a link that is not a hard one."""
        found: Group | Dataset | None = self
        for step in filter(None, path.split("/")):
            if not isinstance(found, Group):
                return None
            found = found._step(step)
        return found

    def group(self, path: str) -> Group | None:
        """The group at a path; None where there is none."""
        found = self.get(path)
        return found if isinstance(found, Group) else None

    def _step(self, name: str) -> Group | Dataset | None:
        path, encoded = f"{self.path}/{name}", name.encode("utf-8", "surrogateescape")
        try:
            if not self._group.links.exists(encoded):
                return None
            link = self._group.links.get_info(encoded).type
            if link != h5l.TYPE_HARD:
                raise UnsafeFile(f"{self.file}: {path} is {self._link(encoded, link)}; links are not followed")
            found = h5o.open(self._group, encoded)
            if isinstance(found, h5g.GroupID):
                return Group(found, self._view, self.file, path)
            if isinstance(found, h5d.DatasetID):
                return Dataset(found, self._view, f"{self.file}: {path}")
        except _BROKEN as error:
            raise FileError(f"{self.file}: {path} is damaged: {_first_line(error)}") from None
        raise FileError(f"{self.file}: {path} is neither a group nor a dataset")

    def _link(self, name: bytes, link: int) -> str:
        if link not in (h5l.TYPE_EXTERNAL, h5l.TYPE_SOFT):
            return "a link of a kind of its own"
        target = self._group.links.get_val(name)
        if link == h5l.TYPE_SOFT:
            return f"a soft link to {target.decode('utf-8', 'replace')!r}"
        return f"a link to another file, {target[0].decode('utf-8', 'replace')!r}"

    def text(self, name: str) -> str | None:
        """A text attribute; None where there is none."""
        found = self._attribute(name, scalar=True)
        if isinstance(found, bytes):
            found = found.decode("utf-8", "replace")
        return found if isinstance(found, str) else None

    def texts(self, name: str) -> list[str] | None:
        """A list of texts, which Keras splits over name0, name1, ... where it is long; None where there is none."""
        if name in self._attributes:
            return self._texts(name)
        parts: list[str] = []
        place = 0
        while f"{name}{place}" in self._attributes:
            parts += self._texts(f"{name}{place}")
            place += 1
        return parts if place else None

    def _texts(self, name: str) -> list[str]:
        found = self._attribute(name, scalar=False)
        if not isinstance(found, (list, tuple, np.ndarray)) or not all(
            isinstance(each, (bytes, str)) for each in found
        ):
            raise FileError(f"{self.where}: attribute {name} is no list of names")
        return [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in found]

    def _attribute(self, name: str, scalar: bool) -> Any:
        where = f"{self.where}: attribute {name}"
        if name not in self._attributes:
            return None
        try:
            found = self._attributes.get_id(name)
            count = math.prod(found.shape)
            if not count:  # HDF5 cannot tell the size of nothing
                return []
            size = found.get_storage_size()
            if count > min(MAX_NAMES, 1 if scalar else len(self._view)) or size > len(self._view):
                raise UnsafeFile(f"{where} declares {count} elements and {size} bytes")
            return self._attributes[name]
        except _BROKEN as error:
            raise FileError(f"{where} is damaged: {_first_line(error)}") from None


class Dataset:
    """A dataset whose numbers lie in the file itself."""

    def __init__(self, dataset: h5d.DatasetID, view: memoryview, where: str) -> None:
        self._dataset, self._view, self.where = dataset, view, where
        self.shape: tuple[int, ...] = tuple(dataset.shape or ())  # that it declares

    @property
    def _stored(self) -> np.dtype[Any]:
        """The dtype as the file has it, the order of the bytes included."""
        try:
            found: np.dtype[Any] = self._dataset.dtype
        except _BROKEN as error:
            raise FileError(f"{self.where} is damaged: {_first_line(error)}") from None
        return found

    def _dtype(self, found: np.dtype[Any]) -> np.dtype[Any]:
        """The dtype of the elements, stored as `found`. Raises FileError for what is no number."""
        if found.itemsize == 2 and self._says_bfloat16():
            return np.dtype(ml_dtypes.bfloat16)
        if found.kind not in "fiub" or found.itemsize > 8:
            kind = "text" if found.kind in "SUO" else str(found)
            raise FileError(f"{self.where} holds {kind}, a weight holds numbers")
        return found

    def _says_bfloat16(self) -> bool:
        """Whether Keras noted beside two bytes without a meaning in HDF5 that they are bfloat16."""
        try:
            said = h5py.Dataset(self._dataset).attrs.get("dtype")
        except _BROKEN as error:
            raise FileError(f"{self.where} is damaged: {_first_line(error)}") from None
        return said in ("bfloat16", b"bfloat16")

    def array(self) -> Array:
        """The numbers: a view of the file where they lie in it as they are, else read once.

        Raises UnsafeFile before anything is allocated where they lie elsewhere, or are more than the file can hold.
        """
        stored = self._stored
        dtype = self._dtype(stored)
        declared = math.prod(self.shape) * dtype.itemsize
        try:
            return self._array(dtype, stored, declared)
        except _BROKEN as error:
            raise FileError(f"{self.where} is damaged: {_first_line(error)}") from None

    def _array(self, dtype: np.dtype[Any], stored: np.dtype[Any], declared: int) -> Array:
        shape = self.shape
        plist = self._dataset.get_create_plist()
        self._check_within(plist)
        held, layout = self._dataset.get_storage_size(), plist.get_layout()
        if layout == h5d.CHUNKED:
            if declared > max(SMALL, MAX_RATIO * held) or declared > MAX_COMPRESSED:
                raise self._too_much(declared, held)
            return self._read(dtype, shape)
        if declared > held:
            raise self._too_much(declared, held)
        start = self._dataset.get_offset()
        if layout != h5d.CONTIGUOUS or start is None or start + declared > len(self._view):
            return self._read(dtype, shape)
        if not stored.isnative and dtype == stored:
            return self._read(dtype, shape)  # big-endian
        return np.frombuffer(self._view, dtype, math.prod(shape), start).reshape(shape)

    def _check_within(self, plist: h5py.h5p.PropDCID) -> None:
        if plist.get_external_count():
            file = plist.get_external(0)[0].decode("utf-8", "replace")
            raise UnsafeFile(f"{self.where} keeps its numbers in another file, {file!r}")
        if plist.get_layout() == h5d.VIRTUAL:
            raise UnsafeFile(f"{self.where} is a virtual dataset, made of other files")
        for place in range(plist.get_nfilters()):
            if plist.get_filter(place)[0] not in _FILTERS:
                raise UnsafeFile(f"{self.where} is packed by filter {plist.get_filter(place)[0]}, a plug-in")

    def _too_much(self, declared: int, held: int) -> UnsafeFile:
        return UnsafeFile(
            f"{self.where} declares {declared} bytes by its shape {list(self.shape)}, and the file holds {held} of them"
        )

    def _read(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        read = np.asarray(h5py.Dataset(self._dataset)[()])
        native = read.astype(read.dtype.newbyteorder("="), copy=False)
        return frozen(native.view(dtype).reshape(shape) if native.dtype != dtype and dtype.kind == "V" else native)


def walk(group: Group) -> Iterator[str]:
    """The names of the members that are groups."""
    for name in group.names:
        if isinstance(group.get(name), Group):
            yield name
