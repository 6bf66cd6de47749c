"""Models that were copied, loaded and saved again, layers inside layers, and rarer arguments."""

from __future__ import annotations

import os
import tempfile

import numpy as np

from old_kerases.cases import branches, case, stack

WORDS = ["red", "green", "blue"]


def _small(K, size=4, name=None):
    x = K.Input((size,))
    y = K.layers.Dense(4)(K.layers.BatchNormalization()(K.layers.Dense(5, activation="relu")(x)))
    return K.Model(x, y, **({"name": name} if name else {}))


def _resaved(K, model, ending="h5"):
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, f"model.{ending}")
        model.save(path)
        return K.models.load_model(path)


@case
def resaved(K):
    return _resaved(K, _small(K))


@case
def resaved_sequential(K):
    return _resaved(K, K.Sequential([K.Input((4,)), K.layers.Dense(3), K.layers.Dense(2)]))


@case
def resaved_and_extended(K):
    base = _resaved(K, _small(K))
    x = K.Input((4,))
    return K.Model(x, K.layers.Dense(2, name="head")(base(x)))


@case
def resaved_nested(K):
    inner = _small(K)
    x = K.Input((4,))
    return _resaved(K, K.Model(x, K.layers.Add()([inner(x), inner(K.layers.ReLU()(x))])))


@case
def resaved_features(K):
    base = _resaved(K, _small(K))
    return K.Model(base.input, base.layers[-2].output)


@case
def cloned(K):
    return K.models.clone_model(_small(K))


@case
def cloned_nested(K):
    x = K.Input((4,))
    return K.models.clone_model(K.Model(x, K.layers.Dense(2)(_small(K)(x))))


@case
def from_a_configuration(K):
    return K.Model.from_config(_small(K).get_config())


@case
def two_clones_in_one(K):
    first = _small(K, name="first")
    second = K.models.clone_model(first)
    second = K.Model(second.inputs, second.outputs, name="second")
    x = K.Input((4,))
    return K.Model(x, K.layers.Concatenate()([first(x), second(x)]))


@case
def inner_sequential_without_input(K):
    inner = K.Sequential([K.layers.Dense(4, activation="relu"), K.layers.Dense(4)])
    x = K.Input((4,))
    return K.Model(x, inner(inner(x)))


@case
def inner_sequential_deep_without_input(K):
    inner = K.Sequential([K.layers.Dense(3), K.Sequential([K.layers.ReLU(), K.layers.Dense(2)])])
    x = K.Input((4,))
    return K.Model(x, inner(x))


@case
def inner_of_another_rank(K):
    inner = K.Sequential([K.layers.Dense(3), K.layers.ReLU()])
    x, y = K.Input((4,)), K.Input((2, 4))
    return K.Model([x, y], [inner(x), inner(y)])


@case
def shared_at_two_ranks(K):
    layer = K.layers.Dense(3)
    x, y = K.Input((4,)), K.Input((2, 4))
    return K.Model([x, y], [layer(x), layer(y)])


@case
def shared_convolution(K):
    layer = K.layers.Conv2D(2, 3, padding="same")
    x, y = K.Input((6, 6, 2)), K.Input((4, 8, 2))
    return K.Model([x, y], [layer(x), layer(layer(y))])


@case
def inner_of_any_image(K):
    L = K.layers
    inner = K.Sequential([K.Input((None, None, 2)), L.Conv2D(3, 3, padding="same"), L.GlobalAveragePooling2D()])
    x = K.Input((6, 6, 2))
    return K.Model(x, [inner(x), inner(L.MaxPooling2D()(x))])


@case
def timedistributed_twice(K):
    L = K.layers
    x = K.Input((3, 2, 4))
    return K.Model(x, L.TimeDistributed(L.TimeDistributed(L.Dense(3)))(x))


@case
def timedistributed_bidirectional(K):
    L = K.layers
    x = K.Input((3, 5, 2))
    return K.Model(x, L.Bidirectional(L.GRU(3))(L.TimeDistributed(L.Bidirectional(L.LSTM(2)))(x)))


@case
def timedistributed_base(K):
    L = K.layers
    base = K.Sequential([K.Input((6, 6, 2)), L.Conv2D(3, 3), L.BatchNormalization(), L.Flatten()], name="base")
    x = K.Input((None, 6, 6, 2))
    return K.Model(x, L.LSTM(3)(L.TimeDistributed(base)(x)))


@case
def bidirectional_of_mixed(K):
    L = K.layers
    x = K.Input((5, 3))
    layer = L.Bidirectional(
        L.LSTM(3, return_sequences=True), backward_layer=L.GRU(3, go_backwards=True, return_sequences=True)
    )
    return K.Model(x, layer(x))


@case
def bidirectional_masked_modes(K):
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True)(ids)
    modes = ("sum", "mul", "ave", "concat")
    return K.Model(ids, [L.Bidirectional(L.LSTM(3, return_sequences=True), merge_mode=mode)(x) for mode in modes])


@case
def rnn_masked_state(K):
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True)(ids)
    y, h, c = L.LSTM(4, return_state=True, return_sequences=True)(x)
    return K.Model(ids, [L.GRU(4)(x, initial_state=h), L.LSTM(4, go_backwards=True)(x, initial_state=[h, c]), y])


@case
def mask_explicit(K):
    L = K.layers
    x, ids = K.Input((6, 4)), K.Input((6,), dtype="int32")
    mask = L.Embedding(9, 2, mask_zero=True).compute_mask(ids)
    return K.Model([x, ids], L.LSTM(3)(x, mask=mask))


@case
def mask_timedistributed_model(K):
    L = K.layers
    x = K.Input((5, 4))
    y = L.TimeDistributed(_small(K))(L.Masking()(x))
    return K.Model(x, L.LSTM(3)(y))


@case
def mask_attention_pooling(K):
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    x = L.Embedding(9, 4, mask_zero=True)(ids)
    y = L.Attention(use_scale=True)([x, x, x])
    return K.Model(ids, [L.GlobalAveragePooling1D()(y), L.GlobalMaxPooling1D()(y), L.Flatten()(y)])


@case
def mask_multi_head_two(K):
    L = K.layers
    q, v = K.Input((6,), dtype="int32"), K.Input((5,), dtype="int32")
    x, y = L.Embedding(9, 4, mask_zero=True)(q), L.Embedding(9, 4, mask_zero=True)(v)
    return K.Model([q, v], L.LSTM(3)(L.MultiHeadAttention(2, 3)(x, y)))


@case
def mask_concatenated_steps(K):
    L = K.layers
    a, b = K.Input((4,), dtype="int32"), K.Input((3,), dtype="int32")
    table = L.Embedding(9, 4, mask_zero=True)
    return K.Model([a, b], L.GRU(3)(L.Concatenate(axis=1)([table(a), table(b)])))


@case
def mask_dot(K):
    L = K.layers
    a, b = K.Input((4,), dtype="int32"), K.Input((3,), dtype="int32")
    table = L.Embedding(9, 4, mask_zero=True)
    return K.Model([a, b], L.Dot(axes=2)([table(a), table(b)]))


@case
def mask_zero_in_a_row(K):
    L = K.layers
    ids = K.Input((6,), dtype="int32")
    y = L.Embedding(9, 4, mask_zero=True)(ids)
    for layer in (L.Dropout(0.1), L.LayerNormalization(), L.GaussianNoise(0.1), L.Activation("relu"), L.LeakyReLU()):
        y = layer(y)
    return K.Model(ids, L.LSTM(3)(y))


@case
def batchnorm_synchronized_class(K):
    kind = getattr(K.layers, "SyncBatchNormalization", None) or K.layers.experimental.SyncBatchNormalization
    x = K.Input((4, 3))
    return K.Model(x, kind()(K.layers.BatchNormalization()(x)))


stack("batchnorm_masked", (5, 4), lambda L: [L.Masking(), L.BatchNormalization(), L.LSTM(2)], padded=True)
branches("layernorm_axes", (4, 5), lambda L: [L.LayerNormalization(axis=[1, 2]), L.LayerNormalization(axis=[-1, -2])])
branches("softmax_masked", (4, 5), lambda L: [L.Softmax(axis=-2), L.Softmax(axis=(-1, -2))])
stack("input_int64", (5,), lambda L: [L.Embedding(9, 3), L.Conv1D(2, 2), L.GlobalMaxPooling1D()], dtype="int64")
stack("input_bool", (5,), lambda L: [L.Dense(3)], dtype="bool")
stack("input_uint8_images", (6, 6, 3), lambda L: [L.Rescaling(1 / 255.0), L.Conv2D(2, 3)], dtype="uint8")
stack("input_uint8_convolution", (6, 6, 3), lambda L: [L.Conv2D(2, 3)], dtype="uint8")
stack("input_uint8_pooling", (6, 6, 3), lambda L: [L.MaxPooling2D(), L.Flatten(), L.Dense(2)], dtype="uint8")
stack("input_float64", (5,), lambda L: [L.Dense(3), L.Activation("tanh")], dtype="float64")
stack("embedding_whole_floats", (None,), lambda L: [L.Embedding(9, 4), L.GlobalAveragePooling1D()], whole=True)
stack(
    "embedding_then_flatten",
    (6,),
    lambda L: [L.Embedding(9, 4), L.Flatten(), L.Dense(2)],
    dtype="int32",
    sequential=True,
)
stack("many_dropouts", (5,), lambda L: [L.Dense(4), L.Dropout(0), L.Dense(3), L.Dropout(0.99)], sequential=True)
stack(
    "conv_same_even", (7, 7, 2), lambda L: [L.Conv2D(3, 2, strides=2, padding="same"), L.Conv2D(2, 4, padding="same")]
)
stack(
    "pool_same_even",
    (7, 7, 2),
    lambda L: [L.AveragePooling2D(2, strides=1, padding="same"), L.MaxPooling2D(3, padding="same")],
)
stack(
    "conv1d_causal_stride",
    (9, 2),
    lambda L: [L.Conv1D(3, 3, strides=2, padding="causal"), L.Conv1D(2, 2, padding="causal")],
)
stack(
    "transposed_chain",
    (3, 3, 4),
    lambda L: [L.Conv2DTranspose(3, 4, strides=2, padding="same"), L.Conv2DTranspose(2, 3, 2)],
)
stack(
    "transposed_open", (None, None, 3), lambda L: [L.Conv2DTranspose(2, 3, strides=2, padding="same"), L.Conv2D(1, 3)]
)
stack("pooling_open", (None, None, 3), lambda L: [L.AveragePooling2D(2), L.GlobalAveragePooling2D(), L.Dense(2)])
stack("lstm_open_batchnorm", (None, 3), lambda L: [L.LSTM(4, return_sequences=True), L.BatchNormalization(), L.GRU(2)])


@case(scrambled=False)
def string_lookup_tf_idf(K):
    x = K.Input((4,), dtype="string")
    layer = K.layers.StringLookup(vocabulary=WORDS, idf_weights=[0.5, 1.0, 2.0], output_mode="tf_idf")
    return K.Model(x, layer(x))


@case(scrambled=False)
def string_lookup_inverted(K):
    x = K.Input((4,), dtype="int64")
    return K.Model(x, K.layers.StringLookup(vocabulary=[*WORDS, "grey"], invert=True)(x))


@case(scrambled=False)
def integer_lookup_inverted(K):
    x = K.Input((4,), dtype="int64")
    return K.Model(x, K.layers.IntegerLookup(vocabulary=[7, 4, 2, 9], invert=True)(x))


@case(scrambled=False)
def integer_lookup_two_unknown(K):
    x = K.Input((4,), dtype="int64")
    return K.Model(x, K.layers.IntegerLookup(vocabulary=[1, 4], num_oov_indices=2)(x))


@case(scrambled=False)
def integer_lookup_padded(K):
    x = K.Input((4,), dtype="int64")
    layer = K.layers.IntegerLookup(vocabulary=[1, 4, 2], max_tokens=9, output_mode="multi_hot", pad_to_max_tokens=True)
    return K.Model(x, layer(x))


@case(scrambled=False)
def category_encoding_weighted(K):
    x, w = K.Input((3,), dtype="int32"), K.Input((3,))
    return K.Model([x, w], K.layers.CategoryEncoding(6, output_mode="count")(x, count_weights=w))


@case(scrambled=False)
def normalization_then_model(K):
    scale = K.layers.Normalization()
    scale.adapt(np.random.default_rng(1).normal(3, 2, (50, 4)).astype("float32"))
    return K.Sequential([K.Input((4,)), scale, _small(K)])


@case(scrambled=False)
def normalization_nested(K):
    scale = K.layers.Normalization(axis=-1)
    scale.adapt(np.random.default_rng(1).normal(3, 2, (50, 4)).astype("float32"))
    inner = K.Sequential([K.Input((4,)), scale, K.layers.Dense(3)])
    x = K.Input((4,))
    return K.Model(x, inner(x))
