"""A layer that looks across the batch, in dagir and in Keras."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras

import dagir
from dagir import ops


class Centered(dagir.Layer):
    """Projects, and takes the mean over the batch away."""

    def build(self, input_shape):
        self.kernel = self.add_weight((input_shape[-1], 2), name="kernel")

    def call(self, inputs):
        y = ops.tanh(ops.matmul(inputs, self.kernel))
        return y - ops.mean(y, axis=0, keepdims=True)


class KerasCentered(keras.layers.Layer):
    """The same."""

    def build(self, input_shape):
        self.kernel = self.add_weight(shape=(input_shape[-1], 2), name="kernel")

    def call(self, inputs):
        y = keras.ops.tanh(keras.ops.matmul(inputs, self.kernel))
        return y - keras.ops.mean(y, axis=0, keepdims=True)
