"""A .dagir file, taken apart and put together again with something wrong in it."""

from __future__ import annotations

import json
import struct
import zlib

import pytest

import dagir
from dagir import layers, ops
from dagir.errors import FileError
from dagir.modeling.model import Model


def model():
    x = dagir.Input(("time", 3), name="x")
    hidden = layers.Dense(4, "relu", name="hidden")(x)
    inner = dagir.Input((4,), name="inner")
    nested = Model(inner, layers.Dense(2, name="last")(inner), name="nested")
    return Model(x, nested(ops.clip(hidden[:, 0], -1, 1) + 1.0), name="m")


def parts(path):
    """Header and data of a file."""
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(path, header, data):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def rewrite(path, change):
    """Change the document of a file, and make its checksum right again."""
    header, data = parts(path)
    document = json.loads(header["__metadata__"]["graph"])
    text = change(document)
    if not isinstance(text, str):
        text = json.dumps(document)
    header["__metadata__"]["graph"] = text
    header["__metadata__"]["graph_crc32"] = f"{zlib.crc32(text.encode()):08x}"
    join(path, header, data)


def refused(path, message):
    """Loading raises FileError, whose first line is the file and then this."""
    with pytest.raises(FileError) as caught:
        dagir.load(path)
    assert caught.value.summary.startswith(f"{path}: {message}" if message else f"{path}"), caught.value.summary
    assert caught.value.exit_code == 5


def change_header(path, change):
    header, data = parts(path)
    data = change(header) or data
    join(path, header, data)
