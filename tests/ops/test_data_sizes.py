"""Sizes that the data decide, from the ops that make them to every backend, and what must be checked when they run."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.errors import BackendError, DagirError, FeedError, ShapeError

ALL = ("numpy", "onnx", "keras")
ROWS = np.float32([[1, 2, 3], [-1, 5, 6], [7, 8, 9], [-2, 1, 0]])


def _model(function, shape=(3,), dtype="float32"):
    x = dagir.Input(shape, name="x", dtype=dtype)
    return dagir.Model(x, function(x))


def _answers(model, x):
    return [np.asarray(dagir.lower(model, name)(x)) for name in ALL]


@given(st.integers(0, 2**16), st.integers(0, 6))
def test_rows_by_a_mask_and_what_is_computed_from_them(seed, count):
    x = np.random.default_rng(seed).normal(size=(count, 3)).astype("float32")
    model = _model(lambda x: ops.relu(ops.boolean_mask(x, x[:, 0] > 0.0)) * 2.0 + 1.0)
    wanted = np.maximum(x[x[:, 0] > 0], 0) * 2 + 1
    for name in ("numpy", "onnx"):
        np.testing.assert_allclose(dagir.lower(model, name)(x), wanted, rtol=1e-6)


@pytest.mark.parametrize("name", ALL)
def test_a_shape_with_a_size_of_the_data_behind_it(name):
    def function(x):
        picked = ops.boolean_mask(x, x[:, 0] > 0.0)
        count = picked.type.shape[0]
        return ops.reshape(picked, (count * 3,)) + ops.ones((count * 3,))

    run = dagir.lower(_model(function), name)
    np.testing.assert_array_equal(run(ROWS), ROWS[[0, 2]].reshape(-1) + 1)


@pytest.mark.parametrize("name", ALL)
def test_a_number_of_the_data_as_a_size(name):
    def function(x):
        n = ops.size_from(ops.cast(ops.sum(ops.cast(x[:, 0] > 0.0, "int32")), "int32") + 1)
        return ops.full((n, 2), 7.0), ops.broadcast_to(ops.max(x), (n,)), ops.range_of(0, ops.size(x[:, 0]), 2)

    filled, spread, steps = dagir.lower(_model(function), name)(ROWS)
    np.testing.assert_array_equal(filled, np.full((3, 2), 7, "float32"))
    np.testing.assert_array_equal(spread, np.full(3, 9, "float32"))
    np.testing.assert_array_equal(steps, [0, 2])


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("x", [ROWS, ROWS[:2], ROWS[:0]])
def test_sizes_that_must_be_equal_are_checked_when_the_model_runs(name, x):
    """One row broadcasts against two, if nothing asks: that must be an error."""

    def function(x):
        return ops.boolean_mask(x, x[:, 0] > 0.0) + ops.boolean_mask(x, x[:, 1] > 1.5)

    run = dagir.lower(_model(function), name)
    if name == "keras" and not len(x):
        pytest.skip("Keras adds [0, 3] as a bias")
    left, right = x[x[:, 0] > 0], x[x[:, 1] > 1.5]
    if len(left) == len(right):
        np.testing.assert_array_equal(run(x), left + right)
        return
    with pytest.raises((ShapeError, FeedError, BackendError)):
        run(x)


@pytest.mark.parametrize("options", [{}, {"return_counts": True}, {"return_index": True, "return_inverse": True}])
@pytest.mark.parametrize("more", [{}, {"axis": 0}, {"sorted": False}, {"size": 2}, {"size": 9, "fill_value": 4}])
def test_unique_is_that_of_keras(options, more):
    import keras

    x = np.int32([[3, 1, 3], [2, 1, 1], [3, 1, 3]])
    model = _model(lambda x: ops.unique(x, **options, **more), dtype="int32")
    wanted = keras.ops.unique(x, **options, **more)
    for name in ALL:
        found = dagir.lower(model, name)(x)
        pairs = zip(found, wanted, strict=True) if isinstance(found, (list, tuple)) else [(found, wanted)]
        for got, want in pairs:
            np.testing.assert_array_equal(got, np.asarray(want), strict=True)


@pytest.mark.parametrize("x", [ROWS[:, :1] * 0, ROWS, np.int32([0, 3, 0]), np.ones((2, 1, 2), "bool")])
def test_places_of_what_is_not_zero_are_those_of_keras(x):
    import keras

    model = _model(ops.nonzero, x.shape[1:], str(x.dtype))
    for name in ALL:
        for got, want in zip(dagir.lower(model, name)(x), keras.ops.nonzero(x), strict=True):
            np.testing.assert_array_equal(got, np.asarray(want), strict=True)


def test_boxes_are_those_that_tensorflow_selects():
    import tensorflow as tf

    rng = np.random.default_rng(3)
    corners = rng.uniform(0, 1, (40, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(0, 0.6, (40, 2))], -1).astype("float32")
    scores = rng.permutation(40).astype("float32") / 40
    inputs = dagir.Input(batch_shape=("boxes", 4), name="boxes"), dagir.Input(batch_shape=("boxes",), name="scores")
    model = dagir.Model(list(inputs), ops.non_max_suppression(*inputs, 7, 0.4, 0.2))
    wanted = tf.image.non_max_suppression(boxes, scores, 7, 0.4, 0.2).numpy()
    for name in ALL:
        np.testing.assert_array_equal(dagir.lower(model, name)([boxes, scores]), wanted)


def test_a_model_that_is_called_twice_makes_two_sizes():
    inner = _model(lambda x: ops.boolean_mask(x, x[:, 0] > 0.0))
    x, y = dagir.Input(batch_shape=("a", 3), name="a"), dagir.Input(batch_shape=("b", 3), name="b")
    left, right = inner(x), inner(y)
    assert left.type.shape[0] != right.type.shape[0]
    model = dagir.Model([x, y], [left, right, ops.concatenate([left, right], 0)])
    for name in ALL:
        a, b, both = dagir.lower(model, name)([ROWS, ROWS[:1]])
        assert (len(a), len(b), len(both)) == (2, 1, 3)
    with pytest.raises(DagirError):
        dagir.lower(dagir.Model([x, y], left + right), "onnx")([ROWS, ROWS[:1]])


def test_files_hold_the_sizes_and_inputs_are_cut_at_them(tmp_path):
    model = _model(lambda x: ops.relu(ops.boolean_mask(x, x[:, 0] > 0.0)) * 2.0)
    model.save(tmp_path / "m.dagir")
    loaded = dagir.load(tmp_path / "m.dagir")
    np.testing.assert_array_equal(loaded.predict(ROWS), model.predict(ROWS))
    dagir.lower(model, "keras").save(tmp_path / "m.keras")
    np.testing.assert_array_equal(dagir.from_keras(tmp_path / "m.keras").predict(ROWS), model.predict(ROWS))
    cut = dagir.extract(model, model.outputs, [model.graph.nodes[-2].outputs[0]])
    np.testing.assert_array_equal(np.asarray(cut.predict(ROWS)).reshape(-1, 3), ROWS * 2)
    onnx.checker.check_model(dagir.to_onnx(model, tmp_path / "m.onnx"), full_check=True)


def test_verify_judges_sizes_that_rounding_decides():
    """Whether the sum of 0.1, 0.2 and 0.3 is above 0.6 depends on how it rounds."""
    x = np.float32([[0.1, 0.2, 0.3], [1, 0, 0], [-1, 0, 0], [0.3, 0.2, 0.1], [0.2, 0.1, 0.3]])
    masks = [lambda x: x > np.float32(0.6), lambda x: x > np.float32(0.7)]
    for mask in masks:
        model = _model(lambda x, mask=mask: ops.boolean_mask(x * 2.0, mask(ops.sum(x, axis=1))))
        report = dagir.verify(model, ("numpy", "onnx"), x)
        assert report.ok, report
    more = _model(lambda x: ops.boolean_mask(x * 2.0, ops.sum(x, axis=1) > 0.3))
    fewer = _model(lambda x: ops.boolean_mask(x * 2.0, ops.sum(x, axis=1) > 0.7))
    assert not dagir.verify(more, dagir.lower(fewer, "numpy"), x).ok


def test_calls_within_calls_name_their_sizes_apart():
    inner = _model(lambda x: ops.boolean_mask(x, x[:, 0] > 0.0))
    x = dagir.Input((3,), name="x")
    middle = dagir.Model(x, ops.concatenate([inner(x), inner(-x)], 0))
    y = dagir.Input((3,), name="y")
    outer = dagir.Model(y, [middle(y), middle(y * 2.0), inner(y) + 1.0])
    for name in ALL:
        first, second, third = dagir.lower(outer, name)(ROWS)
        np.testing.assert_array_equal(first, np.concatenate([ROWS[[0, 2]], -ROWS[[1, 3]]]))
        np.testing.assert_array_equal(second, 2 * first)
        np.testing.assert_array_equal(third, ROWS[[0, 2]] + 1)


@pytest.mark.parametrize("name", ALL)
def test_bodies_decide_sizes_and_check_them(name):
    def function(x):
        def rows(limit):
            return ops.boolean_mask(x, x[:, 1] > limit)

        together = ops.cond(ops.sum(x) > 0.0, lambda: ops.sum(rows(1.5) + rows(1.7)), lambda: ops.sum(rows(-9.0)))
        return together, ops.fori_loop(0, 2, lambda i, total: total + ops.sum(rows(ops.cast(i, "float32"))), together)

    run = dagir.lower(_model(function), name)
    for x in (ROWS, -ROWS):
        first = x.sum() if x.sum() < 0 else 2 * x[x[:, 1] > 1.5].sum()
        found = run(x)
        np.testing.assert_allclose(found[0], first)
        np.testing.assert_allclose(found[1], first + sum(x[x[:, 1] > limit].sum() for limit in (0.0, 1.0)))
    with pytest.raises((ShapeError, FeedError, BackendError)):
        run(np.float32([[9, 1.6, 0], [9, 2.5, 0]]))


def test_a_size_decided_in_a_body_stays_there():
    with pytest.raises(ShapeError, match="which the data decide in it"):
        _model(lambda x: ops.cond(ops.sum(x) > 0.0, lambda: ops.boolean_mask(x, x[:, 0] > 0.0), lambda: x))
