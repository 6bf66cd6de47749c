"""Files of older Keras: .h5 with inbound_nodes as nested lists, batch_input_shape, and calls counted from 1."""

from __future__ import annotations

import io
import json

import h5py
import numpy as np
import pytest

import dagir
from dagir.errors import UnsupportedLayer
from dagir_keras.reading.files.keras2 import Writer

RNG = np.random.default_rng(4)


def array(*shape):
    return RNG.normal(size=shape).astype("float32")


def write(path, config, weights, names=None, **said):
    """weights: for each layer its arrays, by name; Keras 2 wrote ":0" behind names, and bytes. said: the writer."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file.attrs["model_config"] = json.dumps(config).encode()
        for key, text in said.items():
            file.attrs[key] = text
        group = file.create_group("model_weights")
        group.attrs["layer_names"] = [name.encode() for name in names or weights]
        for layer, arrays in weights.items():
            inner = group.create_group(layer)
            paths = [f"{layer}/{name}:0" for name in arrays]
            inner.attrs["weight_names"] = [each.encode() for each in paths]
            for each, data in zip(paths, arrays.values(), strict=True):
                inner[each] = data
    path.write_bytes(buffer.getvalue())
    return path


def layer(kind, name, config, *inbound):
    full = {"name": name, "trainable": True, "dtype": "float32", **config}
    return {"class_name": kind, "config": full, "name": name, "inbound_nodes": list(inbound)}


def begin(name="x", size=3):
    config = {"batch_input_shape": [None, size], "dtype": "float32", "sparse": False, "name": name}
    return {"class_name": "InputLayer", "config": config, "name": name, "inbound_nodes": []}


def functional(name, layers, outputs):
    config = {"name": name, "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": outputs}
    return {"class_name": "Functional", "config": config}


def test_nested_lists_of_inbound_nodes(tmp_path):
    kernel, bias = array(3, 3), array(3)
    layers = [
        begin(),
        layer("Dense", "dense", {"units": 3, "kernel_regularizer": None}, [["x", 0, 0, {}]], [["dense", 0, 0, {}]]),
        layer("Add", "add", {}, [["dense", 0, 0, {}], ["dense", 1, 0, {}]]),
        layer("BatchNormalization", "norm", {"axis": [1]}, [["add", 0, 0, {"training": False}]]),
    ]
    norm = {name: np.abs(array(3)) + 0.1 for name in ("gamma", "beta", "moving_mean", "moving_variance")}
    weights = {"x": {}, "dense": {"kernel": kernel, "bias": bias}, "add": {}, "norm": norm}
    model = dagir.from_keras(write(tmp_path / "m.h5", functional("m", layers, [["norm", 0, 0]]), weights))
    x = array(4, 3)
    first = x @ kernel + bias
    total = first + first @ kernel + bias
    scaled = (total - norm["moving_mean"]) / np.sqrt(norm["moving_variance"] + 1e-3) * norm["gamma"] + norm["beta"]
    np.testing.assert_allclose(dagir.lower(model)(x)[0], scaled, rtol=1e-4, atol=1e-5)
    assert model.output_names == ["norm"]


def test_a_sequential_model_without_an_input_layer(tmp_path):
    kernel = array(3, 2)
    stack = [
        layer("Dense", "dense", {"units": 2, "use_bias": False, "batch_input_shape": [None, 3]}),
        layer("Activation", "act", {"activation": "relu"}),
        layer("Dropout", "drop", {"rate": 0.5, "noise_shape": None, "seed": None}),
    ]
    config = {"class_name": "Sequential", "config": {"name": "stack", "layers": stack}}
    model = dagir.from_keras(write(tmp_path / "m.h5", config, {"dense": {"kernel": kernel}, "act": {}, "drop": {}}))
    x = array(2, 3)
    np.testing.assert_allclose(dagir.lower(model)(x), np.maximum(x @ kernel, 0), rtol=1e-5)


@pytest.mark.parametrize("first", [0, 1])
def test_calls_of_a_nested_model_counted_from_one(tmp_path, first):
    """Keras 2 counted a nested model's own graph as its first call; Keras 3 does so for outputs alone."""
    kernel = array(3, 3)
    inside = [begin(), layer("Dense", "dense", {"units": 3, "use_bias": False}, [["x", 0, 0, {}]])]
    inner = {**functional("inner", inside, [["dense", 0, 0]]), "name": "inner"}
    inner["inbound_nodes"] = [[["x", 0, 0, {}]], [["inner", first, 0, {}]]]
    layers = [begin(), inner, layer("Activation", "act", {"activation": "tanh"}, [["inner", first + 1, 0, {}]])]
    config = functional("m", layers, [["act", 0, 0]])
    weights = {"x": {}, "inner": {"kernel": kernel}, "act": {}}
    model = dagir.from_keras(write(tmp_path / "m.h5", config, weights))
    x = array(2, 3)
    np.testing.assert_allclose(dagir.lower(model)(x)[0], np.tanh(x @ kernel @ kernel), rtol=1e-5)


def test_layers_renamed_since_are_matched_in_order(tmp_path):
    kernel = array(3, 2)
    layers = [begin(), layer("Dense", "dense", {"units": 2, "use_bias": False}, [["x", 0, 0, {}]])]
    config = functional("m", layers, [["dense", 0, 0]])
    model = dagir.from_keras(write(tmp_path / "m.h5", config, {"old_name": {"kernel": kernel}}))
    np.testing.assert_array_equal(model.weights[0].array, kernel)


@pytest.mark.parametrize(
    ("text", "version", "tensorflow"),
    [
        ("2.2.4", (2, 2), False),
        ("2.3.0-tf", (2, 3), True),
        ("2.4.0", (2, 4), True),
        ("2.15.0", (2, 15), True),
        ("3.10.0", (3, 10), True),
        ("3.15.1", (3, 15), True),
        ("1.2.2", (1, 2), False),
    ],
)
def test_who_wrote_a_file(text, version, tensorflow):
    found = Writer.of(text, "tensorflow")
    assert (found.version, found.tensorflow) == (version, tensorflow)
    assert found.is_keras_1 == (version < (2, 0))
    assert found.is_keras_2 == ((2, 0) <= version < (3, 0))
    assert found.is_current == (version >= (3, 11))
    assert found.resizes_on_corners == (found.is_keras_2 and version < (2, 4) and text != "2.3.0-tf")


@pytest.mark.parametrize("text", [None, "", "two", "2", "²³.1", "99999.1", 7])
def test_a_writer_who_does_not_say_is_known_by_his_words(text):
    assert Writer.of(text, None, {"config": {"layers": [begin()]}}).is_keras_2
    assert Writer.of(text, None, {"config": {"layers": [{"config": {"batch_shape": [None, 3]}}]}}).is_current
    assert Writer.of(text, None, None).is_current


def single(kind, config, shape):
    """A Sequential of one layer, as Keras 2 wrote it."""
    first = layer(kind, "it", {"batch_input_shape": [None, *shape], **config})
    return {"class_name": "Sequential", "config": {"name": "m", "layers": [first]}}


@pytest.mark.parametrize("version", ["2.2.4", "2.3.0-tf", "2.15.0", None])
def test_hard_sigmoid_is_that_of_the_version(tmp_path, version):
    said = {} if version is None else {"keras_version": version}
    config = single("Activation", {"activation": "hard_sigmoid"}, (3,))
    model = dagir.from_keras(write(tmp_path / "m.h5", config, {"it": {}}, **said))
    x = array(4, 3) * 3
    np.testing.assert_allclose(dagir.lower(model)(x), np.clip(0.2 * x + 0.5, 0, 1), rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize(
    ("activation", "version", "read"),
    [
        *(("gelu", "2.3.0-tf", False), ("gelu", "2.4.0", True), ("gelu", "2.2.4", False)),
        *(("swish", "2.2.4", False), ("swish", "2.4.0", True), ("mish", "2.12.0", False), ("mish", "2.13.0", True)),
        *(("leaky_relu", "2.15.0", True), ("silu", "2.3.0-tf", False), ("log_softmax", "2.15.0", True)),
        *(("celu", "2.15.0", False), ("hard_silu", "2.15.0", False)),
        *(("relu6", "2.2.4", True), ("softmax_v2", "2.15.0", True), ("exponential", "2.2.4", True)),
    ],
)
def test_a_name_that_the_writer_had_not_is_a_function_of_the_users(tmp_path, activation, version, read):
    path = write(
        tmp_path / "m.h5", single("Activation", {"activation": activation}, (3,)), {"it": {}}, keras_version=version
    )
    if read:
        assert dagir.from_keras(path).output_names
        return
    with pytest.raises(UnsupportedLayer, match=rf"'it' \(Activation\) .*'{activation}' is a function of its own"):
        dagir.from_keras(path)


@pytest.mark.parametrize(
    ("kind", "config", "said", "reason"),
    [
        ("Conv1D", {"filters": 2, "kernel_size": [2]}, {"keras_version": "2.2.4", "backend": "theano"}, "turned"),
        ("UpSampling1D", {"size": 2, "groups": 2}, {"keras_version": "2.4.0"}, "no argument 'groups'"),
        ("LSTM", {"units": 2}, {"keras_version": "2.2.4"}, "recurrent_activation"),
        (
            "ConvLSTM1D",
            {"filters": 2, "kernel_size": [2], "recurrent_activation": "tanh", "time_major": True},
            {},
            "time_major=True",
        ),
        ("Normalization", {"axis": -1}, {"keras_version": "2.4.0"}, "Keras 2.4.0 is of Keras's experimental"),
        ("SeparableConv1D", {"filters": 2, "kernel_size": [2], "groups": 2}, {"keras_version": "2.4.0"}, "groups=2"),
    ],
)
def test_what_has_no_words_today_is_refused_with_the_layer(tmp_path, kind, config, said, reason):
    with pytest.raises(UnsupportedLayer, match=f"m.h5: layer 'it' \\({kind}\\) cannot be taken: .*{reason}"):
        dagir.from_keras(write(tmp_path / "m.h5", single(kind, config, (4, 3)), {"it": {}}, **said))


def test_a_file_of_keras_1_is_refused(tmp_path):
    config = single("Activation", {"activation": "relu"}, (3,))
    with pytest.raises(UnsupportedLayer, match=r"m.h5: was written by Keras 1\.2\.2"):
        dagir.from_keras(write(tmp_path / "m.h5", config, {"it": {}}, keras_version="1.2.2"))


def test_bilinear_resizing_is_read_where_it_samples_at_centers(tmp_path):
    config = single("UpSampling2D", {"size": [2, 2], "interpolation": "bilinear"}, (2, 2, 1))
    assert dagir.from_keras(write(tmp_path / "m.h5", config, {"it": {}}, keras_version="2.4.0")).output_names
    with pytest.raises(UnsupportedLayer, match="bilinear"):  # of TensorFlow 1.13 or of 2.1
        dagir.from_keras(write(tmp_path / "m.h5", config, {"it": {}}, keras_version="2.2.4-tf"))


def test_bilinear_resizing_of_a_tensorflow_that_writes_ragged_samples_at_centers(tmp_path):
    first = {**begin()["config"], "batch_input_shape": [None, 2, 2, 1], "ragged": False}
    record = single("UpSampling2D", {"size": [2, 2], "interpolation": "bilinear"}, (2, 2, 1))
    record["config"]["layers"].insert(0, {"class_name": "InputLayer", "config": first})
    model = dagir.from_keras(write(tmp_path / "m.h5", record, {"it": {}}, keras_version="2.2.4-tf"))
    x = array(1, 2, 2, 1)
    between = np.array([[1, 0], [0.75, 0.25], [0.25, 0.75], [0, 1]])
    np.testing.assert_allclose(dagir.lower(model)(x)[0, :, :, 0], between @ x[0, :, :, 0] @ between.T, rtol=1e-5)


@pytest.mark.parametrize(("kind", "join"), [("Add", np.add), ("Maximum", np.maximum), ("Concatenate", None)])
def test_masks_of_merged_values_hold_where_all_hold(tmp_path, kind, join):
    """Keras 3 takes a step where any input has it."""
    table = array(4, 2)
    embedding = {"input_dim": 4, "output_dim": 2, "mask_zero": True}
    layers = [
        begin("x", 3),
        begin("y", 3),
        layer("Embedding", "table", embedding, [["x", 0, 0, {}]], [["y", 0, 0, {}]]),
        layer(kind, "merge", {}, [["table", 0, 0, {}], ["table", 1, 0, {}]]),
        layer("GlobalAveragePooling1D", "mean", {}, [["merge", 0, 0, {}]]),
    ]
    config = functional("m", layers, [["mean", 0, 0]])
    config["config"]["input_layers"] = [["x", 0, 0], ["y", 0, 0]]
    path = write(tmp_path / "m.h5", config, {"table": {"embeddings": table}}, keras_version="2.15.0")
    x, y = np.array([[1, 0, 2], [3, 1, 1]], "float32"), np.array([[1, 2, 0], [0, 2, 2]], "float32")
    first, second = table[x.astype(int)], table[y.astype(int)]
    merged = np.concatenate([first, second], -1) if join is None else join(first, second)
    kept = ((x != 0) & (y != 0))[..., None]
    found = dagir.lower(dagir.from_keras(path))(x, y)
    np.testing.assert_allclose(found, (merged * kept).sum(1) / kept.sum(1), rtol=1e-5)


def test_one_output_in_a_list_is_the_output_itself(tmp_path):
    """So wrote Keras 2 and Keras 3 to 3.10: what goes on with it takes no list."""
    kernel = array(3, 3)
    inside = [begin(), layer("Dense", "dense", {"units": 3, "use_bias": False}, [["x", 0, 0, {}]])]
    inner = {**functional("inner", inside, [["dense", 0, 0]]), "name": "inner"}
    after = layer("Activation", "act", {"activation": "tanh"})
    config = {"class_name": "Sequential", "config": {"name": "m", "layers": [inner, after]}}
    path = write(tmp_path / "m.h5", config, {"inner": {"kernel": kernel}, "act": {}}, keras_version="2.15.0")
    x = array(2, 3)
    np.testing.assert_allclose(dagir.lower(dagir.from_keras(path))(x), np.tanh(x @ kernel), rtol=1e-5)


def test_a_sequential_of_keras_2_0_is_the_list_of_its_layers(tmp_path):
    """Its numbers may be arrays, and the model inside has no name."""
    first, second = array(3, 4), array(4, 2)
    inside = [layer("Dense", "dense_2", {"units": 2, "use_bias": False, "input_dtype": "float32"})]
    stack = [
        layer("Dense", "dense_1", {"units": 4, "use_bias": False, "batch_input_shape": [None, 3]}),
        layer("LeakyReLU", "leaky", {"alpha": {"type": "ndarray", "value": 0.25}}),
        {"class_name": "Sequential", "config": inside},
    ]
    config = {"class_name": "Sequential", "config": stack}
    weights = {"dense_1": {"kernel": first}, "leaky": {}, "sequential_7": {"kernel": second}}
    model = dagir.from_keras(write(tmp_path / "m.h5", config, weights, keras_version="2.0.9"))
    x = array(5, 3)
    hidden = x @ first
    want = np.where(hidden > 0, hidden, 0.25 * hidden) @ second
    np.testing.assert_allclose(dagir.lower(model)(x), want, rtol=1e-4, atol=1e-5)
