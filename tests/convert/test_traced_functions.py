"""Functions of keras.ops that are composed here, in calls of layers and in functional models, at two sizes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

import dagir
from convert.agreement import agrees
from engines import building

EYE = np.eye(4, dtype="float32")


def spd(x):
    return K.matmul(x, K.transpose(x, (0, 2, 1))) + EYE


def strong(x):
    return x + 6 * EYE


def whole(x):
    return K.cast(x * 4, "int32")


CALLS = {
    "argpartition": lambda x: K.take(K.sort(x[0, 0]), K.argpartition(whole(x[0, 0]), 2)[2]),
    "bincount": lambda x: K.sum(K.square(K.bincount(K.abs(whole(x[:, 0, 0])), minlength=9))),
    "bincount with weights": lambda x: K.sum(K.bincount(K.abs(whole(x[:, 0, 0])), weights=x[:, 0, 1])),
    "bincount of rows": lambda x: K.sum(K.bincount(K.abs(whole(x[:, 0])), minlength=3), -1),
    "cdist": lambda x: K.cdist(x, x[:, :2] + 1),
    "corrcoef": lambda x: K.corrcoef(x[0]),
    "corrcoef of integers": lambda x: K.corrcoef(whole(x[0])),
    "correlate": lambda x: K.correlate(x[0, 0], x[0, 1, :2], "full"),
    "correlate with integers": lambda x: K.correlate(whole(x[0, 0]), x[0, 1, :2], "same"),
    "det": lambda x: K.det(strong(x)),
    "slogdet": lambda x: K.slogdet(strong(x)),
    "logdet": lambda x: K.logdet(spd(x)),
    "inv": lambda x: K.inv(strong(x)),
    "solve": lambda x: K.solve(strong(x), x[:, :, :2]),
    "solve for a vector": lambda x: K.solve(strong(x), x[:, :, 0]),
    "solve_triangular": lambda x: K.solve_triangular(strong(x), x, lower=True),
    "cholesky": lambda x: K.cholesky(spd(x), upper=True),
    "cholesky_inverse": lambda x: K.cholesky_inverse(K.cholesky(spd(x))),
    "qr": lambda x: K.qr(strong(x)),
    "erfinv": lambda x: K.erfinv(K.tanh(x)),
    "i0": lambda x: K.i0(x * 3),
    "i0 of integers": lambda x: K.i0(whole(x)),
    "fold": lambda x: K.fold(K.reshape(x, (-1, 4, 4)), (3, 3), 2),
    "unfold": lambda x: K.unfold(x[:, None], (3, 2), padding=1, stride=(1, 2)),
    "gcd": lambda x: K.gcd(whole(x) * 3, 6),
    "gcd of two dtypes": lambda x: K.gcd(K.cast(whole(x), "int64"), whole(x) * 2),
    "lcm": lambda x: K.lcm(whole(x), whole(x) + 2),
    "histogram": lambda x: K.histogram(x[0, 0], 1),
    "nanmedian": lambda x: K.nanmedian(K.where(x > 0.5, np.nan, x), axis=(1, 2)),
    "nanquantile": lambda x: K.nanquantile(K.where(x > 0.5, np.nan, x), [0.25, 0.5], axis=1),
    "nanpercentile": lambda x: K.nanpercentile(K.where(x > 0.5, np.nan, x), 25, axis=-1, keepdims=True),
    "vander": lambda x: K.vander(x[0, 0], 3),
    "view": lambda x: K.view(whole(x), "uint8"),
    "nextafter": lambda x: K.nextafter(x, x + 1),
}
KERAS_FAILS = {  # itself, to build or to run it
    "histogram": ["functional"],
    "bincount with weights": ["functional", "in_a_layer_of_known_results"],
}


TENSORFLOW = {
    "inv": lambda x: tf.linalg.inv(strong(x), adjoint=True),
    "det": lambda x: tf.linalg.det(strong(x)),
    "slogdet": lambda x: list(tf.linalg.slogdet(strong(x))),
    "cholesky": lambda x: tf.linalg.cholesky_solve(tf.linalg.cholesky(spd(x)), x),
    "logdet": lambda x: tf.linalg.logdet(spd(x)),
    "triangular_solve": lambda x: tf.linalg.triangular_solve(strong(x), x, lower=False),
    "lstsq": lambda x: tf.linalg.lstsq(strong(x)[:, :, :3], x[:, :, :2]),
    "qr": lambda x: list(tf.linalg.qr(strong(x))),
    "lu": lambda x: list(tf.linalg.lu(strong(x))),
    "erfinv": lambda x: tf.math.erfinv(tf.tanh(x)),
    "bincount": lambda x: tf.math.bincount(tf.abs(tf.cast(x[:, 0] * 4, tf.int32)), maxlength=6, minlength=6, axis=-1),
    "bincount of a size by data": lambda x: tf.reduce_max(tf.math.bincount(tf.abs(tf.cast(x * 4, tf.int32)))),
    "histogram_fixed_width": lambda x: tf.histogram_fixed_width(x, [-3.0, 3.0], 4),
    "bitcast": lambda x: tf.bitcast(tf.cast(x * 9, tf.int32), tf.uint8),
    "extract_patches": lambda x: tf.image.extract_patches(
        x[..., None], [1, 2, 3, 1], [1, 1, 2, 1], [1, 1, 1, 1], "SAME"
    ),
}


def functional(call):
    x = keras.Input((4, 4), name="x")
    return keras.Model(x, call(x))


def in_a_layer(call):
    class Own(L.Layer):
        def call(self, x):
            return call(x)

    return used(Own)


def in_a_layer_of_known_results(call):
    class Own(L.Layer):
        def call(self, x):
            return call(x)

        def compute_output_spec(self, x):  # as the operations say: some of Keras's functions run in no graph
            return call(x)

    return used(Own)


def used(layer):
    x = keras.Input((4, 4), name="x")
    with building():
        return keras.Model(x, layer(name="own")(x))


def agrees_on_batches(made, sizes):
    feeds = (np.random.default_rng(i).normal(size=(size, 4, 4)).astype("float32") for i, size in enumerate(sizes))
    agrees(made, *feeds, atol=2e-5, rtol=2e-5)


@pytest.mark.parametrize("make", [functional, in_a_layer_of_known_results])
@pytest.mark.parametrize("name", CALLS)
def test_a_function_gives_what_keras_gives(name, make):
    make = in_a_layer if make.__name__ in KERAS_FAILS.get(name, ()) else make
    agrees_on_batches(make(CALLS[name]), (1, 3))


@pytest.mark.parametrize("name", TENSORFLOW)
def test_a_function_of_tensorflow_gives_what_it_gives(name):
    agrees_on_batches(in_a_layer(TENSORFLOW[name]), (1, 3))


@pytest.mark.parametrize("name", TENSORFLOW)
def test_a_graph_of_tensorflow_gives_what_it_gives(name):
    run = tf.function(TENSORFLOW[name], input_signature=[tf.TensorSpec((None, 4, 4), tf.float32)])
    read = dagir.from_tensorflow(run)
    array = np.random.default_rng(0).normal(size=(3, 4, 4)).astype("float32")
    wanted = [np.asarray(leaf) for leaf in tf.nest.flatten(run(array))]
    for backend in ("numpy", "onnx", "keras"):
        for mine, theirs in zip(tf.nest.flatten(dagir.lower(read, backend)(array)), wanted, strict=True):
            np.testing.assert_allclose(mine, theirs, rtol=2e-5, atol=2e-5)


PATTERNS = ["b h w -> b w h", "b (h k) w -> b h (k w)", "b h (w k) -> (b k) (h w)", "b h w -> b (w h)"]


@settings(max_examples=max(2, settings.default.max_examples // 5))
@given(st.sampled_from(PATTERNS), st.sampled_from([1, 2, 4]))
def test_axes_are_rearranged_as_keras_does(pattern, size):
    call = lambda x: K.rearrange(x, pattern, **({"k": size} if "k" in pattern else {}))  # noqa: E731
    agrees_on_batches(in_a_layer(call), (1, 3))
