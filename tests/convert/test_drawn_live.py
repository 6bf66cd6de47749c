"""Drawn functions of TensorFlow in calls of Keras layers, judged by TensorFlow."""

from __future__ import annotations

import os
from functools import reduce

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from convert.test_drawn_graphs import Hole, judge_graph
from dagir.errors import DagirError
from dagir.ir.nest import map_structure
from tensorflow_cases import FUNCTIONS, Draw

EXAMPLES = max(5, settings.default.max_examples // 3)


class Own(keras.layers.Layer):
    """A layer whose call is a function of the tensors that it is called on, and whose results have open sizes."""

    def __init__(self, function, wanted):
        super().__init__(name="own", autocast=False)  # a float64 stays one
        self.function, self.wanted = function, wanted

    def compute_output_spec(self, *given):
        return [keras.KerasTensor([None] * each.ndim, each.dtype.name) for each in self.wanted]

    def call(self, *given):
        return self.function(*given)


def judge(function, arrays, shapes, complete):
    """What is read of a layer around the function computes what the function does. complete: nothing is refused."""
    wanted = [np.asarray(each) for each in tf.nest.flatten(function(*map(tf.constant, arrays)))]
    inputs = [
        keras.Input(batch_shape=shape, dtype=each.dtype.name, name=f"x{place}")
        for place, (shape, each) in enumerate(zip(shapes, arrays, strict=True))
    ]
    try:
        graph = dagir.from_keras(keras.Model(inputs, Own(function, wanted)(*inputs))).graph
    except DagirError:
        assert not complete
        return
    feeds = [arrays[int(each.name.removeprefix("x"))] for each in graph.inputs]
    judge_graph(graph, feeds, wanted, complete)


@settings(max_examples=EXAMPLES)
@given(st.data())
def test_a_function_of_the_table_in_a_call(data):
    name = data.draw(st.sampled_from(sorted(FUNCTIONS)))
    draw = Draw(data.draw)
    args, kwargs = FUNCTIONS[name](draw)
    arrays = []

    def place(leaf):
        if not isinstance(leaf, np.ndarray) or (arrays and leaf.ndim < 2 and draw.flag()):
            return leaf  # some are constants
        arrays.append(leaf)
        return Hole(len(arrays) - 1)

    structure = map_structure(place, [list(args), kwargs])
    if not arrays:
        return
    unknown = draw.flag()
    first = 0 if len(arrays) == 1 else 1  # Keras's batch is that of all inputs
    shapes = [
        [None if unknown and axis >= first and draw.flag() else size for axis, size in enumerate(each.shape)]
        for each in arrays
    ]

    def function(*given):
        own, options = map_structure(lambda leaf: given[leaf.place] if isinstance(leaf, Hole) else leaf, structure)
        return [each for each in tf.nest.flatten(reduce(getattr, name.split("."), tf)(*own, **options))]

    judge(function, arrays, shapes, complete=not unknown)
