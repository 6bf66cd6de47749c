"""The index of a checkpoint, taken apart and written again."""

from __future__ import annotations

import struct

from dagir.support.crc32c import crc32c, masked
from dagir_keras.reading.tensorflow import checkpoint
from dagir_keras.reading.tensorflow.messages import decode
from faults.saved_models import encode


def entries(path):
    """The header under the empty key, and the entry of each tensor, by key."""
    found = {bytes(key): bytes(part) for key, part in checkpoint._table(memoryview(path.read_bytes()), str(path))}
    return {key: decode(part, "BundleEntry" if key else "BundleHeader", "it") for key, part in found.items()}


def write(path, found):
    """The same, as a table of one block."""
    out = bytearray()
    handle = _block(out, {key: encode(each, "BundleEntry" if key else "BundleHeader") for key, each in found.items()})
    empty = _block(out, {})
    index = _block(out, {b"\xff": handle})
    path.write_bytes(bytes(out) + (empty + index).ljust(40, b"\0") + struct.pack("<Q", checkpoint._MAGIC))


def _block(out, parts):
    body = bytearray()
    for key, part in sorted(parts.items()):
        body += b"\0" + _number(len(key)) + _number(len(part)) + key + part
    body += struct.pack("<II", 0, 1)
    place = len(out)
    out += body + b"\0" + struct.pack("<I", masked(crc32c(bytes(body + b"\0"))))
    return _number(place) + _number(len(body))


def _number(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    return bytes([*out, value])
