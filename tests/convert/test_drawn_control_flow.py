"""Drawn nestings of keras.ops' control flow in the call of a layer, judged by Keras at two sizes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

import dagir
from engines import building

STEPS = (
    K.tanh,
    lambda v: v * 0.5 + 0.25,
    lambda v: K.minimum(K.abs(v), 2.0) - 0.5,
    lambda v: v - K.mean(v),
    lambda v: K.where(v > 0.0, v, v * 0.1),
)


class Drawn:
    """Functions from a tensor to one of its shape, float32; each is drawn once, and called as often as wanted."""

    def __init__(self, draw):
        self._draw = draw

    def part(self, depth):
        made = [self._one(depth) for _ in range(self._draw(st.integers(1, 2)))]

        def run(v):
            for function in made:
                v = function(v)
            return v

        return run

    def _one(self, depth):
        if not depth or self._draw(st.integers(0, 3)) == 0:
            return self._draw(st.sampled_from(STEPS))
        kinds = (self._cond, self._switch, self._fori, self._while, self._scan, self._running, self._map, self._sizes)
        return self._draw(st.sampled_from(kinds))(depth - 1)

    def _cond(self, depth):
        first, second, bound = self.part(depth), self.part(depth), self._draw(st.sampled_from([-0.3, 0.1, 5.0]))
        return lambda v: K.cond(K.sum(v) > bound, lambda: first(v), lambda: second(v))

    def _switch(self, depth):
        branches = [self.part(depth) for _ in range(self._draw(st.integers(1, 3)))]
        return lambda v: K.switch(K.cast(K.sum(K.abs(v)), "int32") - 1, branches, v)

    def _fori(self, depth):
        body, low, high = self.part(depth), self._draw(st.integers(-1, 1)), self._draw(st.integers(0, 3))
        return lambda v: K.fori_loop(low, high, lambda i, s: body(s) + 0.1 * K.cast(i, "float32"), v)

    def _while(self, depth):
        body, most = self.part(depth), self._draw(st.integers(0, 3))
        bound = self._draw(st.sampled_from([None, 1, 2]))

        def run(v):
            test = lambda s, i: K.logical_and(K.max(K.abs(s)) < 50.0, i < most)  # noqa: E731
            return K.while_loop(test, lambda s, i: (body(s) * 1.1, i + 1), (v, 0), maximum_iterations=bound)[0]

        return run

    def _scan(self, depth):
        body, reverse = self.part(depth), self._draw(st.booleans())

        def run(v):
            carry, rows = K.scan(lambda c, row: (body(c) * 0.5 + row, c - row), v[0] * 0.5, v, reverse=reverse)
            return rows + carry

        return run

    def _running(self, depth):
        reverse, axis = self._draw(st.booleans()), self._draw(st.integers(0, 1))
        kind = self._draw(st.sampled_from([K.add, K.maximum, K.minimum]))
        return lambda v: K.tanh(K.associative_scan(kind, v, reverse=reverse, axis=axis))

    def _map(self, depth):
        body = self.part(depth)
        name = self._draw(st.sampled_from(["map", "vectorized_map"]))
        if name == "vectorized_map":  # TensorFlow's converts no loop to one over a batch
            body = self._draw(st.sampled_from(STEPS))
        return lambda v: getattr(K, name)(body, v)

    def _sizes(self, depth):
        body = self.part(depth)
        return lambda v: K.fori_loop(0, K.shape(v)[0], lambda i, s: body(s) * 0.5, v)


def in_a_layer(function):
    class Own(L.Layer):
        def call(self, x):
            return function(x)

        def compute_output_spec(self, x):
            return keras.KerasTensor(x.shape, x.dtype)

    x = keras.Input((3,), name="x")
    with building():
        return keras.Model(x, Own(name="own")(x))


@pytest.mark.filterwarnings("ignore")
@settings(max_examples=max(2, settings.default.max_examples // 3))
@given(st.data())
def test_nestings_are_read_as_keras_runs_them(data):
    made = in_a_layer(Drawn(data.draw).part(2))
    read = dagir.from_keras(made)
    with_keras = data.draw(st.integers(0, 3)) == 0
    runs = {name: dagir.lower(read, name) for name in ("numpy", "onnx", *(["keras"] if with_keras else []))}
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    for rows in (2, 5):
        array = rng.normal(size=(rows, 3)).astype("float32")
        wanted = np.asarray(made(array))
        for name, run in runs.items():
            np.testing.assert_allclose(run(array), wanted, rtol=2e-4, atol=2e-5, err_msg=name)
