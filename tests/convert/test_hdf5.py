"""HDF5 is read from its bytes; h5py, which reads it by HDF5's own library, says what is in it."""

from __future__ import annotations

import io
from random import Random

import h5py
import ml_dtypes
import numpy as np
import pytest

from dagir.errors import FileError, UnsafeFile
from dagir_keras.reading.files.hdf5 import Dataset, Group, open_hdf5

VERSIONS = [None, "v108", "v110", "latest"]
DTYPES = ["f4", "f2", "f8", ">f4", "i4", "u1", "i8", ">i2", "?"]
TEXTS = ["", "text", "x" * 3000, ["a", "bcd", "é"], [b"ab", b"c"], np.array([b"y" * 300] * 20), []]


def drawn(random: Random, version: str | None) -> bytes:
    """A file of groups, datasets and attributes of all kinds that Keras may ever have written, and some more."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=version, track_order=random.random() < 0.5) as file:
        groups = [file]
        for number in range(random.choice([1, 4, 12])):
            ordered = random.choice([None, True])
            groups.append(
                random.choice(groups).create_group(f"g{number}é" * random.choice([1, 6]), track_order=ordered)
            )
        for group in groups:
            for number in range(random.choice([0, 1, 10, 40])):
                dataset(random, group, f"d{number}", version in (None, "v108"))
            for number in range(random.choice([0, 1, 10, 30])):
                group.attrs[f"a{number}"] = random.choice(TEXTS)
        if random.random() < 0.3:
            file.attrs["long"] = "y" * 70_000
    return buffer.getvalue()


def dataset(random: Random, group: h5py.Group, name: str, chunks: bool) -> None:
    shape = tuple(random.choice([1, 2, 5, 7]) for _ in range(random.randrange(4)))
    shape = (0, *shape) if random.random() < 0.1 else shape
    array = (np.random.default_rng(random.randrange(99)).normal(size=shape) * 5).astype(random.choice(DTYPES))
    options = {}
    if chunks and array.size and array.ndim and random.random() < 0.5:
        options["chunks"] = tuple(random.randint(1, size) for size in shape)
        options["compression"] = random.choice([None, "gzip"])
        options["shuffle"], options["fletcher32"] = random.random() < 0.5, random.random() < 0.3
    group.create_dataset(name, data=array, **options)


def compare(mine: Group, theirs: h5py.Group) -> int:
    """How many datasets are the same; all must be."""
    assert mine.names == sorted(theirs, key=str.encode)
    for name, value in theirs.attrs.items():
        said = np.ravel(np.asarray(value, object)).tolist()
        assert mine.texts(name) == [text.decode() if isinstance(text, bytes) else text for text in said]
    count = 0
    for name, member in theirs.items():
        found = mine.get(name)
        if isinstance(member, h5py.Group):
            assert isinstance(found, Group)
            count += compare(found, member)
            continue
        assert isinstance(found, Dataset)
        assert found.shape == member.shape
        array = found.array()
        assert array.dtype == member.dtype.newbyteorder("=")
        np.testing.assert_array_equal(array, member[()])
        count += 1
    return count


@pytest.mark.parametrize("version", VERSIONS)
def test_what_h5py_wrote_is_read_as_h5py_reads_it(version):
    count = 0
    for seed in range(12):
        data = drawn(Random(seed), version)
        with h5py.File(io.BytesIO(data), "r") as file:
            count += compare(open_hdf5(memoryview(data), "f"), file)
    assert count > 100


@pytest.mark.parametrize("version", VERSIONS)
def test_many_members_and_attributes_in_trees_of_several_levels(version):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=version, track_order=True) as file:
        for number in range(3000):
            file.create_group(f"member{number}")
        for number in range(600):
            file.attrs[f"attribute{number}"] = f"text {number}"
        file["chunked"] = 0
        file.create_dataset("rows", data=np.arange(4000.0), chunks=(2,) if version in (None, "v108") else None)
    data = buffer.getvalue()
    root = open_hdf5(memoryview(data), "f")
    with h5py.File(io.BytesIO(data), "r") as file:
        assert root.names == sorted(file)
    assert [root.text(f"attribute{number}") for number in range(600)] == [f"text {number}" for number in range(600)]
    np.testing.assert_array_equal(root.get("rows").array(), np.arange(4000.0))


def one(name: str, **options) -> Dataset:
    buffer = io.BytesIO()
    libver = options.pop("libver", None)
    with h5py.File(buffer, "w", libver=libver) as file:
        file.create_dataset(name, **options)
        if options.get("data") is not None and options["data"].dtype.kind == "V":
            file[name].attrs["dtype"] = "bfloat16"
    found = open_hdf5(memoryview(buffer.getvalue()), "f").get(name)
    assert isinstance(found, Dataset)
    return found


def test_bfloat16_as_keras_notes_it():
    values = np.array([1.5, -2.0, 3.25], ml_dtypes.bfloat16)
    found = one("w", data=values.view("V2")).array()
    assert found.dtype == ml_dtypes.bfloat16
    np.testing.assert_array_equal(found, values)


def test_what_keras_never_writes_is_refused_with_a_way_out():
    found = one("w", data=np.ones((9, 9)), chunks=(2, 2), maxshape=(None, None), libver="latest")
    with pytest.raises(FileError, match=r"f: /w: its chunks are listed in the newest way") as caught:
        found.array()
    assert "save the model anew" in str(caught.value)


def test_chunks_that_were_never_written_are_no_zeros():
    with pytest.raises(FileError, match="holds 0 of its 4 chunks: a part was never written"):
        one("w", shape=(4, 4), dtype="f4", chunks=(2, 2)).array()


def test_one_changed_bit_of_a_summed_chunk_is_told():
    values = np.arange(100, dtype="float32")
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.create_dataset("w", data=values, chunks=(100,), fletcher32=True)
    data = bytearray(buffer.getvalue())
    place = data.index(values.tobytes())
    data[place + 17] ^= 4
    with pytest.raises(FileError, match="/w is damaged: the checksum of a chunk does not agree"):
        open_hdf5(memoryview(bytes(data)), "f").get("w").array()


def test_a_second_name_of_one_object_is_a_link():
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["a/b"] = 1.0
        file["c"] = file["a"]
        file["a/self"] = file["a"]
    root = open_hdf5(memoryview(buffer.getvalue()), "f")
    assert root.get("a/b") is not None
    for path in ("c", "a/self"):
        with pytest.raises(UnsafeFile, match="/a by another name; links are not followed"):
            root.get(path)
