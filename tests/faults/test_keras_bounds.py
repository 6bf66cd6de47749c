"""Keras files that ask for more than any network needs, and configurations that Keras never wrote."""

from __future__ import annotations

import copy
import json
import random

import numpy as np
import pytest

import dagir
from dagir import ops
from dagir.errors import DagirError, FileError, UnsafeFile, UnsupportedLayer
from dagir.support import limits
from faults.keras_files import Weights, call, dense, functional, input_layer, layer, sound, tensor, write

BIG = 1 << 28


def operation(kind, config, *args, **kwargs):
    module = "keras.src.ops.nn" if "Hot" in kind else "keras.src.ops.numpy"
    record = {"module": module, "class_name": kind, "config": {"name": "z", **config}, "registered_name": None}
    return {**record, "name": "z", "inbound_nodes": [{"args": list(args), "kwargs": kwargs}]}


X = tensor("x", [None, 3])
HUGE = [
    operation("Eye", {"N": 1 << 14, "dtype": "float32"}),
    operation("Eye", {}, 1 << 14),
    operation("Identity", {}, 1 << 14),
    operation("Tri", {"N": 1 << 14}),
    operation("Zeros", {}, [1 << 15, 1 << 15]),
    operation("Ones", {"shape": [1 << 15, 1 << 15]}),
    operation("Full", {"shape": [BIG]}, 1.0),
    operation("Arange", {}, BIG),
    operation("Linspace", {"num": BIG}, 0.0, 1.0),
    operation("Logspace", {"num": BIG}, 0.0, 1.0),
    operation("Hamming", {}, BIG),
    operation("Kaiser", {"beta": 1.0}, BIG),
    operation("OneHot", {"num_classes": BIG}, X),
    operation("MultiHot", {"num_classes": BIG}, X),
    layer("CategoryEncoding", "z", {"num_tokens": BIG}, call(X)),
    layer("IntegerLookup", "z", {"vocabulary": [1], "output_mode": "one_hot", "max_tokens": BIG}, call(X)),
    layer("STFTSpectrogram", "z", {"frame_length": BIG, "frame_step": 1, "fft_length": BIG}, call(X)),
    layer("MelSpectrogram", "z", {"fft_length": 1 << 14, "sequence_length": 1 << 14}, call(X)),
]
HUGE[-3]["config"]["pad_to_max_tokens"] = True


def kind_of(record):
    return f"{record['class_name']}-{str(record['config'])[:40]}"


@pytest.mark.parametrize("record", HUGE, ids=kind_of)
def test_arrays_made_of_sizes_draw_on_the_budget_of_the_file(tmp_path, record):
    size, dtype = (1 << 15, "float32") if record["class_name"] == "MelSpectrogram" else (3, "int32")
    begin = input_layer("x", (None, size))
    begin["config"]["dtype"] = "float32" if "Spectrogram" in record["class_name"] else dtype
    path = write(tmp_path / "m.keras", functional(begin, record), Weights().set(None, None))
    with pytest.raises(UnsafeFile, match=r"m.keras: layer 'z' .*asks for too much"):
        dagir.from_keras(path)


@pytest.mark.parametrize(
    "record",
    [
        operation("Split", {"indices_or_sections": 1 << 20, "axis": 1}, tensor("x", [None, 1 << 20])),
        operation("ArraySplit", {"indices_or_sections": 1 << 20, "axis": 1}, tensor("x", [None, 1 << 20])),
        operation("Unstack", {"axis": 1}, tensor("x", [None, 1 << 20])),
    ],
    ids=kind_of,
)
def test_parts_draw_on_the_budget_before_they_are_made(tmp_path, record):
    path = write(tmp_path / "m.keras", functional(input_layer("x", (None, 1 << 20)), record), Weights().set(None, None))
    with pytest.raises(UnsafeFile, match=r"'z' .*parts asks for too much"):
        dagir.from_keras(path)


def nested(depth):
    """A model that calls a model twice, which calls a model twice ..."""
    inner = layer("Activation", "a", {"activation": "tanh"}) if not depth else nested(depth - 1)
    inner = {**inner, "name": "a", "inbound_nodes": [call(X), call(tensor("a", [None, 3]))]}
    inner["config"] = {**inner["config"], "name": "a"}
    return functional(input_layer(), inner, outputs=["a", 2 if depth else 1, 0])


def test_calls_within_calls_are_counted_opened(tmp_path):
    model = dagir.from_keras(write(tmp_path / "m.keras", nested(3), Weights().set(None, None)))
    x = np.ones((1, 3), "float32")
    want = x
    for _ in range(16):
        want = np.tanh(want)
    np.testing.assert_allclose(dagir.lower(model, "numpy")(x)[0], want[0], rtol=1e-4)
    with pytest.raises(UnsafeFile, match="nodes asks for too much"):
        dagir.from_keras(write(tmp_path / "m.keras", nested(22), Weights().set(None, None)))


def test_the_budget_is_of_files_alone():
    """A program of one's own may ask for what the machine has."""
    assert ops.zeros((9000, 9000)).type.shape == (9000, 9000)
    with limits.reading("m"), pytest.raises(UnsafeFile):
        ops.zeros((9000, 9000))


@pytest.mark.parametrize("option", ["sparse", "ragged", "optional"])
def test_an_input_that_is_not_dense_is_refused_in_a_sequential_too(tmp_path, option):
    begin = input_layer()
    begin["config"][option] = True
    config = {"class_name": "Sequential", "module": "keras", "config": {"name": "s", "layers": [begin, dense()]}}
    with pytest.raises(UnsupportedLayer, match=rf"'x' \(InputLayer\) .*has {option}=True"):
        dagir.from_keras(write(tmp_path / "m.keras", config))


@pytest.mark.parametrize("shape", [None, 3, "x", [None, "a"], [None, -1], [None, 1.5], [None, []], [None, True]])
def test_the_shape_of_an_input_is_checked(tmp_path, shape):
    config = sound()
    config["config"]["layers"][0]["config"]["batch_shape"] = shape
    with pytest.raises(FileError, match=r"m.keras: model .* has an input of shape"):
        dagir.from_keras(write(tmp_path / "m.keras", config))


@pytest.mark.parametrize(("args", "kwargs"), [(3, {}), ({}, {}), ([X], 3), ([X], []), ([X], None)])
def test_the_arguments_of_a_call_are_checked(tmp_path, args, kwargs):
    config = sound()
    config["config"]["layers"][1]["inbound_nodes"] = [{"args": args, "kwargs": kwargs}]
    with pytest.raises(FileError, match=r"layer 'dense' is called on"):
        dagir.from_keras(write(tmp_path / "m.keras", config))


def test_the_number_of_unknown_places_is_checked(tmp_path):
    lookup = layer("IntegerLookup", "it", {"num_oov_indices": "abc", "vocabulary": None}, call(X))
    members = {"assets/layers/integer_lookup/vocabulary.txt": "[UNK]\n1"}
    path = write(tmp_path / "m.keras", functional(input_layer(), lookup), members=members)
    with pytest.raises(FileError, match="num_oov_indices of layer 'it' is 'abc'"):
        dagir.from_keras(path)


def test_lists_of_names_are_texts(tmp_path):
    weights = Weights(legacy=True).set()
    weights.file["model_weights"].attrs["layer_names"] = np.int64(3)
    with pytest.raises(FileError, match="attribute layer_names is damaged: holds integers"):
        dagir.from_keras(write(tmp_path / "m.h5", None, weights))


def test_weights_numbered_by_what_is_no_number(tmp_path):
    weights = Weights().set(None)
    weights.place.create_dataset("²", data=np.ones((3, 2), "float32"))
    with pytest.raises(FileError, match="layer 'dense'"):
        dagir.from_keras(write(tmp_path / "m.keras", None, weights))


JUNK = [None, 0, -1, 2**40, "", "²", [], {}, [None], True, 1.5, float("nan"), {"class_name": "X", "config": None}]


def places(data):
    """Every place in JSON: the object or list, and the key or number."""
    found, waiting = [], [data]
    for part in waiting:
        keys = list(part) if isinstance(part, dict) else range(len(part))
        found += [(part, key) for key in keys]
        waiting += [part[key] for key in keys if isinstance(part[key], (dict, list))]
    return found


@pytest.mark.parametrize("suffix", [".keras", ".h5"])
def test_no_junk_in_a_configuration_breaks_the_reader(tmp_path, suffix):
    """Everything in turn is replaced by something that does not belong there, and once left out."""
    rng = random.Random(11)
    count = len(places(sound()))
    for number in range(count):
        for junk in [*rng.sample(JUNK, 4), None]:
            config = copy.deepcopy(sound())
            part, key = places(config)[number]
            if junk is None and isinstance(part, dict):
                del part[key]
            else:
                part[key] = copy.deepcopy(junk)
            path = write(tmp_path / f"m{suffix}", json.dumps(config))
            try:
                dagir.from_keras(path)
            except DagirError as error:
                assert f"m{suffix}" in str(error)
