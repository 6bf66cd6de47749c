"""Models drawn with Keras alone: masks, states, sharing, nesting, operations, layers of one's own.

A model is drawn as steps on tensors that are there already; a step that Keras refuses is none. `draw` is that of
hypothesis's data(): within a strategy, Keras may not take its seeds from Python's random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

import keras
import numpy as np
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

from convert.zoo import randomize

Draw: TypeAlias = Callable[[Any], Any]
Step: TypeAlias = Callable[[Draw, Any, Sequence[Any]], Any]

VOCABULARY = 9
_ACTIVATIONS = ("linear", "relu", "tanh", "sigmoid", "gelu", "softmax")


def _one(draw: Draw, *choices: Any) -> Any:
    return draw(st.sampled_from(choices))


def _yes(draw: Draw) -> bool:
    return bool(draw(st.booleans()))


# Sequences: float[b, t, f].


def _recurrence(draw: Draw, **options: Any) -> Any:
    kind = _one(draw, L.LSTM, L.GRU, L.SimpleRNN)
    if kind is L.GRU:
        options["reset_after"] = _yes(draw)
    return kind(
        draw(st.integers(1, 4)),
        go_backwards=_yes(draw),
        use_bias=_yes(draw),
        activation=_one(draw, "tanh", "relu"),
        **options,
    )


def recur(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _recurrence(draw, return_sequences=_yes(draw))(x)


def recur_with_states(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    """An encoder's states into a decoder, as in a translator."""
    kind, units = _one(draw, L.LSTM, L.GRU), draw(st.integers(1, 4))
    _, *states = kind(units, return_state=True, return_sequences=_yes(draw))(x)
    decoded = kind(units, return_sequences=_yes(draw))(_like(draw, others, x), initial_state=states)
    return decoded if _yes(draw) else L.Concatenate()(states)


def both_ways(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    kind, units, sequences = _one(draw, L.LSTM, L.GRU, L.SimpleRNN), draw(st.integers(1, 3)), _yes(draw)
    inner = kind(units, return_sequences=sequences)
    return L.Bidirectional(inner, merge_mode=_one(draw, "concat", "sum", "mul", "ave"))(x)


def at_each_time(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    if _yes(draw):
        return L.TimeDistributed(L.Dense(draw(st.integers(1, 4)), activation=_one(draw, *_ACTIVATIONS)))(x)
    inner = keras.Sequential([L.Dense(3, activation="tanh"), L.LayerNormalization()])
    return L.TimeDistributed(inner)(x)


def convolve_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    padding = _one(draw, "same", "causal")
    strides, dilation = _one(draw, (1, 1), (2, 1), (1, 2))
    return L.Conv1D(draw(st.integers(1, 4)), 3, strides, padding, dilation_rate=dilation)(x)


def pool_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _one(draw, L.MaxPooling1D, L.AveragePooling1D)(2, _one(draw, 1, 2), "same")(x)


def whole_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _one(draw, L.GlobalAveragePooling1D, L.GlobalMaxPooling1D)()(x)


def attend(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    other = _like(draw, others, x)
    heads = L.MultiHeadAttention(draw(st.integers(1, 2)), 2, value_dim=_one(draw, None, 3), dropout=0.1)
    return heads(x, other, use_causal_mask=_yes(draw))


def attend_plainly(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    other = _like(draw, others, x)
    if _yes(draw):
        return L.Attention(use_scale=_yes(draw), score_mode=_one(draw, "dot", "concat"))([x, other])
    return L.AdditiveAttention(use_scale=_yes(draw))([x, other])


def mask_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return L.Masking(_one(draw, 0.0, 1.0))(x)


def slice_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _one(
        draw,
        lambda: x[:, 0],
        lambda: x[:, -1],
        lambda: x[:, ::-1],
        lambda: x[..., :1],
        lambda: x[:, :1],
        lambda: x[:, -1:],
    )()


def reduce_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _one(draw, K.mean, K.max, K.sum, K.logsumexp)(x, axis=1, keepdims=_yes(draw))


def join_times(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return L.Concatenate(axis=1)([x, _like(draw, others, x)])


def bend_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    if _yes(draw):
        return L.UpSampling1D(2)(x)
    return L.ZeroPadding1D((draw(st.integers(0, 2)), 1))(x)


# Images: float[b, h, w, c].


def convolve(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    channels, padding, strides = draw(st.integers(1, 4)), _one(draw, "same", "valid"), _one(draw, 1, 2)
    options = {"strides": strides, "padding": padding, "use_bias": _yes(draw)}
    made = _one(
        draw,
        lambda: L.Conv2D(channels, 2, activation=_one(draw, *_ACTIVATIONS), **options),
        lambda: L.DepthwiseConv2D(2, depth_multiplier=2, **options),
        lambda: L.SeparableConv2D(channels, 2, **options),
        lambda: L.Conv2DTranspose(channels, 2, **options),
    )()
    return made(x)


def pool(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _one(draw, L.MaxPooling2D, L.AveragePooling2D)(2, _one(draw, 1, 2), _one(draw, "same", "valid"))(x)


def whole_image(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _one(draw, L.GlobalAveragePooling2D, L.GlobalMaxPooling2D, L.Flatten)()(x)


def bend_image(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    made = _one(
        draw,
        lambda: L.ZeroPadding2D(((1, 0), (0, 2))),
        lambda: L.UpSampling2D(2, interpolation=_one(draw, "nearest", "bilinear")),
        lambda: L.Cropping2D(((1, 0), (0, 0))),
        lambda: L.Permute((2, 1, 3)),
        lambda: L.Reshape((-1, x.shape[-1])),
        lambda: L.Resizing(4, 5),
    )
    return made()(x)


# Vectors: float[b, f].


def repeat(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return L.RepeatVector(draw(st.integers(1, 3)))(x)


def turn_into_a_sequence(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return L.Reshape((-1, 1))(x) if _yes(draw) else K.expand_dims(x, 1)


def dot(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return L.Dot(axes=1, normalize=_yes(draw))([x, _like(draw, others, x)])


# Of any rank.


def dense(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return L.Dense(draw(st.integers(1, 4)), activation=_one(draw, *_ACTIVATIONS), use_bias=_yes(draw))(x)


def normalize(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    made = _one(
        draw,
        lambda: L.BatchNormalization(scale=_yes(draw), center=_yes(draw), epsilon=_one(draw, 1e-3, 1e-2)),
        lambda: L.LayerNormalization(epsilon=1e-2, scale=_yes(draw)),
        lambda: L.GroupNormalization(1, epsilon=1e-2),
        lambda: L.RMSNormalization(epsilon=1e-2),
    )
    return made()(x)


def activate(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    made = _one(
        draw,
        lambda: L.Activation(_one(draw, *_ACTIVATIONS)),
        lambda: L.LeakyReLU(0.3),
        lambda: L.PReLU(shared_axes=list(range(1, len(x.shape) - 1)) or None),
        lambda: L.ReLU(max_value=1.0, threshold=0.2),
        lambda: L.Dropout(0.5),
        lambda: L.Rescaling(0.5, 0.1),
    )
    return made()(x)


def merge(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    kinds = (L.Add, L.Subtract, L.Multiply, L.Average, L.Maximum, L.Minimum, L.Concatenate)
    return _one(draw, *kinds)()([x, _like(draw, others, x)])


def operate(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    y = _like(draw, others, x)
    return _one(
        draw,
        lambda: x * 2 - y,
        lambda: 1 - x,
        lambda: x + np.float32(0.5),
        lambda: K.where(x > y, x, 0.1 * y),
        lambda: K.tanh(x) / (K.abs(y) + 1.0),
        lambda: K.softmax(x, axis=-1),
        lambda: K.concatenate([x, y], axis=-1),
        lambda: K.clip(x, -0.5, 0.5) ** 2,
        lambda: K.square(x - K.mean(x, axis=-1, keepdims=True)),
        lambda: K.cast(x > 0, "float32") * y,
        lambda: K.stack([x, y], axis=1)[:, 1],
        lambda: K.maximum(x, K.flip(y, axis=-1)),
    )()


class Gate(L.Layer):
    """A call in Keras's operations, with weights and a layer within."""

    def build(self, shape: Any) -> None:
        self.scale = self.add_weight(shape=(shape[-1],), name="scale")
        self.inner = L.Dense(shape[-1], activation="sigmoid")
        self.inner.build(shape)

    def call(self, x: Any, training: Any = False) -> Any:
        if training:
            return x
        return x * self.inner(x) + self.scale * K.cast(K.shape(x)[0], x.dtype)


class MaskedMean(L.Layer):
    """A call that takes a mask, and gives none on."""

    def call(self, x: Any, mask: Any = None) -> Any:
        if mask is None:
            return K.mean(x, axis=1)
        weight = K.expand_dims(K.cast(mask, x.dtype), -1)
        return K.sum(x * weight, axis=1) / (K.sum(weight, axis=1) + 1.0)


class Parts(L.Layer):
    """Patches of a sequence whose length is known at run time only, and a token before them."""

    supports_masking = True

    def build(self, shape: Any) -> None:
        self.token = self.add_weight(shape=(1, 1, shape[-1]), name="token")

    def call(self, x: Any) -> Any:
        batch, times = K.shape(x)[0], K.shape(x)[1]
        token = K.broadcast_to(self.token, (batch, 1, x.shape[-1]))
        ramp = K.cast(K.arange(times), x.dtype) / K.cast(times, x.dtype)
        return K.concatenate([token, x + ramp[None, :, None]], axis=1)

    def compute_mask(self, x: Any, mask: Any = None) -> Any:
        return None


def gate(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return Gate()(x)


def own_of_sequences(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    return _one(draw, MaskedMean, Parts)()(x)


def nest(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    """A model within, called on one tensor, or on two that share its weights."""
    inner = keras.Input(x.shape[1:])
    y = inner
    for _ in range(draw(st.integers(1, 3))):
        y = _step(draw, y, [inner])
    net = keras.Model(inner, [y, inner * 2] if _yes(draw) else y)
    first = keras.tree.flatten(net(x))[0]
    return L.Concatenate()([first, keras.tree.flatten(net(_like(draw, others, x)))[0]]) if _yes(draw) else first


def share(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    """A layer on two tensors."""
    layer = _one(draw, *(lambda: L.Dense(3), lambda: L.LayerNormalization(epsilon=1e-2), L.BatchNormalization, Gate))()
    return L.Add()([layer(x), layer(_like(draw, others, x))])


def _like(draw: Draw, others: Sequence[Any], x: Any) -> Any:
    """Another tensor of the same shape, or the same."""
    return _one(draw, *[each for each in others if each.shape == x.shape and each.dtype == x.dtype], x)


ANY: tuple[Step, ...] = (dense, normalize, activate, merge, operate, gate, nest, share)
BY_RANK: dict[int, tuple[Step, ...]] = {
    2: (repeat, turn_into_a_sequence, dot),
    3: (
        *(recur, recur_with_states, both_ways, at_each_time, convolve_sequence, pool_sequence, whole_sequence, attend),
        *(attend_plainly, mask_sequence, slice_sequence, reduce_sequence, join_times, bend_sequence, own_of_sequences),
    ),
    4: (convolve, pool, whole_image, bend_image),
}


def _step(draw: Draw, x: Any, others: Sequence[Any]) -> Any:
    """One more tensor; a step that Keras refuses for this one is no step."""
    step = draw(st.sampled_from((*ANY, *BY_RANK.get(len(x.shape), ()))))
    try:
        made = step(draw, x, others)
    except (ValueError, TypeError, NotImplementedError, ZeroDivisionError):
        return x
    return made if None not in made.shape[2:] and 0 not in made.shape else x


def _source(draw: Draw, name: str) -> tuple[Any, Any]:
    """An input, and the float tensor that is made of it."""
    kind = _one(draw, "words", "steps", "image", "vector")
    time = _one(draw, None, 4)
    if kind == "words":
        words = keras.Input((time,), dtype=_one(draw, "int32", "int64"), name=name)
        return words, L.Embedding(VOCABULARY, _one(draw, 2, 3), mask_zero=_yes(draw))(words)
    shape = {"steps": (time, _one(draw, 2, 3)), "image": (5, 6, _one(draw, 1, 2)), "vector": (_one(draw, 2, 3),)}[kind]
    given = keras.Input(shape, name=name)
    return given, given


def drawn_model(draw: Draw, most: int = 8) -> keras.Model:
    """A functional model of 1 to `most` steps, its weights drawn. Inputs and outputs alone, in a list or a dict."""
    keras.utils.clear_session()
    sources = [_source(draw, f"in_{place}") for place in range(draw(st.integers(1, 3)))]
    tensors = [tensor for _, tensor in sources]
    for _ in range(draw(st.integers(1, most))):
        tensors.append(_step(draw, draw(st.sampled_from(tensors[-3:])), tensors))
    ends = list(dict.fromkeys([tensors[-1], *draw(st.lists(st.sampled_from(tensors), max_size=2))]))
    inputs = [given for given, _ in sources]
    made = keras.Model(_held(draw, inputs, "in"), _held(draw, ends, "out"))
    randomize(made, draw(st.integers(0, 3)))
    return made


def _held(draw: Draw, tensors: list[Any], word: str) -> Any:
    if len(tensors) == 1 and _yes(draw):
        return tensors[0]
    return {f"{word}_{place}": each for place, each in enumerate(tensors)} if _yes(draw) else tensors


def drawn_feeds(made: keras.Model, batch: int, times: int, seed: int) -> Any:
    """Arrays for the inputs, with steps of zeros and ones that a mask may leave out. No row is left out whole."""
    generator = np.random.default_rng(seed)

    def array(tensor: Any) -> Any:
        shape = [batch, *(times if size is None else size for size in tensor.shape[1:])]
        if "int" in tensor.dtype:
            ids = generator.integers(0, VOCABULARY, shape)
            ids[:, 0] = np.maximum(ids[:, 0], 1)
            return ids.astype(tensor.dtype)
        drawn = generator.normal(size=shape)
        if len(shape) == 3:
            drawn[:, 1:][generator.random(shape[:2])[:, 1:] < 0.3] = generator.integers(0, 2)
        return drawn.astype(tensor.dtype)

    return keras.tree.map_structure(array, made.input)
