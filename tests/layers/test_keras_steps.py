"""How Keras runs each node: a layer of Keras, a nested model, a traced layer, or a rule."""

from __future__ import annotations

import dagir
from dagir import layers, ops
from dagir_keras.builder import Program
from dagir_keras.steps import GrownStep, ModelStep, NativeStep, OpLayerStep, RuleStep, SizedRuleStep, TracedStep
from dagir_keras.traced import new_registry


class Scaled(layers.Layer):
    """A layer that Keras does not have."""

    def build(self, shape):
        self.scale = self.add_weight(shape=(shape[-1],), initializer="ones", name="scale")

    def call(self, x):
        return x * self.scale


def steps_of(graph, **options):
    return [type(step) for _, step in Program(graph, new_registry(), **options).steps]


def graph_of(write, *shape, **options):
    x = dagir.Input(shape, **options)
    return dagir.Model(x, write(x)).graph


def test_a_layer_that_keras_has_is_called():
    assert steps_of(graph_of(layers.Dense(2), 3)) == [NativeStep]


def test_a_nested_model_is_called():
    x = dagir.Input((3,))
    assert steps_of(graph_of(dagir.Model(x, layers.Dense(2)(x)), 3)) == [ModelStep]


def test_a_layer_of_the_users_own_is_traced():
    assert steps_of(graph_of(Scaled(), 3)) == [TracedStep]


def test_an_op_runs_by_its_rule():
    assert steps_of(graph_of(ops.sqrt, 3)) == [RuleStep]


def test_an_op_that_reads_a_weight_is_a_layer_but_not_within_one():
    dense = layers.Dense(3)
    dense.build((None, 3))
    graph = graph_of(lambda x: ops.matmul(x, dense.kernel), 3)
    assert steps_of(graph) == [OpLayerStep]
    assert steps_of(graph, inside_layer=True) == [RuleStep]


def test_sizes_known_at_run_time_only_come_from_a_value_that_has_them():
    def write(x):
        batch, height, width = ops.shape(x)
        return ops.broadcast_to(x, (batch, height, width))

    graph = graph_of(write, None, None)
    assert steps_of(graph) == [GrownStep]
    assert steps_of(graph, inside_layer=True) == [SizedRuleStep]


def test_what_is_shared_becomes_one_object_of_keras():
    dense = layers.Dense(3)
    registry = new_registry()
    program = Program(graph_of(lambda x: dense(dense(x)), 3), registry)
    first, second = (step for _, step in program.steps)
    assert first.layer is second.layer
    assert program.tracked == [first.layer, first.layer]
    assert registry.layer_pairs() == [(dense, first.layer)]
