"""Layers of users' own that call functions of TensorFlow on a tensor, as its backend of Keras hands them out."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

import dagir
from convert.agreement import agrees_on_shapes
from dagir.errors import UnsupportedLayer


def model(call, shape, spec):
    class Own(L.Layer):
        def compute_output_spec(self, x):
            return keras.KerasTensor((None, *spec), x.dtype)

    Own.call = call
    x = keras.Input(shape, name="x")
    return keras.Model(x, Own(name="own")(x))


def banded(lower, upper):
    def call(self, x):
        length = K.shape(x)[1]
        kept = tf.linalg.band_part(K.ones((length, length), "bool"), lower, upper)
        return K.where(kept[None], K.matmul(x, K.transpose(x, (0, 2, 1))), -1.0)

    return model(call, (None, 4), (None, None))


@given(st.integers(-1, 3), st.integers(-1, 3))
def test_a_band_of_a_matrix_of_any_length(lower, upper):
    agrees_on_shapes(banded(lower, upper), (2, 5, 4), (1, 3, 4))


def test_a_window_that_is_no_wider_than_the_sequence():
    def call(self, x):
        length = K.shape(x)[1]
        wide = K.cast(K.minimum(length, 3), "int32")
        rows = tf.linalg.band_part(K.ones((length, length)), wide, wide)
        return K.matmul(rows, x)

    agrees_on_shapes(model(call, (None, 4), (None, 4)), (2, 2, 4), (1, 9, 4))


@given(st.integers(0, 2), st.integers(1, 3))
def test_slices_of_axes_that_share_their_batch(shared, rank):
    def call(self, x):
        places = K.cast(K.abs(x) * 10, "int32") % 2
        places = places if rank == 3 else K.max(places, axis=tuple(range(rank, 3)))
        return K.reshape(tf.gather(x, places, batch_dims=min(shared, rank)), (K.shape(x)[0], -1))

    agrees_on_shapes(model(call, (3, 4), (None,)), (2, 3, 4), (5, 3, 4))


def test_elements_by_their_places_on_several_axes():
    def call(self, x):
        rows, columns = K.arange(K.shape(x)[1]) % 2, K.arange(K.shape(x)[1])
        return x + tf.gather_nd(K.transpose(x, (1, 2, 0)), K.stack([columns, rows], axis=-1))[:, 0][None, :, None]

    agrees_on_shapes(model(call, (None, 4), (None, 4)), (2, 5, 4), (1, 3, 4))


@given(st.integers(1, 9), st.integers(1, 9), st.booleans(), st.sampled_from(["bilinear", "nearest", "area"]))
def test_images_between_their_corners(height, width, align_corners, method):
    how = getattr(tf.image.ResizeMethod, "NEAREST_NEIGHBOR" if method == "nearest" else method.upper())

    def call(self, x):
        return tf.compat.v1.image.resize(x, (height, width), method=how, align_corners=align_corners)

    agrees_on_shapes(model(call, (None, 5, 2), (height, width, 2)), (2, 4, 5, 2), (1, 7, 5, 2))


def test_others_are_refused_by_the_op_in_the_graph_of_the_call():
    def call(self, x):
        return tf.raw_ops.Betainc(a=x, b=x, x=x)

    with pytest.raises(UnsupportedLayer, match=r"layer 'own' .*TensorFlow's op Betainc is not among the functions"):
        dagir.from_keras(model(call, (4,), (4,)))


def test_dispatch_leaves_tensors_of_tensorflow_alone():
    agrees_on_shapes(banded(1, 1), (1, 3, 4))
    np.testing.assert_array_equal(tf.linalg.band_part(tf.ones((2, 2)), 0, 0), np.eye(2))
    with pytest.raises(ValueError, match="KerasTensor cannot be used"):
        tf.linalg.band_part(keras.KerasTensor((2, 2)), 0, 0)
