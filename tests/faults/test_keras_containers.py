"""The containers of Keras files: changed bytes are noticed, and what a file asks for in all is bounded."""

from __future__ import annotations

import os
import struct
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import dagir
from dagir.errors import DagirError, FileError, UnsafeFile
from dagir_keras.reading import check
from faults.keras_files import BIAS, KERNEL, Weights, call, dense, functional, input_layer, layer, tensor, write
from faults.mutations import in_child
from faults.test_keras_files import refused

SUFFIXES = pytest.mark.parametrize("suffix", [".keras", ".h5"])


# ---- changed bytes


def test_one_changed_bit_of_a_stored_member_is_told(tmp_path):
    path = Path(write(tmp_path / "m.keras"))
    data = path.read_bytes()
    for name, inside in (("model.weights.h5", KERNEL.tobytes()), ("config.json", b'"units": 2')):
        spoiled = bytearray(data)
        spoiled[data.index(inside) + 9] ^= 1
        path.write_bytes(spoiled)
        refused(path, FileError, f"member {name} is not what the directory says: the file is damaged")


def test_the_sum_of_a_member_copies_nothing(tmp_path):
    numbers = np.zeros((3, 1 << 20), "float32")
    config = functional(input_layer(), dense(1 << 20, use_bias=False))
    path = write(tmp_path / "m.keras", config, Weights().set(kernel=numbers, bias=None))
    tracemalloc.start()
    try:
        dagir.from_keras(path)
        assert tracemalloc.get_traced_memory()[1] < numbers.nbytes // 4
    finally:
        tracemalloc.stop()


def test_a_text_of_rows_that_are_no_text(tmp_path):
    """One bit makes a text a row of any length, which HDF5's own library takes for an address."""
    path = Path(write(tmp_path / "m.h5"))
    data = path.read_bytes()
    place = data.index(struct.pack("<I", 16), data.index(b"model_config")) - 3  # the kind of the rows
    assert data[place] & 15 == 1
    path.write_bytes(data[:place] + bytes([data[place] & ~15]) + data[place + 1 :])
    refused(path, FileError, "attribute model_config", "rows of any length, where a text is expected")


@SUFFIXES
def test_one_more_byte_anywhere_is_told_or_harmless(tmp_path, suffix):
    whole = Path(write(tmp_path / f"m{suffix}")).read_bytes()
    for place in range(8, len(whole), len(whole) // 60):
        path = tmp_path / f"longer{suffix}"
        path.write_bytes(whole[:place] + b"\1" + whole[place:])
        try:
            model = dagir.from_keras(path)
        except FileError:
            continue
        np.testing.assert_array_equal(model.weights[0].array, KERNEL)


def test_mutations_end_in_an_error_of_ours_or_in_a_model(tmp_path):
    seeds = tmp_path / "seeds"
    seeds.mkdir()
    write(seeds / "a.keras")
    write(seeds / "b.h5")
    for name, libver in (("c", "v108"), ("d", "latest")):
        newer = Weights(legacy=True, libver=libver)
        for number in range(12):
            newer.file.attrs[f"more{number}"] = "text"
            newer.file.create_group(f"group{number}")
        options = {"chunks": (2, 2), "compression": "gzip", "fletcher32": True} if libver == "v108" else {}
        write(seeds / f"{name}.h5", None, newer.set(**options))
    found = in_child(seeds, tmp_path, first=0, count=600, timeout=120)
    assert sum(found.values()) == 600
    assert found["read"] > 20
    assert found["FileError"] > 200


# ---- in all


def in_a_row(side: int, *names: str) -> dict:
    """Dense layers of one kernel each."""
    layers = [input_layer(shape=(None, side))]
    for name in names:
        config = {"units": side, "use_bias": False}
        layers.append(layer("Dense", name, config, call(tensor(layers[-1]["name"], [None, side]))))
    return functional(*layers)


def test_chunks_that_are_small_each_and_gigabytes_in_all(tmp_path):
    side = 1 << 12  # 64 MiB each
    weights = Weights()
    for place in (weights.place, weights.file.create_group("layers/dense_1/vars")):
        options = {"chunks": (side, side), "compression": "gzip"}
        place.create_dataset("0", (side, side), "float32", **options)[:1] = 0
    path = write(tmp_path / "m.keras", in_a_row(side, "one", "two"), weights)
    refused(path, UnsafeFile, "/layers/dense_1/vars/0 declares 67108864 bytes", memory=200 << 20)


def test_one_stretch_of_bytes_for_two_datasets(tmp_path):
    side = 256
    weights = Weights()
    second = weights.file.create_group("layers/dense_1/vars")
    weights.place["0"] = np.full((side, side), 1, "float32")
    second.create_dataset("0", (side, side), "float32")
    weights.file.flush()
    second["0"][:] = 2
    data = weights.bytes()
    first, last = (data.index(np.full((side, side), number, "float32").tobytes()) for number in (1, 2))
    assert last + 4 * side * side == len(data)
    cut = bytearray(data[:last].replace(struct.pack("<Q", last), struct.pack("<Q", first)))
    cut[40:48] = struct.pack("<Q", last)
    path = write(tmp_path / "m.keras", in_a_row(side, "one", "two"), bytes(cut))
    refused(path, UnsafeFile, "/layers/dense_1/vars/0 declares 262144 bytes")


def test_thousands_of_names_for_one_long_text(tmp_path):
    weights = Weights(legacy=True).set()
    names = ["x" * 100_000] + ["y"] * 3999
    weights.file["model_weights"].attrs.create("layer_names", names, (4000,), h5py.string_dtype())
    path = Path(write(tmp_path / "m.h5", None, weights))
    data = path.read_bytes()
    place = data.index(struct.pack("<I", 100_000))
    path.write_bytes(data[:place] + data[place : place + 16] * 4000 + data[place + 64_000 :])
    refused(path, UnsafeFile, "attribute 'layer_names' asks for too much", memory=600 << 20)


def test_a_graph_of_groups_with_as_many_ways_as_there_are_stars(tmp_path):
    weights = Weights().set()
    group = weights.file["layers/dense"]
    for _ in range(60):
        below = group.create_group("l")
        group["r"] = below
        group = below
    # Whoever walks all the ways meets the budget of names first, and says so in other words.
    refused(write(tmp_path / "m.keras", None, weights), UnsafeFile, "by another name; links are not followed")


def test_a_group_in_itself(tmp_path):
    weights = Weights().set()
    weights.file["layers/dense/again"] = weights.file["layers/dense"]
    refused(write(tmp_path / "m.keras", None, weights), UnsafeFile, "is /layers/dense by another name")


def test_groups_nested_deep(tmp_path):
    weights = Weights().set()
    weights.file.create_group("layers/dense" + "/g" * 1200)
    refused(write(tmp_path / "m.keras", None, weights), FileError, "nested too deep")


@SUFFIXES
def test_json_of_more_values_than_any_network_has(tmp_path, suffix):
    text = '{"a": [' + "{}," * 5_000_000 + "{}]}"
    path = write(tmp_path / f"m{suffix}", text)
    refused(path, UnsafeFile, "4,194,304 json values", memory=64 << 20)


def test_a_vocabulary_of_more_lines_than_any_has(tmp_path):
    config = functional(
        input_layer(shape=(None, 1)),
        layer("StringLookup", "look", {"vocabulary": None, "num_oov_indices": 1}, call(tensor("x", [None, 1]))),
    )
    members = {"assets/layers/string_lookup/vocabulary.txt": b"\n" * 5_000_000}
    path = write(tmp_path / "m.keras", config, Weights(), members)
    refused(path, UnsafeFile, "vocabulary.txt", "4,194,304 json values", memory=64 << 20)


def test_a_list_of_members_that_takes_gigabytes_is_not_read(tmp_path):
    path = Path(write(tmp_path / "m.keras"))
    data = bytearray(path.read_bytes())
    end = data.rindex(b"PK\5\6")
    data[end + 12 : end + 16] = struct.pack("<I", 3 << 30)
    path.write_bytes(data)
    refused(path, UnsafeFile, "lists its members in 3221225472 bytes")


# ---- errors of ours


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="there are no devices as files")
@pytest.mark.parametrize("device", ["/dev/zero", "/dev/null", "/dev/tty"])
def test_a_device_is_not_read(device):
    refused(device, FileError, "is no regular file")


def test_a_path_that_no_file_can_have():
    with pytest.raises(FileError, match="is no path"):
        dagir.from_keras("a\0b.keras")


def test_names_that_look_like_numbers(tmp_path):
    weights = Weights().set(bias=None)
    weights.place["²"] = BIAS
    model = dagir.from_keras(write(tmp_path / "m.keras", None, weights))
    np.testing.assert_array_equal(model.weights[1].array, BIAS)


def test_an_inner_layer_without_a_configuration(tmp_path):
    weights = Weights().set()
    inner = {"module": "keras.layers", "class_name": "Dense", "config": None}
    record = layer("TimeDistributed", "dense", {"layer": inner}, call(tensor("x", [None, 3])))
    with pytest.raises(DagirError):
        dagir.from_keras(write(tmp_path / "m.keras", functional(input_layer(), record), weights))


def test_layer_names_that_are_numbers(tmp_path):
    weights = Weights(legacy=True).set()
    weights.file["model_weights"].attrs["layer_names"] = [1, 2]
    path = write(tmp_path / "m.h5", None, weights)
    refused(path, FileError, "/model_weights: attribute layer_names", "integers of 8 bytes, where a text is expected")


def test_names_reach_no_terminal_raw(tmp_path):
    weights = Weights().set()
    del weights.place["0"]
    weights.place["0"] = h5py.SoftLink("/\x1b[2J")
    text = refused(write(tmp_path / "m.keras", None, weights), UnsafeFile, "a soft link to")
    weights = Weights().set()
    weights.file["layers/dense/\x1b[2J"] = weights.file["layers/dense"]
    text += refused(write(tmp_path / "n.keras", None, weights), UnsafeFile, "by another name")
    assert "\x1b" not in text


def test_a_member_of_a_name_that_a_terminal_obeys(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../\x1b[2J", b"")
    assert "\x1b" not in refused(path, UnsafeFile, "points outside the archive")


@SUFFIXES
def test_what_keras_is_to_load_is_looked_through_first(tmp_path, suffix):
    """Its own loader reads HDF5 by the library that one byte sends round for ever."""
    path = write(tmp_path / f"m{suffix}")
    model = dagir.from_keras(path)
    check(path)
    weights = Weights(suffix == ".h5").set()
    weights.file.create_group("elsewhere").attrs["note"] = "a text that dagir does not need"
    data = bytearray(weights.bytes())
    data[data.rindex(b"SNOD")] ^= 1
    if suffix == ".keras":
        write(Path(path), None, bytes(data))
    else:
        Path(path).write_bytes(data)
    with pytest.raises(FileError, match="a node of members is not where the file says"):
        dagir.backend("keras").open(path, model)
