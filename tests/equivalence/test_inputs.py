"""Which inputs verify draws: numbers of every size that the dtype has, every row of a table, and what was left out."""

from __future__ import annotations

import json

import numpy as np
import pytest

import dagir
from dagir import layers, ops, testing
from dagir.equivalence.inputs import CALM_STEPS, calm, draw, index_limits, partial_sources, size_plans
from dagir.errors import ArgumentError


def bag_of_words(rows, units=2, width=8):
    ids = dagir.Input((None,), dtype="int32", name="ids")
    means = layers.GlobalAveragePooling1D()(layers.Embedding(rows, width, name="table")(ids))
    return dagir.Model(ids, layers.Dense(units, name="head")(means))


def with_table(model, change):
    """The model on NumPy with its table changed."""
    other = dagir.Model.from_config(model.get_config())
    weights = [array.copy() for array in model.get_weights()]
    change(weights[0])
    other.set_weights(weights)
    return dagir.lower(other, "numpy")


def exchanged(table):
    table[[77, 78]] = table[[78, 77]]


def without_last(table):
    table[-1] = 0


def without_first(table):
    table[0] = 0


@pytest.mark.parametrize("rows", [100, 1000, 10_000])
@pytest.mark.parametrize("change", [exchanged, without_last, without_first])
def test_a_wrong_row_of_a_table_is_found(rows, change):
    model = bag_of_words(rows)
    right = dagir.lower(model, "numpy")
    report = dagir.verify(model, {"right": right, "wrong": with_table(model, change)}, samples=2)
    assert [row.ok for row in report.rows] == [True, False]
    assert report.rows_read == {"ids": (rows, rows)}
    assert "rows of its table" not in str(report)


def test_what_a_large_network_reads_of_its_table_is_told():
    model = bag_of_words(50_000, units=100_000)
    report = dagir.verify(model, {"wrong": with_table(model, without_last)}, samples=2)
    assert not report.ok, "the last row is among the few"
    read, rows = report.rows_read["ids"]
    assert 100 < read < 1000
    assert json.loads(report.to_json())["table_rows_read"] == {"ids": {"read": read, "rows": rows}}
    assert f"ids read {read} of the 50000 rows of its table, {100 * read / rows:.2g} %" in str(report)


def test_ids_come_twice_only_when_all_have_come():
    graph = bag_of_words(100).graph
    for batch, time in ((1, 7), (1, 1), (3, 1), (5, 20), (17, 8)):
        (array,) = draw(
            graph, {"batch": batch, f"{graph.inputs[0].type.shape[1]}": time}, np.random.default_rng(0), "spread"
        )
        assert len(np.unique(array)) == min(array.size, 100)
        assert 99 in array
        assert 0 in array or array.size == 1


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("uint8", 0, 255), ("int8", -128, 127), ("uint16", 0, 9999), ("int16", -9999, 9999)]
)
def test_short_integers_are_drawn_from_end_to_end(dtype, low, high):
    pixels = dagir.Input((4,), dtype=dtype, name="pixels")
    graph = dagir.Model(pixels, ops.cast(pixels, "float32")).graph
    for plan in size_plans(graph):
        (array,) = draw(graph, plan.tried[0], np.random.default_rng(0), plan.kind)
        assert (array.min(), array.max()) == (low, high)


def test_a_bound_on_pixels_is_found():
    pixels = dagir.Input((4,), dtype="uint8", name="pixels")
    model, wider = (dagir.Model(pixels, ops.cast(ops.minimum(pixels, top), "float32") / 255) for top in (50, 200))
    assert not dagir.verify(model, {"wider": dagir.lower(wider, "numpy")}).ok


@pytest.mark.parametrize("backends", [[], {}, ()])
def test_nothing_to_compare_is_not_ok(backends):
    model = bag_of_words(10)
    for call in (dagir.verify, testing.assert_equivalent):
        with pytest.raises(ArgumentError, match="no backend"):
            call(model, backends=backends)
    with pytest.raises(ArgumentError, match="no backend"):
        testing.assert_equivalent(model, np.ones((2, 3), "int32"), backends)


def test_squares_below_the_smallest_normal_float16_have_fewer_digits():
    x = dagir.Input((4, 4, 2), dtype="float16", name="x")
    model = dagir.Model(x, x * ops.rsqrt(ops.sum(ops.square(x), axis=-1, keepdims=True)))
    feed = np.linspace(5e-4, 8e-4, 32).reshape(1, 4, 4, 2).astype("float16")
    report = dagir.verify(model, "numpy", inputs=feed)
    assert report.ok
    assert not dagir.verify(model, {"off": dagir.lower(dagir.Model(x, model.outputs[0] * 3), "numpy")}, feed).ok


def test_whole_numbers_may_be_the_neighbours_that_rounding_gives():
    """Of very many ties: each sample takes one of two neighbours, and few samples leave some of them out."""
    x = dagir.Input((400,), name="x")
    model = dagir.Model(x, ops.cast(ops.round(x * 0.1 * 5), "int32"))
    other = dagir.Model(x, ops.cast(ops.round(x * 0.5 * 0.9999999), "int32"))
    feed = np.arange(1, 801, 2, dtype="float32")[None]
    assert dagir.verify(model, {"other": dagir.lower(other, "numpy")}, feed).ok
    wrong = dagir.Model(x, ops.cast(ops.round(x * 0.5 + 1), "int32"))
    assert not dagir.verify(model, {"wrong": dagir.lower(wrong, "numpy")}, feed + 0.2).ok


@pytest.mark.filterwarnings("error")
def test_special_values_warn_of_nothing():
    x = dagir.Input((3,), name="x")
    model = dagir.Model(x, layers.Dense(3, activation="softmax")(layers.LayerNormalization()(x)))
    feed = np.array([[np.nan, 1, 2], [np.inf, 1, 2], [-np.inf, np.inf, 2]], "float32")
    report = dagir.verify(model, ("numpy", "onnx"), inputs=feed)
    assert report.ok
    json.loads(report.to_json(), parse_constant=lambda word: pytest.fail(f"{word} is no JSON"))


# ---- divisors and powers of integers, which may not be everything


PARTIAL = {
    "quotient": ops.floor_divide,
    "rest": ops.mod,
    "power": ops.power,
    "shifted divisor": lambda x, y: ops.floor_divide(x, y - 3),
    "shifted power": lambda x, y: ops.power(x, y - 3),
    "difference": lambda x, y: ops.mod(x, x - y),
    "divisor of few values": lambda x, y: ops.floor_divide(x, ops.mod(y, 2)),
    "by way of floats": lambda x, y: ops.floor_divide(x, ops.cast(ops.cast(y, "float32") * 0.3, x.dtype)),
    "once more": lambda x, y: ops.floor_divide(ops.floor_divide(x, y), ops.maximum(x, 1)),
}


@pytest.mark.parametrize("dtype", ["int8", "uint8", "int32", "int64"])
@pytest.mark.parametrize("function", PARTIAL.values(), ids=PARTIAL)
def test_divisors_and_powers_are_drawn_away_from_what_is_refused(function, dtype):
    for seed in range(3):
        x, y = (dagir.Input((3,), dtype=dtype, name=name) for name in "xy")
        report = dagir.verify(dagir.Model([x, y], function(x, y)), ["numpy", "onnx"], seed=seed, samples=2)
        assert report.ok
        assert len(report.cases) > 1


def test_a_divisor_of_floats_within_a_nested_model():
    x, y = dagir.Input((3,), name="x"), dagir.Input((3,), dtype="int32", name="y")
    inner = dagir.Model([x, y], ops.floor_divide(y, ops.cast(x, "int32")), name="inner")
    assert dagir.verify(dagir.Model([x, y], inner([x, y])), ["numpy", "onnx"], samples=2).ok
    assert dagir.verify(inner, ["numpy"], sizes={"batch": 5}, samples=2).ok


def test_a_wrong_quotient_is_found():
    def model(shift):
        x, y = (dagir.Input((3,), dtype="int32", name=name) for name in "xy")
        return dagir.Model([x, y], ops.floor_divide(x + shift, y))

    report = dagir.verify(model(0), {"right": model(0), "wrong": model(1)}, samples=2)
    assert [row.ok for row in report.rows] == [True, False]


def test_drawn_inputs_are_as_they_were_where_nothing_is_divided():
    x = dagir.Input((3,), dtype="int32", name="x")
    arrays = [np.array([[0, -1, 5]], "int32")]
    assert partial_sources(dagir.Model(x, x + ops.floor_divide(x, 3)).graph) == []
    assert partial_sources(dagir.Model(x, x + ops.floor_divide(3, x)).graph) == [0]
    assert calm(arrays, [0], 0)[0] is arrays[0]
    for step in range(1, CALM_STEPS):
        assert calm(arrays, [0], step)[0].all()
        assert calm([np.array([-128, 127], "int8"), np.array([0.0, -0.2])], [0, 1], step)[0].dtype == "int8"


def test_a_size_that_no_small_input_has():
    x = dagir.Input((None, 2))
    wide = dagir.layers.Conv1D(2, 201, dilation_rate=3)(x)
    model = dagir.Model(x, dagir.layers.Cropping1D(150)(wide))
    report = dagir.verify(model, "numpy")
    assert report.ok
    lengths = {case.input_shapes[0][1] for case in report.cases}
    assert lengths == {902}


def test_floats_that_are_cast_to_ids_are_ids_behind_what_keeps_them_too():
    """As Keras writes a cast: NaN is replaced, and the rest clipped to what the dtype holds."""
    x = dagir.Input((5,), name="x")
    known = ops.clip(ops.where(ops.isnan(x), ops.zeros_like(x), x), -(2.0**31), 2.0**31)
    model = dagir.Model(
        x, ops.take(ops.convert_to_tensor(np.eye(7, dtype="float32")), ops.cast(known, "int32"), axis=0)
    )
    assert {value.explicit_name: bounds for value, bounds in index_limits(model.graph).items()} == {"x": [7]}
    assert dagir.verify(model, ["numpy"]).ok
