"""Networks written channels-first, as ONNX and torch write them, become channels-last with transposes at the edges."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from test_each_pass import kinds, same_numbers

import dagir
from dagir import layers, ops
from dagir.ir.graph import Parameter
from dagir.ir.types import DType, TensorType
from dagir.passes import ChannelsLast

FIRST = {"data_format": "channels_first"}


def weight(*shape, seed=0):
    array = np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32") / 2
    return Parameter("w", TensorType(DType.FLOAT32, shape), array=array).value


def squeeze_excite(x):
    y = ops.relu(ops.conv(x, weight(3, 3, 4, 6), padding="same", **FIRST) + weight(6, 1, 1))
    gate = ops.sigmoid(ops.conv(ops.mean(y, axis=(2, 3), keepdims=True), weight(1, 1, 6, 6), **FIRST))
    return y * gate


def two_ways(x):
    y = ops.conv(x, weight(1, 1, 4, 3), **FIRST)
    z = ops.max_pool(ops.conv(x, weight(3, 3, 4, 3), padding="same", **FIRST), 3, 1, "same", **FIRST)
    return ops.softmax(ops.concatenate([y, z, y * weight(3, 1, 1)], axis=1), axis=1)


def sliced(x):
    y = ops.conv(ops.pad(x, ((0, 0), (0, 0), (1, 2), (0, 1))), weight(2, 2, 4, 5), strides=2, **FIRST)
    return ops.leaky_relu(y[:, 1:4, :, 1:])


def normed(x):
    y = ops.conv(x, weight(2, 2, 4, 4), **FIRST)
    norm = layers.LayerNormalization(axis=1)
    return ops.average_pool(norm(y), 2, 2, **FIRST)


BLOCKS = [squeeze_excite, two_ways, sliced, normed]


@pytest.mark.parametrize("block", BLOCKS, ids=[block.__name__ for block in BLOCKS])
def test_a_block_has_transposes_at_its_edges_only(block):
    x = dagir.Input((4, 7, 6), name="x")
    graph = dagir.Model(x, block(x)).graph
    after = ChannelsLast()(graph)
    dagir.check(after)
    assert [kind for kind in kinds(after) if kind == "Transpose"] == ["Transpose"] * 2, after
    assert {node.op.data_format for node in after.nodes if node.op.bound_to_layout} == {"channels_last"}
    same_numbers(graph, after)


def test_a_transpose_around_the_network_goes_away():
    x = dagir.Input((7, 6, 4), name="x")
    y = ops.transpose(squeeze_excite(ops.transpose(x, (0, 3, 1, 2))), (0, 2, 3, 1))
    after = ChannelsLast()(dagir.Model(x, y).graph)
    assert kinds(after).count("Transpose") <= 2
    assert kinds(dagir.Model(x, y).graph).count("Transpose") == 2
    same_numbers(dagir.Model(x, y).graph, after)


def test_what_layers_made_stays():
    x = dagir.Input((4, 7, 6), name="x")
    graph = dagir.Model(x, layers.Conv2D(3, 2, **FIRST)(x)).graph
    assert ChannelsLast()(graph) is graph


STEPS = {
    "relu": ops.relu,
    "softmax": lambda x: ops.softmax(x, axis=1),
    "scale": lambda x: x * weight(x.shape[1], 1, 1),
    "shift": lambda x: x + weight(1, 1, x.shape[3]),
    "conv": lambda x: ops.conv(x, weight(2, 1, x.shape[1], 3), padding="same", **FIRST),
    "pool": lambda x: ops.average_pool(x, 2, 1, "same", **FIRST),
    "sum": lambda x: x - ops.sum(x, axis=2, keepdims=True),
    "columns": lambda x: x + ops.max(x, axis=(1, 3), keepdims=True),
    "join": lambda x: ops.concatenate([x, ops.tanh(x)], axis=1),
    "cut": lambda x: x[:, : max(1, x.shape[1] // 2), 1:],
    "turn": lambda x: ops.transpose(ops.transpose(x, (0, 2, 3, 1)), (0, 3, 1, 2)),
    "tile": lambda x: ops.tile(x, (1, 1, 1, 2))[..., : x.shape[3]],
}


@given(st.lists(st.sampled_from(sorted(STEPS)), min_size=1, max_size=6), st.booleans())
def test_drawn_chains_give_the_same_numbers(names, flat):
    x = dagir.Input((4, 9, 6), name="x")
    y = x
    for name in names:
        y = STEPS[name](y)
    graph = dagir.Model(x, ops.mean(y, axis=(2, 3)) if flat else y).graph
    after = ChannelsLast()(graph)
    dagir.check(after)
    same_numbers(graph, after)
