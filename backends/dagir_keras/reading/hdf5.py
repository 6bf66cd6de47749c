"""HDF5, guarded. h5py follows links into other files and allocates what a file declares; this refuses both.

Arrays are views of the mapped file where their bytes lie there as they are, which is how Keras writes them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import cached_property
from typing import Any

import h5py
import numpy as np

from dagir.errors import FileError, UnsafeFile
from dagir.types import Array, DType
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
    return Group(file["/"], view, where, "")


def _first_line(error: Exception) -> str:
    return str(error).strip("'\"").splitlines()[0][:120] if str(error) else type(error).__name__


class Group:
    """A group whose links all stay within the file."""

    def __init__(self, group: h5py.Group, view: memoryview, file: str, path: str) -> None:
        self._group, self._view, self.file, self.path = group, view, file, path

    @property
    def where(self) -> str:
        """The file and the path in it, for messages."""
        return f"{self.file}: {self.path or '/'}"

    @cached_property
    def names(self) -> list[str]:
        """The names of the members."""
        try:
            return list(self._group.keys())
        except _BROKEN as error:
            raise FileError(f"{self.where}: is damaged: {_first_line(error)}") from None

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
        path = f"{self.path}/{name}"
        try:
            link = self._group.get(name, getlink=True)
            if link is None:
                return None
            if not isinstance(link, h5py.HardLink):
                raise UnsafeFile(f"{self.file}: {path} is {_link(link)}; links are not followed")
            found = self._group[name]
        except KeyError:
            return None
        except _BROKEN as error:
            raise FileError(f"{self.file}: {path} is damaged: {_first_line(error)}") from None
        if isinstance(found, h5py.Group):
            return Group(found, self._view, self.file, path)
        if isinstance(found, h5py.Dataset):
            return Dataset(found, self._view, f"{self.file}: {path}")
        raise FileError(f"{self.file}: {path} is neither a group nor a dataset")

    def text(self, name: str) -> str | None:
        """A text attribute; None where there is none."""
        found = self._attribute(name, scalar=True)
        if isinstance(found, bytes):
            found = found.decode("utf-8", "replace")
        return found if isinstance(found, str) else None

    def texts(self, name: str) -> list[str] | None:
        """A list of texts, which Keras splits over name0, name1, ... where it is long; None where there is none."""
        if name in self._group.attrs:
            return self._texts(name)
        parts: list[str] = []
        place = 0
        while f"{name}{place}" in self._group.attrs:
            parts += self._texts(f"{name}{place}")
            place += 1
        return parts if place else None

    def _texts(self, name: str) -> list[str]:
        found = self._attribute(name, scalar=False)
        return [each.decode("utf-8", "replace") if isinstance(each, bytes) else str(each) for each in found]

    def _attribute(self, name: str, scalar: bool) -> Any:
        where = f"{self.where}: attribute {name}"
        if name not in self._group.attrs:
            return None
        try:
            found = self._group.attrs.get_id(name)
            count = math.prod(found.shape)
            if not count:  # HDF5 cannot tell the size of nothing
                return []
            size = found.get_storage_size()
            if count > min(MAX_NAMES, 1 if scalar else len(self._view)) or size > len(self._view):
                raise UnsafeFile(f"{where} declares {count} elements and {size} bytes")
            return self._group.attrs[name]
        except _BROKEN as error:
            raise FileError(f"{where} is damaged: {_first_line(error)}") from None


def _link(link: Any) -> str:
    if isinstance(link, h5py.ExternalLink):
        return f"a link to another file, {link.filename!r}"
    return f"a soft link to {link.path!r}" if isinstance(link, h5py.SoftLink) else "a link of a kind of its own"


class Dataset:
    """A dataset whose numbers lie in the file itself."""

    def __init__(self, dataset: h5py.Dataset, view: memoryview, where: str) -> None:
        self._dataset, self._view, self.where = dataset, view, where

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape that it declares."""
        return tuple(self._dataset.shape or ())

    @cached_property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the elements. Raises FileError for what is no number."""
        import ml_dtypes

        try:
            found = self._dataset.dtype
            said = self._dataset.attrs.get("dtype")
        except _BROKEN as error:
            raise FileError(f"{self.where} is damaged: {_first_line(error)}") from None
        if said in ("bfloat16", b"bfloat16") and found.itemsize == 2:
            return np.dtype(ml_dtypes.bfloat16)
        if found.kind not in "fiub" or found.name not in set(DType):
            kind = "text" if found.kind in "SUO" else str(found)
            raise FileError(f"{self.where} holds {kind}, a weight holds numbers")
        return found

    def array(self) -> Array:
        """The numbers: a view of the file where they lie in it as they are, else read once.

        Raises UnsafeFile before anything is allocated where they lie elsewhere, or are more than the file can hold.
        """
        dtype, shape = self.dtype, self.shape
        declared = math.prod(shape) * dtype.itemsize
        try:
            return self._array(dtype, shape, declared)
        except _BROKEN as error:
            raise FileError(f"{self.where} is damaged: {_first_line(error)}") from None

    def _array(self, dtype: np.dtype[Any], shape: tuple[int, ...], declared: int) -> Array:
        self._check_within()
        held = self._dataset.id.get_storage_size()
        layout = self._dataset.id.get_create_plist().get_layout()
        if layout == h5py.h5d.CHUNKED:
            if declared > max(SMALL, MAX_RATIO * held) or declared > MAX_COMPRESSED:
                raise self._too_much(declared, held)
            return self._read(dtype, shape)
        if declared > held:
            raise self._too_much(declared, held)
        start = self._dataset.id.get_offset()
        if layout != h5py.h5d.CONTIGUOUS or start is None or start + declared > len(self._view):
            return self._read(dtype, shape)
        stored = dtype if dtype.kind == "V" else self._dataset.dtype.newbyteorder("=")
        if self._dataset.dtype != stored and dtype == self._dataset.dtype:
            return self._read(dtype, shape)  # big-endian
        return np.frombuffer(self._view, dtype, math.prod(shape), start).reshape(shape)

    def _check_within(self) -> None:
        if self._dataset.external:
            raise UnsafeFile(f"{self.where} keeps its numbers in another file, {self._dataset.external[0][0]!r}")
        if self._dataset.is_virtual:
            raise UnsafeFile(f"{self.where} is a virtual dataset, made of other files")
        plist = self._dataset.id.get_create_plist()
        for place in range(plist.get_nfilters()):
            if plist.get_filter(place)[0] not in _FILTERS:
                raise UnsafeFile(f"{self.where} is packed by filter {plist.get_filter(place)[0]}, a plug-in")

    def _too_much(self, declared: int, held: int) -> UnsafeFile:
        return UnsafeFile(
            f"{self.where} declares {declared} bytes by its shape {list(self.shape)}, and the file holds {held} of them"
        )

    def _read(self, dtype: np.dtype[Any], shape: tuple[int, ...]) -> Array:
        read = np.asarray(self._dataset[()])
        native = read.astype(read.dtype.newbyteorder("="), copy=False)
        return native.view(dtype).reshape(shape) if native.dtype != dtype and dtype.kind == "V" else native


def walk(group: Group) -> Iterator[str]:
    """The names of the members that are groups."""
    for name in group.names:
        if isinstance(group.get(name), Group):
            yield name
