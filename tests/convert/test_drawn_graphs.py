"""Drawn functions of TensorFlow, traced for shapes that are partly unknown, judged by TensorFlow within the budget."""

from __future__ import annotations

import os
from functools import reduce

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir.equivalence.comparison import compare
from dagir.equivalence.oracle import Oracle
from dagir.errors import BackendError, DagirError, ShapeError
from dagir.ir.nest import flatten, map_structure
from dagir.ir.types import DType
from dagir.runtime.backend import backend
from tensorflow_cases import FUNCTIONS, Draw

EXAMPLES = max(1, settings.default.max_examples // 20)
PROGRAMS = max(10, settings.default.max_examples)


def judge(function, arrays, specs, complete):
    """The graph of a function computes what the function does. complete: nothing in it may be refused."""
    concrete = tf.function(function, input_signature=specs).get_concrete_function()
    wanted = [np.asarray(each) for each in tf.nest.flatten(concrete(*map(tf.constant, arrays)))]
    try:
        model = dagir.from_tensorflow(concrete)
    except DagirError:
        assert not complete
        return
    graph = model.graph
    named = dict(zip((f"x{place}" for place in range(len(arrays))), arrays, strict=True))
    judge_graph(graph, [named[each.name] for each in graph.inputs], wanted, complete)


def judge_graph(graph, feeds, wanted, complete, backends=("onnx",)):
    """A graph gives what TensorFlow gives, within the budget, and the backends give the same."""
    try:
        answers = flatten(backend("numpy").lower(graph, precision="float64")(feeds))
    except ShapeError:
        assert not complete
        return
    for want, answer, got in zip(wanted, answers, graph.outputs, strict=True):
        assert (answer.shape, got.dtype) == (want.shape, DType.of(want.dtype))
    if not all(map(near, answers, wanted)):
        expected = Oracle(graph, 10)(feeds, np.random.default_rng(0))
        for want, each, got in zip(wanted, expected, graph.outputs, strict=True):
            assert compare(want, each, got.type).ok, f"{got}: TensorFlow gives\n{want}\nand the oracle\n{each.array}"
    try:
        for name in backends:
            agrees(graph, feeds, answers, name)
    except BackendError as error:  # of float64
        assert not complete and error.summary.startswith("onnxruntime has no cpu kernel for ")


def agrees(graph, feeds, answers, name):
    found = flatten(backend(name).lower(graph)(feeds))
    assert [DType.of(each.dtype) for each in found] == [value.dtype for value in graph.outputs]
    if not all(near(answer, each, least=0.0) for answer, each in zip(answers, found, strict=True)):
        report = dagir.verify(graph, (name,), feeds)
        assert report.ok, report


def near(answer, want, least=1.0):
    if want.dtype.kind != "f":
        return np.array_equal(answer, want)
    scale = max(least, float(np.abs(answer[np.isfinite(answer)]).max(initial=0)))
    return np.allclose(want.astype(float), answer, rtol=0, atol=84 * DType.of(want.dtype).eps * scale, equal_nan=True)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_a_function_of_the_table_in_a_graph(name):
    """Its raw ops, as TensorFlow traces them, are read as the function is; each function is drawn alone."""

    @settings(max_examples=EXAMPLES)
    @given(st.data())
    def agrees(data):
        in_a_graph(name, Draw(data.draw))

    agrees()


def in_a_graph(name, draw):
    args, kwargs = FUNCTIONS[name](draw)
    arrays = []

    def place(leaf):
        if not isinstance(leaf, np.ndarray) or leaf.ndim < 1 or leaf.dtype.kind not in "fb":
            return leaf
        arrays.append(leaf)
        return Hole(len(arrays) - 1)

    structure = map_structure(place, [list(args), kwargs])
    unknown = draw.flag()
    specs = [
        tf.TensorSpec([None if unknown and draw.flag() else size for size in each.shape], each.dtype, name=f"x{i}")
        for i, each in enumerate(arrays)
    ]
    if not arrays:
        return

    def function(*given):
        own, options = map_structure(lambda leaf: given[leaf.place] if isinstance(leaf, Hole) else leaf, structure)
        return [each for each in tf.nest.flatten(reduce(getattr, name.split("."), tf)(*own, **options))]

    judge(function, arrays, specs, complete=False)


class Hole:
    """Where an input belongs."""

    def __init__(self, place):
        self.place = place


# ---- programs

ONE = (tf.sin, tf.nn.relu, tf.tanh, tf.square, tf.nn.softmax, lambda x: x * 0.5 - 1.0, lambda x: tf.reverse(x, [1]))
ONE += (lambda x: x - tf.reduce_mean(x, 0, keepdims=True), lambda x: tf.cumsum(x, 1) / 3.0)
ONE += (lambda x: tf.reshape(tf.transpose(x), tf.shape(x)), lambda x: tf.gather(x, [2, 0, 1], axis=1))
TWO = (
    tf.add,
    tf.multiply,
    tf.maximum,
    lambda x, y: tf.where(x > y, x, -y),
    lambda x, y: tf.matmul(x, y, False, True) @ y / 9.0,
)
TESTS = (
    lambda x: tf.reduce_sum(x) > 0.5,
    lambda x: tf.shape(x)[0] % 2 == 0,
    lambda x: tf.reduce_max(x) < tf.cast(tf.shape(x)[0], tf.float32),
)

numbers = st.integers(0, 1000)
programs = st.recursive(
    st.tuples(st.sampled_from(["one", "two"]), numbers),
    lambda inner: st.tuples(
        st.sampled_from(["cond", "while", "until", "map", "array", "call"]),
        numbers,
        st.lists(inner, min_size=1, max_size=3),
    ),
    max_leaves=6,
)


def run(steps, x, first):
    """The value of a program for x [n, 3]; first: the input, which bodies capture."""
    shape = x.shape
    for step in steps:
        kind, number = step[0], step[1]
        if kind == "one":
            x = ONE[number % len(ONE)](x)
        elif kind == "two":
            x = TWO[number % len(TWO)](x, first)
        else:
            x = CONTROL[kind](number, step[2], x, first)
        x = tf.ensure_shape(tf.clip_by_value(x, -4.0, 4.0), shape)
    return x


def branch(number, steps, x, first):
    return tf.cond(TESTS[number % len(TESTS)](x), lambda: run(steps, x, first), lambda: ONE[number % len(ONE)](x))


def counted(number, steps, x, first):
    _, found = tf.while_loop(lambda i, _: i < number % 4, lambda i, y: (i + 1, run(steps, y, first)), [0, x])
    return found


def until(number, steps, x, first):
    """A loop that the data end, after five iterations at most."""

    def goes_on(i, y):
        return tf.logical_and(i < 5, TESTS[number % len(TESTS)](y))

    loose = [tf.TensorShape([]), tf.TensorShape([None, 3])]
    return tf.while_loop(goes_on, lambda i, y: (i + 1, run(steps, y, first)), [0, x], shape_invariants=loose)[1]


def mapped(number, steps, x, first):
    return tf.map_fn(lambda row: tf.reshape(run(steps, row[None] * 1.0, first[:1]), [3]), x)


def listed(number, steps, x, first):
    rows = tf.TensorArray(tf.float32, tf.shape(x)[0], element_shape=[3])
    _, rows = tf.while_loop(
        lambda i, _: i < tf.shape(x)[0],
        lambda i, rows: (i + 1, rows.write(i, run(steps, x[i][None], first[:1])[0])),
        [0, rows],
    )
    return rows.stack()


def called(number, steps, x, first):
    return tf.function(lambda y: run(steps, y, first))(x)


CONTROL = {"cond": branch, "while": counted, "until": until, "map": mapped, "array": listed, "call": called}


@settings(max_examples=PROGRAMS)
@given(st.lists(programs, min_size=1, max_size=4), st.integers(1, 4), st.booleans(), st.integers(0, 99))
def test_a_program_with_nested_control_flow(steps, rows, unknown, seed):
    x = np.random.default_rng(seed).normal(size=(rows, 3)).astype("float32")
    spec = tf.TensorSpec([None if unknown else rows, 3], name="x0")
    judge(lambda x: run(steps, x, x), [x], [spec], complete=True)
