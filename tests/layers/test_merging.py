"""Merging layers against Keras's own, masks included, on every backend."""

from __future__ import annotations

import inspect
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers
from dagir.testing import assert_close, assert_equivalent

ELEMENTWISE = ["Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum"]
ALL = [*ELEMENTWISE, "Concatenate", "Dot"]
SIZES = st.sampled_from([1, 2, 3, 5])


@st.composite
def shapes(draw, name):
    """The arguments, and shapes behind the batch that the layer merges."""
    if name == "Dot":
        return draw(dot_shapes())
    count = 2 if name == "Subtract" else draw(st.integers(1, 4))
    full = draw(st.lists(SIZES, min_size=1, max_size=3))
    if name == "Concatenate":
        axis = draw(st.integers(0, len(full) - 1))
        found = [(*full[:axis], draw(SIZES), *full[axis + 1 :]) for _ in range(count)]
        return {"axis": draw(st.sampled_from([axis + 1, axis - len(full)]))}, found
    found = [tuple(draw(st.sampled_from([1, size])) for size in full[draw(st.integers(0, 1)) :]) for _ in range(count)]
    return {}, [tuple(full), *found[1:]]


@st.composite
def dot_shapes(draw):
    size = draw(SIZES)
    found, axes = [], []
    for _ in range(2):
        shape = draw(st.lists(SIZES, min_size=0, max_size=2))
        axes.append(draw(st.integers(0, len(shape))))
        shape.insert(axes[-1], size)
        found.append(tuple(shape))
    axes = [axis + 1 for axis in axes]
    if draw(st.booleans()):
        axes[0] -= len(found[0]) + 1
    if axes[0] == axes[1] and draw(st.booleans()):
        axes = axes[0]
    return {"axes": axes, "normalize": draw(st.booleans())}, found


def values_of(shapes, batch, seed):
    rng = np.random.default_rng(seed)
    return [rng.uniform(-2, 2, (batch, *shape)).astype("float32") for shape in shapes]


def oracle(model, xs):
    return dagir.lower(model, "numpy", precision="float64")(list(xs))


@pytest.mark.parametrize("name", ALL)
def test_layer_agrees_with_keras(name):
    @given(shapes(name), st.sampled_from([1, 3]), st.integers(0, 2**16))
    def agrees(drawn, batch, seed):
        kwargs, found = drawn
        xs = values_of(found, batch, seed)
        inputs = [dagir.Input(shape) for shape in found]
        model = dagir.Model(inputs, getattr(layers, name)(**kwargs)(inputs))
        assert_equivalent(model, xs)
        if name in ("Add", "Average") and len(set(found)) > 1:
            return  # Keras itself misreads some that broadcast: see test_sums_that_keras_misreads
        want = np.asarray(getattr(keras.layers, name)(**kwargs)([keras.ops.convert_to_tensor(x) for x in xs]))
        assert model.output.shape[1:] == want.shape[1:]
        assert_close(want, oracle(model, xs), "Keras's own layer")

    agrees()


@pytest.mark.parametrize("name", ["Add", "Average"])
@pytest.mark.parametrize("second", [(2, 1, 1), (1, 1, 1), (2, 1, 2), (1, 1, 2), (1,), (2,)])
def test_sums_that_keras_misreads(name, second):
    """Keras adds an operand with one axis above 1 to the channels; such a call is no Keras layer after lowering."""
    a, b = dagir.Input((2, 3, 2)), dagir.Input(second)
    model = dagir.Model([a, b], getattr(layers, name)()([a, b]))
    for batch in (1, 2):
        assert_equivalent(model, values_of([(2, 3, 2), second], batch, batch))
    same = dagir.Model(a, getattr(layers, name)(name="same")([a, layers.ReLU()(a)]))
    assert type(dagir.lower(same, "keras").artifact.get_layer("same")).__name__ == name


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_sizes_known_at_run_time_only(name):
    a, b = dagir.Input(("time", 3)), dagir.Input((3,))
    model = dagir.Model([a, b], getattr(layers, name)()([a, b]))
    judge = getattr(keras.layers, name)()
    lowered = {backend: dagir.lower(model, backend) for backend in ("numpy", "onnx", "keras")}
    for batch, time in ((1, 4), (3, 2)):
        xs = values_of([(time, 3), (3,)], batch, time)
        expected = oracle(model, xs)
        assert_close(np.asarray(judge([keras.ops.convert_to_tensor(x) for x in xs])), expected, "Keras's own layer")
        for backend, run in lowered.items():
            assert_close(run(xs), expected, backend)


def test_concatenate_and_dot_at_sizes_known_at_run_time_only():
    a, b = dagir.Input(("short", 3)), dagir.Input(("long", 3))
    joined, scores = layers.concatenate([a, b], axis=1), layers.dot([a, b], axes=2)
    assert [str(y.type) for y in (joined, scores)] == ["float32[batch, long + short, 3]", "float32[batch, short, long]"]
    model = dagir.Model([a, b], [joined, scores])
    for batch, short, long in ((1, 4, 2), (3, 1, 5)):
        assert_equivalent(model, values_of([(short, 3), (long, 3)], batch, short))


IDS = np.array([[3, 1, 0, 0, 0], [2, 0, 4, 0, 0], [0, 2, 3, 4, 1]], "int32")


def masked_pair(home, masked):
    """Two embeddings of the same ids and their reverse, with and without a mask: the inputs, the values, the layers."""
    made = home.Input((5,), dtype="int32"), home.Input((5,), dtype="int32")
    tables = [home.layers.Embedding(5, 3, mask_zero=zero) for zero in masked]
    return made, [table(x) for table, x in zip(tables, made, strict=True)], tables


@pytest.mark.parametrize("masked", [(True, True), (True, False), (False, True)])
@pytest.mark.parametrize("name", [*ELEMENTWISE, "Concatenate", "Dot"])
def test_masks_are_keras_s(name, masked):
    kwargs = {"Concatenate": {"axis": 1}, "Dot": {"axes": 2}}.get(name, {})
    rng = np.random.default_rng(0)
    weights = [rng.uniform(-2, 2, (5, 3)).astype("float32") for _ in range(2)]
    feeds = [IDS, IDS[::-1].copy()]
    inputs, values, tables = masked_pair(dagir, masked)
    merged = getattr(layers, name)(**kwargs)(values)
    for table, weight in zip(tables, weights, strict=True):
        table.set_weights([weight])
    k_inputs, k_values, k_tables = masked_pair(keras, masked)
    k_merged = getattr(keras.layers, name)(**kwargs)(k_values)
    for table, weight in zip(k_tables, weights, strict=True):
        table.set_weights([weight])
    k_mask = getattr(k_merged, "_keras_mask", None)
    assert (merged.mask is None) == (k_mask is None)
    model = dagir.Model(inputs, merged)
    judge = keras.Model(k_inputs, k_merged)
    assert_close(np.asarray(judge(feeds)), oracle(model, feeds), "Keras's own layers")
    assert_equivalent(model, feeds)
    if merged.mask is not None:
        model = dagir.Model(inputs, merged.mask)
        want = np.asarray(keras.Model(k_inputs, k_mask)(feeds))
        assert np.array_equal(oracle(model, feeds), want)
        assert_equivalent(model, feeds, ("numpy", "onnx"))


def test_merges_integers():
    a, b = dagir.Input((2,), dtype="int32"), dagir.Input((2,), dtype="int32")
    xs = [np.array([[1, -2]], "int32"), np.array([[4, 3]], "int32")]
    sums = dagir.Model([a, b], [layers.add([a, b]), layers.maximum([a, b]), layers.concatenate([a, b])])
    assert_equivalent(sums, xs)
    mean = dagir.Model([a, b], layers.average([a, b]))
    assert mean.output.dtype == "float32"  # Keras says float32 too, and gives float64
    assert_equivalent(mean, xs, ("numpy", "onnx"))


@pytest.mark.parametrize("name", ALL)
def test_functional_form_is_a_layer(name):
    kwargs = {"axes": 1} if name == "Dot" else {}
    a, b = dagir.Input((3,)), dagir.Input((3,))
    y = getattr(layers, name.lower())([a, b], **kwargs, name="merged")
    assert y.name == "merged"
    assert type(dagir.Model([a, b], y).get_layer("merged")).__name__ == name


@pytest.mark.parametrize("name", [*ALL, *map(str.lower, ALL)])
def test_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (layers, keras.layers))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize(
    ("name", "kwargs", "shapes", "message"),
    [
        ("Add", {}, [(2, 3), (2, 4)], "do not broadcast: 3 against 4"),
        ("Subtract", {}, [(2,), (2,), (2,)], "list of 2 values, got 3"),
        ("Concatenate", {"axis": 1}, [(2, 3), (2, 4)], "sizes differ on axis 2"),
        ("Concatenate", {"axis": 1.0}, [(2,)], "int for axis"),
        ("Concatenate", {"axis": 4}, [(2,), (2,)], "axis 4 is out of range"),
        ("Dot", {"axes": 1}, [(2,), (3,)], "one size, got 2 .axis 1. and 3"),
        ("Dot", {"axes": 0}, [(2,), (2,)], "is the batch"),
        ("Dot", {"axes": (1, 2, 3)}, [(2,), (2,)], "two ints for axes"),
        ("Dot", {"axes": 1}, [(2,)], "list of 2 values, got 1"),
    ],
)
def test_refuses(name, kwargs, shapes, message):
    with pytest.raises(dagir.DagirError, match=message):
        getattr(layers, name)(**kwargs)([dagir.Input(shape) for shape in shapes])


def test_refuses_one_value_and_batches_that_differ():
    with pytest.raises(dagir.ArgumentError, match="Add takes a list of values"):
        layers.Add()(dagir.Input((2,)))
    with pytest.raises(dagir.ShapeError, match="one batch size, got 2, 3"):
        layers.add([dagir.Input(batch_shape=(2, 4)), dagir.Input(batch_shape=(3, 4))])
