"""The formats of model files: by the suffix of a path, by the first bytes of a file, and how to write and read them."""

from __future__ import annotations

import os
from dataclasses import dataclass

from dagir.errors import ArgumentError
from dagir.support.did_you_mean import nearest


@dataclass(frozen=True)
class Format:
    """A format of files. starts: the bytes that such a file begins with. write, read: how, with {} for the path."""

    name: str
    suffixes: tuple[str, ...]
    starts: tuple[bytes, ...]
    write: str
    read: str


DAGIR = Format("dagir", (".dagir",), (), "model.save({})", "read it with dagir.load({})")
KERAS = Format(
    "Keras",
    (".keras", ".h5", ".hdf5"),
    (b"PK\x03\x04", b"\x89HDF\r\n\x1a\n"),
    "dagir.to_keras(model).save({})",
    "read it with dagir.from_keras({})",
)
ONNX = Format(
    "ONNX",
    (".onnx",),
    tuple(bytes((8, version, 18)) for version in range(3, 32)),  # ir_version, then producer_name
    "dagir.to_onnx(model, {})",
    "read it with dagir.from_onnx({})",
)
_FORMATS = (DAGIR, KERAS, ONNX)


def refuse_other_suffix(path: str | os.PathLike[str], own: Format) -> None:
    """Raise ArgumentError for a path with the suffix of another format, or one that is nearly that of a format."""
    name = os.fspath(path)
    suffix = os.path.splitext(name)[1].lower()
    for other in _FORMATS:
        if other is not own and suffix in other.suffixes:
            raise ArgumentError(
                f"{name} names a file of {other.name}, and this would write one of {own.name}",
                remedy=f"{other.write.format(repr(name))}, or give the path the suffix {own.suffixes[0]}",
            )
    known = [each for other in _FORMATS for each in other.suffixes]
    meant = nearest(suffix, known)
    if suffix not in known and meant:
        raise ArgumentError(
            f"{name} has the suffix {suffix}, and this writes one of {own.name}",
            remedy=f"did you mean {meant[0]}? this writes {own.suffixes[0]}",
        )


def format_of(head: bytes) -> Format | None:
    """The format of a file by its first 16 bytes; None if it is unknown."""
    if head[8:9] == b"{":  # a safetensors header of any length
        return DAGIR
    return next((each for each in _FORMATS if head.startswith(each.starts)), None)
