"""Writing .onnx files: weights inside or beside, to a temporary file that is renamed."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from onnx import ModelProto, StringStringEntryProto, TensorProto

from dagir.errors import FileError
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Tensor

EMBEDDED_LIMIT = 2**31 - 2**24  # protobuf ends at 2 GiB; the graph needs some of it
_SMALL = 1024


def size_of(initializers: dict[str, Tensor]) -> int:
    """The bytes of all initializers."""
    total = 0
    for tensor in initializers.values():
        count = 1
        for size in tensor.type.shape:
            count *= int(size)  # type: ignore[arg-type]
        total += count * tensor.type.dtype.numpy.itemsize
    return total


def write(
    model: ModelProto, initializers: dict[str, Tensor], path: Path, *, external_data: bool | None, overwrite: bool
) -> Path:
    """Write the model and return its path. Raises FileError where it cannot be written or would replace a file."""
    outside = size_of(initializers) > EMBEDDED_LIMIT if external_data is None else external_data
    data_path = path.with_name(path.name + ".data")
    for target in [path, *([data_path] if outside else [])]:
        if target.exists() and not overwrite:
            raise FileError(f"{target} exists", remedy="choose another path, or pass overwrite=True")
    pending = [target.with_name(f".{target.name}.{os.getpid()}.tmp") for target in (path, data_path)]
    try:
        if outside:
            _write_outside(model, initializers, pending[1], data_path.name)
        else:
            from dagir_onnx.lowering import embed

            embed(model, initializers)
        pending[0].write_bytes(model.SerializeToString(deterministic=True))
        if outside:
            os.replace(pending[1], data_path)
        os.replace(pending[0], path)
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror or error}") from error
    finally:
        for leftover in pending:
            with contextlib.suppress(OSError):
                leftover.unlink()
    return path


def _write_outside(model: ModelProto, initializers: dict[str, Tensor], data: Path, location: str) -> None:
    """Each weight at an offset that a memory map can start at, straight from its array."""
    with data.open("wb") as file:
        for name, tensor in initializers.items():
            array = tensor.array
            proto = TensorProto(name=name, data_type=TO_ONNX[tensor.type.dtype], dims=array.shape)
            if array.nbytes < _SMALL:
                proto.raw_data = array.tobytes()
            else:
                file.write(b"\0" * (-file.tell() % 4096))
                entries = {"location": location, "offset": str(file.tell()), "length": str(array.nbytes)}
                proto.data_location = TensorProto.EXTERNAL
                proto.external_data.extend(StringStringEntryProto(key=k, value=v) for k, v in entries.items())
                array.tofile(file)
            model.graph.initializer.append(proto)
