"""Indexing a Value against indexing a NumPy array."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.ir.graph import Graph
from dagir.runtime.backend import backend

BOUND = st.none() | st.integers(-7, 7)
STEP = st.none() | st.sampled_from([1, 2, 3, -1, -2])


@st.composite
def indexed(draw):
    """A shape, and an index that NumPy takes: ints, slices, None and one Ellipsis, in any order."""
    shape = tuple(draw(st.lists(st.sampled_from([1, 2, 3, 5]), min_size=1, max_size=4)))
    used = draw(st.integers(0, len(shape)))
    split = draw(st.integers(0, used)) if draw(st.booleans()) else used
    parts = []
    for place in range(used):
        size = shape[place] if place < split else shape[len(shape) - used + place]
        parts.append(draw(st.integers(-size, size - 1) | st.builds(slice, BOUND, BOUND, STEP)))
    if split < used or draw(st.booleans()):
        parts.insert(split, Ellipsis)
    for _ in range(draw(st.integers(0, 2))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    return shape, parts[0] if len(parts) == 1 else tuple(parts)


def check(shape, index, known, names=("numpy",)):
    array = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    x = dagir.Input(batch_shape=[size if known[axis] else f"s{axis}" for axis, size in enumerate(shape)])
    y = x[index]
    expected = array[index]
    for name in names:
        found = backend(name).lower(Graph([x], [y]))([array])[0]
        assert found.shape == expected.shape
        assert np.array_equal(found, expected), name
    sizes = {f"s{axis}": size for axis, size in enumerate(shape)}
    assert tuple(dagir.ir.dims.evaluate(size, sizes) for size in y.type.shape) == expected.shape


@settings(max_examples=8 * settings.default.max_examples)
@given(indexed())
def test_is_numpys(case):
    shape, index = case
    check(shape, index, [True] * len(shape))


@settings(max_examples=8 * settings.default.max_examples)
@given(indexed(), st.data())
def test_is_numpys_where_sizes_are_known_at_run_time_only(case, data):
    shape, index = case
    check(shape, index, [data.draw(st.booleans()) for _ in shape])


@given(indexed())
def test_onnx_indexes_alike(case):
    shape, index = case
    check(shape, index, [False] * len(shape), ("onnx",))


@pytest.mark.parametrize("index", [0, -1, [2, 0, 1], [[0, 1], [2, -1]]])
def test_by_a_value(index):
    array = np.arange(12, dtype=np.float32).reshape(3, 4)
    x, i = dagir.Input(batch_shape=("n", 4)), dagir.Input(batch_shape=np.shape(index), dtype="int32")
    found = dagir.lower(Graph([x, i], [x[i], x[:, i % 4]]), "numpy")([array, np.asarray(index, np.int32)])
    assert np.array_equal(found[0], array[index])
    assert np.array_equal(found[1], array[:, np.asarray(index) % 4])


@pytest.mark.parametrize(
    ("index", "message"),
    [
        (7, "index 7 is out of range"),
        ((0, 0, 0), "3 indices"),
        ((..., ...), "Ellipsis"),
        (slice(None, None, 0), "step cannot be 0"),
        ("a", "cannot index"),
        (True, "cannot index"),
        (1.5, "cannot index"),
        (slice(0, 1.5), "bounds"),
    ],
)
def test_refuses(index, message):
    x = dagir.Input(batch_shape=(3, 4))
    with pytest.raises(dagir.ArgumentError, match=message):
        x[index]


def test_iterates_over_a_known_first_axis():
    x = dagir.Input(batch_shape=(3, 4))
    assert [row.shape for row in x] == [(4,)] * 3
    with pytest.raises(dagir.ShapeError):
        len(dagir.Input(shape=(4,)))


def test_flip_is_numpys():
    array = np.arange(6.0, dtype=np.float32).reshape(2, 3)
    x = dagir.Input(batch_shape=("n", 3))
    found = dagir.lower(Graph([x], [ops.flip(x), ops.flip(x, 1)]), "numpy")([array])
    assert np.array_equal(found[0], np.flip(array))
    assert np.array_equal(found[1], np.flip(array, 1))
