"""Layers that give fewer tensors than Keras says, loops over rows of composite sizes, bounds that are sizes."""

from __future__ import annotations

import keras
from hypothesis import given
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

from convert.agreement import agrees_on_shapes


class TwoStreams(L.Layer):
    """Gives a second stream where it gets one, and says that it always does."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(4)

    def build(self, x_shape, other_shape=None):
        self.dense.build(x_shape)

    def call(self, x, other=None):
        made = self.dense(x)
        return made, None if other is None else self.dense(other) + made

    def compute_output_spec(self, x, other=None):
        return keras.KerasTensor(x.shape), keras.KerasTensor(x.shape)


@given(st.integers(1, 3))
def test_a_stream_that_is_none_is_none_for_the_next_layer(depth):
    x = stream = keras.Input((None, 4))
    other = None
    for _ in range(depth):
        stream, other = TwoStreams()(stream, other=other)
    agrees_on_shapes(keras.Model(x, stream), (2, 3, 4), (1, 5, 4))


class RowsOfPatches(L.Layer):
    """Takes rows of each element's patches, whose number is no size of the input."""

    def call(self, x):
        size = K.shape(x)
        patches = K.reshape(x, (size[0], size[1] * size[2], x.shape[-1]))
        places = K.argsort(K.sum(patches, axis=-1), axis=-1)[:, :2]
        return K.map(lambda pair: K.take(pair[0], pair[1], axis=0), (patches, places))

    def compute_output_spec(self, x):
        return keras.KerasTensor((None, 2, x.shape[-1]))


def test_a_loop_over_rows_whose_sizes_are_products():
    x = keras.Input((None, None, 3))
    agrees_on_shapes(keras.Model(x, RowsOfPatches()(x)), (2, 3, 4, 3), (1, 2, 2, 3))


class Clipped(L.Layer):
    def call(self, x):
        places = K.clip(K.cast(x * 10, "int32"), 0, K.shape(x)[1] - 1)
        return K.take_along_axis(x, places, axis=1) + K.clip(x, -1.0, K.shape(x)[1])

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape)


def test_bounds_that_are_sizes():
    x = keras.Input((None,))
    agrees_on_shapes(keras.Model(x, Clipped()(x)), (2, 3), (4, 7))
