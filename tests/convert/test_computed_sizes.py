"""TensorFlow's functions whose shapes hang on the data, judged by TensorFlow."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

import dagir
from dagir.errors import DagirError
from dagir.ir.nest import flatten

X = np.float32([[0, 2, 0, 3, 1], [4, 0, 4, -1, 2], [0, 0, 1, 1, 1]])
N = (np.int32([2, 3]), np.int32([1, 5]), np.int32([3, 2]))

BY_MASK = {
    "where": lambda x: tf.where(x > 0.5),
    "boolean_mask": lambda x: tf.boolean_mask(x, x[:, 1] > -1.0) * 2.0,
    "boolean_mask_of_all": lambda x: tf.boolean_mask(x, x > 0.0),
    "gather_of_where": lambda x: tf.gather_nd(x, tf.where(x > 0.0)) + 1.0,
    "unique": lambda x: tf.unique(tf.reshape(x, [-1])),
    "unique_with_counts": lambda x: tf.unique_with_counts(tf.reshape(x, [-1]), out_idx=tf.int64),
    "partition": lambda x: tf.dynamic_partition(x, tf.cast(x[:, 1] > 0.0, tf.int32), 2),
    "ones_of_where": lambda x: tf.ones_like(tf.where(x > 0.0)) + 1,
    "count": lambda x: tf.range(tf.math.count_nonzero(x > 0.0)) * 2,
    "segments": lambda x: tf.math.segment_sum(x, tf.cast(tf.cumsum(tf.cast(x[:, 1] > 0.0, tf.int32)), tf.int32)),
    "largest_segments": lambda x: tf.math.segment_max(x, 2 * tf.cumsum(tf.cast(x[:, 1] > 0.0, tf.int32))),
    **{
        f"segment_{name}": lambda x, name=name: getattr(tf.math, f"segment_{name}")(
            x, 2 * tf.cumsum(tf.cast(x[:, 1] > 0.0, tf.int32))
        )
        for name in ("mean", "prod", "min")
    },
    "boxes": lambda x: tf.image.non_max_suppression(tf.abs(x[:, :4]), x[:, 4], 2, 0.3, 0.1),
    "longest": lambda x: tf.sequence_mask(tf.cast(tf.reduce_sum(tf.abs(x), 1), tf.int32)),
}
BY_NUMBERS = {
    "reshape": lambda x, n: tf.reshape(x[:2, :3], [n[0] * 0 + 3, -1]),
    "fill": lambda x, n: tf.fill(n, 2.5),
    "tile": tf.tile,
    "broadcast": lambda x, n: tf.broadcast_to(x[0, 0], n),
    "slice": lambda x, n: x[: n[0], n[1] - 2 :],
    "slice_back": lambda x, n: x[:, n[1] :: -1],
    "slice_from_the_end": lambda x, n: x[-n[0] :, : -n[0]],
    "tf_slice": lambda x, n: tf.slice(x, [0, 1], tf.stack([n[0], -1])),
    "pad": lambda x, n: tf.pad(x, tf.stack([n, n]), constant_values=7.0),
    "mirror": lambda x, n: tf.pad(x, tf.stack([n * 0 + 1, n * 0 + n[0] - 1]), "REFLECT"),
    "resize": lambda x, n: tf.image.resize(tf.reshape(x, [1, 3, 5, 1]), n),
    "range": lambda x, n: tf.range(n[0], 9, n[0]),
    "repeat": lambda x, n: tf.repeat(x, n[0], axis=1),
    "split": lambda x, n: tf.split(x, tf.stack([1, n[0], 4 - n[0]]), axis=1),
    "top": lambda x, n: tf.math.top_k(x, n[0])[0],
    "roll": lambda x, n: tf.roll(x, n, [0, 1]),
    "eye": lambda x, n: tf.one_hot(tf.range(n[0]), n[1]),
    "scatter": lambda x, n: tf.scatter_nd(tf.constant([[0, 1], [0, 0]]), tf.constant([3.0, 4.0]), n),
}


def _judged(function, *given):
    specs = [tf.TensorSpec(each.shape, each.dtype, name=f"x{place}") for place, each in enumerate(given[0])]
    model = dagir.from_tensorflow(tf.function(function, input_signature=specs))
    runs = [dagir.lower(model, name) for name in ("numpy", "onnx")]
    for arrays in given:
        wanted = [each.numpy() for each in flatten(function(*map(tf.constant, arrays)))]
        feeds = dict(zip(("x0", "x1"), arrays, strict=False))
        for run in runs:
            found = flatten(run({name: feeds[name] for name in model.input_names}))
            for got, want in zip(found, wanted, strict=True):
                assert got.dtype == want.dtype
                np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", BY_MASK)
def test_sizes_by_masks_and_counts(name):
    _judged(BY_MASK[name], [X], [X[::-1].copy()], [X * -1], [np.zeros_like(X) + 1])


@pytest.mark.parametrize("name", BY_NUMBERS)
def test_sizes_that_are_numbers_of_the_data(name):
    _judged(BY_NUMBERS[name], *[[X, n] for n in N[:1] + N[2:]])


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_the_size_of_a_transposed_convolution(padding):
    kernel = np.random.default_rng(0).normal(size=(3, 3, 2, 1)).astype("float32")

    def function(x, n):
        image = tf.reshape(x, [1, 3, 5, 1])
        return tf.nn.conv2d_transpose(image, kernel, tf.stack([1, n[0], n[1], 2]), 2, padding)

    sizes = ([6, 9], [5, 10]) if padding == "SAME" else ([7, 11], [8, 12])
    _judged(function, *[[X, np.int32(size)] for size in sizes])
    model = dagir.from_tensorflow(
        tf.function(function, input_signature=[tf.TensorSpec((3, 5)), tf.TensorSpec((2,), tf.int32)])
    )
    for name in ("numpy", "onnx"):
        with pytest.raises(DagirError):
            dagir.lower(model, name)([X, np.int32([3, 9])])


def test_a_target_of_another_size_is_an_error():
    function = tf.function(tf.broadcast_to, input_signature=[tf.TensorSpec((3, 5)), tf.TensorSpec((2,), tf.int32)])
    model = dagir.from_tensorflow(function)
    for name in ("numpy", "onnx"):
        run = dagir.lower(model, name)
        np.testing.assert_array_equal(run([X, np.int32([3, 5])]), X)
        with pytest.raises(DagirError):
            run([X, np.int32([3, 1])])


@pytest.mark.parametrize("spec", [(None, 3, 3), (3, None, 3), (None, None, 3)])
def test_a_size_is_computed_in_the_dtype_of_its_graph(spec):
    """floor(3 / (3 / 5)) is 5 in float32; with 3 / 5 rounded to float32 and the rest in float64 it would be 4."""
    function = tf.function(lambda x: tf.image.resize_with_pad(x, 5, 5), input_signature=[tf.TensorSpec(spec)])
    model = dagir.from_tensorflow(function)
    x = np.random.default_rng(0).normal(size=(3, 3, 3)).astype("float32")
    wanted = function(x).numpy()
    for backend, options in (("numpy", {}), ("numpy", {"precision": "float64"}), ("onnx", {})):
        (found,) = tf.nest.flatten(dagir.lower(model, backend, **options)(x))
        np.testing.assert_allclose(found, wanted, rtol=1e-5, atol=1e-5)
    assert dagir.verify(model, ["onnx"], inputs=x).ok
