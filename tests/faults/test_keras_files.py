"""Rows 37 to 54 of the fault table: .keras and .h5 files that are damaged, hostile, or beyond what dagir has."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
import struct
import subprocess
import sys
import tracemalloc
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

import dagir
from dagir.errors import DagirError, FileError, UnsafeFile, UnsupportedLayer
from dagir_convert.command_line import main
from dagir_keras.reading import layers as known_layers
from dagir_keras.reading import rule
from effort import steps
from faults.keras_files import (
    BIAS,
    KERNEL,
    Weights,
    call,
    dense,
    functional,
    input_layer,
    layer,
    sound,
    tensor,
    write,
)

SUFFIXES = pytest.mark.parametrize("suffix", [".keras", ".h5"])


@pytest.fixture(autouse=True)
def _nothing_runs_and_nothing_is_written(monkeypatch, tmp_path):
    """A read may open its file and nothing else; it may not import what the file names, nor start a program."""

    def refuse(*args, **kwargs):
        raise AssertionError(f"a file was to be executed: {args!r}")

    for module, name in ((os, "system"), (subprocess, "Popen"), (pickle, "loads"), (os, "symlink")):
        monkeypatch.setattr(module, name, refuse)
    yield
    for name in ("pickle_payload", "tensorflow_hub"):
        assert name not in sys.modules
    assert not list(tmp_path.glob("**/escaped*"))


def refused(path, kind=FileError, *words, memory=32 << 20):
    """The message of the error that reading raises; whatever is asked for, little is allocated."""
    tracemalloc.start()
    try:
        with pytest.raises(kind) as caught:
            dagir.from_keras(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    text = str(caught.value)
    for word in words:
        assert word in text, text
    assert peak < memory
    assert type(caught.value) is kind
    return text


@SUFFIXES
def test_the_sound_file_is_read(tmp_path, suffix):
    model = dagir.from_keras(write(tmp_path / f"m{suffix}"))
    x = np.eye(3, dtype="float32")
    np.testing.assert_array_equal(dagir.lower(model)(x), KERNEL + BIAS)
    assert model.input_names == ["x"]
    assert model.output_names == ["dense"]


# ---- 37, 38: no file


@SUFFIXES
def test_missing_empty_truncated_and_foreign_files_have_messages_of_their_own(tmp_path, suffix):
    whole = Path(write(tmp_path / f"whole{suffix}")).read_bytes()
    cases = {
        "missing": (None, "there is no such file"),
        "empty": (b"", "is empty"),
        "cut": (whole[: len(whole) // 2], "truncated"),
        "begun": (whole[:3], "is truncated: it ends within its first bytes"),
        "foreign": (b"Not a model, but a letter.", "begins neither as a zip (.keras) nor as an HDF5 file (.h5)"),
    }
    found = set()
    for name, (data, words) in cases.items():
        path = tmp_path / f"{name}{suffix}"
        if data is not None:
            path.write_bytes(data)
        found.add(refused(path, FileError, str(path), words).replace(name, "").splitlines()[0])
    assert len(found) == len(cases)


def test_a_directory(tmp_path):
    refused(tmp_path, FileError, "is a directory")


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "m.keras")
    refused(tmp_path / "m.keras", FileError, "is no regular file")


@pytest.mark.parametrize("share", range(1, 12))
@SUFFIXES
def test_every_truncation_is_told(tmp_path, suffix, share):
    whole = Path(write(tmp_path / f"whole{suffix}")).read_bytes()
    path = tmp_path / f"cut{suffix}"
    path.write_bytes(whole[: len(whole) * share // 12])
    refused(path, FileError)


# ---- 39 to 42: the archive


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_second_config(tmp_path):
    path = write(tmp_path / "m.keras", members={"config.json": json.dumps(sound())})
    refused(path, UnsafeFile, "member 'config.json' is there twice")


def test_no_config_and_no_weights(tmp_path):
    for kept, words in (("config.json", "has no model.weights.h5"), ("model.weights.h5", "has no config.json")):
        path = tmp_path / f"{kept}.keras"
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(kept, json.dumps(sound()))
        refused(path, FileError, words)


@pytest.mark.parametrize(
    "name", ["../escaped", "/escaped", "a/../../escaped", "..\\escaped", "C:\\escaped", "\\escaped"]
)
def test_members_that_point_outside(tmp_path, name):
    path = write(tmp_path / "m.keras", members={name: b"x"})
    refused(path, UnsafeFile, "points outside the archive")


def test_a_bomb_in_the_weights(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        archive.writestr("config.json", json.dumps(sound()))
        with archive.open("model.weights.h5", "w") as member:
            for _ in range(160):
                member.write(bytes(1 << 20))
    refused(path, UnsafeFile, "model.weights.h5", "zip bomb", memory=8 << 20)


def test_a_bomb_in_the_config(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        with archive.open("config.json", "w") as member:
            for _ in range(300):
                member.write(b" " * (1 << 20))
        archive.writestr("model.weights.h5", b"")
    refused(path, UnsafeFile, "config.json declares 314572800 bytes", memory=8 << 20)


def test_a_member_that_unpacks_to_more_than_it_declares(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(sound()) + " " * (64 << 20))
        archive.writestr("model.weights.h5", Weights().set().bytes())
    data = path.read_bytes()
    place = data.index(b"PK\x01\x02")
    changed = data[: place + 24] + struct.pack("<I", 100) + data[place + 28 :]
    path.write_bytes(changed)
    refused(path, FileError, "is not what the directory says", memory=8 << 20)


def test_a_member_that_is_encrypted_or_packed_otherwise(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        archive.writestr("config.json", json.dumps(sound()))
        archive.writestr("model.weights.h5", b"")
    refused(path, FileError, "packed by method 12")


def test_weights_that_were_compressed_are_read(tmp_path):
    path = tmp_path / "m.keras"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("config.json", json.dumps(sound()))
        archive.writestr("model.weights.h5", Weights().set(compression="gzip", shuffle=True).bytes())
    model = dagir.from_keras(path)
    np.testing.assert_array_equal(model.weights[0].array, KERNEL)


# ---- 43: JSON


@SUFFIXES
@pytest.mark.parametrize("bracket", ["[", '{"a":'])
def test_json_nested_100_000_deep(tmp_path, suffix, bracket):
    text = bracket * 100_000
    path = write(tmp_path / f"m{suffix}", text if suffix == ".keras" else '{"a":' * 9_000)
    refused(path, FileError, "nested too deep")


@SUFFIXES
def test_json_that_is_none_or_says_a_key_twice(tmp_path, suffix):
    for number, (text, words) in enumerate(
        [
            ("{", "is no valid JSON"),
            ("[1]", "must be a JSON object"),
            ('{"class_name": "Dense", "class_name": "Lambda"}', "the key 'class_name' stands twice"),
            ('{"class_name": "Functional", "config": {"name": "m"}}', "is no model: its configuration has no layers"),
        ]
    ):
        refused(write(tmp_path / f"{number}{suffix}", text), FileError, words)


# ---- 44 to 48: code, and names of classes


def with_layer(*records):
    return functional(input_layer(), *records)


def after_input(class_name, config, **changes):
    return layer(class_name, "odd", config, call(tensor("x", [None, 3])), **changes)


@SUFFIXES
def test_lambda(tmp_path, suffix):
    code = {"class_name": "__lambda__", "config": {"value": "4wEAAAAAAAAA"}}
    path = write(tmp_path / f"m{suffix}", with_layer(after_input("Lambda", {"function": code})))
    refused(path, UnsafeFile, "layer 'odd' (Lambda) cannot be taken", "byte code", "never run", "keras.ops")
    path = write(tmp_path / f"n{suffix}", with_layer(dense(activation=code)))
    refused(path, UnsafeFile, "its activation is byte code", "never run", "custom_objects={'<lambda>': the function}")
    path = write(tmp_path / f"f{suffix}", with_layer(after_input("Lambda", {"function": "act"})))
    refused(path, UnsupportedLayer, "the Python function 'act'", "custom_objects={'act': the function}")
    path = write(tmp_path / f"o{suffix}", with_layer(after_input("Reshape", {"target_shape": code})))
    refused(path, UnsafeFile, "byte code of a Python lambda")


@SUFFIXES
@pytest.mark.parametrize(
    ("module", "name"),
    [
        ("os", "system"),
        ("builtins", "eval"),
        ("subprocess", "Popen"),
        ("pickle", "loads"),
        ("keras.utils", "get_file"),
        ("keras.models", "load_model"),
        ("tensorflow.io", "read_file"),
    ],
)
def test_names_of_what_is_no_layer(tmp_path, suffix, module, name):
    record = after_input(name, {"units": 3}, module=module, registered_name=name)
    path = write(tmp_path / f"m{suffix}", with_layer(record))
    refused(path, UnsafeFile, f"{module}.{name} is no layer of Keras", "nothing is imported by name", "do not trust")


@SUFFIXES
def test_a_function_of_another_module_as_activation(tmp_path, suffix):
    function = {"module": "os", "class_name": "function", "config": "system", "registered_name": "system"}
    path = write(tmp_path / f"m{suffix}", with_layer(dense(activation=function)))
    refused(path, UnsupportedLayer, "'system'", "'os'")


@SUFFIXES
def test_a_custom_class_and_how_to_register_it(tmp_path, suffix):
    record = after_input("Mine", {"power": 3}, module="my_project.layers", registered_name="my_project>Mine")
    path = write(tmp_path / f"m{suffix}", with_layer(record))
    refused(path, UnsupportedLayer, "my_project.layers.Mine", "custom_objects={'Mine': a dagir Layer class}")

    class Mine(dagir.Layer):
        def __init__(self, power, **kwargs):
            super().__init__(**kwargs)
            self.power = power

        def call(self, x):
            return x**self.power

    for key in ("Mine", "my_project>Mine", "odd"):
        model = dagir.from_keras(
            write(tmp_path / f"r{suffix}", with_layer(record), empty(suffix)), custom_objects={key: Mine}
        )
        np.testing.assert_allclose(dagir.lower(model)(np.full((1, 3), 2, "float32")), 8)


def empty(suffix):
    weights = Weights(suffix == ".h5")
    if suffix == ".h5":
        del weights.place.attrs["weight_names"]
    return weights


def test_a_rule_stands_for_a_class_until_it_is_told_again(tmp_path, monkeypatch):
    monkeypatch.setattr(known_layers, "_rules", {})
    record = after_input("Mine", {}, module="my_project.layers", registered_name="my_project>Mine")

    @rule("my_project>Mine")
    def _mine(config):
        return dagir.layers.Activation("tanh", name=config["name"])

    model = dagir.from_keras(write(tmp_path / "m.keras", with_layer(record), empty(".keras")))
    assert model.output_names == ["odd"]


@SUFFIXES
@pytest.mark.parametrize("name", ["TFSMLayer", "TorchModuleWrapper", "JaxLayer", "FlaxLayer"])
def test_layers_that_load_code(tmp_path, suffix, name):
    record = after_input(name, {"filepath": str(tmp_path / "escaped"), "module": "gAN9cQAu"})
    refused(write(tmp_path / f"m{suffix}", with_layer(record)), UnsafeFile, name, "code")


@SUFFIXES
@pytest.mark.parametrize("vocabulary", ["/etc/passwd", "https://example.org/words.txt"])
@pytest.mark.parametrize("name", ["StringLookup", "IntegerLookup", "TextVectorization"])
def test_a_vocabulary_that_is_a_file(tmp_path, suffix, vocabulary, name):
    record = after_input(name, {"vocabulary": vocabulary})
    text = refused(write(tmp_path / f"m{suffix}", with_layer(record)), UnsafeFile, vocabulary)
    assert "which is not read" in text


def test_all_problems_are_told_at_once(tmp_path):
    path = write(
        tmp_path / "m.keras",
        functional(
            input_layer(),
            layer("Unheard", "first", {}, call(tensor("x", [None, 3]))),
            layer("Dense", "second", {"units": "seven"}, call(tensor("first", [None, 3]))),
            layer("Dropout", "third", {"rate": 0.5}, call(tensor("second", [None, 3]), training=True)),
            layer("Dense", "fine", {"units": 2}, call(tensor("third", [None, 3]))),
            layer("Lambda", "last", {"function": ["4wEAAAAA", None, None]}, call(tensor("fine", [None, 2]))),
        ),
    )
    text = refused(path, UnsafeFile, "4 layers cannot be taken")
    for word in ("first", "Unheard", "second", "'seven'", "third", "training=True", "last", "byte code"):
        assert word in text
    assert "fine" not in text


# ---- 49 to 51: HDF5


def other_file(tmp_path):
    path = tmp_path / "secret.h5"
    with h5py.File(path, "w") as file:
        file["0"] = KERNEL
    return str(path)


@SUFFIXES
@pytest.mark.parametrize("kind", ["external", "soft"])
@pytest.mark.parametrize("level", ["dataset", "group"])
def test_links_are_not_followed(tmp_path, suffix, kind, level):
    weights = Weights(suffix == ".h5").set(kernel=None)
    file, place, name = weights.file, weights.place, weights.names[0]
    target = f"{place.name}/{weights.names[1]}"
    link = h5py.ExternalLink(other_file(tmp_path), "/0") if kind == "external" else h5py.SoftLink(target)
    if level == "dataset":
        place[name] = link
    else:
        whole = "model_weights" if suffix == ".h5" else "layers"
        file.move(f"{whole}/dense", "moved")
        file[f"{whole}/dense"] = h5py.SoftLink("/moved") if kind == "soft" else link
    path = write(tmp_path / f"m{suffix}", None, weights)
    words = "a link to another file" if kind == "external" else "a soft link"
    refused(path, UnsafeFile, words, "links are not followed")


@SUFFIXES
def test_external_storage_and_virtual_datasets(tmp_path, suffix):
    outside = tmp_path / "numbers.raw"
    outside.write_bytes(KERNEL.tobytes())
    weights = Weights(suffix == ".h5").set(kernel=None)
    weights.place.create_dataset(weights.names[0], KERNEL.shape, "float32", external=[(str(outside), 0, 24)])
    refused(write(tmp_path / f"e{suffix}", None, weights), UnsafeFile, "in another file", "numbers.raw")
    weights = Weights(suffix == ".h5").set(kernel=None)
    layout = h5py.VirtualLayout(KERNEL.shape, "float32")
    layout[:] = h5py.VirtualSource(other_file(tmp_path), "0", KERNEL.shape)
    weights.place.create_virtual_dataset(weights.names[0], layout)
    refused(write(tmp_path / f"v{suffix}", None, weights), UnsafeFile, "virtual dataset")


@SUFFIXES
@pytest.mark.parametrize("chunked", [False, True])
def test_a_shape_of_149_gb(tmp_path, suffix, chunked):
    shape = (200_000, 200_000)
    weights = Weights(suffix == ".h5").set(kernel=None)
    options = {"chunks": (1000, 1000), "compression": "gzip"} if chunked else {}
    weights.place.create_dataset(weights.names[0], shape, "float32", **options)
    config = functional(
        input_layer(shape=(None, shape[0])),
        layer("Dense", "dense", {"units": shape[1]}, call(tensor("x", [None, shape[0]]))),
    )
    path = write(tmp_path / f"m{suffix}", config, weights)
    refused(path, UnsafeFile, "declares 160000000000 bytes", "the file holds 0 of them")


@SUFFIXES
def test_a_weight_that_is_missing(tmp_path, suffix):
    weights = Weights(suffix == ".h5").set(bias=None)
    path = write(tmp_path / f"m{suffix}", None, weights)
    words = "has no weight 'dense/bias'" if suffix == ".h5" else "has 2 weights by its configuration, the file has 1"
    refused(path, FileError, "dense", words)


def test_a_layer_without_weights(tmp_path):
    weights = Weights()
    del weights.file["layers/dense"]
    refused(write(tmp_path / "m.keras", None, weights), FileError, "has no layers/dense, the weights of layer 'dense'")


@SUFFIXES
def test_a_weight_of_another_shape(tmp_path, suffix):
    weights = Weights(suffix == ".h5").set(kernel=KERNEL.T.copy())
    path = write(tmp_path / f"m{suffix}", None, weights)
    refused(path, FileError, "weight 0 of layer 'dense' is [3, 2] by its configuration, the file has [2, 3]")


@SUFFIXES
@pytest.mark.parametrize("kind", ["S4", h5py.string_dtype(), "complex64"])
def test_a_weight_that_holds_no_numbers(tmp_path, suffix, kind):
    data = np.zeros((3, 2), "complex64") if kind == "complex64" else np.full((3, 2), b"text", object)
    weights = Weights(suffix == ".h5").set(kernel=None)
    weights.place.create_dataset(weights.names[0], data=data.astype(kind) if kind == "S4" else data, dtype=kind)
    refused(write(tmp_path / f"m{suffix}", None, weights), FileError, "a weight holds numbers")


def test_a_damaged_hdf5_file_is_told(tmp_path):
    good = bytearray(Weights().set().bytes())
    generator = np.random.default_rng(0)
    for _ in range(60):
        spoiled = bytearray(good)
        for place in generator.integers(0, len(spoiled), 12):
            spoiled[place] = generator.integers(0, 256)
        path = write(tmp_path / "m.keras", None, bytes(spoiled))
        with contextlib.suppress(FileError):
            dagir.from_keras(path)


# ---- 52 to 54


@SUFFIXES
def test_float64_weights_are_taken_in_the_dtype_of_their_layer(tmp_path, suffix):
    weights = Weights(suffix == ".h5").set(kernel=KERNEL.astype("float64") + 1e-12)
    model = dagir.from_keras(write(tmp_path / f"m{suffix}", None, weights))
    assert model.weights[0].array.dtype == "float32"
    np.testing.assert_allclose(model.weights[0].array, KERNEL, atol=1e-11)
    config = with_layer(dense(dtype="float64"))
    weights = Weights(suffix == ".h5").set(kernel=KERNEL.astype("float64") + 1e-12)
    model = dagir.from_keras(write(tmp_path / f"n{suffix}", config, weights))
    assert model.weights[0].array[0, 0] == 1e-12


@SUFFIXES
def test_units_past_all_memory(tmp_path, suffix):
    path = write(tmp_path / f"m{suffix}", with_layer(dense(units=2**33)))
    refused(path, FileError, "is [3, 8589934592] by its configuration, the file has [3, 2]")


@SUFFIXES
@pytest.mark.parametrize("units", [0, -3, 2.5, "seven", None, True, 2**70])
def test_units_that_are_none(tmp_path, suffix, units):
    path = write(tmp_path / f"m{suffix}", with_layer(dense(units=units)))
    refused(path, FileError if units == 2**70 else UnsupportedLayer, "dense")


@SUFFIXES
def test_a_connection_to_nothing(tmp_path, suffix):
    for number, (record, words) in enumerate(
        [
            (call(tensor("ghost", [None, 3])), "reads layer 'ghost', which does not exist"),
            (call(tensor("x", [None, 3], 5)), "reads call 5 of layer 'x'"),
            (call(tensor("dense", [None, 2])), "has a cycle: layer 'dense' needs its own output"),
            ([["ghost", 0, 0, {}]], "reads layer 'ghost', which does not exist"),
            ("x", "is called on 'x'"),
            ([["x", 0]], "is called on"),
        ]
    ):
        config = with_layer({**dense(), "inbound_nodes": [record]})
        refused(write(tmp_path / f"{number}{suffix}", config), FileError, "model (the outermost)", words)
    config = functional(input_layer(), dense(), outputs=[["nobody", 0, 0]])
    refused(write(tmp_path / f"out{suffix}", config), FileError, "['nobody', 0, 0]", "does not exist")
    config = with_layer(dense(), dense())
    refused(write(tmp_path / f"twice{suffix}", config), FileError, "two layers of the name 'dense'")


def test_reading_takes_steps_in_proportion(tmp_path):
    taken = []
    for count in (500, 2000):
        chain = [input_layer()]
        for place in range(count):
            chain.append(layer("ReLU", f"r{place}", {}, call(tensor(chain[-1]["name"], [None, 3]))))
        path = write(tmp_path / f"{count}.keras", functional(*chain), empty(".keras"))
        dagir.from_keras(path)
        taken.append(steps(lambda path=path: dagir.from_keras(path)))
    assert taken[1] < 4.2 * taken[0]


# ---- the tool


@SUFFIXES
def test_the_tool_says_it_and_leaves_nothing_behind(tmp_path, suffix, monkeypatch, capsys):
    cases = {
        "sound": (None, 0, ""),
        "unknown": (with_layer(after_input("Unheard", {})), 4, "dagir has no layer Unheard"),
        "hostile": (with_layer(after_input("system", {}, module="os")), 5, "os.system is no layer of Keras"),
        "damaged": ("{", 5, "is no valid JSON"),
    }
    for name, (config, code, words) in cases.items():
        source, target = write(tmp_path / f"{name}{suffix}", config), tmp_path / f"{name}.onnx"
        monkeypatch.setattr(sys, "argv", ["dagir-convert", source, str(target), "--quiet"])
        with pytest.raises(SystemExit) as ended:
            main()
        assert (ended.value.code or 0) == code
        error = capsys.readouterr().err
        assert words in " ".join(error.split())
        assert "Traceback" not in error
        assert target.exists() is (code == 0)


# ---- whatever else a configuration may say


def leaves_of(data, path=()):
    if isinstance(data, (dict, list)):
        for key, part in data.items() if isinstance(data, dict) else enumerate(data):
            yield from leaves_of(part, (*path, key))
    if path:
        yield path


JUNK = [None, True, -1, 0, 2**40, 2**70, 1e400, float("nan"), 0.5, "", "x", "\0", [], {}, [[]], [None], {"a": 1}]
JUNK += [["x", 0, 0], {"class_name": "Dense", "config": {}}]
JUNK += [{"class_name": "__numpy__", "config": {"value": [1], "dtype": "object"}}]


def test_junk_anywhere_in_the_configuration_is_refused_by_an_error_of_ours(tmp_path):
    image = tensor("x", [None, 6, 6, 3])
    whole = functional(
        input_layer(shape=(None, 6, 6, 3)),
        layer("Conv2D", "conv", {"filters": 2, "kernel_size": [3, 3], "strides": [1, 1], "groups": 1}, call(image)),
        layer("Resizing", "resize", {"height": 3, "width": 4}, call(tensor("conv", [None, 4, 4, 2]))),
        layer("Reshape", "shape", {"target_shape": [12, 2]}, call(tensor("resize", [None, 3, 4, 2]))),
        layer("LSTM", "lstm", {"units": 2, "return_state": True}, call(tensor("shape", [None, 12, 2]), mask=None)),
        {
            **layer("Pad", "pad", {"pad_width": [[0, 0], [1, 1]]}, call(tensor("lstm", [None, 2]), 1.0)),
            "module": "keras.src.ops.numpy",
            "registered_name": "Pad",
        },
    )
    del whole["config"]["layers"][-1]["config"]["trainable"], whole["config"]["layers"][-1]["config"]["dtype"]
    generator = np.random.default_rng(1)
    paths = list(leaves_of(whole))
    seen = set()
    for number in range(400):
        spoiled = json.loads(json.dumps(whole))
        *way, last = paths[number % len(paths)]
        place = spoiled
        for step in way:
            place = place[step]
        place[last] = JUNK[generator.integers(len(JUNK))]
        tracemalloc.start()
        try:
            dagir.from_keras(write(tmp_path / "m.keras", spoiled))
        except DagirError as error:
            seen.add(type(error).__name__)
        finally:
            _, peak = tracemalloc.get_traced_memory()
            tracemalloc.stop()
        assert peak < 256 << 20, (way, last, place[last])
    assert {"FileError", "UnsupportedLayer"} <= seen
