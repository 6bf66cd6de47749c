"""The table of TensorFlow's functions and raw ops, drawn, and judged by TensorFlow's own answers within the budget."""

from __future__ import annotations

import inspect
import os
from functools import reduce

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir import testing
from dagir.equivalence.comparison import compare
from dagir.equivalence.oracle import Oracle
from dagir.errors import ShapeError
from dagir.ir.graph import Graph
from dagir.ir.nest import flatten, map_structure
from dagir.ir.types import DType
from dagir.runtime.backend import backend
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow import call_function, call_raw_op, functions, raw_ops, tensor, value
from tensorflow_cases import FUNCTIONS, RAW_OPS, Draw

EXAMPLES = max(2, settings.default.max_examples // 4)
KEPT = {  # arguments that go together
    "gather": {"axis", "batch_dims"},
    "linalg.matmul": {"transpose_a", "transpose_b"},
    "nn.sigmoid_cross_entropy_with_logits": {"labels", "logits"},
    "repeat": {"axis"},
    "split": {"axis"},
    "one_hot": {"on_value", "off_value", "dtype"},
    "reverse_sequence": {"seq_axis", "batch_axis"},
    "norm": {"ord", "axis"},
    "compat.v1.image.resize_bicubic": {"half_pixel_centers"},
    "compat.v1.nn.fused_batch_norm": {"is_training"},
    "image.extract_patches": {"sizes", "strides", "rates", "padding"},
    "squeeze": {"axis"},
    "unstack": {"axis"},
}
BY_FILES = ("keras.",)  # functions that today's TensorFlow has not: files of Keras 2 judge them


def declared(structure, unknown):
    """The structure with an input for each array, the inputs, and their feeds. unknown: the first axis is named."""
    inputs, feeds = [], []

    def declare(leaf):
        if not isinstance(leaf, np.ndarray):
            return leaf
        name = f"x{len(inputs)}"
        shape = [f"n{leaf.shape[0]}", *leaf.shape[1:]] if unknown and leaf.ndim else leaf.shape
        inputs.append(dagir.Input(batch_shape=shape, dtype=str(leaf.dtype), name=name))
        feeds.append(leaf)
        return inputs[-1]

    return map_structure(declare, structure), inputs, feeds


def judge(call, args, kwargs, wanted, unknown, name):
    (own, options), inputs, feeds = declared([list(args), kwargs], unknown)
    try:
        found = [value(leaf) for leaf in flatten(call(own, options)) if leaf is not None]
    except (Refused, dagir.errors.DagirError):
        if unknown:
            return  # some need their sizes
        raise
    wanted = [np.asarray(leaf) for leaf in wanted]
    graph = Graph(inputs, found)
    try:
        answers = flatten(backend("numpy").lower(graph, precision="float64")(feeds))
    except ShapeError:
        assert unknown, name  # a named size that is 1 in this run is not broadcast
        return
    assert [answer.shape for answer in answers] == [want.shape for want in wanted], name
    assert [got.dtype for got in found] == [DType.of(want.dtype) for want in wanted], name
    if not all(map(near, answers, wanted)):
        expected = Oracle(graph, 10)(feeds, np.random.default_rng(0))
        for want, each, got in zip(wanted, expected, found, strict=True):
            assert compare(want, each, got.type).ok, f"{name}: {compare(want, each, got.type).note}"


def near(answer, want):
    """Whether the oracle's answer is TensorFlow's to five digits of the largest; numbers but floats are equal."""
    if want.dtype.kind != "f":
        return np.array_equal(answer, want)
    scale = max(1.0, float(np.abs(answer[np.isfinite(answer)]).max(initial=0)))
    allowed = 84 * DType.of(want.dtype).eps * scale
    return np.allclose(want.astype(float), answer, rtol=0, atol=allowed, equal_nan=True)


def tensors(structure):
    return map_structure(lambda leaf: tf.constant(leaf) if isinstance(leaf, np.ndarray) else leaf, structure)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_is_tensorflows(name):
    theirs = reduce(getattr, name.split("."), tf)
    defaults = {key: each.default for key, each in inspect.signature(theirs).parameters.items()}
    required = {key for key, default in defaults.items() if default is inspect.Parameter.empty} | KEPT.get(name, set())

    @settings(max_examples=EXAMPLES)
    @given(st.data())
    def agrees(data):
        draw = Draw(data.draw)
        args, kwargs = FUNCTIONS[name](draw)
        kwargs = {key: part for key, part in kwargs.items() if key in required or draw.flag()}
        wanted = tf.nest.flatten(theirs(*tensors(list(args)), **tensors(kwargs)))
        judge(lambda own, options: call_function(name, own, options), args, kwargs, wanted, draw.flag(), name)

    agrees()


@pytest.mark.parametrize("name", sorted(RAW_OPS))
def test_a_raw_op_is_tensorflows(name):
    theirs = getattr(tf.raw_ops, name)
    parameters = list(inspect.signature(theirs).parameters)

    @settings(max_examples=EXAMPLES)
    @given(st.data())
    def agrees(data):
        draw = Draw(data.draw)
        operands, attributes = RAW_OPS[name](draw)
        wanted = tf.nest.flatten(theirs(**tensors(dict(zip(parameters, operands, strict=False))), **attributes))
        constants = {place: part for place, part in enumerate(operands) if part.ndim < 2 and part.dtype.kind == "i"}
        inputs = [None if place in constants else part for place, part in enumerate(operands)]

        def call(own, options):
            given = [tensor(constants[place]) if part is None else part for place, part in enumerate(own)]
            return flatten(call_raw_op(name, given, options))[: len(wanted)]

        wanted = wanted[:1] if name == "FusedBatchNormV3" else wanted
        judge(call, inputs, attributes, wanted, draw.flag(), name)

    agrees()


BY_DATA = {  # of shapes that the data decide: test_computed_sizes.py
    *("boolean_mask", "dynamic_partition", "image.non_max_suppression", "unique", "unique_with_counts"),
    *(f"math.segment_{name}" for name in ("max", "mean", "min", "prod", "sum")),
}


def test_every_rule_is_drawn():
    """By one of its names: those of TensorFlow 1 are other names of the same rules, and Keras's are judged by files."""
    drawn = {id(rule) for name, rule in functions().items() if name in FUNCTIONS}
    theirs = {id(rule): name for name, rule in functions().items() if not name.startswith(BY_FILES)}
    missing = sorted(
        name for rule, name in theirs.items() if rule not in drawn and name.removeprefix("compat.v1.") not in BY_DATA
    )
    assert missing == []
    assert set(RAW_OPS) <= raw_ops().keys()


@pytest.mark.parametrize("padding", ["valid", "same", ((0, 1), (1, 0))])
def test_a_transposed_convolution_goes_to_keras(padding):
    """Keras's own operation exchanges padding and output_padding on symbolic tensors."""
    rng = np.random.default_rng(0)
    x = dagir.Input((4, 4, 2))
    y = dagir.ops.conv_transpose(x, rng.normal(size=(3, 3, 3, 2)).astype("float32"), 2, padding)
    feed = rng.normal(size=(2, 4, 4, 2)).astype("float32")
    testing.assert_equivalent(dagir.Model(x, y), [feed], ["keras"])
