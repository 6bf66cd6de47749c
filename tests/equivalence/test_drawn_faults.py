"""Faults in drawn nestings of branches and loops: verify names the layer that is off, in the body where it stands."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.ir.graph import Constant
from dagir.ir.naming import value_names
from dagir.ir.rewriter import copy_node, rebuild
from dagir.ops.call import graphs_of, parameters_of

FUNCTIONS = (ops.tanh, ops.sin, ops.cos, ops.sigmoid, lambda v: ops.arctan(v) * 0.9)
CLEARLY = np.float32(1.02)
MOST = 6  # layers of one model: each backend starts anew for each example
STEPS = (  # none is even or odd: what is negated would not show
    ops.tanh,
    lambda v: ops.sin(v * 0.7),
    lambda v: ops.sin((ops.flip(v, -1) * 0.5 - v) + 0.3),
    lambda v: ops.cos(v + 0.6) / (ops.sigmoid(v) + 1.3),
    lambda v: ops.sin(0.4 - ops.flip(v, -1) / 1.5),
)
OTHERS = {ops.Tanh: ops.Cos, ops.Sin: ops.Cos, ops.Cos: ops.Sigmoid, ops.Sigmoid: ops.Cos}  # which differ at zero too


class Step(dagir.Layer):
    """A few ops, which have the name of the layer."""

    def __init__(self, function, **kwargs):
        super().__init__(**kwargs)
        self.function = function

    def call(self, inputs):
        return self.function(inputs)


class Drawn:
    """A model of layers that are each called once, in bodies within bodies.

    live: those that run, each with the bodies around it, and their iterations, in which it runs first.
    """

    def __init__(self, draw, rng, of_ops=False):
        self._draw, self._rng, self._made, self._runs, self._of_ops = draw, rng, 0, True, of_ops
        self._around: tuple[tuple[str, int | None], ...] = ()
        self.live: dict[str, tuple[tuple[str, int | None], ...]] = {}

    def model(self):
        x = dagir.Input(batch_shape=(3, 4), name="x")
        while not self.live:
            y = self._part(ops.tanh(x))
        return dagir.Model(x, y * 2.0)

    def _layer(self, v):
        name = f"layer_{self._made}"
        self._made += 1
        if self._runs:
            self.live[name] = self._around
        if self._of_ops:
            return Step(self._draw(st.sampled_from(STEPS)), name=name)(v)
        layer = layers.Dense(4, name=name)
        layer.build((None, 4))
        layer.set_weights(
            [self._rng.normal(0, 0.6, (4, 4)).astype("float32"), self._rng.normal(0, 0.5, 4).astype("float32")]
        )
        return self._draw(st.sampled_from(FUNCTIONS))(layer(v))

    def _part(self, v):
        for _ in range(self._draw(st.integers(1, 2))):
            kinds = (self._layer, self._branch, self._count, self._late, self._test, self._scan)
            v = self._draw(st.sampled_from(kinds if len(self._around) < 4 and self._made < MOST else kinds[:1]))(v)
        return v

    def _within(self, v, *around, runs=True):
        before = self._around, self._runs
        self._around, self._runs = (*self._around, *around), self._runs and runs
        try:
            return self._part(v)
        finally:
            self._around, self._runs = before

    def _branch(self, v):
        taken = self._draw(st.booleans())
        bound = ops.sum(v * 0.0) > (-1.0 if taken else 1.0)
        sides = [partial(self._within, v, (f"{side}_branch", None)) for side in ("then", "else")]
        return ops.cond(bound, lambda: sides[0](runs=taken), lambda: sides[1](runs=not taken))

    def _count(self, v):
        return ops.fori_loop(0, self._draw(st.integers(1, 3)), lambda i, s: self._within(s, ("body", 0)), v)

    def _late(self, v):
        """What runs in the last iteration alone."""
        last, taken = self._draw(st.integers(0, 2)), self._draw(st.booleans())
        around = ("body", last), ("then_branch" if taken else "else_branch", None)

        def step(i, s):
            sides = [lambda: self._within(s, *around), lambda: s * 0.9]
            return ops.cond(ops.equal(i, last), *sides) if taken else ops.cond(i < last, *sides[::-1])

        return ops.fori_loop(0, last + 1, step, v)

    def _test(self, v):
        most = self._draw(st.integers(1, 2))
        return ops.while_loop(lambda s, n: n < most, lambda s, n: (self._within(s, ("body", 0)), n + 1), (v, 0))[0]

    def _scan(self, v):
        rows = ops.stack([v, -v])
        return ops.scan(lambda carry, row: (self._within(carry + row, ("body", 0)), None), v * 0.5, rows)[0]


def planted(graph, node, fault):
    """The graph with another node in place of one, which stands in it or in a body within; the names stay."""

    def transform(each, operands):
        if each is node:
            return fault(each, operands).outputs
        fields = {field: getattr(each.op, field) for field in each.op.graph_fields}
        new = {field: planted(body, node, fault) for field, body in fields.items()}
        if new == fields:
            return None
        return copy_node(each, operands, replace(each.op, **new)).outputs

    return rebuild(graph, transform)


def another_op(node, operands, name):
    """It has the name of the one in whose place it is, by which both sides are compared."""
    made = copy_node(node, operands, OTHERS[type(node.op)]())
    made.outputs[0].take_name(name)
    return made


def swapped(node, operands):
    return copy_node(node, operands[::-1])


def another_constant(node, operands):
    return copy_node(
        node, [Constant(x.source.array * np.float32(1.3)).value if is_constant(x) else x for x in operands]
    )


def is_constant(value):
    return value is not None and isinstance(value.source, Constant) and value.dtype == "float32"


def faults_of(graph, live):
    """What can be wrong in the layers that run: (node, fault)."""
    for body in graphs_of(graph):
        names = value_names(body)
        for node in body.nodes:
            if node.scope is None or node.scope.path.split("/")[-1] not in live:
                continue
            if type(node.op) in OTHERS:
                yield node, partial(another_op, name=names[node.outputs[0]])
            if type(node.op) in (ops.Subtract, ops.Divide):
                yield node, swapped
            if any(map(is_constant, node.inputs)):
                yield node, another_constant


def spoiled(model, layer, backend):
    """The model on a backend with the kernel of one layer changed; its own stays."""
    kernel = next(weight for weight in parameters_of(model.graph) if weight.name == f"{layer}/kernel")
    own = kernel.array
    kernel.assign(own * CLEARLY)
    try:
        exe = dagir.lower(model, backend)
        exe.points()
        _ = getattr(exe, "session", None), exe.artifact
    finally:
        kernel.assign(own)
    return exe


def shows(graph, wrong, feeds):
    """Whether what is wrong reaches the outputs: the loops that follow may shrink all values to next to nothing."""
    right, other = (np.asarray(dagir.lower(each, "numpy")(*feeds)) for each in (graph, wrong))
    return np.abs(right - other).max() > 1e-4 * np.abs(right).max()


@pytest.mark.parametrize("backend", ["numpy", "onnx", "keras"])
def test_a_fault_in_a_drawn_body_is_named_there(backend):
    @settings(max_examples=max(2, settings.default.max_examples // (5 if backend == "numpy" else 10)))
    @given(st.data(), st.integers(0, 2**32 - 1))
    def named(data, seed):
        drawn = Drawn(data.draw, np.random.default_rng(seed))
        model = drawn.model()
        feeds = [np.random.default_rng(seed).normal(size=(3, 4)).astype("float32")]
        layer = data.draw(st.sampled_from(sorted(drawn.live)))
        assert dagir.verify(model, (backend,), feeds).ok
        found = dagir.verify(model, {"faulty": spoiled(model, layer, backend)}, feeds).first_divergence
        assert found is not None, f"{layer} may be off"
        assert found.layer.split("/")[-1] == layer
        assert [(run.field, run.iteration) for run in found.inside] == list(drawn.live[layer])

    named()


@pytest.mark.parametrize("backend", ["numpy", "onnx"])
def test_an_op_that_is_another_in_a_drawn_body_is_named_there(backend):
    """An op of another kind, a constant that is off, operands that are swapped."""

    @settings(max_examples=max(2, settings.default.max_examples // (3 if backend == "numpy" else 6)))
    @given(st.data(), st.integers(0, 2**32 - 1))
    def named(data, seed):
        drawn = Drawn(data.draw, np.random.default_rng(seed), of_ops=True)
        model = drawn.model()
        feeds = [np.random.default_rng(seed).uniform(0.2, 1.5, (3, 4)).astype("float32")]
        node, fault = data.draw(st.sampled_from(list(faults_of(model.graph, drawn.live))))
        wrong = planted(model.graph, node, fault)
        assume(shows(model.graph, wrong, feeds))
        faulty = dagir.lower(dagir.Model(wrong.inputs, wrong.outputs), backend)
        assert dagir.verify(model, (backend,), feeds).ok
        found = dagir.verify(model, {"faulty": faulty}, feeds).first_divergence
        assert found is not None, f"{node} may be wrong by {fault}"
        layer = node.scope.path.split("/")[-1]
        assert found.layer.split("/")[-1] == layer
        assert [(run.field, run.iteration) for run in found.inside] == list(drawn.live[layer])
        if backend == "numpy":  # others fuse ops
            assert found.op == type(node.op).__name__

    named()
