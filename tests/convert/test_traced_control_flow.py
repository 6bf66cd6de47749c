"""The control flow of keras.ops in the call of a user's layer, judged by Keras at two sizes."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers as L
from keras import ops as K

import dagir


class Flow(L.Layer):
    """Every function at once: weights, sizes and outer tensors are read inside the functions."""

    def __init__(self):
        super().__init__()
        self.dense = L.Dense(3)
        self.scale = self.add_weight(shape=(3,), initializer="ones", name="scale")

    def build(self, shape):
        self.dense.build(shape)

    def call(self, x):
        chosen = K.cond(K.sum(x) > 0, lambda: self.dense(x), lambda: x * self.scale)
        grown, count = K.while_loop(
            lambda v, i: K.logical_and(K.sum(v) < 50.0, i < 5), lambda v, i: (v * v + 1.5, i + 1), (chosen, 0)
        )
        halved = K.fori_loop(
            0, K.shape(x)[1], lambda i, v: v * 0.5 + K.cast(i, "float32") * self.scale, K.minimum(grown, 3.0)
        )
        carry, steps = K.scan(lambda c, row: (c + row, c * row + K.mean(chosen)), K.zeros((3,)), halved)
        return {
            "chosen": chosen,
            "grown": grown,
            "count": K.cast(count, "float32") + x,
            "halved": halved,
            "carry": carry,
            "steps": steps,
            "map": K.map(K.sum, halved),
            "vectorized": K.vectorized_map(lambda v: v * 2.0, halved),
            "switch": K.switch(count - 2, [lambda v: v, lambda v: v * 2.0, lambda v: -v], halved),
            "running": K.associative_scan(lambda a, b: a * b, x, axis=1),
            "by size": K.cond(K.shape(x)[0] > 2, lambda: x, lambda: -x),
            "numbers": K.while_loop(lambda i: i < 3, lambda i: (i + 1,), (0,))[0] * K.ones((2,), "int32"),
        }


@pytest.fixture(scope="module")
def flow():
    given = keras.Input((3,))
    model = keras.Model(given, Flow()(given))
    return model, dagir.from_keras(model)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("backend", ["numpy", "onnx", "keras"])
def test_control_flow_of_keras_is_that_of_the_graph(flow, backend):
    model, read = flow
    run = dagir.lower(read, backend)
    for rows in ([[1, 2, 3], [-4, 1, 1]], [[-1, 2, -3], [-4, 1, 1], [0, 1, 2]]):
        given = np.float32(rows)
        wanted, found = model(given), run(given)
        for name, want in wanted.items():
            np.testing.assert_allclose(found[name], np.asarray(want), 1e-5, 1e-5, err_msg=name)


def test_the_branch_holds_the_layer_and_the_loops_hold_bodies(flow):
    _, read = flow
    assert {"If", "Loop", "Scan"} <= {type(node.op).__name__ for node in read.graph.nodes}
    branch = next(node for node in read.graph.nodes if type(node.op).__name__ == "If")
    assert any(node.scope is not None and "dense" in node.scope.path for node in branch.op.then_branch.nodes)


class IfInABody(L.Layer):
    """Python's `if` on what only the body has; the rows less their first one."""

    def call(self, x):
        def step(carry, row):
            if K.sum(row) > K.sum(carry):
                return carry + row, carry
            return carry * 0.5, row

        last, rows = K.scan(step, x[0], x)
        return rows - x[:1] + last

    def compute_output_spec(self, x):
        return keras.KerasTensor(x.shape, x.dtype)


@pytest.mark.filterwarnings("ignore")
def test_an_if_of_python_in_a_body_is_a_branch_there():
    given = keras.Input((3,))
    read = dagir.from_keras(keras.Model(given, IfInABody()(given)))
    (scan,) = (node for node in read.graph.nodes if type(node.op).__name__ == "Scan")
    assert "If" in {type(node.op).__name__ for node in scan.op.body.nodes}
    for rows in ([[1, 2, 3], [-4, 1, 1], [2, 3, 4], [9, 9, 9]], [[1, 2, 3]]):
        array = np.float32(rows)
        total, wanted = array[0], []
        for row in array:
            wanted.append(total if row.sum() > total.sum() else row)
            total = total + row if row.sum() > total.sum() else total * 0.5
        for backend in ("numpy", "onnx"):
            np.testing.assert_allclose(dagir.lower(read, backend)(array), wanted - array[:1] + total, 1e-5)
