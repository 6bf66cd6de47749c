"""The numbers of tensors in a model, as arrays: views of the message or of the mapped file beside it, no copies."""

from __future__ import annotations

import mmap
from math import prod
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
from onnx import SparseTensorProto, TensorProto, helper, numpy_helper

from dagir.errors import FileError, UnsafeFile
from dagir.ir.types import Array
from dagir_onnx.dtypes import FLOAT4E2M1, INT2, UINT2
from dagir_onnx.importing.refusals import Refused

_PACKED = frozenset((TensorProto.INT4, TensorProto.UINT4, FLOAT4E2M1, INT2, UINT2))

_KEYS = frozenset(("location", "offset", "length", "checksum"))


class StoredArrays:
    """Reads tensors of one model. file: beside which its external data lie; None for a model in memory."""

    def __init__(self, source: str, file: Path | None) -> None:
        self.source, self.file = source, file
        self._maps: dict[str, mmap.mmap] = {}

    def array(self, tensor: TensorProto) -> Array:
        """The numbers, read-only where they are a view. Raises FileError, and Refused for text."""
        if tensor.data_type == TensorProto.STRING:
            raise Refused("it is a tensor of text", "do it before the model")
        if tensor.data_location == TensorProto.EXTERNAL:
            return self._external(tensor)
        if tensor.HasField("raw_data") and tensor.data_type not in _PACKED:
            return self._shaped(tensor, tensor.raw_data)
        try:
            found: Array = numpy_helper.to_array(tensor)
        except (ValueError, TypeError) as error:
            raise self._damaged(tensor) from error
        return found

    def sparse(self, tensor: SparseTensorProto) -> Array:
        """A sparse tensor, filled up with zeros. Raises FileError."""
        values, indices = self.array(tensor.values), self.array(tensor.indices)
        shape = tuple(tensor.dims)
        whole = np.zeros(prod(shape), values.dtype)
        try:
            flat = indices if indices.ndim == 1 else np.ravel_multi_index(tuple(indices.T), shape)
            whole[flat] = values
        except (ValueError, IndexError) as error:
            raise self._damaged(tensor.values) from error
        return whole.reshape(shape)

    def _external(self, tensor: TensorProto) -> Array:
        said = self._place(tensor)
        location = said.get("location", "")
        if self.file is None:
            raise FileError(
                f"{self.source}: the tensor {tensor.name!r} lies in {location!r} beside a file",
                remedy="give dagir.from_onnx the path of the file in place of the proto",
            )
        try:
            start, length = int(said.get("offset", 0)), int(said["length"]) if "length" in said else None
        except ValueError:
            raise FileError(f"{self.source}: the place of the tensor {tensor.name!r} is no number") from None
        whole = memoryview(self._mapped(location, tensor.name))
        end = len(whole) if length is None else start + length
        if not 0 <= start <= end <= len(whole):
            raise FileError(f"{self.source}: the tensor {tensor.name!r} lies outside of {location!r}")
        if tensor.data_type in _PACKED:
            copied = TensorProto(data_type=tensor.data_type, dims=tensor.dims, raw_data=bytes(whole[start:end]))
            return self.array(copied)
        needed = prod(tensor.dims) * _dtype(tensor).itemsize
        return self._shaped(tensor, whole[start : start + needed if length is None else end])

    def _place(self, tensor: TensorProto) -> dict[str, str]:
        """Where external data lie, by key. Raises FileError for a key that is unknown, or there twice."""
        said: dict[str, str] = {}
        for entry in tensor.external_data:
            if entry.key in said or entry.key not in _KEYS:
                what = "twice" if entry.key in said else "which ONNX does not have"
                raise FileError(f"{self.source}: the place of the tensor {tensor.name!r} has {entry.key!r}, {what}")
            said[entry.key] = entry.value
        return said

    def _mapped(self, location: str, name: str) -> mmap.mmap | bytes:
        """A file beside the model, mapped. Raises FileError, UnsafeFile for one that is elsewhere."""
        assert self.file is not None
        if location not in self._maps:
            path = self.file.parent / location
            try:
                self._require_beside(path, location, name)
                if path.stat().st_size == 0:
                    return b""
                with path.open("rb") as file:
                    self._maps[location] = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            except OSError as error:
                raise FileError(f"{self.source}: {location!r} cannot be read: {error.strerror or error}") from None
        return self._maps[location]

    def _require_beside(self, path: Path, location: str, name: str) -> None:
        """Raise an error unless it is a regular file in the folder of the model. Links may lead to where it lies."""
        assert self.file is not None
        said = f"{self.source}: the tensor {name!r} lies in {location!r}"
        if not path.exists():
            raise FileError(f"{said}, and there is no such file", remedy="keep the file of weights beside the model")
        if not path.is_file():
            raise UnsafeFile(f"{said}, which is no file")
        folders = {self.file.parent.resolve(), self.file.resolve().parent}
        if folders.isdisjoint(path.resolve().parents) or path.stat().st_nlink > 1:
            raise UnsafeFile(f"{said}, which is a link to a file elsewhere", remedy="copy the file beside the model")

    def _shaped(self, tensor: TensorProto, data: Any) -> Array:
        dtype = _dtype(tensor)
        if len(data) != prod(tensor.dims) * dtype.itemsize:
            raise self._damaged(tensor)
        found: Array = np.frombuffer(data, dtype).reshape(tuple(tensor.dims))
        return found

    def _damaged(self, tensor: TensorProto) -> FileError:
        return FileError(f"{self.source}: the tensor {tensor.name!r} does not hold what its shape and dtype say")


def _dtype(tensor: TensorProto) -> np.dtype[Any]:
    if tensor.data_type == TensorProto.BFLOAT16:
        return np.dtype(ml_dtypes.bfloat16)
    try:
        return np.dtype(helper.tensor_dtype_to_np_dtype(tensor.data_type)).newbyteorder("<")
    except (KeyError, TypeError):
        raise Refused(f"the tensor {tensor.name!r} has the dtype {tensor.data_type}, which dagir has not") from None


__all__ = ["StoredArrays"]
