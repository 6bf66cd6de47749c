"""Layers of one's own that compute with sizes known at run time only: what Keras says, at several sizes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir
from convert.agreement import agrees
from convert.zoo import randomize
from dagir.errors import UnsupportedLayer

WIDTH = 8
ANGLES = np.arange(64)[:, None] / 10000 ** (np.arange(WIDTH)[None] // 2 * 2 / WIDTH)
WAVES = np.where(np.arange(WIDTH) % 2, np.cos(ANGLES), np.sin(ANGLES)).astype("float32")


def own(call, gives=None, **weights):
    """A layer of one's own; gives: its output shape, where Keras's compiled functions know no sizes in Python."""

    class Own(L.Layer):
        def build(self, shape):
            for name, sizes in weights.items():
                setattr(self, name, self.add_weight(shape=sizes, name=name))

    Own.call = call
    if gives is not None:
        Own.compute_output_spec = lambda self, x: keras.KerasTensor(gives, x.dtype)
    return Own(name="own")


def array(shape, dtype="float32"):
    rng = np.random.default_rng(sum(shape))
    return rng.integers(0, 9, shape).astype(dtype) if "int" in dtype else rng.normal(size=shape).astype(dtype)


def read_rightly(layer, shapes=((1, 3, WIDTH), (2, 6, WIDTH), (3, 5, WIDTH)), dtype="float32", static=(None, WIDTH)):
    x = keras.Input(static, dtype=dtype, name="x")
    made = keras.Model(x, layer(x))
    randomize(made)
    return agrees(made, *(array(shape, dtype) for shape in shapes), atol=1e-5, rtol=1e-5)


def batch_and_rest(self, x):
    return K.reshape(x, (K.shape(x)[0], -1))


def positions_of_a_table(self, x):
    return x + self.p[: K.shape(x)[1]]


def hub_positions(self, x):
    shape = K.shape(x)
    positions = K.slice(K.convert_to_tensor(self.p), (0, 0), (shape[1], WIDTH))
    return x + K.broadcast_to(positions, shape)


def causal(self, x):
    batch, time, width = K.shape(x)
    q, k, v = K.split(K.matmul(x, self.w), 3, axis=-1)
    q, k, v = (K.transpose(K.reshape(t, (batch, time, 2, width // 2)), (0, 2, 1, 3)) for t in (q, k, v))
    scores = K.matmul(q, K.transpose(k, (0, 1, 3, 2))) / (width // 2) ** 0.5
    steps = K.arange(time)
    allowed = steps[:, None] >= K.arange(time)[None, :]
    scores = K.where(allowed, scores, -1e9)
    return K.reshape(K.transpose(K.matmul(K.softmax(scores), v), (0, 2, 1, 3)), (batch, time, width))


def keras_io_causal_mask(self, x):
    batch, n = K.shape(x)[0], K.shape(x)[1]
    mask = K.cast(K.arange(n)[:, None] >= K.arange(n) - n + n, "int32")
    mult = K.concatenate([K.expand_dims(batch, -1), K.convert_to_tensor([1, 1])], 0)
    return K.sum(x, -1)[:, None] * K.cast(K.reshape(mask, (1, n, n)), "float32") + K.cast(K.sum(mult), "float32")


def rotary(self, x):
    time = K.shape(x)[1]
    frequencies = 1.0 / (10000.0 ** (K.arange(0, WIDTH, 2, dtype="float32") / WIDTH))
    angles = K.einsum("i,j->ij", K.cast(K.arange(time), "float32"), frequencies)
    angles = K.concatenate([angles, angles], axis=-1)
    left, right = K.split(x, 2, axis=-1)
    return x * K.cos(angles) + K.concatenate([-right, left], axis=-1) * K.sin(angles)


def windows(self, x):
    batch, time, width = x.shape
    size = 4
    padded = K.pad(x, [[0, 0], [0, (size - time % size) % size], [0, 0]])
    parts = K.reshape(padded, (batch, -1, size, width))
    return K.max(parts, axis=2)


def static_or_dynamic(self, x):
    sizes = [dynamic if known is None else known for known, dynamic in zip(x.shape, K.shape(x), strict=True)]
    return K.reshape(K.reshape(x, (sizes[0] * sizes[1], WIDTH)), sizes)


CALLS = {
    "batch and the rest": own(batch_and_rest),
    "the shape itself": own(lambda self, x: K.reshape(K.reshape(x, (-1, WIDTH)), K.shape(x))),
    "shape without the last": own(lambda self, x: K.reshape(x, (*K.shape(x)[:-1], 2, WIDTH // 2))),
    "x.shape": own(
        lambda self, x: K.reshape(x, (x.shape[0], x.shape[1], 2, x.shape[2] // 2)), gives=(None, None, 2, WIDTH // 2)
    ),
    "x.shape with None": own(static_or_dynamic),
    "batch times time": own(lambda self, x: K.reshape(x, (K.shape(x)[0] * K.shape(x)[1], WIDTH))),
    "class token, broadcast_to": own(
        lambda self, x: K.concatenate([K.broadcast_to(self.t, (K.shape(x)[0], 1, WIDTH)), x], 1), t=(1, 1, WIDTH)
    ),
    "class token, tile": own(
        lambda self, x: K.concatenate([K.tile(self.t, (K.shape(x)[0], 1, 1)), x], 1), t=(1, 1, WIDTH)
    ),
    "class token, repeat": own(
        lambda self, x: K.concatenate([K.repeat(self.t, K.shape(x)[0], axis=0), x], 1), t=(1, 1, WIDTH)
    ),
    "zeros": own(lambda self, x: K.concatenate([K.zeros((K.shape(x)[0], 1, WIDTH)), x], 1)),
    "ones": own(lambda self, x: K.concatenate([x, K.ones((K.shape(x)[0], K.shape(x)[1], 1), dtype=x.dtype)], -1)),
    "full": own(lambda self, x: K.sum(x, -1) + K.full((K.shape(x)[0], K.shape(x)[1]), 2.5)),
    "full of a tensor": own(lambda self, x: K.sum(x, -1) + K.full(K.shape(x)[:2], K.max(x))),
    "eye": own(lambda self, x: K.matmul(K.eye(K.shape(x)[1]), x)),
    "tril of ones": own(lambda self, x: K.matmul(K.tril(K.ones((K.shape(x)[1], K.shape(x)[1]))), x)),
    "arange": own(lambda self, x: x + K.cast(K.arange(K.shape(x)[1]), "float32")[None, :, None]),
    "arange from one": own(lambda self, x: x + K.arange(1, K.shape(x)[1] + 1, dtype="float32")[:, None]),
    "all but the last": own(lambda self, x: x[:, : K.shape(x)[1] - 1]),
    "the last": own(lambda self, x: x[:, K.shape(x)[1] - 1]),
    "halves": own(lambda self, x: [x[:, : K.shape(x)[1] // 2], x[:, K.shape(x)[1] // 2 :]]),
    "a length of another tensor": own(lambda self, x: K.concatenate([x, x], 1)[:, : K.shape(x)[1]]),
    "static length": own(lambda self, x: K.concatenate([x, x], 1)[:, : x.shape[1]]),
    "mean": own(lambda self, x: K.sum(x, 1) / K.cast(K.shape(x)[1], "float32")),
    "divided by a length": own(lambda self, x: K.sum(x, 1) / K.shape(x)[1], gives=(None, WIDTH)),
    "root of a length": own(lambda self, x: x / K.sqrt(K.cast(K.shape(x)[1] * 2 - 1, "float32"))),
    "smaller size": own(lambda self, x: x[:, : K.minimum(K.shape(x)[1], 4)]),
    "size": own(lambda self, x: K.sum(x) / K.cast(K.size(x), "float32")),
    "where by a length": own(lambda self, x: K.where(K.shape(x)[1] > 4, x, -x)),
    "learned positions": own(positions_of_a_table, p=(20, WIDTH)),
    "learned positions, x.shape": own(lambda self, x: x + self.p[: x.shape[1]], p=(20, WIDTH)),
    "learned positions, mean": own(lambda self, x: K.mean(x, 1) + K.mean(self.p[: K.shape(x)[1]], 0), p=(20, WIDTH)),
    "learned positions, slice": own(lambda self, x: x + K.slice(self.p, (0, 0), (K.shape(x)[1], WIDTH)), p=(20, WIDTH)),
    "learned positions, take": own(lambda self, x: x + K.take(self.p, K.arange(K.shape(x)[1]), axis=0), p=(20, WIDTH)),
    "keras_hub's positions": own(hub_positions, p=(20, WIDTH)),
    "table of waves": own(lambda self, x: x + K.convert_to_tensor(WAVES)[None, : K.shape(x)[1], :]),
    "causal attention": own(causal, w=(WIDTH, 3 * WIDTH)),
    "causal mask of keras.io": own(keras_io_causal_mask),
    "rotary embedding": own(rotary),
    "windows": own(windows, gives=(None, None, WIDTH)),
}


@pytest.mark.parametrize("name", CALLS)
def test_a_call_that_computes_with_sizes(name):
    read_rightly(CALLS[name])


def test_weights_cut_at_a_size_are_weights():
    read = read_rightly(own(positions_of_a_table, p=(20, WIDTH)))
    assert [weight.shape for weight in read.weights] == [(20, WIDTH)]


class TokenAndPositionEmbedding(L.Layer):
    """keras.io, text_generation_with_miniature_gpt."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.token, self.position = L.Embedding(10, WIDTH), L.Embedding(20, WIDTH)

    def call(self, x):
        positions = K.arange(0, K.shape(x)[-1], 1)
        return self.token(x) + self.position(positions)


def test_token_and_position_embedding():
    read_rightly(TokenAndPositionEmbedding(), ((1, 4), (3, 7)), "int32", (None,))


class Patches(L.Layer):
    """keras.io, image_classification_with_vision_transformer, the patches cut by hand."""

    def call(self, images):
        batch, height, width, channels = K.shape(images)
        rows, columns = height // 4, width // 4
        x = K.reshape(images, (batch, rows, 4, columns, 4, channels))
        return K.reshape(K.transpose(x, (0, 1, 3, 2, 4, 5)), (batch, rows * columns, 16 * channels))


def test_patches_of_images():
    read_rightly(Patches(), ((1, 8, 12, 3), (2, 8, 12, 3)), static=(8, 12, 3))
    read_rightly(Patches(), ((1, 8, 12, 3), (2, 16, 4, 3)), static=(None, None, 3))


class VectorQuantizer(L.Layer):
    """keras.io, vq_vae."""

    def __init__(self, count, width, **kwargs):
        super().__init__(**kwargs)
        self.count, self.width, self.beta = count, width, 0.25
        self.embeddings = self.add_weight(shape=(width, count), name="embeddings")

    def call(self, x):
        shape = K.shape(x)
        flat = K.reshape(x, [-1, self.width])
        encodings = K.one_hot(self.codes(flat), self.count)
        quantized = K.reshape(K.matmul(encodings, K.transpose(self.embeddings)), shape)
        self.add_loss(self.beta * K.mean((K.stop_gradient(quantized) - x) ** 2))
        self.add_loss(K.mean((quantized - K.stop_gradient(x)) ** 2))
        return x + K.stop_gradient(quantized - x)

    def codes(self, flat):
        similarity = K.matmul(flat, self.embeddings)
        distances = K.sum(flat**2, axis=1, keepdims=True) + K.sum(self.embeddings**2, axis=0) - 2 * similarity
        return K.argmin(distances, axis=1)


def test_vector_quantizer():
    read_rightly(VectorQuantizer(6, WIDTH), ((1, 4, 4, WIDTH), (2, 2, 6, WIDTH)), static=(None, None, WIDTH))


class Pooled(L.Layer):
    """A layer of one's own inside another, with sizes handed on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.dense, self.position = L.Dense(WIDTH), own(positions_of_a_table, p=(20, WIDTH))

    def call(self, x):
        y = self.position(self.dense(x))[:, 1:]
        return K.sum(y, 1) / K.cast(K.shape(y)[1], y.dtype)


def test_sizes_of_what_a_layer_inside_gives():
    read_rightly(Pooled())


REFUSED = {
    "range": (lambda self, x: sum(x[:, i] for i in range(K.shape(x)[1])), "number (range"),
    "int": (lambda self, x: x * int(K.shape(x)[1]), "number (int)"),
    "float": (lambda self, x: x / float(K.shape(x)[1]), "number (float)"),
    "if": (lambda self, x: x if K.shape(x)[1] > 3 else x[:, :2], "to know whether it is > 3"),
    "equality": (lambda self, x: x if K.shape(x)[1] == 3 else K.sum(x), "to know whether it is == 3"),
    "truth": (lambda self, x: x if x.shape[1] else x > 0, "to know whether it is != 0"),
    "NumPy": (lambda self, x: x + WAVES[: K.shape(x)[1]], "number (range, a list, a NumPy array)"),
    "NumPy's zeros": (lambda self, x: x + np.zeros((K.shape(x)[1], 1), "float32"), "number (range"),
}


def test_an_operation_that_takes_numbers_only_is_named():
    x = keras.Input((None, WIDTH), name="x")
    made = keras.Model(x, own(lambda self, x: K.roll(x, K.shape(x)[1] // 2, axis=1))(x))
    with pytest.raises(
        UnsupportedLayer, match=r"own/roll.*the Roll in its call takes a number, and got the size x_dim1//2"
    ):
        dagir.from_keras(made)


@pytest.mark.parametrize("name", REFUSED)
def test_a_call_that_needs_a_number_of_python_is_refused(name):
    call, needed = REFUSED[name]
    x = keras.Input((None, WIDTH), name="x")
    layer = own(call)
    layer.compute_output_shape = lambda shape: shape
    made = keras.Model(x, layer(x))
    with pytest.raises(UnsupportedLayer) as caught:
        dagir.from_keras(made)
    text = str(caught.value)
    assert "layer 'own' (Own) cannot be taken: its call cannot be traced: it " in text
    assert needed in text
    assert "test_dynamic_sizes.py:" in text
    assert "remedy: " in text
    assert "custom_objects={'Own': a dagir Layer class}" in text


def test_sizes_that_are_equal_for_certain_are():
    def call(self, x):
        y = x * 2
        assert y.shape == x.shape
        assert K.shape(x)[1] != K.shape(x)[1] + 1
        assert K.shape(x)[1] != -1
        return y

    read_rightly(own(call, gives=(None, None, WIDTH)))


def test_keras_is_as_it_was_after_a_call_was_traced():
    before = K.zeros, keras.Variable.assign, keras.layers.Layer.symbolic_call, keras.Operation.symbolic_call
    read_rightly(own(batch_and_rest))
    assert before == (K.zeros, keras.Variable.assign, keras.layers.Layer.symbolic_call, keras.Operation.symbolic_call)
    x = keras.Input((None, WIDTH))
    assert K.shape(x) == (None, None, WIDTH)
