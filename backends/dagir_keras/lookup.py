"""Tables of keys and values. A lookup layer of dagir becomes the one of Keras, not this rule."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.Lookup)
def lookup(op: ops.Lookup, x: Any) -> Any:
    return _Search(op)(x) if isinstance(x, keras.KerasTensor) else _search(op, x)


class _Search(keras.Operation):
    """The op as an operation of a functional model."""

    def __init__(self, op: ops.Lookup) -> None:
        super().__init__()
        self._op = op

    def call(self, x: Any) -> Any:
        """The values."""
        return _search(self._op, x)

    def compute_output_spec(self, x: Any) -> Any:
        """The shape of x, the dtype of the values."""
        return keras.KerasTensor(x.shape, "string" if isinstance(self._op.default, str) else "int64")


def _search(op: ops.Lookup, x: Any) -> Any:
    """Binary search in the sorted keys; text, which TensorFlow does not sort, is compared with every key."""
    if isinstance(op.keys[0], str):
        same = tf.equal(tf.expand_dims(x, -1), tf.constant(op.keys))
        found, place = tf.reduce_any(same, -1), tf.argmax(tf.cast(same, "int8"), -1)
    else:
        order = np.argsort(op.keys, kind="stable")
        keys = tf.constant(np.asarray(op.keys, np.int64)[order])
        at = tf.minimum(tf.searchsorted(keys, tf.reshape(x, [-1])), len(op.keys) - 1)
        at = tf.reshape(at, tf.shape(x))
        found, place = tf.equal(tf.gather(keys, at), x), tf.gather(tf.constant(order, "int64"), at)
    values = tf.constant([*op.values, op.default], "string" if isinstance(op.default, str) else "int64")
    return tf.gather(values, tf.where(found, place, len(op.keys)))
