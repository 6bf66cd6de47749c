"""Every public function of dagir.ops against Keras's function of that name, on all backends."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir import ops, testing
from dagir.ir.graph import Constant, Graph, Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.types import DType
from dagir.ops.not_offered import NOT_OFFERED, REASONS
from dagir.runtime.backend import backend
from function_cases import FUNCTIONS

EXAMPLES = max(2, settings.default.max_examples // 5)


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_is_keras(name):
    function = FUNCTIONS[name]

    @settings(max_examples=EXAMPLES)
    @given(st.data())
    def agrees(data):
        args, kwargs = function.arguments(data.draw)
        judge = function.judge or getattr(keras.ops, name)
        wanted = [np.asarray(leaf) for leaf in flatten(_plain(judge(*args, **kwargs)))]
        check(getattr(ops, name), args, kwargs, wanted, function.within)

    agrees()


def check(function, args, kwargs, wanted, within):
    inputs, feeds = [], []

    def declare(leaf):
        if not isinstance(leaf, np.ndarray):
            return leaf
        inputs.append(dagir.Input(batch_shape=leaf.shape, dtype=str(leaf.dtype), name=f"x{len(inputs)}"))
        feeds.append(leaf)
        return inputs[-1]

    found = flatten(_plain(function(*map_structure(declare, list(args)), **map_structure(declare, kwargs))))
    assert len(found) == len(wanted)
    for got, want in zip(found, wanted, strict=True):
        if isinstance(got, Value):
            sizes = zip(got.shape, want.shape, strict=True)
            assert all(size in (None, wanted_size) for size, wanted_size in sizes)  # None: the data decide
            assert got.dtype is DType.of(want.dtype)
    if all(not isinstance(got, Value) or isinstance(got.source, Constant) for got in found):
        answers = [got.source.array if isinstance(got, Value) else np.asarray(got) for got in found]
    else:
        graph = Graph(inputs, found)
        testing.assert_equivalent(graph, feeds)
        answers = backend("numpy").lower(graph, precision="float64")(feeds)
    for got, want in zip(answers, wanted, strict=True):
        scale = DType.of(want.dtype) if DType.of(want.dtype).is_float else DType.FLOAT32
        if want.dtype.kind == "f" and within != 1:
            assert np.abs(np.float64(want) - got).max(initial=0) <= within * 84 * scale.eps * max(1, np.abs(got).max())
        else:
            testing.assert_close(want, got, "Keras against the oracle", scale)


def _plain(found):
    """Lists for tuples, as both sides may have either."""
    if isinstance(found, (tuple, list)):
        return [_plain(part) for part in found]
    return found


ELSEWHERE = {  # judged by their layers
    "dot_product_attention",
    "image",  # a module; its functions have a file of tests of their own
    "conv_transpose",  # Keras's raw operation mixes up its arguments: test_upstream.py
    "adaptive_average_pool",  # Keras's function divides by 0 for some sizes, which ends the process
    "adaptive_max_pool",
    *("nonzero", "unique"),  # of shapes that the data decide: test_data_sizes.py
    *("associative_scan", "cond", "fori_loop", "map", "scan", "switch", "vectorized_map", "while_loop"),
}  # the last ones take functions: convert/test_traced_control_flow.py


def test_no_function_of_keras_ops_is_left_out():
    """What keras.ops has not is there for a layer, and judged by that."""
    public = {name for name in ops.__all__ if hasattr(keras.ops, name)}
    assert sorted(public - FUNCTIONS.keys() - ELSEWHERE) == []
    assert sorted(FUNCTIONS.keys() - set(ops.__all__)) == []


def test_what_keras_has_and_dagir_has_not_is_told_with_a_reason():
    public = {name for name in dir(keras.ops) if callable(getattr(keras.ops, name)) and not name.startswith("_")}
    assert sorted(public - set(ops.__all__)) == sorted(REASONS)
    assert len(REASONS) == sum(map(len, NOT_OFFERED.values())), "a function has two reasons"
    with pytest.raises(AttributeError, match="decompositions"):
        ops.svd  # noqa: B018  # the access is what fails
