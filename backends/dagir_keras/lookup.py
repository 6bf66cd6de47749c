"""Tables of keys and values. A lookup layer of dagir becomes the one of Keras, not this rule."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from keras import ops as K

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
    """Binary search in the sorted keys; text, which TensorFlow alone has, is compared with every key."""
    found, place = _text_found(op, x) if isinstance(op.keys[0], str) else _found(op, x)
    place = K.where(found, place, len(op.keys))
    if isinstance(op.default, str):
        import tensorflow as tf

        return tf.gather(tf.constant([*op.values, op.default]), place)
    return K.take(K.convert_to_tensor(np.asarray([*op.values, op.default], np.int64)), place)


def _found(op: ops.Lookup, x: Any) -> tuple[Any, Any]:
    """For each element whether it is a key, and the place of that key."""
    order = np.argsort(op.keys, kind="stable")
    keys = K.convert_to_tensor(np.asarray(op.keys, np.int64)[order])
    at = K.reshape(K.minimum(K.searchsorted(keys, K.reshape(x, (-1,))), len(op.keys) - 1), K.shape(x))
    return K.equal(K.take(keys, at), x), K.take(K.convert_to_tensor(order.astype("int32")), at)


def _text_found(op: ops.Lookup, x: Any) -> tuple[Any, Any]:
    import tensorflow as tf

    same = tf.equal(tf.expand_dims(x, -1), tf.constant(op.keys))
    return tf.reduce_any(same, -1), tf.argmax(tf.cast(same, "int8"), -1, "int32")
