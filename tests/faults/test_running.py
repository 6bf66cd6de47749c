"""Rows 26 to 36: what is fed, where it runs, what it is compared with, and where it is written."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.errors import NonFiniteWarning
from dagir.testing import assert_close

BACKENDS = ("numpy", "onnx", "keras")
everywhere = pytest.mark.parametrize("backend", BACKENDS)


def two_inputs():
    series = dagir.Input(("time", 3), name="series")
    counts = dagir.Input(("time",), name="counts", dtype="int32")
    return dagir.Model([series, counts], ops.sum(series, axis=-1) + ops.cast(counts, "float32"), name="two")


SERIES, COUNTS = np.ones((2, 5, 3), "float32"), np.ones((2, 5), "int32")
INPUTS = "the inputs are: series float32[batch, time, 3], counts int32[batch, time]"
DECLARED = "  declared  float32[batch, time, 3]\n  given     float32"
FEEDS = {
    "row_26_missing": (
        {"series": SERIES},
        f"input 'counts' is missing\n  declared  int32[batch, time]\n  remedy: {INPUTS}",
    ),
    "row_26_one_too_few": ([SERIES], f"2 inputs are needed, got 1\n  remedy: {INPUTS}"),
    "row_26_one_array": (SERIES, f"2 inputs are needed, got one\n  remedy: {INPUTS}"),
    "row_27_unknown": (
        {"series": SERIES, "counts": COUNTS, "mask": COUNTS},
        f"there is no input 'mask'\n  remedy: {INPUTS}",
    ),
    "row_27_misspelt": (
        {"serie": SERIES, "counts": COUNTS},
        f"there is no input 'serie'\n  remedy: did you mean series? {INPUTS}",
    ),
    "row_28_double": (
        [SERIES.astype("float64"), COUNTS],
        "input 'series' takes float32, got an array of float64\n  remedy: convert it: x.astype('float32')",
    ),
    "row_28_fractions_for_counts": (
        [SERIES, [[0.5] * 5] * 2],
        "input 'counts' takes int32, got an array of float64\n  remedy: convert it: x.astype('int32')",
    ),
    "row_28_more_than_the_dtype_holds": (
        [SERIES, [[2**40] * 5] * 2],
        "input 'counts' takes int32, got an array of int64\n  remedy: convert it: x.astype('int32')",
    ),
    "row_28_words": (
        [SERIES, [["a"] * 5] * 2],
        "input 'counts' takes int32, got [['a', 'a', 'a', 'a', 'a'], ['a', 'a', 'a', 'a', 'a']]\n"
        "  remedy: give an array of numbers",
    ),
    "row_28_nothing": (
        [None, COUNTS],
        "input 'series' takes float32, got None\n  remedy: give an array of numbers",
    ),
    "row_28_ragged": (
        [[[1.0, 2.0], [3.0]], COUNTS],
        "input 'series' takes float32[batch, time, 3], got rows of different lengths",
    ),
    "row_29_rank": (
        [SERIES[0], COUNTS],
        "input 'series' takes float32[batch, time, 3], got an array of shape (5, 3)\n"
        "  remedy: add the batch axis: x[None]",
    ),
    "row_29_size": (
        [np.ones((2, 5, 4), "float32"), COUNTS],
        f"axis 2 of input 'series' must have size 3; got 4\n{DECLARED}[2, 5, 4]",
    ),
    "row_29_sizes_of_one_name": (
        [SERIES, np.ones((2, 6), "int32")],
        "axis 1 of input 'counts' must have size time, which is 5 in input 'series'; got 6\n"
        "  declared  int32[batch, time]\n  given     int32[2, 6]",
    ),
}


def told(error):
    """The message without the model and the user's line, which are there."""
    facts = dict(error.facts)
    assert "model" in facts
    assert "test_running.py:" in str(error)
    return str(dagir.DagirError(error.summary, facts=error.facts[:-1], remedy=error.remedy))


@pytest.mark.parametrize("name", FEEDS)
def test_rows_26_to_29_feeds(name):
    feeds, message = FEEDS[name]
    with pytest.raises(dagir.FeedError) as caught:
        dagir.lower(two_inputs(), "numpy")(feeds)
    assert told(caught.value) == message


@everywhere
def test_rows_26_to_29_are_the_same_on_every_backend(backend):
    executable = dagir.lower(two_inputs(), backend)
    for feeds, message in FEEDS.values():
        with pytest.raises(dagir.FeedError) as caught:
            executable(feeds)
        assert told(caught.value) == message


@pytest.mark.parametrize("count", [0, 2])
def test_one_input_counts_what_it_was_given(count):
    executable = dagir.lower(one_input(), "numpy")
    row = np.ones((2, 4), "float32")
    for feeds in ((row,) * count, ([row] * count,)):
        with pytest.raises(dagir.FeedError) as caught:
            executable(*feeds)
        said = str(caught.value)
        assert said.startswith(f"1 input is needed, got {count or 'none'}")
        assert "small" in said and "test_running.py:" in said and "the inputs are: x float32[batch, 4]" in said
    np.testing.assert_array_equal(executable([list(row[0]), list(row[1])]), executable(row))
    np.testing.assert_array_equal(executable([row[0], row[1]]), executable([row]))


def test_a_tensor_of_a_framework_is_an_array():
    class Tensor:
        def __init__(self, array):
            self.array, self.ndim = array, array.ndim

        def __array__(self, dtype=None, copy=None):
            return self.array

    row = np.ones((2, 4), "float32")
    executable = dagir.lower(one_input(), "numpy")
    for feeds in (Tensor(row), [Tensor(row)], {"x": Tensor(row)}):
        np.testing.assert_array_equal(executable(feeds), executable(row))


def test_a_wrong_key_of_a_model_that_is_called_is_named():
    x = dagir.Input((4,), name="y")
    with pytest.raises(
        dagir.ArgumentError, match=r"model 'small' has no input 'xx', and needs 'x'[\s\S]*did you mean x\?"
    ):
        one_input()({"xx": x})


def one_input():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3)(x), name="small")


def test_predict_casts_and_refuses_the_rest():
    model = two_inputs()
    np.testing.assert_array_equal(model.predict([SERIES.astype("float64"), COUNTS.astype("int64")]), 4 * COUNTS)
    with pytest.raises(dagir.FeedError, match=r"^there is no input 'mask'"):
        model.predict({"series": SERIES, "counts": COUNTS, "mask": COUNTS})
    with pytest.raises(dagir.FeedError, match=r"^axis 0 of input 'counts' must have size batch, which is 2"):
        model.predict([SERIES, np.ones((3, 5), "int32")])
    with pytest.raises(dagir.FeedError, match=r"^input 'counts' takes int32, got an array of <U1"):
        model.predict([SERIES, np.full((2, 5), "a")])


# ---- rows 30 and 31: nothing, and no numbers


def small_layers():
    """One call of a layer or op of each kind, and the shape that it is called on."""
    image, series, vector = (8, 8, 4), (5, 3), (6,)
    made = [
        *[(vector, layer) for layer in (layers.Dense(3, activation="softmax"), layers.LayerNormalization())],
        *[(vector, layers.Activation(name)) for name in ("relu", "gelu", "softplus", "hard_sigmoid", "selu")],
        *[(series, layer) for layer in (layers.Conv1D(2, 3, padding="causal"), layers.SimpleRNN(3))],
        *[(series, layer) for layer in (layers.LSTM(3, return_sequences=True), layers.GRU(3), layers.MaxPooling1D(2))],
        *[(series, layer) for layer in (layers.GlobalMaxPooling1D(), layers.Permute((2, 1)), layers.Reshape((-1,)))],
        *[(image, layer) for layer in (layers.Conv2D(2, 3, strides=2, padding="same"), layers.DepthwiseConv2D(3))],
        *[(image, layer) for layer in (layers.Conv2DTranspose(2, 3, strides=2), layers.BatchNormalization())],
        *[(image, layer) for layer in (layers.AveragePooling2D(3, padding="same"), layers.MaxPooling2D(2))],
        *[(image, layer) for layer in (layers.UpSampling2D(2), layers.GroupNormalization(2), layers.Flatten())],
    ]
    for reduced in (ops.max, ops.min, ops.mean, ops.logsumexp, ops.argmin, ops.prod):
        made.append((series, lambda x, reduced=reduced: reduced(x, axis=1)))
    for op in (lambda x: ops.maximum(x, 0.5 * x), lambda x: ops.clip(x, -1.0, 1.0), lambda x: x > 0.0, ops.isnan):
        made.append((vector, op))
    return made


def models():
    rng = np.random.default_rng(0)
    for shape, layer in small_layers():
        x = dagir.Input(shape, name="x")
        model = dagir.Model(x, layer(x))
        for weight in model.weights:
            weight.assign(weight.array + rng.normal(0, 0.1, weight.shape))
        yield model, shape


@everywhere
def test_row_30_a_batch_of_nothing_gives_nothing(backend):
    for model, shape in models():
        found = dagir.lower(model, backend)(np.zeros((0, *shape), "float32"))
        assert found.shape == (0, *model.output.shape[1:]) and found.dtype == model.output.dtype.numpy, model.layers
    x = dagir.Input((3,), name="x")
    total = dagir.Model(x, ops.sum(layers.Dense(2, bias_initializer="ones")(x), axis=0))
    np.testing.assert_array_equal(dagir.lower(total, backend)(np.zeros((0, 3), "float32")), [0, 0])


@everywhere
def test_row_30_what_has_no_answer_for_nothing_is_refused(backend):
    x = dagir.Input((3,), name="x")
    with pytest.raises(dagir.FeedError):
        dagir.lower(dagir.Model(x, ops.argmax(x, axis=0)), backend)(np.zeros((0, 3), "float32"))


@everywhere
def test_row_31_nan_stays_where_it_belongs_or_is_refused(backend):
    refused = []
    for model, shape in models():
        array = np.random.default_rng(1).normal(size=(3, *shape)).astype("float32")
        array[1].reshape(-1)[2] = np.nan
        expected = dagir.lower(model, "numpy", precision="float64")(array)
        try:
            found = dagir.lower(model, backend)(array)
        except dagir.FeedError as error:
            assert error.summary.startswith("input 'x' holds 1 NaN, and "), error
            refused.append(model.layers[-1].name)
            continue
        assert_close(found, expected, f"{model.layers} on {backend}")
    known = {"numpy": [], "onnx": ["lstm", "gru", "max_pooling1d", "max_pooling2d"]}
    assert refused == known.get(backend, ["max_pooling1d", "max_pooling2d"])


def test_row_31_the_message_names_the_node():
    x = dagir.Input((5, 3), name="x")
    model = dagir.Model(x, layers.LSTM(2, name="reader")(x))
    array = np.full((1, 5, 3), np.nan, "float32")
    with pytest.raises(dagir.FeedError) as caught:
        dagir.lower(model, "onnx")(array)
    message = str(caught.value)
    assert message.startswith("input 'x' holds 15 NaN, and onnxruntime would make numbers of them in LSTM(")
    assert ", layer 'reader', at " in message
    assert message.endswith("\n  remedy: feed numbers, or use the numpy backend, where NaN stays NaN")


# ---- row 32: indices


def nested_embedding():
    ids = dagir.Input((None,), name="ids", dtype="int32")
    inner = dagir.Model(ids, layers.Embedding(10, 4, name="words")(ids), name="inner")
    outer = dagir.Input((None,), name="outer", dtype="int32")
    return dagir.Model(outer, inner(outer - 1))


def embedding(dtype="int32"):
    ids = dagir.Input((None,), name="ids", dtype=dtype)
    whole = ops.cast(ids, "int32") if dtype == "float32" else ids
    return dagir.Model(ids, layers.Embedding(10, 4, name="words")(whole))


@everywhere
@pytest.mark.parametrize("bad", [10, -1, -11])
@pytest.mark.parametrize("dtype", ["int32", "float32"])
def test_row_32_an_id_out_of_range_is_one_error_everywhere(backend, dtype, bad):
    with pytest.raises(dagir.FeedError) as caught:
        dagir.lower(embedding(dtype), backend)(np.asarray([[3, bad]], dtype))
    assert caught.value.summary == f"an id is out of range: {bad}, where 0 to 9 are valid"
    assert f"Embedding, layer 'words', at {__file__}:" in dict(caught.value.facts)["node"]
    assert "make input_dim of the embedding larger than every id" in str(caught.value)


@everywhere
def test_row_32_within_a_nested_model(backend):
    executable = dagir.lower(nested_embedding(), backend)
    assert executable(np.asarray([[1, 10]], "int32")).shape == (1, 2, 4)
    for bad, found in ((11, 10), (0, -1)):
        with pytest.raises(dagir.FeedError, match=f"an id is out of range: {found}, where 0 to 9") as caught:
            executable(np.asarray([[1, bad]], "int32"))
        assert "layer 'inner/words'" in str(caught.value)


@everywhere
def test_row_32_an_index_counts_from_the_end_and_no_further(backend):
    x = dagir.Input((5,), name="x")
    places = dagir.Input(batch_shape=("count",), name="places", dtype="int32")
    executable = dagir.lower(dagir.Model([x, places], ops.take(x, places, axis=1)), backend)
    rows = np.arange(10, dtype="float32").reshape(2, 5)
    np.testing.assert_array_equal(executable([rows, np.asarray([0, -1, -5], "int32")]), rows[:, [0, 4, 0]])
    for bad in (5, -6):
        with pytest.raises(dagir.FeedError) as caught:
            executable([rows, np.asarray([1, bad], "int32")])
        assert caught.value.summary == f"an index is out of range: {bad}, where -5 to 4 are valid"


BY_ELEMENTS = {
    "take_along_axis": lambda x, i: ops.take_along_axis(x, i, axis=1),
    "gather_nd": ops.gather_nd,
    "scatter_elements": lambda x, i: ops.scatter_elements(x, i, x[:, :2] * 2.0, axis=1),
    "scatter_update": lambda x, i: ops.scatter_update(x, i, x[:, 0]),
}


@everywhere
@pytest.mark.parametrize("name", BY_ELEMENTS)
def test_row_32_so_does_an_index_of_single_elements(backend, name):
    x, i = dagir.Input(batch_shape=(2, 5), name="x"), dagir.Input(batch_shape=(2, 2), name="i", dtype="int32")
    model = dagir.Model([x, i], BY_ELEMENTS[name](x, i))
    executable, rows = dagir.lower(model, backend), np.arange(10, dtype="float32").reshape(2, 5)
    assert executable([rows, np.asarray([[0, 4], [1, 3]], "int32")]).shape[0] == 2
    for bad in (5, -6):
        with pytest.raises(dagir.FeedError) as caught:
            executable([rows, np.asarray([[0, 4], [1, bad]], "int32")])
        assert caught.value.summary == f"an index is out of range: {bad}, where -5 to 4 are valid"
    assert dagir.verify(model, (backend,)).ok  # which draws indices that are valid


# ---- row 33: see tests/deploy/test_cuda.py, which also runs where CUDA is there


# ---- row 34: see tests/convert/test_cli.py for the exit code; here the report


def test_row_34_a_mismatch_says_how_far_it_is():
    model = embedding()
    other = embedding()
    other.set_weights([model.weights[0].array * np.float32(1.01)])
    report = dagir.verify(model, {"other": dagir.lower(other, "numpy")})
    assert not report.ok
    with pytest.raises(dagir.VerificationError) as caught:
        report.require()
    assert caught.value.exit_code == 3
    assert "more than rounding explains" in str(caught.value)
    row = report.to_dict()["outputs"][0]
    assert 0 < row["max_error"] < 1


# ---- row 35: training=True


class Passes(dagir.Layer):
    """Gives its own training to the layer inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.drop = layers.Dropout(0.5, name="drop")

    def call(self, x, training=None):
        return self.drop(x, training=training)


class Silent(Passes):
    def call(self, x):
        return self.drop(x)


def functional():
    x = dagir.Input((4, 3), name="x")
    return dagir.Model(x, layers.Dropout(0.5, name="drop")(layers.Dense(2)(x)), name="functional")


RANDOM = "its output would be random"
TRAINING = {
    "dropout": (lambda: layers.Dropout(0.5, name="drop"), "drop", RANDOM),
    "noise": (lambda: layers.GaussianNoise(0.1, name="noise"), "noise", RANDOM),
    "recurrence": (lambda: layers.LSTM(2, recurrent_dropout=0.2, name="reader"), "reader", RANDOM),
    "normalization": (
        lambda: layers.BatchNormalization(name="norm"),
        "norm",
        "it would normalize by the statistics of each batch",
    ),
    "inside a custom layer": (Passes, "drop", RANDOM),
    "inside a custom layer that says nothing": (Silent, "drop", RANDOM),
    "inside a model": (functional, "drop", RANDOM),
}


@pytest.mark.parametrize("name", TRAINING)
def test_row_35_what_is_random_is_refused(name):
    make, layer, effect = TRAINING[name]
    x = dagir.Input((4, 3), name="x")
    with pytest.raises(dagir.UnsupportedOp) as caught:
        make()(x, training=True)
    assert caught.value.exit_code == 4
    assert caught.value.summary == f"layer {layer!r} is called with training=True: {effect} at inference too"
    assert f"called at  {__file__}:" in str(caught.value)
    assert caught.value.remedy.startswith("leave training out")
    for harmless in ({}, {"training": False}, {"training": None}):
        dagir.Model(x, make()(x, **harmless))


def test_row_35_what_does_not_change_is_no_matter():
    x = dagir.Input((4, 3), name="x")
    y = layers.LSTM(2)(layers.Dropout(0.0)(layers.Dense(3)(x), training=True), training=True)
    dagir.lower(dagir.Model(x, y), "numpy")
    with pytest.raises(dagir.UnsupportedOp):
        layers.Dropout(0.5)(x, True)


# ---- rows 22, 35 and 36 from the shell

SOURCE = """
import numpy as np
import dagir
from dagir import layers

def build(bad=False):
    x = dagir.Input((4,), name="x")
    model = dagir.Model(x, layers.Dense(3, name="head")(x))
    if bad:
        array = model.weights[0].array.copy()
        array[0, :2] = np.nan
        model.weights[0].assign(array)
    return model

net, bad = build(), build(True)

def noisy():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dropout(0.5, name="drop")(x, training=True))

def misspelt():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, dagir.ops.relu(x, alpha=3))
"""


@pytest.fixture
def shell(tmp_path):
    (tmp_path / "model.py").write_text(SOURCE)

    def run(*arguments):
        code = "from dagir_convert.command_line import main; main()"
        command = [sys.executable, "-c", code, *map(str, arguments)]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert "Traceback" not in done.stderr
        left = sorted(path.name for path in tmp_path.iterdir() if path.name != "__pycache__")
        return done.returncode, done.stdout, done.stderr, left

    return run


def test_row_22_weights_that_are_no_numbers_are_told_and_refused_under_strict(shell):
    code, out, err, left = shell("model.py:bad", "bad.onnx")
    assert code == 0 and left == ["bad.onnx", "model.py"], err
    assert "warning: weight 'head/kernel' holds 2 NaN of 12 numbers" in err
    code, out, err, left = shell("model.py:bad", "strict.onnx", "--strict")
    assert code == 5 and out == "" and left == ["bad.onnx", "model.py"]
    assert "model.py:bad: weight 'head/kernel' holds 2 NaN of 12 numbers" in err
    assert "leave out --strict" in err
    assert shell("model.py:net", "strict.onnx", "--strict")[0] == 0


def test_row_35_from_the_shell(shell):
    code, _, err, left = shell("model.py:noisy", "net.onnx")
    assert code == 4 and left == ["model.py"]
    assert "layer 'drop' is called with training=True: its output would be random at inference too" in err
    assert "model.py:19" in err


def test_row_9_from_the_shell(shell):
    code, _, err, left = shell("model.py:misspelt", "net.onnx")
    assert code == 2 and left == ["model.py"]
    assert "model.py:23 failed: TypeError: relu() got an unexpected keyword argument 'alpha'" in err


def test_row_36_a_folder_that_is_not_writable(shell, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    if os.access(tmp_path / "locked", os.W_OK):
        pytest.skip("this user writes everywhere")
    code, _, err, _ = shell("model.py:net", "locked/net.onnx")
    assert code == 5
    assert "the directory locked is not writable" in err


# ---- row 36 from Python

WRITERS = {
    "onnx": dagir.to_onnx,
    "keras": lambda model, path: dagir.lower(model, "keras").save(path),
    "dagir": lambda model, path: model.save(path),
}


def small():
    x = dagir.Input((4,), name="x")
    return dagir.Model(x, layers.Dense(3, name="head")(x))


@pytest.mark.parametrize("suffix", WRITERS)
def test_row_36_what_cannot_be_written_is_said_and_leaves_nothing(suffix, tmp_path, monkeypatch):
    write, model = WRITERS[suffix], small()
    with pytest.raises(dagir.FileError) as caught:
        write(model, tmp_path / "absent" / f"net.{suffix}")
    assert caught.value.exit_code == 5 and "absent" in caught.value.summary
    (tmp_path / f"folder.{suffix}").mkdir()
    with pytest.raises(dagir.FileError, match=f"folder.{suffix}"):
        write(model, tmp_path / f"folder.{suffix}")
    assert [path.name for path in tmp_path.rglob("*")] == [f"folder.{suffix}"]

    path = tmp_path / f"net.{suffix}"
    write(model, path)
    before = path.read_bytes()

    def fail(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "replace", fail)
    with pytest.raises(dagir.FileError, match="No space left on device"):
        write(model, path)
    assert path.read_bytes() == before
    assert sorted(each.name for each in tmp_path.iterdir()) == [f"folder.{suffix}", path.name]


def test_row_36_an_existing_file_is_kept_where_that_is_asked_for(tmp_path):
    path = Path(tmp_path / "net.onnx")
    dagir.to_onnx(small(), path)
    before = path.read_bytes()
    with pytest.raises(dagir.FileError, match="exists"):
        dagir.to_onnx(small(), path, overwrite=False)
    assert path.read_bytes() == before
    small().save(tmp_path / "net.dagir")
    with pytest.raises(dagir.FileError, match="exists"):
        small().save(tmp_path / "net.dagir", overwrite=False)


def test_row_22_from_python_names_each_weight_once(recwarn):
    model = small()
    model.weights[1].assign([np.nan, 1, 2])
    dagir.to_onnx(model)
    found = [str(each.message) for each in recwarn if each.category is NonFiniteWarning]
    assert found == ["weight 'head/bias' holds 1 NaN of 3 numbers"] * 2  # when it was set, when it was written
