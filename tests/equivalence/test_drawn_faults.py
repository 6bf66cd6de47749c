"""Faults in drawn nestings of branches and loops: verify names the layer that is off, in the body where it stands."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.ops.call import parameters_of

FUNCTIONS = (ops.tanh, ops.sin, ops.cos, ops.sigmoid, lambda v: ops.arctan(v) * 0.9)
CLEARLY = np.float32(1.02)
MOST = 6  # layers of one model: each backend starts anew for each example


class Drawn:
    """A model of layers that are each called once, in bodies within bodies. live: those that run, and how deep."""

    def __init__(self, draw, rng):
        self._draw, self._rng, self._made, self._depth, self._runs = draw, rng, 0, 0, True
        self.live: dict[str, int] = {}

    def model(self):
        x = dagir.Input(batch_shape=(3, 4), name="x")
        while not self.live:
            y = self._part(ops.tanh(x))
        return dagir.Model(x, y * 2.0)

    def _layer(self, v):
        layer = layers.Dense(4, name=f"layer_{self._made}")
        self._made += 1
        layer.build((None, 4))
        layer.set_weights(
            [self._rng.normal(0, 0.6, (4, 4)).astype("float32"), self._rng.normal(0, 0.5, 4).astype("float32")]
        )
        if self._runs:
            self.live[layer.name] = self._depth
        return self._draw(st.sampled_from(FUNCTIONS))(layer(v))

    def _part(self, v):
        for _ in range(self._draw(st.integers(1, 2))):
            kinds = (self._layer, self._branch, self._count, self._test, self._scan)
            v = self._draw(st.sampled_from(kinds if self._depth < 3 and self._made < MOST else kinds[:1]))(v)
        return v

    def _within(self, v, runs=True):
        before = self._depth, self._runs
        self._depth, self._runs = self._depth + 1, self._runs and runs
        try:
            return self._part(v)
        finally:
            self._depth, self._runs = before

    def _branch(self, v):
        taken = self._draw(st.booleans())
        bound = ops.sum(v * 0.0) > (-1.0 if taken else 1.0)
        return ops.cond(bound, lambda: self._within(v, taken), lambda: self._within(v, not taken))

    def _count(self, v):
        return ops.fori_loop(0, self._draw(st.integers(1, 3)), lambda i, state: self._within(state), v)

    def _test(self, v):
        most = self._draw(st.integers(1, 2))
        return ops.while_loop(lambda s, n: n < most, lambda s, n: (self._within(s), n + 1), (v, 0))[0]

    def _scan(self, v):
        return ops.scan(lambda carry, row: (self._within(carry + row), None), v * 0.5, ops.stack([v, -v]))[0]


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
        assert len(found.inside) == drawn.live[layer]

    named()
