"""Strategies of whole graphs: several inputs and outputs, shared values, shared layers, nested models.

A model grows from its inputs: each step takes a value of the pool and a move that fits its rank, and adds the result
to the pool. What is drawn is a list of small integers, so a failing model shrinks to few and simple steps.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

from dagir import layers
from dagir import ops as K
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import symbols
from dagir.ir.graph import Graph, Op, Value
from dagir.ir.traversal import values_behind
from dagir.ir.types import Array
from dagir.layers import Input, Layer
from dagir.modeling.model import Model
from dagir.testing.cases import OpCase, cases, covered
from dagir.testing.control_moves import CONTROL_MOVES

_ROWS = 11  # rows of every embedding table


@dataclass
class _Growth:
    """The state of a model that is being drawn."""

    draw: st.DrawFn
    depth: int
    control_flow: bool = False
    pool: list[Value] = field(default_factory=list)
    shared: list[tuple[str, Layer]] = field(default_factory=list)

    def pick(self, values: Sequence[object]) -> Any:
        return values[self.draw(st.sampled_from(range(len(values))))]

    def small(self, low: int = 1, high: int = 4) -> int:
        return self.draw(st.sampled_from(range(low, high + 1)))


Move: TypeAlias = Callable[[_Growth, Value], Value]


def _activation(grow: _Growth, x: Value) -> Value:
    known = [K.relu, K.tanh, K.sigmoid, K.silu, K.softplus, layers.ReLU(), layers.ELU()]
    others = [K.selu, K.hard_sigmoid, K.hard_silu, K.softsign, layers.Activation("mish"), layers.LeakyReLU(0.2)]
    return grow.pick([*known, K.gelu, layers.Activation("gelu"), *others])(x)


def _function(grow: _Growth, x: Value) -> Value:
    """A continuous function: at a step, rounding decides which branch is taken, and no error budget covers that."""
    known = [K.abs, K.square, K.sin, K.arctan, lambda v: K.exp(K.minimum(v, 1)), lambda v: K.log1p(K.abs(v))]
    return grow.pick([*known, lambda v: K.sqrt(K.square(v) + 1), lambda v: v / (K.abs(v) + 1)])(x)


def _along_channels(grow: _Growth, x: Value) -> Value:
    """A function along the last axis that keeps the shape."""
    known = [K.softmax, K.log_softmax, K.sort, lambda v: K.cumsum(v, -1), lambda v: K.flip(v, -1)]
    means = [lambda v: v - K.mean(v, -1, keepdims=True), lambda v: v / (1 + K.sum(K.abs(v), -1, keepdims=True))]
    return grow.pick([*known, *means, lambda v: K.roll(v, 1, -1), layers.UnitNormalization()])(x)


def _rms_norm(grow: _Growth, x: Value) -> Value:
    return layers.RMSNormalization()(x)


def _prelu(grow: _Growth, x: Value) -> Value:
    return layers.PReLU(shared_axes=list(range(1, x.ndim - 1)) or None)(x)


def _repeat(grow: _Growth, x: Value) -> Value:
    return layers.RepeatVector(grow.small(1, 3))(x)


def _arithmetic(grow: _Growth, x: Value) -> Value:
    partners = [value for value in grow.pool if value.type == x.type]
    function = grow.pick([K.add, K.multiply, K.subtract, K.maximum])
    return function(x, grow.pick(partners))


def _scalar(grow: _Growth, x: Value) -> Value:
    return grow.pick([lambda v: v * 0.5 + 1, lambda v: 1 - v, lambda v: -v, lambda v: K.clip(v, -1, 1)])(x)


def _dense(grow: _Growth, x: Value) -> Value:
    return layers.Dense(grow.small(), activation=grow.pick([None, "relu", "tanh", "softmax"]))(x)


def _shared_layer(grow: _Growth, x: Value) -> Value:
    """A Dense layer that was called before on a value of the same type, if there is one."""
    fitting = [layer for key, layer in grow.shared if key == str(x.type)]
    if fitting:
        return grow.pick(fitting)(x)
    layer = layers.Dense(grow.small())
    grow.shared.append((str(x.type), layer))
    return layer(x)


def _joined(grow: _Growth, x: Value) -> Value:
    partners = [v for v in grow.pool if v.dtype is x.dtype and v.type.shape[:-1] == x.type.shape[:-1]]
    return layers.Concatenate()([x, grow.pick(partners)])


def _batch_norm(grow: _Growth, x: Value) -> Value:
    return layers.BatchNormalization()(x)


def _layer_norm(grow: _Growth, x: Value) -> Value:
    return layers.LayerNormalization()(x)


def _dropout(grow: _Growth, x: Value) -> Value:
    return layers.Dropout(0.3)(x)


def _lstm(grow: _Growth, x: Value) -> Value:
    """A recurrent layer, which begins at zeros or at states that are as large as they happen to be."""
    kind, units = grow.pick([layers.LSTM, layers.GRU, layers.SimpleRNN]), grow.small()
    count = (2 if kind is layers.LSTM else 1) * grow.draw(st.booleans())
    states = [layers.Dense(units)(x[:, 0]) for _ in range(count)]
    return kind(units, return_sequences=grow.draw(st.booleans()))(x, initial_state=states or None)


def _bidirectional(grow: _Growth, x: Value) -> Value:
    inner = grow.pick([layers.LSTM, layers.GRU])(grow.small(1, 3), return_sequences=grow.draw(st.booleans()))
    return layers.Bidirectional(inner, merge_mode=grow.pick(["concat", "sum", "ave"]))(x)


def _attention(grow: _Growth, x: Value) -> Value:
    """Attention, on a copy of x if x has a mask.

    Attention removes the mask of x, and with two such calls Keras decides late which one removes it.
    """
    heads, size = grow.small(1, 2), grow.small(1, 3)
    x = x if x.mask is None else layers.Activation("linear")(x)
    return layers.MultiHeadAttention(heads, size)(x, x, use_causal_mask=grow.draw(st.booleans()))


def _dot_attention(grow: _Growth, x: Value) -> Value:
    return grow.pick([layers.Attention, layers.AdditiveAttention])()([x, x])


def _products(grow: _Growth, x: Value) -> Value:
    """Products of each step with all steps, used as weights of a sum."""
    scores = K.matmul(x, K.transpose(x, (0, 2, 1)))
    return grow.pick([lambda: K.matmul(K.tanh(scores), x), lambda: K.einsum("bij,bjc->bic", K.sigmoid(scores), x)])()


def _each_step(grow: _Growth, x: Value) -> Value:
    return layers.TimeDistributed(layers.Dense(grow.small(), activation=grow.pick([None, "tanh"])))(x)


def _masking(grow: _Growth, x: Value) -> Value:
    return x if x.mask is not None else layers.Masking()(x)


def _conv1d(grow: _Growth, x: Value) -> Value:
    return layers.Conv1D(grow.small(), grow.small(1, 3), padding=grow.pick(["same", "causal"]))(x)


def _steps1d(grow: _Growth, x: Value) -> Value:
    """A layer that changes the number of steps."""
    kinds = [lambda: layers.MaxPooling1D(2, padding="same"), lambda: layers.AveragePooling1D(2, padding="same")]
    return grow.pick([*kinds, lambda: layers.UpSampling1D(2), lambda: layers.ZeroPadding1D(1)])()(x)


def _pool1d(grow: _Growth, x: Value) -> Value:
    return grow.pick([layers.GlobalAveragePooling1D, layers.GlobalMaxPooling1D])()(x)


def _conv2d(grow: _Growth, x: Value) -> Value:
    activation = grow.pick([None, "relu"])
    layer = layers.Conv2D(
        grow.small(), grow.small(1, 3), padding="same", strides=grow.small(1, 2), activation=activation
    )
    return layer(x)


def _conv_of_kind(grow: _Growth, x: Value) -> Value:
    """A depthwise, separable, transposed, dilated or grouped convolution."""
    size, strides = grow.small(1, 3), grow.small(1, 2)
    channels = x.type.shape[-1] if isinstance(x.type.shape[-1], int) else 1
    kinds = [
        lambda: layers.DepthwiseConv2D(size, strides=strides, padding="same", depth_multiplier=grow.small(1, 2)),
        lambda: layers.SeparableConv2D(grow.small(), size, padding="same"),
        lambda: layers.Conv2DTranspose(grow.small(), size, strides=strides, padding="same"),
        lambda: layers.Conv2D(grow.small(), size, dilation_rate=2, padding="same"),
        lambda: layers.Conv2D(channels * grow.small(1, 2), size, groups=channels, padding="same"),
    ]
    return grow.pick(kinds)()(x)


def _frame(grow: _Growth, x: Value) -> Value:
    """A layer that adds, resizes or swaps rows and columns."""
    kinds = [lambda: layers.ZeroPadding2D(((1, 0), (0, 2))), lambda: layers.Resizing(4, 3)]
    kinds += [lambda: layers.UpSampling2D(2, interpolation="bilinear"), lambda: layers.Permute((2, 1, 3))]
    return grow.pick(kinds)()(x)


def _group_norm(grow: _Growth, x: Value) -> Value:
    return layers.GroupNormalization(groups=-1)(x)


def _conv_norm(grow: _Growth, x: Value) -> Value:
    return layers.BatchNormalization()(layers.Conv2D(grow.small(), 3, padding="same", use_bias=False)(x))


def _pool2d(grow: _Growth, x: Value) -> Value:
    return grow.pick([layers.MaxPooling2D, layers.AveragePooling2D])(2, padding="same")(x)


def _global_pool2d(grow: _Growth, x: Value) -> Value:
    return grow.pick([layers.GlobalAveragePooling2D, layers.GlobalMaxPooling2D])()(x)


def _upsample(grow: _Growth, x: Value) -> Value:
    return layers.UpSampling2D(2)(x)


def _flatten(grow: _Growth, x: Value) -> Value:
    return layers.Flatten()(x)


def _nested(grow: _Growth, x: Value) -> Value:
    """A model drawn for this type, called once or twice."""
    if grow.depth == 0:
        return _dense(grow, x)
    sizes = [size if isinstance(size, int) else f"size_{axis}" for axis, size in enumerate(x.type.shape)]
    source = Input(batch_shape=x.type.shape if grow.draw(st.booleans()) and _are_told(x) else sizes)
    inner = _Growth(grow.draw, grow.depth - 1, grow.control_flow, [source])
    model = Model(source, _grow(inner, grow.small(1, 2))[-1])
    result: Value = model(x)
    return K.concatenate([result, model(x * 0.5)], -1) if grow.draw(st.booleans()) else result


_ANY: list[Move] = [
    _activation,
    _arithmetic,
    _scalar,
    _dense,
    _shared_layer,
    _joined,
    _batch_norm,
    _layer_norm,
    _dropout,
    _nested,
    _function,
    _along_channels,
    _rms_norm,
    _prelu,
]
_STEPS: list[Move] = [
    _lstm,
    _bidirectional,
    _attention,
    _each_step,
    _masking,
    _conv1d,
    _pool1d,
    _dot_attention,
    _products,
    _steps1d,
]
_IMAGES: list[Move] = [
    _conv2d,
    _conv_norm,
    _pool2d,
    _global_pool2d,
    _upsample,
    _flatten,
    _conv_of_kind,
    _frame,
    _group_norm,
]
_MOVES: dict[int, list[Move]] = {
    2: [*_ANY, _repeat],
    3: [*_ANY, *_STEPS],
    4: [*_ANY, *_IMAGES],
}


def _are_told(x: Value) -> bool:
    """Whether the named sizes of a shape can be read off an input of that shape."""
    return set().union(*map(symbols, x.type.shape)) <= size_sources([x.type.shape]).keys()


def _grow(grow: _Growth, steps: int) -> list[Value]:
    for _ in range(steps):
        x = grow.pick(grow.pool)
        static = all(isinstance(size, int) for size in x.type.shape[1:])
        known = [*_MOVES[x.ndim], *(CONTROL_MOVES * 3 if grow.control_flow else ())]
        moves = [move for move in known if move is not _flatten or static]
        grow.pool.append(grow.pick(moves)(grow, x))
    return grow.pool


def _sources(draw: st.DrawFn) -> list[Value]:
    values = []
    for place in range(draw(st.sampled_from([1, 2, 3]))):
        kind = draw(st.sampled_from(["vector", "image", "sequence", "ids"]))
        if kind == "vector":
            values.append(Input((draw(st.integers(1, 5)),), name=f"vector_{place}"))
        elif kind == "image":
            values.append(Input((draw(st.sampled_from([3, 4, 7])), 5, draw(st.integers(1, 3))), name=f"image_{place}"))
        elif kind == "sequence":
            values.append(Input(("time", draw(st.integers(1, 3))), name=f"sequence_{place}"))
        else:
            ids = Input(("time",), dtype="int32", name=f"ids_{place}")
            values.append(layers.Embedding(_ROWS, draw(st.integers(1, 3)), mask_zero=draw(st.booleans()))(ids))
    return values


@st.composite
def models(
    draw: st.DrawFn, max_steps: int = 10, depth: int = 1, min_steps: int = 1, control_flow: bool = False
) -> Model:
    """A valid Model of float32 layers with random weights; its named sizes are "batch" and "time".

    control_flow: with branches and loops, which look at a whole batch.

    >>> @settings(max_examples=2)
    ... @given(dagir.testing.models(max_steps=3))
    ... def test(model):
    ...     dagir.testing.assert_equivalent(model, backends=["numpy"])
    >>> test()
    """
    sources = _sources(draw)
    grow = _Growth(draw, depth, control_flow, list(sources))
    _grow(grow, draw(st.sampled_from(range(min_steps, max_steps + 1))))
    count = draw(st.sampled_from(range(1, min(3, len(grow.pool)) + 1)))
    outputs = list(dict.fromkeys([*grow.pool[-count:], grow.pool[-1]]))
    inputs = _inputs_of(outputs)
    structure: Any = {f"out_{i}": v for i, v in enumerate(outputs)} if draw(st.booleans()) else outputs
    model = Model(inputs, structure if len(outputs) > 1 else outputs[0])
    randomize(model, draw(st.integers(0, 2**16)))
    return model


def graphs(max_steps: int = 10, depth: int = 1, min_steps: int = 1) -> st.SearchStrategy[Graph]:
    """The Graph of a drawn model.

    >>> graphs = dagir.testing.graphs(max_steps=3)  # for @given(graphs)
    """
    return models(max_steps=max_steps, depth=depth, min_steps=min_steps).map(lambda model: model.graph)


def ops(*kinds: type[Op]) -> st.SearchStrategy[OpCase]:
    """An op of these kinds, by default of any that has a strategy, with arrays that fit it; see OpCase.

    >>> cases = dagir.testing.ops(ops.Tanh, ops.Erf)  # for @given(cases)
    """
    known = sorted(kinds or covered(), key=lambda kind: kind.__name__)
    return st.sampled_from(known).flatmap(cases)


def _inputs_of(outputs: Sequence[Value]) -> list[Value]:
    return sorted((value for value in values_behind(outputs) if value.is_input), key=lambda value: value.name)


def randomize(model: Layer, seed: int) -> None:
    """Give every weight random values; variances are positive, scales are near 1.

    >>> x = dagir.Input((3,))
    >>> model = dagir.Model(x, layers.Dense(2)(x))
    >>> dagir.testing.randomize(model, seed=0)
    >>> bool(model.weights[1].array.any())
    True
    """
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        if "variance" in weight.name:
            weight.assign(rng.uniform(0.5, 2.0, weight.shape))
        else:
            centre = 1.0 if "gamma" in weight.name else 0.0
            weight.assign(rng.normal(centre, 0.5, weight.shape))


def feeds_for(model: Model, sizes: dict[str, int], seed: int = 0) -> list[Array]:
    """An array for each input, with the given named sizes; integers are valid ids for every drawn embedding.

    >>> x = dagir.Input(("time", 3))
    >>> [array.shape for array in dagir.testing.feeds_for(dagir.Model(x, ops.tanh(x)), {"batch": 2, "time": 5})]
    [(2, 5, 3)]
    """
    rng = np.random.default_rng(seed)
    arrays: list[Array] = []
    for value in model.inputs:
        shape = [size if isinstance(size, int) else sizes[str(size)] for size in value.type.shape]
        if value.dtype.is_integer:
            arrays.append(rng.integers(0, _ROWS, shape).astype(value.dtype.numpy))
        else:
            arrays.append(rng.normal(size=shape).astype(value.dtype.numpy))
    return arrays
