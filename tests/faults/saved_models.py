"""A SavedModel as TensorFlow wrote it, taken apart, changed and written again: the inverse of the reader's decoding."""

from __future__ import annotations

import shutil
import struct
from pathlib import Path

from dagir_keras.reading.tensorflow.messages import SCHEMAS, decode

SOUND = Path(__file__).with_name("saved_model")
"""A branch, a loop, a variable and a table of a file: `serving_default` has two inputs, `x` and `word`."""


def copied(folder):
    """The SavedModel in a folder of its own, and its decoded message."""
    shutil.copytree(SOUND, folder)
    message = decode((folder / "saved_model.pb").read_bytes(), "SavedModel", "it")
    library = message["meta_graphs"][0]["graph"]["library"]
    library["functions"] = [decode(each, "Function", "it") for each in library["functions"]]
    return folder, message


def written(folder, message):
    """Write a message into the folder."""
    (folder / "saved_model.pb").write_bytes(encode(message, "SavedModel"))
    return folder


def encode(message, kind):
    """The bytes of a message."""
    out = bytearray()
    for number, field in SCHEMAS[kind].items():
        if field.name not in message:
            continue
        given = message[field.name]
        if field.form == "map":
            for key, part in given.items():
                entry = _tagged(1, key, "text") + _tagged(2, part, field.kind)
                out += _number(number << 3 | 2) + _number(len(entry)) + entry
        else:
            for part in given if field.form == "many" else [given]:
                out += _tagged(number, part, field.kind)
    return bytes(out)


def _tagged(number, part, kind):
    if kind in ("int", "bool"):
        return _number(number << 3) + _number(int(part))
    if kind in ("float", "fixed"):
        return _number(number << 3 | 5) + struct.pack("<f" if kind == "float" else "<I", part)
    if kind == "double":
        return _number(number << 3 | 1) + struct.pack("<d", part)
    if isinstance(part, dict) and kind == "view":
        kind = "Function"
    data = part.encode() if kind == "text" else bytes(part) if kind in ("bytes", "view") else encode(part, kind)
    return _number(number << 3 | 2) + _number(len(data)) + data


def _number(value):
    value %= 1 << 64
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)
    return bytes(out)


def functions(message):
    """The functions of the graph."""
    return message["meta_graphs"][0]["graph"]["library"]["functions"]


def nodes(message):
    """The nodes of the graph itself, by name."""
    return {each["name"]: each for each in message["meta_graphs"][0]["graph"]["nodes"]}


def node(name, op, *inputs, **attributes):
    """A node."""
    return {"name": name, "op": op, "inputs": list(inputs), "attributes": attributes}
