"""Calls of a layer of one's own, drawn as expressions: what is traced of them computes what Keras computes."""

from __future__ import annotations

import operator
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

import dagir
from convert.zoo import randomize

FLOATS = {  # what a call finds that is a float or becomes one; x: float[b, 4], ids: int32[b, 4]
    "x": lambda self, x, ids: x,
    "a weight": lambda self, x, ids: self.scale,
    "another weight": lambda self, x, ids: self.table[1],
    "an array": lambda self, x, ids: np.array([0.5, -1.0, 2.0, 1.5], "float32"),
    "a tensor": lambda self, x, ids: K.ones((4,)) * 0.5,
    "a number": lambda self, x, ids: 0.75,
    "an integer": lambda self, x, ids: 2,
    "a number of NumPy": lambda self, x, ids: np.float32(1.25),
    "the batch size": lambda self, x, ids: K.cast(K.shape(x)[0], "float32"),
    "the batch size of ids": lambda self, x, ids: K.cast(ids.shape[0] + K.shape(x)[1], x.dtype),
    "a ramp": lambda self, x, ids: K.arange(4, dtype="float32") / 4,
    "as many ones": lambda self, x, ids: K.ones((K.shape(x)[0], 1)),
    "zeros like x": lambda self, x, ids: K.zeros_like(x) + 0.25,
    "rows of a table": lambda self, x, ids: K.take(self.table, K.abs(ids) % 3, axis=0)[..., 0],
}
INTEGERS = {
    "ids": lambda self, x, ids: ids,
    "an array": lambda self, x, ids: np.array([3, 1, 4, 1], "int32"),
    "a tensor": lambda self, x, ids: K.convert_to_tensor(np.array([2, 7, 1, 8], "int32")),
    "a number": lambda self, x, ids: 3,
    "the batch size": lambda self, x, ids: K.shape(x)[0],
    "a ramp": lambda self, x, ids: K.arange(4),
}
UNARY = {
    "-": operator.neg,
    "abs": abs,
    "tanh": K.tanh,
    "sigmoid": K.sigmoid,
    "square": K.square,
    "the same": K.convert_to_tensor,
    "sum": lambda f: K.sum(f * K.ones((4,)), axis=-1, keepdims=True),
    "turned": lambda f: (f * K.ones((1, 4)))[..., ::-1],
    "one column": lambda f: (f * K.ones((1, 4)))[:, 1:2],
    "the largest": lambda f: K.max(f * K.ones((4,)), axis=-1, keepdims=True),
    "moved": lambda f: K.roll(f * K.ones((1, 4)), 1, axis=-1),
}
BINARY = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": lambda a, b: a / (abs(b) + 1.0),
    "maximum": K.maximum,
    "minimum": K.minimum,
    "**": lambda a, b: (abs(a) + 0.5) ** K.tanh(b),
    "@": lambda a, b: (a * K.ones((1, 4))) @ (K.tanh(K.max(b)) * K.ones((4, 4))),
}
OF_INTEGERS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "//": lambda a, b: a // (abs(b) + 1),
    "%": lambda a, b: a % (abs(b) + 1),
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
COMPARED = {name: getattr(operator, name) for name in ("lt", "le", "gt", "ge", "eq", "ne")}
LOGICAL = {"&": operator.and_, "|": operator.or_, "^": operator.xor}


def _of(kind: str, table: dict[str, Any]) -> Any:
    return st.tuples(st.just(kind), st.sampled_from(sorted(table)))


leaves = _of("float", FLOATS)
integers = st.recursive(
    _of("integer", INTEGERS),
    lambda inner: st.tuples(st.just("of integers"), st.sampled_from(sorted(OF_INTEGERS)), inner, inner),
    max_leaves=4,
)
truths = st.recursive(
    st.tuples(st.just("compared"), st.sampled_from(sorted(COMPARED)), integers, integers)
    | st.tuples(st.just("compared"), st.sampled_from(sorted(COMPARED)), leaves, leaves),
    lambda inner: (
        st.tuples(st.just("logical"), st.sampled_from(sorted(LOGICAL)), inner, inner) | st.tuples(st.just("not"), inner)
    ),
    max_leaves=3,
)
floats = st.recursive(
    leaves | st.tuples(st.just("cast"), integers | truths),
    lambda inner: (
        st.tuples(st.just("unary"), st.sampled_from(sorted(UNARY)), inner)
        | st.tuples(st.just("binary"), st.sampled_from(sorted(BINARY)), inner, inner)
        | st.tuples(st.just("where"), truths, inner, inner)
    ),
    max_leaves=7,
)


def computed(tree: tuple[Any, ...], *given: Any) -> Any:
    """What an expression comes to in a call."""
    kind, *rest = tree
    if kind in ("float", "integer"):
        return (FLOATS if kind == "float" else INTEGERS)[rest[0]](*given)
    name, *parts = rest if isinstance(rest[0], str) else (None, *rest)
    found = [computed(part, *given) for part in parts]
    if kind == "cast":
        return K.cast(found[0], "float32")
    if kind == "not":
        return K.logical_not(found[0])
    if kind == "where":
        return K.where(*found)
    tables = {"unary": UNARY, "binary": BINARY, "of integers": OF_INTEGERS, "compared": COMPARED, "logical": LOGICAL}
    return tables[kind][name](*found)


class Written(L.Layer):
    """A layer whose call is an expression."""

    def __init__(self, tree: tuple[Any, ...]) -> None:
        super().__init__()
        self.tree = tree

    def build(self, *_: Any) -> None:
        self.scale = self.add_weight(shape=(4,), name="scale")
        self.table = self.add_weight(shape=(3, 4), name="table")

    def call(self, x: Any, ids: Any) -> Any:
        return x + computed(self.tree, self, x, ids)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@given(floats, st.sampled_from([1, 2, 3]), st.integers(0, 3))
def test_a_call_is_what_keras_computes(tree, batch, seed):
    keras.utils.clear_session()
    generator = np.random.default_rng(seed)
    x, ids = keras.Input((4,), name="x"), keras.Input((4,), name="ids", dtype="int32")
    try:
        made = keras.Model([x, ids], Written(tree)(x, ids))
        randomize(made, seed)
        fed = [generator.normal(size=(batch, 4)).astype("float32"), generator.integers(-5, 6, (batch, 4), "int32")]
        made(fed)
    except Exception:  # Keras and TensorFlow do not take it
        assume(False)
    report = dagir.verify(dagir.from_keras(made), {"Keras": made}, inputs=fed)
    assert report.ok, str(report)
