"""Graphs: found by walking back, in order, immutable; rewritten into new ones; checked; of any length."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.errors import ArgumentError, DagirError, InvalidGraph, ShapeError
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value, apply, snake_case
from dagir.ir.operands import as_value
from dagir.ir.rewriter import copy_node, rebuild, replace, structurally_equal
from dagir.ir.types import DType, TensorType
from dagir.ir.verifier import check

VECTOR = TensorType(DType.FLOAT32, (3,))
LONG = 100_000


def source(name="x", type=VECTOR):
    return Value(type, name=name)


@st.composite
def graphs(draw):
    """A random graph of sums, products and parameters over inputs, and all values that were ever made."""
    inputs = [source(f"x{i}") for i in range(draw(st.integers(1, 3)))]
    weights = [Parameter(f"w{i}", VECTOR, array=np.full(3, i + 1, "float32")) for i in range(2)]
    pool = [*inputs, *(weight.value for weight in weights)]
    for _ in range(draw(st.integers(1, 12))):
        operands = draw(st.lists(st.sampled_from(pool), min_size=2, max_size=2))
        pool.append(draw(st.sampled_from([ops.add, ops.multiply, lambda a, _: ops.relu(a)]))(*operands))
    outputs = draw(st.lists(st.sampled_from(pool), min_size=1, max_size=3))
    return Graph(inputs, outputs), pool


@given(graphs())
def test_nodes_are_those_that_the_outputs_need_in_order(drawn):
    graph, _ = drawn
    needed, pending = set(), list(graph.outputs)
    while pending:
        node = pending.pop().node
        if node is not None and node not in needed:
            needed.add(node)
            pending.extend(node.inputs)
    assert set(graph.nodes) == needed and len(graph.nodes) == len(needed)
    known = set(graph.inputs) | {weight.value for weight in graph.parameters}
    for node in graph.nodes:
        assert known.issuperset(node.inputs)
        known.update(node.outputs)
    assert len(set(graph.parameters)) == len(graph.parameters)


@given(graphs())
def test_rewriting_shares_what_it_does_not_change(drawn):
    graph, _ = drawn
    before = str(graph)
    assert rebuild(graph, lambda node, operands: None) is graph
    copied = rebuild(graph, lambda node, operands: copy_node(node, operands).outputs)
    assert structurally_equal(graph, copied) and str(copied) == before == str(graph)
    assert not graph.nodes or not set(copied.nodes) & set(graph.nodes)
    other = [source(f"y{i}") for i in range(len(graph.inputs))]
    moved = rebuild(graph, lambda node, operands: None, inputs=other)
    assert moved.inputs == tuple(other) and structurally_equal(graph, moved)


@given(graphs(), st.data())
def test_replacing_a_value_replaces_it_everywhere(drawn, data):
    graph, _ = drawn
    if not graph.nodes:
        return
    old = data.draw(st.sampled_from(graph.nodes)).output
    new = ops.negative(old)
    changed = replace(graph, {old: new})
    for node in changed.nodes:
        assert old not in node.inputs or node is new.node
    assert old not in changed.outputs
    assert changed is not graph and (new.node in changed.nodes) == (old.node in graph.nodes)
    with pytest.raises(InvalidGraph, match="its replacement has"):
        replace(graph, {old: source(type=TensorType(DType.FLOAT32, (4,)))})


@given(graphs())
def test_a_graph_that_was_written_is_sound_or_has_an_input_that_nobody_needs(drawn):
    graph, _ = drawn
    read = {value for node in graph.nodes for value in node.inputs} | set(graph.outputs)
    if all(value in read for value in graph.inputs):
        assert check(graph) is graph
    else:
        with pytest.raises(InvalidGraph, match="is needed by no output"):
            check(graph)


# ---- what is refused


def test_graphs_that_cannot_be():
    x, y = source("x"), source("y")
    with pytest.raises(InvalidGraph, match="depend on input 'y', which is not among the inputs"):
        Graph([x], [ops.add(x, y)])
    with pytest.raises(InvalidGraph, match="listed twice"):
        Graph([x, x], [ops.relu(x)])
    with pytest.raises(InvalidGraph, match="the name 'x' stands for two inputs"):
        other = source("x")
        check(Graph([x, other], [ops.add(x, other)]))


def test_nodes_that_lie():
    x = source()
    wrong_type = Node(ops.Relu(), (x,), (TensorType(DType.FLOAT32, (4,)),))
    with pytest.raises(InvalidGraph, match="types that its op does not give") as caught:
        check(Graph([x], wrong_type.outputs))
    assert dict(caught.value.facts) == {"node": "Relu", "declared": "float32[4]", "inferred": "float32[3]"}
    too_few = Node(ops.Linear(), (x, source("w")), (VECTOR,))
    with pytest.raises(InvalidGraph, match="operands do not fit: Linear takes x of rank 1 or more and w of rank 2"):
        check(Graph(too_few.inputs, too_few.outputs))


def test_nodes_out_of_order():
    x = source()
    first = ops.relu(x)
    graph = Graph([x], [ops.tanh(first)])
    graph.nodes = tuple(reversed(graph.nodes))
    with pytest.raises(InvalidGraph, match="'relu' is read before it is produced"):
        check(graph)
    graph.inputs = graph.nodes = ()
    with pytest.raises(InvalidGraph, match="is produced by no node"):
        check(graph)


def test_values_and_nodes_do_not_change():
    x = source()
    y = ops.relu(x)
    for thing, name in ((y, "type"), (y, "source"), (y.node, "inputs"), (y.node, "op")):
        with pytest.raises(AttributeError, match="immutable"):
            setattr(thing, name, None)
    with pytest.raises(AttributeError):
        y.node.op.alpha = 3
    with pytest.raises(ValueError):
        as_value(np.ones(3)).source.array[0] = 5


def test_values_are_not_numbers_yet():
    x = source("pixels")
    with pytest.raises(ArgumentError, match="pixels has no truth value"):
        bool(x)
    with pytest.raises(ArgumentError, match="pixels holds no numbers"):
        np.asarray(x)
    assert len(x) == 3
    with pytest.raises(ShapeError, match="has no length: its first axis is n"):
        len(source(type=TensorType(DType.FLOAT32, (dagir.ir.dims.symbol("n"),))))
    x.attach_mask(y := source("mask"))
    x.attach_mask(y)
    with pytest.raises(InvalidGraph, match="already carries another mask"):
        x.attach_mask(source("mask"))


def test_parameters_are_made_late_and_keep_their_shape():
    made = []
    weight = Parameter("w", VECTOR, lambda shape, dtype: made.append(shape) or np.ones(shape, dtype.numpy))
    assert not weight.is_materialized and made == []
    assert weight.array is weight.array and made == [(3,)]
    with pytest.raises(ShapeError, match=r"weight 'w' has shape \(3,\), got an array of shape \(4,\)"):
        weight.assign(np.ones(4))
    weight.assign([1, 2, 3])
    assert weight.array.dtype == np.float32
    with pytest.raises(ArgumentError, match="neither an array nor an initializer"):
        _ = Parameter("v", VECTOR).array


def test_numbers_take_the_dtype_of_their_partner():
    half = source(type=TensorType(DType.FLOAT16, (3,)))
    ints = source(type=TensorType(DType.INT32, (3,)))
    assert as_value(2, like=half).dtype == "float16" and as_value([1.5]).dtype == "float32"
    assert as_value(2, like=ints).dtype == "int32" and as_value(2).dtype == "int32"
    with pytest.raises(DagirError, match="does not fit a value of dtype int32"):
        as_value(2.5, like=ints)


def test_errors_of_an_op_leave_no_equation_behind():
    n = dagir.ir.dims.symbol("n")
    x = source(type=TensorType(DType.FLOAT32, (n, 3)))
    w = source(type=TensorType(DType.FLOAT32, (4, 4)))
    with pytest.raises(ShapeError):
        ops.linear(x, w)
    assert ops.relu(x).node.equations == ()
    node = ops.add(x, source(type=TensorType(DType.FLOAT32, (5, 3)))).node
    assert [str(equation) for equation in node.equations] == ["n == 5"]


def test_several_outputs_of_one_node():
    class Both(Op):
        def infer(self, x):
            return (x, x)

    x = source()
    first = apply(Both(), x)
    second = first.node.outputs[1]
    assert (first.index, second.index) == (0, 1)
    graph = Graph([x], [second, first])
    assert len(check(graph).nodes) == 1
    with pytest.raises(ValueError):
        _ = first.node.output


def test_differences_are_seen():
    x, y = source("x"), source("y")
    one, two = (Constant(np.full(3, n, "float32")).value for n in (1, 2))
    base = Graph([x, y], [ops.add(x, y)])
    assert structurally_equal(base, Graph([x, y], [ops.add(x, y)]))
    for other in (
        Graph([x, y], [ops.add(y, x)]),
        Graph([y, x], [ops.add(x, y)]),
        Graph([x, y], [ops.multiply(x, y)]),
        Graph([x, y], [ops.add(x, y), x]),
        Graph([x], [ops.add(x, x)]),
    ):
        assert not structurally_equal(base, other)
    shared, twice = ops.relu(x), Graph([x], [ops.add(ops.relu(x), ops.relu(x))])
    once = Graph([x], [ops.add(shared, shared)])
    assert not structurally_equal(once, twice) and not structurally_equal(twice, once)
    assert not structurally_equal(Graph([x], [x + one]), Graph([x], [x + two]))
    assert structurally_equal(Graph([x], [x + one]), Graph([x], [x + Constant(one.source.array.copy()).value]))


@pytest.mark.parametrize(
    ("name", "snake"),
    [("Conv2DTranspose", "conv2d_transpose"), ("LSTM", "lstm"), ("LayerNorm", "layer_norm"), ("ReLU", "re_lu")],
)
def test_names_as_keras_gives_them(name, snake):
    assert snake_case(name) == snake


# ---- length


def chain():
    x = y = source()
    for _ in range(LONG):
        y = ops.relu(y)
    return Graph([x], [y])


def ladder():
    """Every value is read twice: paths double at each rung, nodes do not."""
    x = y = source()
    for _ in range(LONG):
        y = ops.add(y, y)
    return Graph([x], [y])


@pytest.mark.parametrize("make", [chain, ladder])
def test_a_hundred_thousand_nodes(make):
    limit = sys.getrecursionlimit()
    sys.setrecursionlimit(300)
    try:
        graph = check(make())
        assert len(graph.nodes) == LONG
        assert str(graph).count("\n") >= LONG
        copied = rebuild(graph, lambda node, operands: copy_node(node, operands).outputs)
        assert len(check(copied).nodes) == LONG and structurally_equal(graph, copied)
        del graph, copied
    finally:
        sys.setrecursionlimit(limit)
