"""Rows 73 to 79: .dagir files that are damaged, newer, or hostile. tests/serialization holds many more of each kind."""

from __future__ import annotations

import json
import pickle
import struct

import numpy as np
import pytest

import dagir
from dagir.errors import FileError
from effort import steps
from faults.dagir_files import change_header, join, model, parts, refused, rewrite


@pytest.fixture
def path(tmp_path):
    return tmp_path / "m.dagir"


def test_row_73_header_length_of_2_to_the_63(path):
    path.write_bytes(struct.pack("<Q", 2**63) + b"{}" * 20)
    refused(path, f"is no safetensors file: it declares a header of {2**63} bytes")
    path.write_bytes(struct.pack("<Q", 0) + b"{}" * 20)
    refused(path, "is no safetensors file: it declares a header of 0 bytes")


def test_row_74_overlapping_gapped_or_trailing_bytes(path):
    model().save(path)
    good, data = parts(path)

    def trial(message, change, more=b""):
        header = json.loads(json.dumps(good))
        change(header)
        join(path, header, data + more)
        refused(path, message)

    def shift(header):
        header["hidden/bias"]["data_offsets"] = [0, 16]

    trial("hidden/kernel: its bytes overlap those of another tensor", shift)
    trial("4 trailing bytes belong to no tensor", lambda header: None, b"abcd")
    trial("last/kernel: its bytes leave a gap of 16", lambda header: header.pop("hidden/bias"))

    def set_entry(**entry):
        return lambda header: header["hidden/kernel"].update(entry)

    trial("hidden/kernel: declares 96 bytes by its shape and 48 by its offsets", set_entry(shape=[6, 4]))
    trial("hidden/kernel: declares 160000000000", set_entry(shape=[200000, 200000]))
    trial("hidden/kernel: has the shape [-3, -4]", set_entry(shape=[-3, -4]))
    trial("hidden/kernel.shape[0]: is an int of more than 64 bits", set_entry(shape=[2**64, 4]))
    trial("hidden/kernel.shape[0]: must be an int, got 3.0", set_entry(shape=[3.0, 4]))
    trial("hidden/kernel.shape: must be a list, got 'x'", set_entry(shape="x"))
    trial("hidden/kernel: has dtype 'O'; known are F64", set_entry(dtype="O"))
    trial("hidden/kernel: has the offsets [48, 0]", set_entry(data_offsets=[48, 0]))
    trial("hidden/kernel: has the unknown field '__reduce__'", set_entry(__reduce__=1))
    trial("hidden/kernel: is truncated: its bytes end at", set_entry(shape=[10**6], data_offsets=[0, 4 * 10**6]))
    trial("__metadata__.format: must be a string, got 3", lambda header: header["__metadata__"].update(format=3))
    trial("hidden/kernel: must be an object, got 5", lambda header: header.update({"hidden/kernel": 5}))


def test_row_75_duplicate_keys(path):
    model().save(path)
    header, data = parts(path)
    text = json.dumps(header)
    join(path, (text[:-1] + ', "hidden/bias": {}}').encode(), data)
    refused(path, "the key 'hidden/bias' stands twice in one object")
    model().save(path)
    rewrite(path, lambda document: '{"model": 0, "model": 1}')
    refused(path, "graph: the key 'model' stands twice in one object")


def test_row_76_newer_format_version(path):
    model().save(path)
    for version, message in (
        ("2", "has format version 2, this dagir reads versions up to 1"),
        ("0", "has the format version '0'"),
        ("one", "has the format version 'one'"),
        ("9" * 5000, "has the format version '999"),
    ):
        change_header(path, lambda header, version=version: header["__metadata__"].update(version=version))
        refused(path, message)


def test_row_77_checksum_mismatch(path):
    model().save(path)
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(FileError, match="does not match its checksum: the file is damaged"):
        dagir.load(path)
    assert dagir.load(path, checksums=False).name == "m"
    model().save(path)
    change_header(path, lambda h: h["__metadata__"].update(graph=h["__metadata__"]["graph"].replace("Relu", "Tanh")))
    refused(path, "graph: does not match its checksum: the file is damaged")


def first_layer(document):
    return next(record for record in document["layers"] if record["name"] == "hidden")


def first_node(document):
    return document["nodes"][0]


HOSTILE = ["__class__", "__init__", "__dict__", "__reduce__", "__setattr__", "__globals__"]


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize(
    "place", [lambda document: document, first_node, lambda d: first_node(d).setdefault("fields", {})]
)
def test_row_78_names_of_attributes_are_plain_data(name, place, path):
    model().save(path)
    rewrite(path, lambda document: place(document).update({name: "os.system"}))
    with pytest.raises(FileError) as caught:
        dagir.load(path)
    assert f"has the unknown field {name!r}" in caught.value.summary
    assert caught.value.summary.startswith(f"{path}: ")


@pytest.mark.parametrize("name", HOSTILE)
def test_row_78_in_a_configuration_they_are_unknown_arguments(name, path):
    model().save(path)

    def change(document):
        config = {"dict": [["units", 4], [name, "os.system"]]}
        first_layer(document).update(config=config)

    rewrite(path, change)
    with pytest.raises(FileError) as caught:
        dagir.load(path)
    assert caught.value.summary.startswith(f"{path}: layers[1]: Dense refuses its configuration")


def test_row_79_pickles_are_never_read(path, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (open, (str(tmp_path / "exploded"), "w"))

    for content in (pickle.dumps(Bomb()), pickle.dumps({"weights": Bomb()}) * 40):
        path.write_bytes(content)
        with pytest.raises(FileError) as caught:
            dagir.load(path)
        assert caught.value.summary.startswith(f"{path}: is ")
    with open(path, "wb") as file:
        np.save(file, np.asarray([Bomb()], object), allow_pickle=True)
    refused(path, "is ")
    assert not (tmp_path / "exploded").exists()


def test_row_79_arrays_of_objects_have_no_dtype(path):
    model().save(path)
    change_header(path, lambda header: header["hidden/kernel"].update(dtype="O"))
    refused(path, "hidden/kernel: has dtype 'O'; known are F64, F32, F16, BF16")
    with pytest.raises(dagir.ArgumentError, match="'object'> is not a dtype"):
        dagir.Input((3,), dtype=object)
    with pytest.raises(dagir.ArgumentError, match="weight 'hidden/kernel' takes numbers, got an array of object"):
        model().get_layer("hidden").kernel.assign(np.asarray([[{}] * 4] * 3, object))


def test_rows_73_to_79_take_few_steps_and_no_memory(path):
    for length in (2**63, 2**64 - 1, 2**40):
        path.write_bytes(struct.pack("<Q", length) + b"{" * 100)
        message = f"is no safetensors file: it declares a header of {length} bytes"
        assert steps(lambda message=message: refused(path, message)) < 1_000
