"""Branches and loops: what is inside a body, what a call refuses, and what passes, files and text make of them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops, testing
from dagir.errors import ArgumentError, DTypeError, InvalidGraph, ShapeError
from dagir.ir.graph import Graph, Value, apply
from dagir.ir.rewriter import structurally_equal
from dagir.ir.types import DType, TensorType
from dagir.passes import DEPLOY, DecideBranches, run


def numbers(model, *feeds, backend="numpy"):
    return dagir.lower(model, backend)(*[np.asarray(feed) for feed in feeds])


def kinds(graph):
    return [type(node.op).__name__ for node in graph.nodes]


@pytest.fixture
def x():
    return dagir.Input((3,), name="x")


ONES = np.ones((2, 3), "float32")


def test_a_branch_computes_what_it_makes_and_reads_what_was_there(x):
    before = ops.tanh(x)
    y = ops.cond(ops.sum(x) > 0, lambda: ops.exp(before) + ops.sin(ops.array(1.0)), lambda: before)
    model = dagir.Model(x, y)
    node = y.node
    assert kinds(model.graph) == ["Tanh", "ReduceSum", "Greater", "If"]
    assert kinds(node.op.then_branch) == ["Exp", "Sin", "Add"]
    assert node.inputs[1:] == (before,)
    assert node.op.else_branch.outputs == (before,)
    for backend in ("numpy", "onnx"):
        np.testing.assert_allclose(numbers(model, ONES, backend=backend), np.exp(np.tanh(ONES)) + np.sin(1.0), 1e-6)
        np.testing.assert_allclose(numbers(model, -ONES, backend=backend), np.tanh(-ONES), 1e-6)


def test_one_branch_runs(x):
    """The other one would take a logarithm of a negative number, and an index out of range."""
    y = ops.cond(ops.all(x > 0), lambda: ops.log(x), lambda: x * 0.0)
    assert np.isfinite(numbers(dagir.Model(x, y), -ONES)).all()


def test_weights_of_a_branch_train_with_the_model(x):
    dense = layers.Dense(3)
    dense.build((None, 3))
    y = ops.cond(ops.sum(x) > 0, lambda: dense(x), lambda: x)
    model = dagir.Model(x, y)
    assert [weight.name for weight in model.graph.parameters] == [weight.name for weight in dense.weights]
    kernel = np.eye(3, dtype="float32") * 7
    dense.set_weights([kernel, np.zeros(3, "float32")])
    assert (numbers(model, ONES, backend="onnx") == 7).all() and (numbers(model, -ONES) == -1).all()


def test_structures_come_back_as_they_were(x):
    y = ops.cond(ops.sum(x) > 0, lambda: {"a": x, "b": (x, 1.0)}, lambda: {"a": x * 2.0, "b": (x, x[0, 0])})
    assert y["a"].type == x.type and isinstance(y["b"], tuple) and y["b"][1].ndim == 0


def test_a_known_condition_is_no_node(x):
    assert ops.cond(True, lambda: x, lambda: ops.sin(x)) is x
    assert ops.cond(ops.array(False), lambda: ops.sin(x), lambda: x) is x
    assert ops.switch(7, [lambda v: v * 2.0, lambda v: v], x) is x


@pytest.mark.parametrize("place", [-3, 0, 1, 2, 9])
def test_switch_takes_the_nearest_branch(place):
    index, x = dagir.Input(batch_shape=(), dtype="int32", name="i"), dagir.Input((3,), name="x")
    y = ops.switch(index, [lambda v: v, lambda v: v * 10.0, lambda v: v * 100.0], x)
    found = numbers(dagir.Model([index, x], y), np.int32(place), ONES)
    assert (found == ONES * 10 ** np.clip(place, 0, 2)).all()


def test_what_a_branch_must_not():
    x, flag = dagir.Input((3,), name="x"), dagir.Input(batch_shape=(), dtype="bool", name="flag")
    with pytest.raises(DTypeError, match="the condition is bool, got float32"):
        ops.cond(ops.sum(x), lambda: x, lambda: x)
    with pytest.raises(ShapeError, match="the condition is a scalar"):
        ops.cond(x > 0, lambda: x, lambda: x)
    with pytest.raises(ShapeError, match="one branch gives 1 values, the other 2"):
        ops.cond(flag, lambda: x, lambda: (x, x))
    with pytest.raises(ShapeError, match=r"output 0 is float32.* in one branch and int32.* in the other"):
        ops.cond(flag, lambda: x, lambda: ops.cast(x, "int32"))
    with pytest.raises(ShapeError, match="output 0 is"):
        ops.cond(flag, lambda: x, lambda: ops.sum(x, -1))


def test_a_loop_that_tests_and_one_that_counts():
    x, n = dagir.Input((3,), name="x"), dagir.Input(batch_shape=(), dtype="int32", name="n")
    doubled, steps = ops.while_loop(lambda v, i: ops.max(v) < 50.0, lambda v, i: (v * 2.0, i + 1), (x, 0))
    powers = ops.fori_loop(2, n, lambda i, v: v * ops.cast(i, "float32"), x)
    model = dagir.Model([x, n], [doubled, steps, powers])
    for backend in ("numpy", "onnx"):
        found = numbers(model, ONES, np.int32(5), backend=backend)
        assert (found[0] == 64).all() and found[1] == 6 and (found[2] == 24).all()
        found = numbers(model, ONES * 99, np.int32(0), backend=backend)
        assert (found[0] == 99).all() and found[1] == 0 and (found[2] == 99).all()


def test_a_loop_over_a_size():
    x = dagir.Input(("time", 3), name="x")
    total = ops.fori_loop(0, x.type.shape[1], lambda i, v: v + ops.cast(i, "float32"), ops.sum(x))
    model = dagir.Model(x, total)
    for backend in ("numpy", "onnx"):
        for time in (1, 4):
            found = numbers(model, np.zeros((1, time, 3), "float32"), backend=backend)
            assert (found == sum(range(time))).all()


def test_what_a_loop_must_not(x):
    with pytest.raises(ShapeError, match=r"state 0 has shape \[batch, 3\], a step makes it \[batch, 6\]"):
        ops.while_loop(lambda v: ops.sum(v) < 9.0, lambda v: ops.concatenate([v, v], -1), [x])
    with pytest.raises(DTypeError, match="state 0 is float32, a step makes it int32"):
        ops.fori_loop(0, 3, lambda i, v: ops.cast(v, "int32"), x)
    with pytest.raises(ShapeError, match="takes 1 values and gives 2"):
        ops.fori_loop(0, 3, lambda i, v: (v, v), x)
    with pytest.raises(DTypeError, match="the condition is bool"):
        ops.while_loop(ops.sum, lambda v: [v], [x])
    iteration = Value(TensorType(DType.INT64, ()), name="iteration")
    body = Graph([iteration, x], [x], "body")
    with pytest.raises(ArgumentError, match="never ends"):
        ops.Loop(body, 1).infer(None, None, x.type)
    with pytest.raises(ShapeError, match="their number is no size"):
        ops.Loop(Graph(body.inputs, [x, x], "body"), 1).infer(iteration.type, None, x.type)


def test_scans_maps_and_running_results():
    x = dagir.Input(batch_shape=("time", 2), name="x")
    carry, ys = ops.scan(lambda c, r: (c + r, {"c": c, "p": c * r}), ops.zeros(2), x)
    _, back = ops.scan(lambda c, r: (c + r, c), ops.zeros(2), x, reverse=True)
    squares, product = ops.map(lambda r: ops.sum(r * r), x), ops.associative_scan(ops.multiply, x)
    late = ops.associative_scan(ops.add, x, reverse=True, axis=1)
    counted, _ = ops.scan(lambda c, _: (c * 2.0, None), ops.ones(2), length=3)
    model = dagir.Model(x, [carry, ys["c"], ys["p"], back, squares, product, late, counted])
    for backend in ("numpy", "onnx"):
        for time in (1, 4):
            given = np.random.default_rng(time).normal(size=(time, 2)).astype("float32")
            sums = np.cumsum(given, 0) - given
            after = np.cumsum(given[::-1], 0)[::-1] - given
            right = [given.sum(0), sums, sums * given, after, (given**2).sum(1), np.cumprod(given, 0)]
            right += [np.cumsum(given[:, ::-1], 1)[:, ::-1], np.full(2, 8.0)]
            for found, wanted in zip(numbers(model, given, backend=backend), right, strict=True):
                np.testing.assert_allclose(found, wanted, 1e-5, 1e-6)


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_a_scan_and_a_map_over_no_rows(backend):
    """Also of rows whose sizes are not known, and where a step could not compute on zeros."""
    x = dagir.Input(batch_shape=("rows", "columns"), name="x")
    rest = x[1:]
    last, states = ops.scan(lambda c, r: (c * 0.5 + r, c), x[0], rest)
    _, back = ops.scan(lambda c, r: (c * 0.5 + r, c), x[0], rest, reverse=True)
    mapped = ops.map(lambda r: ops.take(rest, ops.cast(r[0] * 0.0, "int32"), axis=0) + r, rest)
    model = dagir.Model(x, [last, states, back, mapped])
    for rows in (1, 4):
        given = np.random.default_rng(rows).normal(2, 1, (rows, 2)).astype("float32")
        wanted = [given[0]]
        for row in given[1:]:
            wanted.append(wanted[-1] * 0.5 + row)
        reverse = [given[0]]
        for row in given[:0:-1]:
            reverse.append(reverse[-1] * 0.5 + row)
        found = numbers(model, given, backend=backend)
        assert [each.shape for each in found] == [(2,), *[(rows - 1, 2)] * 3]
        np.testing.assert_allclose(found[0], wanted[-1], 1e-5)
        np.testing.assert_allclose(found[1], np.reshape(wanted[:-1], (-1, 2)), 1e-5)
        np.testing.assert_allclose(found[2], np.reshape(reverse[:-1][::-1], (-1, 2)), 1e-5)
        np.testing.assert_allclose(found[3], given[1:2] + given[1:], 1e-5)


@pytest.mark.parametrize("options", [{}, {"zero_output_for_mask": True}, {"go_backwards": True}], ids=str)
def test_a_masked_recurrence_over_no_steps(options):
    class Cell(dagir.Layer):
        state_size = output_size = 3

        def call(self, inputs, states):
            new = ops.tanh(inputs + states[0] * 0.5)
            return new, [new]

    t = dagir.Input(("time", 3), name="t")
    rnn = layers.RNN(Cell(), return_sequences=True, return_state=True, **options)
    model = dagir.Model(t, rnn(t[:, 1:], mask=t[:, 1:, 0] > 0.0))
    for time in (1, 5):
        given = np.random.default_rng(0).normal(size=(4, time, 3)).astype("float32")
        testing.assert_equivalent(model, [given], backends=("numpy", "onnx"))


def test_a_loop_inside_a_loop_reads_the_values_of_the_one_around_it():
    x = dagir.Input(batch_shape=(4, 3), name="x")
    grown = ops.fori_loop(0, 2, lambda i, v: ops.fori_loop(0, 3, lambda j, w: w + v * 0.5, x) + v, x)
    _, sums = ops.scan(lambda c, row: (c + row, ops.map(lambda r: ops.sum(r * c), x)), ops.zeros(3), x)
    model = dagir.Model(x, [grown, sums])
    given = np.random.default_rng(0).normal(size=(4, 3)).astype("float32")
    wanted = given
    for _ in range(2):
        wanted = given + 1.5 * wanted + wanted
    before = np.cumsum(given, 0) - given
    for backend in ("numpy", "onnx"):
        found = numbers(model, given, backend=backend)
        np.testing.assert_allclose(found[0], wanted, 1e-5, 1e-5)
        np.testing.assert_allclose(found[1], before @ given.T, 1e-5, 1e-5)


def test_a_body_gets_the_sizes_that_it_computes_with():
    """Neither the state nor the condition has the batch; the value behind the condition has it."""
    x = dagir.Input((3,), name="x")
    batch = x.type.shape[0]
    y = ops.cond(ops.sum(x) > 0, lambda: ops.sum(ops.zeros((batch, 2)) + 1.0), lambda: ops.sum(x))
    for backend in ("numpy", "onnx"):
        assert numbers(dagir.Model(x, y), ONES, backend=backend) == 4


def test_a_decided_branch_is_part_of_the_graph(x):
    flag = Value(ops.array(True).type, name="flag")
    y = ops.cond(flag, lambda: ops.relu(x) * 2.0, lambda: ops.sin(x))
    branch = y.node.op
    for truth, wanted in ((True, ops.relu(x) * 2.0), (False, ops.sin(x))):
        before = Graph([x], [apply(branch, ops.array(truth), x)])
        assert structurally_equal(DecideBranches()(before), Graph([x], [wanted]))
        assert "If" not in kinds(run(before, DEPLOY))


def test_bodies_are_printed_checked_and_saved(x, tmp_path):
    y = ops.cond(ops.sum(x) > 0, lambda: ops.fori_loop(0, 3, lambda i, v: v * 2.0, x), lambda: ops.sin(x))
    model = dagir.Model(x, y)
    text = str(model.graph)
    assert "    then_branch then(x: float32[batch, 3]) {" in text and "        body for(" in text
    model.save(tmp_path / "m.dagir")
    again = dagir.load(tmp_path / "m.dagir")
    assert structurally_equal(again.graph, model.graph)
    assert (numbers(again, ONES) == 8).all()
    dagir.check(again.graph)


def test_bodies_that_are_shared_cost_once_and_may_not_be_too_deep():
    def holding(inner):
        x, flag = Value(TensorType(DType.FLOAT32, (2,)), name="x"), Value(TensorType(DType.BOOL, ()), name="flag")
        made = ops.sin(x) if inner is None else apply(ops.If(inner, inner), flag, flag, x)
        return Graph([flag, x], [made], "branch")

    graph = holding(None)
    for _ in range(40):  # a walk that follows each path takes a trillion steps
        graph = holding(graph)
    dagir.check(graph)
    with pytest.raises(ShapeError, match="nested more than 48 deep"):
        for _ in range(40):
            graph = holding(graph)


def test_a_body_that_is_wrong_is_refused_with_the_node_around_it(x):
    y = ops.cond(ops.sum(x) > 0, lambda: ops.relu(x) * 2.0, lambda: ops.sin(x))
    model = dagir.Model(x, y)
    made = y.node.op.then_branch.nodes[0].outputs[0]
    object.__setattr__(made, "type", x.type.with_dtype(DType.FLOAT16))
    with pytest.raises(InvalidGraph, match="types that its op does not give") as refused:
        dagir.check(model.graph)
    assert "in         If(" in str(refused.value)


@given(st.data())
def test_drawn_models_with_branches_and_loops(data):
    model = data.draw(testing.models(max_steps=5, control_flow=True))
    testing.assert_equivalent(model, backends=("numpy", "onnx"))
