"""Functions that are composed of others, where a part of them used to leave the dtype, or to repeat what it counts."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, DTypeError, ShapeError

BACKENDS = ("numpy", "onnx", "keras")
BYTES = np.array([0, 5, 44, 200, 255], np.uint8)
LEAST = np.array([-128, -128, -128, 127, -7], np.int8)


def run(backend, function, *arrays):
    inputs = [dagir.Input(batch_shape=array.shape, dtype=str(array.dtype)) for array in arrays]
    return dagir.lower(dagir.Model(inputs, function(*inputs)), backend)(list(arrays))


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["uint8", "int8", "bool"])
def test_one_hot_has_one_place_for_each_class_beyond_the_range_of_the_dtype(dtype, backend):
    given = np.array([0, 1, 5, 100]).astype(dtype)
    found = run(backend, lambda x: ops.one_hot(x, 300), given)
    np.testing.assert_array_equal(found, np.eye(300, dtype=np.float32)[given.astype(int)])


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_one_hot_of_short_floats_tells_neighbours_apart(dtype):
    given = ops.cast(dagir.Input(batch_shape=(1,)), dtype)
    model = dagir.Model(given.node.inputs[0], ops.one_hot(given, 4000))
    assert model.predict(np.float32([256]), backend="numpy").sum() == 1


@pytest.mark.parametrize("backend", BACKENDS)
def test_digitize_takes_boundaries_that_the_dtype_has_not(backend):
    bins = [64, 128, 192, 256]
    found = run(backend, lambda x: ops.digitize(x, bins), BYTES)
    np.testing.assert_array_equal(found, np.digitize(BYTES.astype(int), bins))


def test_digitize_refuses_integers_that_no_dtype_holds():
    with pytest.raises(DTypeError, match=r"int64 and of uint64|uint64 and of int64"):
        ops.digitize(dagir.Input((3,), dtype="uint64"), np.array([1, 2]))


@pytest.mark.parametrize("backend", BACKENDS)
def test_histogram_of_bytes_counts_more_than_a_byte(backend):
    image = np.arange(2560, dtype=np.int64).astype(np.uint8)
    counts, edges = run(backend, lambda x: ops.histogram(x, 4, (0, 256)), image)
    np.testing.assert_array_equal(counts, [640, 640, 640, 640])
    np.testing.assert_array_equal(edges, [0, 64, 128, 192, 256])


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("divisor", [3, -3, 7, -128])
def test_fmod_of_the_smallest_integer_is_what_c_says(divisor, backend):
    found = run(backend, lambda x: ops.fmod(x, divisor), LEAST)
    np.testing.assert_array_equal(found, np.fmod(LEAST.astype(int), divisor))


def test_gcd_with_the_smallest_integer_is_not_below_zero():
    found = run("numpy", lambda x: ops.gcd(96, x), LEAST)
    np.testing.assert_array_equal(found, np.gcd(96, LEAST.astype(int)))


def test_clip_refuses_an_array_of_bounds_that_the_dtype_has_not():
    x = dagir.Input(batch_shape=(2,), dtype="int8")
    with pytest.raises(DTypeError, match="bound 300"):
        ops.clip(x, x - 1, 300)
    with pytest.raises(DTypeError, match="bound -200"):
        ops.clip(x, np.array([-200, 0]), x)


@pytest.mark.parametrize("shapes", [((3,), (3, 3)), ((3, 3), (3,))])
def test_tensordot_over_more_axes_than_there_are_is_refused(shapes):
    with pytest.raises(ArgumentError, match=r"different axes|out of range"):
        ops.tensordot(*(dagir.Input(batch_shape=shape) for shape in shapes))


def test_an_average_refuses_one_weight_for_several_elements():
    x = dagir.Input(batch_shape=(2, 3))
    for weights, axis in (
        (np.ones((2, 1), "float32"), 1),
        (np.ones(1, "float32"), 1),
        (np.ones((1, 3), "float32"), None),
    ):
        with pytest.raises(ShapeError, match="one weight"):
            ops.average(x, axis, weights)


def test_an_average_takes_the_same_weights_for_each_row():
    x, weights = np.float32([[1, 2, 4], [0, 1, 0]]), np.float32([[1, 1, 2]])
    np.testing.assert_allclose(run("numpy", lambda v: ops.average(v, 1, weights), x), [2.75, 0.25])


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_number_beside_infinity_is_the_largest(backend):
    found = run(backend, lambda x: ops.nextafter(x, 0.0), np.float32([np.inf, -np.inf, 2]))
    np.testing.assert_array_equal(found, np.nextafter(np.float32([np.inf, -np.inf, 2]), np.float32(0)))


def test_the_bytes_of_integers_are_bools_as_many():
    given = np.array([0, 1, 256, -1], np.int16)
    found = run("numpy", lambda x: ops.view(x, "bool"), given)
    np.testing.assert_array_equal(found, given.view(np.uint8) != 0)


def test_unstack_refuses_another_number_of_entries():
    with pytest.raises(ShapeError, match="3 entries, and num says 2"):
        ops.unstack(dagir.Input(batch_shape=(3, 2)), num=2)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize(
    ("function", "wanted"),
    [
        (ops.segment_sum, [[1, 2], [12, 14]]),
        (ops.segment_prod, [[1, 2], [35, 48]]),
        (ops.segment_max, [[1, 2], [7, 8]]),
        (ops.segment_min, [[1, 2], [5, 6]]),
    ],
)
def test_an_entry_whose_segment_is_below_zero_is_in_none(function, wanted, backend):
    data, ids = np.float32([[1, 2], [3, 4], [5, 6], [7, 8]]), np.array([0, -1, 1, 1], np.int32)
    np.testing.assert_array_equal(run(backend, lambda x, at: function(x, at, 2), data, ids), wanted)
    np.testing.assert_array_equal(run(backend, lambda x: function(x, ids, 2), data), wanted)


def test_squeeze_counts_axes_from_the_end():
    assert dagir.apply(ops.Squeeze((-1,)), dagir.Input(batch_shape=(2, 1))).type.shape == (2,)


def test_pad_refuses_a_number_that_the_dtype_has_not():
    with pytest.raises(DTypeError, match="number 300"):
        ops.pad(dagir.Input(batch_shape=(2,), dtype="int8"), ((1, 1),), constant_values=300)


@pytest.mark.parametrize("mode", ["one_hot", "multi_hot", "count"])
def test_more_categories_than_the_dtype_has(mode):
    ids = np.array([[0, 5, 44], [200, 255, 5]], np.uint8)
    encoding = layers.CategoryEncoding(300, mode)
    np.testing.assert_array_equal(run("numpy", encoding, ids), run("numpy", encoding, ids.astype(np.int32)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: ops.arange(2**31, 2**31 + 2),
        lambda: ops.arange(200, dtype="int8"),
        lambda: ops.full((2,), np.int64(300), "uint8"),
        lambda: ops.full((2,), -1, "uint8"),
    ],
)
def test_numbers_that_the_dtype_has_not_are_refused(make):
    with pytest.raises(DTypeError, match="has the number"):
        make()
