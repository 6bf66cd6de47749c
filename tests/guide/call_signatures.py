"""Scenario 17: what a layer's `call` may take, written once for Keras and for dagir."""

from __future__ import annotations


def nested_structure(K, L):
    """`call(inputs, **kwargs)` with nested structures of tensors."""

    class Mix(K.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense = L.Dense(4)

        def build(self, inputs_shape, kwargs_shape=None):
            self.dense.build(inputs_shape["a"])

        def call(self, inputs, **kwargs):
            extra = kwargs["extra"]
            left = self.dense(inputs["a"])
            return [left * extra["scale"][0] + inputs["b"][0], extra["shift"] - left]

    a, b, scale, shift = (K.Input((size,), name=name) for name, size in zip("abcd", (3, 4, 4, 4), strict=True))
    out = Mix()({"a": a, "b": [b]}, extra={"scale": [scale], "shift": shift})
    return K.Model([a, b, scale, shift], out)


def training(K, L):
    """`call(inputs, training)`, given to the layers inside."""

    class Noisy(K.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.dense, self.drop, self.norm = L.Dense(5), L.Dropout(0.5), L.BatchNormalization()

        def call(self, inputs, training=None):
            return self.norm(self.drop(self.dense(inputs), training=training), training=training)

    inputs = K.Input((3,))
    return K.Model(inputs, Noisy()(inputs))


def mask(K, L):
    """`call(inputs, mask)`, with the mask that an Embedding made."""

    class MaskedMean(K.Layer):
        supports_masking = True

        def compute_mask(self, inputs, mask=None):
            return None

        def call(self, inputs, mask=None):
            weights = K.ops.expand_dims(K.ops.cast(mask, "float32"), -1)
            return K.ops.sum(inputs * weights, axis=1) / (K.ops.sum(weights, axis=1) + 1.0)

    ids = K.Input((None,), dtype="int32")
    return K.Model(ids, MaskedMean()(L.Embedding(1000, 4, mask_zero=True)(ids)))


def training_and_mask(K, L):
    """`call(inputs, training, mask)`, and a mask that goes on to the next layer."""

    class Both(K.Layer):
        def __init__(self, **kwargs):
            super().__init__(**kwargs)
            self.supports_masking = True
            self.dense, self.drop = L.Dense(4, activation="tanh"), L.Dropout(0.5)

        def build(self, input_shape):
            self.dense.build(input_shape)

        def call(self, inputs, training=None, mask=None):
            outputs = self.drop(self.dense(inputs), training=training)
            return outputs * K.ops.expand_dims(K.ops.cast(mask, "float32"), -1)

    ids = K.Input((None,), dtype="int32")
    return K.Model(ids, L.LSTM(3)(Both()(L.Embedding(1000, 4, mask_zero=True)(ids))))
