"""Small Keras models that between them hold every layer dagir has, and every way to connect layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import numpy as np
from keras import layers as L
from keras import ops as K

ZOO: dict[str, Callable[[], keras.Model]] = {}


def model(function: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
    ZOO[function.__name__] = function
    return function


def build(name: str, seed: int = 0) -> keras.Model:
    """The model of this name with weights that are all drawn."""
    keras.utils.clear_session()
    made = ZOO[name]()
    randomize(made, seed)
    return made


def randomize(made: Any, seed: int = 0) -> None:
    generator = np.random.default_rng(seed)
    for weight in made.weights:
        if "normalization/mean" in weight.path or "normalization/variance" in weight.path:
            continue  # a Normalization is adapted, and keeps what it computes with elsewhere
        drawn = generator.normal(size=weight.shape) * 0.4
        if "variance" in weight.path or "stddev" in weight.path:
            drawn = np.abs(drawn) + 0.3
        if keras.backend.is_float_dtype(weight.dtype):
            weight.assign(drawn.astype("float32"))


def feeds(made: keras.Model, batch: int = 3, size: int = 5, seed: int = 0) -> Any:
    """An array for each input, in the structure of the inputs."""
    generator = np.random.default_rng(seed)

    def draw(tensor: Any) -> Any:
        shape = [batch if axis == 0 and n is None else size if n is None else n for axis, n in enumerate(tensor.shape)]
        if "int" in tensor.dtype:
            return generator.integers(0, 7, shape).astype(tensor.dtype)
        if tensor.dtype == "bool":
            return generator.integers(0, 2, shape).astype(bool)
        return generator.normal(size=shape).astype(tensor.dtype)

    return keras.tree.map_structure(draw, structure_of(made))


def structure_of(made: keras.Model) -> Any:
    """The inputs in their structure: a Sequential that was built late cannot say it."""
    return made.inputs[0] if isinstance(made, keras.Sequential) else made.input


def _stack(shape: tuple[Any, ...], *layers: Any, dtype: str = "float32") -> keras.Model:
    return keras.Sequential([keras.Input(shape, dtype=dtype), *layers])


_PLAIN: dict[str, Callable[[], keras.Model]] = {
    "dense": lambda: _stack((5,), L.Dense(4, activation="gelu"), L.Dense(3, use_bias=False, activation="softmax")),
    "activations": lambda: _stack(
        (7,),
        *(L.ReLU(max_value=2.0, negative_slope=0.1), L.LeakyReLU(0.2), L.ELU(0.7), L.Softmax()),
        *(L.Activation(n) for n in ("relu6", "selu", "silu", "hard_sigmoid", "log_softmax", "softsign", "exponential")),
    ),
    "conv1d": lambda: _stack((None, 3), L.Conv1D(4, 3, padding="causal", dilation_rate=2), L.DepthwiseConv1D(3, 2)),
    "conv2d": lambda: _stack(
        (9, 8, 4),
        L.Conv2D(6, (3, 2), strides=2, groups=2, padding="same", activation="relu"),
        L.DepthwiseConv2D(3, depth_multiplier=2, padding="same"),
        L.SeparableConv2D(3, 2, use_bias=False),
        L.Conv2DTranspose(5, 3, strides=2, padding="same"),
    ),
    "conv3d": lambda: _stack((5, 6, 7, 2), L.Conv3D(3, 2), L.Conv3DTranspose(2, 3, strides=2)),
    "separable1d": lambda: _stack((8, 3), L.SeparableConv1D(4, 3, depth_multiplier=2), L.Conv1DTranspose(3, 2)),
    "normalization": lambda: _stack(
        (5, 8),
        L.BatchNormalization(epsilon=1e-4),
        L.LayerNormalization(axis=[1, 2]),
        L.GroupNormalization(4, scale=False),
        L.RMSNormalization(),
        L.UnitNormalization(),
        L.BatchNormalization(axis=1, center=False, renorm=True),
    ),
    "pooling1d": lambda: _stack((12, 3), L.MaxPooling1D(2), L.AveragePooling1D(3, 1, "same"), L.GlobalMaxPooling1D()),
    "pooling2d": lambda: _stack(
        (12, 11, 3),
        L.MaxPooling2D(2, padding="same"),
        L.AveragePooling2D((2, 3), strides=1),
        L.GlobalAveragePooling2D(keepdims=True),
        L.Flatten(),
    ),
    "pooling3d": lambda: _stack((6, 7, 8, 2), L.AveragePooling3D(2), L.MaxPooling3D(2), L.GlobalAveragePooling3D()),
    "reshaping": lambda: _stack(
        (6, 4),
        *(L.Reshape((4, 3, -1)), L.Permute((2, 1, 3)), L.ZeroPadding2D(((1, 0), (2, 1))), L.Cropping2D(1)),
        *(L.UpSampling2D(2, interpolation="nearest"), L.Flatten(), L.RepeatVector(3)),
        *(L.ZeroPadding1D(2), L.Cropping1D((1, 0)), L.UpSampling1D(2)),
    ),
    "reshaping3d": lambda: _stack((4, 3, 2, 2), L.ZeroPadding3D(1), L.Cropping3D(1), L.UpSampling3D(2)),
    "regularization": lambda: _stack(
        (6, 4, 3),
        *(L.Dropout(0.5), L.SpatialDropout2D(0.2), L.GaussianNoise(0.1), L.GaussianDropout(0.3), L.AlphaDropout(0.1)),
        *(L.Identity(), L.Dense(2, kernel_regularizer="l2", activity_regularizer="l1", kernel_constraint="max_norm")),
    ),
    "recurrent": lambda: _stack(
        (None, 3),
        *(L.LSTM(4, return_sequences=True, go_backwards=True), L.GRU(3, reset_after=False, return_sequences=True)),
        *(L.SimpleRNN(3, return_sequences=True), L.LSTM(2, dropout=0.3, use_bias=False)),
    ),
    "rescaling": lambda: _stack((4, 4, 3), L.Rescaling(1 / 127.5, offset=-1.0), L.Rescaling([0.5, 1.0, 2.0])),
    "initializers": lambda: _stack(
        (4,),
        L.Dense(3, kernel_initializer=keras.initializers.VarianceScaling(2.0, "fan_out", "untruncated_normal")),
        L.Dense(3, kernel_initializer=keras.initializers.Orthogonal(2.0), bias_initializer="random_normal"),
        L.Dense(3, kernel_initializer=keras.initializers.TruncatedNormal(stddev=0.02)),
        L.Dense(3, kernel_initializer=keras.initializers.Constant(0.3), kernel_regularizer=keras.regularizers.L1L2()),
        L.Dense(3, activation=L.LeakyReLU(0.2), bias_constraint=keras.constraints.MaxNorm(2)),
    ),
    "named_sequential": lambda: keras.Sequential(
        [keras.Input((4,), name="features"), L.Dense(2, name="head")], name="classifier"
    ),
    "integer_ids": lambda: _stack((6,), L.Embedding(9, 4), L.Flatten(), L.Dense(2), dtype="int64"),
    "float_ids": lambda: _built(keras.Sequential([L.ReLU(), L.Embedding(9, 4), L.GlobalAveragePooling1D()]), (None, 5)),
    "masked": lambda: _stack((None,), L.Embedding(8, 4, mask_zero=True), L.GRU(3), L.Dense(2), dtype="int32"),
    "masking": lambda: _stack((None, 3), L.Masking(0.5), L.LSTM(3, return_sequences=True), L.Activation("tanh")),
    "bidirectional": lambda: _stack(
        (None, 3),
        L.Bidirectional(L.LSTM(4, return_sequences=True)),
        L.Bidirectional(L.GRU(2, return_sequences=True), merge_mode="sum"),
        L.Bidirectional(L.SimpleRNN(3), backward_layer=L.GRU(3, go_backwards=True), merge_mode="ave"),
    ),
    "cells": lambda: _stack(
        (4, 3),
        L.RNN(L.LSTMCell(4), return_sequences=True),
        L.RNN([L.GRUCell(3), L.SimpleRNNCell(2), L.LSTMCell(3)], return_sequences=True),
        L.RNN(L.StackedRNNCells([L.LSTMCell(2), L.GRUCell(2)])),
    ),
    "convlstm": lambda: _stack(
        (3, 5, 4, 2),
        L.ConvLSTM2D(3, 2, return_sequences=True, padding="same"),
        L.TimeDistributed(L.Conv2D(2, 2)),
        L.TimeDistributed(L.Flatten()),
        L.Bidirectional(L.LSTM(2)),
    ),
    "time_distributed": lambda: _stack(
        (None, 4, 3), L.TimeDistributed(_stack((4, 3), L.Conv1D(2, 2), L.Flatten(), L.Dense(3))), L.LSTM(2)
    ),
    "einsum": lambda: _stack((5, 6), L.EinsumDense("abc,cde->abde", (None, 2, 3), bias_axes="de", activation="tanh")),
    "spectral": lambda: _stack((4,), L.SpectralNormalization(L.Dense(3)), L.Dense(2)),
    "spectral_kernels": lambda: _stack(
        (6, 5, 2),
        *(L.SpectralNormalization(L.Conv2DTranspose(3, 2, use_bias=False)), L.SpectralNormalization(L.Conv2D(4, 3), 2)),
        L.TimeDistributed(L.SpectralNormalization(L.Dense(3))),
    ),
    "adapted": lambda: _stack((4,), _adapted(4), L.Dense(2)),
    "images": lambda: _stack(
        (9, 8, 3), L.Resizing(6, 5), L.CenterCrop(4, 4), L.RandomFlip(), L.RandomRotation(0.1), L.RandomContrast(0.2)
    ),
    "lookups": lambda: _stack((2,), _looked_up(), L.CategoryEncoding(7, output_mode="multi_hot"), dtype="int64"),
    "bins": lambda: _stack((3,), L.Discretization(bin_boundaries=[-0.5, 0.2, 0.9])),
    "half": lambda: _stack((5,), L.Dense(4, dtype="float16"), L.Dense(3, dtype="float32")),
    "double": lambda: _stack((5,), L.Dense(4, dtype="float64"), L.LayerNormalization(dtype="float64")),
}
ZOO.update(_PLAIN)


def _adapted(size: int) -> Any:
    layer = L.Normalization()
    layer.adapt(np.random.default_rng(5).normal(size=(20, size)).astype("float32") * 3 + 1)
    return layer


def _looked_up() -> Any:
    layer = L.IntegerLookup(mask_token=0)
    layer.adapt(np.array([3, 5, 5, 6, 6, 6, 4, 2]))
    return layer


def _built(made: keras.Model, shape: tuple[Any, ...]) -> keras.Model:
    made.build(shape)
    return made


@model
def late_built() -> keras.Model:
    made = keras.Sequential([L.Dense(3, activation="tanh"), L.Dense(2)])
    made(np.zeros((2, 4), "float32"))
    return made


@model
def merges() -> keras.Model:
    a, b = keras.Input((4, 3), name="a"), keras.Input((4, 3), name="b")
    parts = [kind()([a, b]) for kind in (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum)]
    return keras.Model([a, b], [L.Concatenate()(parts), L.Concatenate(1)([a, b]), L.Dot(axes=(2, 2))([a, b])])


@model
def shared_layer() -> keras.Model:
    a, b = keras.Input((5,), name="left"), keras.Input((5,), name="right")
    encoder = L.Dense(4, name="encoder")
    again = L.Dense(4, name="again")
    x = again(encoder(a))
    return keras.Model([b, a], L.Subtract(name="difference")([again(x), encoder(b)]))


@model
def dict_inputs_and_outputs() -> keras.Model:
    inputs = {"zebra": keras.Input((3,), name="zebra"), "ant": keras.Input((2,), name="ant")}
    x = L.Concatenate()([inputs["zebra"], inputs["ant"]])
    return keras.Model(inputs, {"score": L.Dense(1, name="last")(x), "again": L.Dense(2)(x), "between": x})


@model
def nested_outputs() -> keras.Model:
    a = keras.Input((3,), name="only")
    return keras.Model(a, [L.Dense(2)(a), {"x": L.Dense(1)(a), "y": a}])


@model
def nested_models() -> keras.Model:
    inner_input = keras.Input((4,), name="inner_input")
    inner = keras.Model(inner_input, L.Dense(4, name="shared")(inner_input), name="inner")
    middle = keras.Sequential([keras.Input((4,)), inner, L.Dense(4)], name="middle")
    a = keras.Input((4,), name="a")
    return keras.Model(a, L.Add()([middle(a), inner(middle(inner(a)))]), name="outer")


@model
def nested_many() -> keras.Model:
    made: Any = keras.Sequential([keras.Input((3,)), L.Dense(3)], name="level_0")
    for level in range(1, 6):
        x = keras.Input((3,))
        made = keras.Model(x, L.Dense(3)(made(x)), name=f"level_{level}")
    return made


@model
def nested_last() -> keras.Model:
    """A nested model, called twice, whose calls are the outputs."""
    x = keras.Input((3,))
    inner = keras.Model(x, [L.Dense(2)(x), L.Dense(1)(x)], name="twins")
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    return keras.Model([a, b], [inner(b)[1], *inner(a)])


@model
def two_models_share_a_layer() -> keras.Model:
    shared = L.Dense(3, name="shared")
    x, y = keras.Input((3,)), keras.Input((3,))
    first, second = keras.Model(x, shared(x), name="first"), keras.Model(y, L.Dense(3)(shared(y)), name="second")
    a = keras.Input((3,), name="a")
    return keras.Model(a, second(first(shared(a))))


@model
def raw_operations() -> keras.Model:
    a, b = keras.Input((4, 3), name="a"), keras.Input((4, 3), name="b")
    x = K.relu(a) * 2 + b - 1.5
    x = x / (K.abs(b) + 1) + K.maximum(a, 0.25) - (-x) ** 2
    x = K.where(x > 0.5, x, K.exp(-K.square(b)))
    y = K.mean(x, axis=(1, 2), keepdims=True) + K.sum(b, axis=-1, keepdims=True)
    z = K.concatenate([x[:, 1:, ::2], y[:, :3, :], x[:, :3, -1:]], axis=-1)
    z = K.transpose(z, (0, 2, 1))
    t = K.reshape(x, (-1, 12))[..., None]
    e = K.einsum("nij,nkj->nik", a, b)
    return keras.Model([a, b], [z, K.squeeze(t, -1), K.softmax(e, axis=1), K.matmul(a, K.transpose(b, (0, 2, 1)))])


@model
def raw_mixed_dtypes() -> keras.Model:
    i, f = keras.Input((4,), dtype="int32", name="i"), keras.Input((4,), name="f")
    return keras.Model([i, f], [i + f, i * 1.5, i / 2, K.mean(i, axis=-1), K.cast(i, "float32") + f, i + 3, i > f])


@model
def raw_constant() -> keras.Model:
    a = keras.Input((3,), name="a")
    return keras.Model(a, K.add(a, np.array([1.0, -2.0, 0.5], "float32")) * K.convert_to_tensor([2.0, 1.0, 3.0]))


@model
def states() -> keras.Model:
    a, b = keras.Input((None, 3), name="source"), keras.Input((None, 2), name="target")
    _, h, c = L.LSTM(4, return_state=True, name="encoder")(a)
    y = L.LSTM(4, return_sequences=True, name="decoder")(b, initial_state=[h, c])
    return keras.Model([a, b], L.Dense(3, activation="softmax")(y))


@model
def masks_through_layers() -> keras.Model:
    ids = keras.Input((None,), dtype="int32", name="ids")
    x = L.Embedding(7, 4, mask_zero=True)(ids)
    x = L.Dropout(0.2)(L.LSTM(4, return_sequences=True)(x))
    y = L.Add()([x, L.Embedding(7, 4, mask_zero=True)(ids)])
    return keras.Model(ids, [L.GRU(3)(y), L.GlobalAveragePooling1D()(x)])


@model
def attention() -> keras.Model:
    q, v = keras.Input((5, 6), name="q"), keras.Input((4, 6), name="v")
    x = L.MultiHeadAttention(2, 3, value_dim=2, dropout=0.1)(q, v, use_causal_mask=False)
    x = L.LayerNormalization()(x + q)
    y = L.GroupQueryAttention(3, 4, 2)(x, v)
    z = L.MultiHeadAttention(2, 3, output_shape=5, use_bias=False)(query=y, value=v, key=v)
    return keras.Model([q, v], [z, L.Attention(use_scale=True)([q, v]), L.AdditiveAttention()([q, v, v])])


@model
def gated_attention() -> keras.Model:
    q, v = keras.Input((5, 6), name="q"), keras.Input((4, 6), name="v")
    x = L.MultiHeadAttention(2, 3, use_gate=True)(q, v)
    y = L.MultiHeadAttention(2, 3, value_dim=2, output_shape=6, use_gate=True, use_bias=False)(x, v)
    z = L.GroupQueryAttention(3, 4, 2, use_gate=True)(y, v)
    return keras.Model([q, v], L.GroupQueryAttention(3, 2, 2, use_gate=True, use_bias=False)(z, v))


@model
def masked_attention() -> keras.Model:
    ids = keras.Input((6,), dtype="int32", name="ids")
    x = L.Embedding(7, 4, mask_zero=True)(ids)
    y, scores = L.MultiHeadAttention(2, 2)(x, x, use_causal_mask=True, return_attention_scores=True)
    return keras.Model(ids, [L.Dense(3)(y), scores])


@model
def bidirectional_states() -> keras.Model:
    a = keras.Input((4, 3), name="a")
    y, *states = L.Bidirectional(L.LSTM(2, return_state=True, return_sequences=True))(a)
    return keras.Model(a, [L.Bidirectional(L.LSTM(2))(y, initial_state=states), L.Concatenate()(states)])


@model
def nested_dict() -> keras.Model:
    x = keras.Input((3,), name="in")
    inner = keras.Model({"in": x}, {"z": L.Dense(2)(x), "a": L.Dense(1)(x), "m": x}, name="inner")
    a = keras.Input((3,), name="outside")
    found = inner({"in": a})
    return keras.Model(a, [found["a"], L.Dense(2)(found["z"]), found["m"]])


@model
def raw_more() -> keras.Model:
    a = keras.Input((4, 3), name="a")
    x = K.pad(a, ((0, 0), (1, 2), (0, 0)), constant_values=0.5) + K.average(a, axis=1)[:, None]
    y = K.stack([K.tanh(a), K.log1p(K.abs(a)), K.clip(a, -0.5, 0.5)], axis=1)
    z = K.normalize(K.cumsum(a, axis=1), axis=-1) * K.stop_gradient(K.flip(a, axis=1))
    t = K.logical_and(a > 0, a < 1)
    return keras.Model(
        a, [x, y, z, t, K.argmax(a, axis=-1), K.max(a, axis=(1, 2)), K.tile(a, (1, 2, 1)), K.sort(a, -1)]
    )


@model
def unused_input() -> keras.Model:
    a, b = keras.Input((3,), name="a"), keras.Input((3,), name="b")
    return keras.Model([a, b], L.Dense(2)(a))


@model
def frozen() -> keras.Model:
    a = keras.Input((3,), name="a")
    made = keras.Model(a, L.Dense(2, name="train")(L.Dense(3, name="keep", trainable=False)(a)))
    made.get_layer("keep").trainable = False
    return made


@model
def residual() -> keras.Model:
    x = image = keras.Input((None, None, 3), name="image")
    x = L.Conv2D(4, 3, padding="same", use_bias=False)(x)
    for _ in range(2):
        y = L.BatchNormalization()(L.Conv2D(4, 3, padding="same")(L.ReLU()(x)))
        x = x + y
    return keras.Model(image, L.Dense(5, activation="softmax", name="class")(L.GlobalAveragePooling2D()(x)))
