"""Drawn programs with nested control flow, as TensorFlow runs them line by line: in a function, in a layer's call."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dagir
from convert.control_programs import compiled, programs, source
from convert.test_drawn_graphs import judge_graph
from dagir.errors import UnsupportedLayer

pytestmark = pytest.mark.filterwarnings("ignore")
EXAMPLES = max(4, settings.default.max_examples // 3)


class Own(keras.layers.Layer):
    """A layer of weights, whose call is given."""

    def __init__(self, function):
        super().__init__(name="own")
        self.function = function
        rng = np.random.default_rng(0)
        self.w = self.add_weight(shape=(3, 3), name="w")
        self.c = self.add_weight(shape=(3,), name="c")
        self.dense = keras.layers.Dense(3, activation="tanh", name="dense")
        self.dense.build((None, 3))
        for weight in self.weights:
            weight.assign(rng.normal(0.0, 0.5, weight.shape))

    def compute_output_spec(self, x, m):
        kinds = zip((x.shape, (3,), (), ()), ("float32", "float64", "int32", "bool"), strict=True)
        return tuple(keras.KerasTensor(*each) for each in kinds)

    def call(self, x, m):
        return self.function(self, x, m)


def feeds_of(rows, known, seed):
    """Two feeds, which take other branches, and run loops other numbers of times, none at all too."""
    rng = np.random.default_rng(seed)
    for number, times in ((rows, 3), (rows if known else rows % 4 + 1, int(rng.integers(0, 2)))):
        yield rng.normal(rng.choice([-0.7, 0.7]), 1.0, (number, 3)).astype("float32"), np.int32(times)


def answers(layer, feeds):
    """What TensorFlow computes, without a graph."""
    return [[np.asarray(each) for each in layer.function(layer, *map(tf.constant, feed))] for feed in feeds]


def judge(graph, feeds, wanted, backends):
    for feed, want in zip(feeds, wanted, strict=True):
        named = dict(zip(("x0", "m"), feed, strict=True))
        judge_graph(graph, [named[each.name] for each in graph.inputs], want, True, backends)


cases = (st.integers(1, 4), st.booleans(), st.integers(0, 99), st.integers(0, 5))


@settings(max_examples=EXAMPLES)
@given(programs, *cases)
def test_a_program_in_a_function(program, rows, known, seed, more):
    layer = Own(compiled(source(program)))
    feeds = list(feeds_of(rows, known, seed))
    specs = [tf.TensorSpec([rows if known else None, 3], name="x0"), tf.TensorSpec([], tf.int32, name="m")]
    function = tf.function(lambda x0, m: layer.function(layer, x0, m), input_signature=specs)
    graph = dagir.from_tensorflow(function.get_concrete_function()).graph
    judge(graph, feeds, answers(layer, feeds), ("onnx", "keras") if more == 0 else ("onnx",))


def is_graph_of_tensorflow(layer, rows):
    """Whether TensorFlow makes a graph of it: not where Python's `if` takes a number, which a traced call may."""
    try:
        tf.function(lambda x, m: layer.function(layer, x, m)).get_concrete_function(
            tf.TensorSpec([rows, 3]), tf.TensorSpec([], tf.int32)
        )
    except ValueError:
        return False
    return True


@settings(max_examples=EXAMPLES)
@given(programs, *cases)
def test_a_program_in_the_call_of_a_layer(program, rows, known, seed, more):
    layer = Own(compiled(source(program)))
    feeds = list(feeds_of(rows, known, seed))
    inputs = [
        keras.Input(batch_shape=(rows if known else None, 3), name="x0"),
        keras.Input(batch_shape=(), dtype="int32", name="m"),
    ]
    try:
        graph = dagir.from_keras(keras.Model(inputs, layer(*inputs))).graph
    except UnsupportedLayer:
        assume(is_graph_of_tensorflow(layer, rows if known else None))
        raise
    judge(graph, feeds, answers(layer, feeds), ("onnx", "keras") if more == 0 else ("onnx",))
