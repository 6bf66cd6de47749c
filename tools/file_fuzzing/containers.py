"""Mutations of each format: open its container, change what lies within, and close it soundly again."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
import zlib
from collections.abc import Callable
from random import Random
from typing import Any

import h5py
import numpy as np
import onnx

from file_fuzzing.mutations import NUMBERS, junk, mutate_bytes, mutate_json, mutate_message, text
from file_fuzzing.wire import mutate_wire

Mutation = Callable[[bytes, Random], bytes]


# ---- .keras


def _zip(members: list[tuple[str, bytes]], rng: Random | None = None) -> bytes:
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that stand twice
        with zipfile.ZipFile(buffer, "w") as archive:
            for name, data in members:
                packed = zipfile.ZIP_DEFLATED if rng is not None and rng.randrange(3) == 0 else zipfile.ZIP_STORED
                archive.writestr(name, data, packed)
    return buffer.getvalue()


def _members(data: bytes) -> list[tuple[str, bytes]]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return [(info.filename, archive.read(info)) for info in archive.infolist()]


def _within(name: str, change: Callable[[bytes, Random], bytes]) -> Mutation:
    def mutate(data: bytes, rng: Random) -> bytes:
        return _zip([(each, change(body, rng) if each == name else body) for each, body in _members(data)])

    return mutate


def _json_text(data: bytes, rng: Random) -> bytes:
    return json.dumps(mutate_json(json.loads(data), rng)).encode()


def _members_changed(data: bytes, rng: Random) -> bytes:
    members = _members(data)
    at = rng.randrange(len(members))
    name, body = members[at]
    kind = rng.randrange(4)
    if kind == 0:
        del members[at]
    elif kind == 1:
        members.append((name, rng.choice((body, b"", mutate_bytes(body, rng)))))
    elif kind == 2:
        members[at] = (text(rng).replace("\ud800", "?") or "x", body)
    else:
        members[at] = (name, rng.choice((b"", b"{}", b"[]", b"null", b"\xff\xfe", body[: len(body) // 2])))
    return _zip(members, rng)


# ---- HDF5


def mutate_hdf5(data: bytes, rng: Random) -> bytes:
    """Objects, shapes, dtypes, attributes and links changed by the library itself: a sound file of odd content."""
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        for _ in range(rng.choice((1, 1, 2, 4))):
            names: list[str] = []
            file.visit(names.append)
            try:
                rng.choice(_HDF5)(file, rng.choice(["/", *names]), rng)
            except (TypeError, ValueError, KeyError, OSError, RuntimeError, OverflowError, UnicodeError):
                continue
    return buffer.getvalue()


def _delete(file: Any, name: str, rng: Random) -> None:
    del file[name]


def _rename(file: Any, name: str, rng: Random) -> None:
    file.move(name, f"{name.rpartition('/')[0]}/{text(rng)}")


def _replace(file: Any, name: str, rng: Random) -> None:
    """Another dataset in the place of an object."""
    size = rng.choice(((), (0,), (1,), (3,), (3, 2), (2, 3, 4), (1,) * 32, (200,)))
    del file[name]
    kind = rng.randrange(8)
    if kind <= 2:
        dtype = rng.choice(("f2", "f4", ">f4", "f8", "i1", "u8", "i4", "c8", "S4", "?", "V7"))
        file.create_dataset(name, data=np.zeros(size, dtype))
    elif kind == 3:
        held = np.empty((2,), object)
        held[:] = ["a", "b" * rng.choice((1, 300))]
        file.create_dataset(name, data=held, dtype=h5py.string_dtype())
    elif kind == 4:
        file.create_dataset(name, shape=(2,), dtype=h5py.vlen_dtype(np.dtype("f4")))[0] = np.ones(3, "f4")
    elif kind == 5:
        huge = rng.choice((2**20, 2**31, 2**40, 2**62))
        file.create_dataset(name, shape=(huge,), dtype="f4", chunks=(1024,), fillvalue=1)
    elif kind == 6:
        compound = np.dtype([("a", "f4"), ("b", "i4")])
        file.create_dataset(name, data=np.zeros(rng.choice((1, 3)), rng.choice((compound, np.dtype(("f4", (2,)))))))
    else:
        filters: Any = rng.choice(({"compression": "gzip"}, {"fletcher32": True}, {"shuffle": True}))
        file.create_dataset(name, data=np.ones((8, 8), "f4"), chunks=(4, 4), **filters)


def _attribute(file: Any, name: str, rng: Random) -> None:
    held = file[name].attrs
    key = rng.choice([*held, "layer_names", "weight_names", "model_config", "keras_version", "name", text(rng)])
    kind = rng.randrange(8)
    if kind == 0:
        del held[key]
    elif kind == 1:
        held[key] = rng.choice(("", "{}", "null", text(rng), b"\xff\xfe", "[" * 5000))
    elif kind == 2:
        held[key] = rng.choice(NUMBERS)
    elif kind == 3:
        held[key] = np.asarray(
            [text(rng).encode("utf-8", "replace") for _ in range(3)], dtype=rng.choice(("S9", object))
        )
    elif kind == 4:
        held[key] = rng.choice((np.zeros(3), np.zeros((2, 2), "S3"), np.float32(0.5), np.zeros((0,)), np.bool_(1)))
    elif kind == 5:
        held[key] = h5py.Empty(rng.choice(("f4", "S10")))
    elif kind == 6:
        held[key] = rng.choice((file[name].ref, np.array([1 + 2j])))
    elif isinstance(held.get(key), np.ndarray):
        held[key] = held[key][::-1] if rng.randrange(2) else held[key][:1]


def _link(file: Any, name: str, rng: Random) -> None:
    place = rng.choice((name, f"{name}/more"))
    if place in file and place != "/":
        del file[place]
    kind = rng.randrange(4)
    if kind == 0:
        file[place] = h5py.SoftLink(rng.choice(("/", name, "/missing", "layers")))
    elif kind == 1:
        file[place] = h5py.ExternalLink(rng.choice(("other.h5", "/etc/passwd")), "/")
    elif kind == 2:
        file[place] = file["/"]  # a loop
    else:
        layout = h5py.VirtualLayout(shape=(3, 2), dtype="f4")
        layout[:] = h5py.VirtualSource("other.h5", "x", shape=(3, 2))
        file.create_virtual_dataset(place, layout)


def _group(file: Any, name: str, rng: Random) -> None:
    if rng.randrange(2) and name != "/":
        del file[name]
    file.create_group(f"{name}/{text(rng) or 'x'}/vars")


_HDF5 = (_delete, _rename, _replace, _replace, _attribute, _attribute, _link, _group)


def _config_attribute(data: bytes, rng: Random) -> bytes:
    buffer = io.BytesIO(data)
    with h5py.File(buffer, "r+") as file:
        file.attrs["model_config"] = json.dumps(mutate_json(json.loads(file.attrs["model_config"]), rng))
    return buffer.getvalue()


# ---- safetensors and .dagir


def _open_tensors(data: bytes) -> tuple[dict[str, Any], bytes]:
    length = int.from_bytes(data[:8], "little")
    return json.loads(data[8 : 8 + length]), data[8 + length :]


def _close_tensors(header: Any, body: bytes) -> bytes:
    written = json.dumps(header).encode()
    return len(written).to_bytes(8, "little") + written + body


def _header(data: bytes, rng: Random) -> bytes:
    header, body = _open_tensors(data)
    if "graph" in header.get("__metadata__", {}) and rng.randrange(4):  # its text is long: the rest is what is meant
        kept = header["__metadata__"].pop("graph")
        header = mutate_json(header, rng)
        if isinstance(header, dict) and isinstance(header.get("__metadata__"), dict):
            header["__metadata__"]["graph"] = kept
        return _close_tensors(header, body)
    return _close_tensors(mutate_json(header, rng), body)


def _document(data: bytes, rng: Random) -> bytes:
    """The graph changed, under a checksum that is right."""
    header, body = _open_tensors(data)
    document = json.loads(header["__metadata__"]["graph"])
    part = rng.choice(["", *(key for key in document if document[key])])
    if part:  # or most changes would hit the longest part
        document[part] = mutate_json(document[part], rng)
    else:
        document = mutate_json(document, rng)
    written = json.dumps(document)
    header["__metadata__"] |= {"graph": written, "graph_crc32": f"{zlib.crc32(written.encode()):08x}"}
    return _close_tensors(header, body)


# ---- .onnx


def _proto(data: bytes, rng: Random) -> bytes:
    model = onnx.ModelProto.FromString(data)
    mutate_message(model, rng)
    return bytes(model.SerializeToString())


def _certificate(data: bytes, rng: Random) -> bytes:
    """The certificate changed, the model as it was."""
    model = onnx.ModelProto.FromString(data)
    for entry in model.metadata_props:
        if entry.key == "dagir.certificate":
            held = json.loads(entry.value)
            part = rng.choice(["", *held])
            changed = mutate_json(held, rng) if not part else {**held, part: mutate_json(held[part], rng)}
            entry.value = json.dumps(changed if rng.randrange(30) else junk(changed, rng))
    return bytes(model.SerializeToString())


MUTATIONS: dict[str, tuple[Mutation, ...]] = {
    "keras": (
        mutate_bytes,
        _members_changed,
        _within("config.json", _json_text),
        _within("config.json", _json_text),
        _within("config.json", mutate_bytes),
        _within("model.weights.h5", mutate_bytes),
        _within("model.weights.h5", mutate_hdf5),
    ),
    "h5": (mutate_bytes, mutate_hdf5, mutate_hdf5, _config_attribute),
    "dagir": (mutate_bytes, _header, _document, _document, _document),
    "weights": (mutate_bytes, _header),
    "graph": (mutate_bytes, mutate_wire, mutate_wire, mutate_wire),
    "savedmodel": (mutate_bytes, mutate_wire, mutate_wire, mutate_wire),
    "checkpoint": (mutate_bytes,),
    "onnx": (mutate_bytes, _proto, _proto),
    "certificate": (mutate_bytes, _proto, _certificate, _certificate, _certificate),
    "pair": (mutate_bytes, _proto, _proto),
}
