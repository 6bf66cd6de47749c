"""Rows 1 to 11: a graph that is none, names and arguments that are not known."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.ir.graph import Graph, Node, Value
from dagir.ir.types import DType, TensorType
from faults.messages import message_of

VECTOR = TensorType(DType.FLOAT32, (3,))


def rewired(node, *inputs):
    """A node whose inputs were changed behind dagir's back, as a broken tool might."""
    object.__setattr__(node, "inputs", inputs)
    return node


def row_1_cycle():
    x = Value(VECTOR, name="x")
    first = Node(ops.Add(), (x, x), (VECTOR,))
    second = Node(ops.Relu(), (first.output,), (VECTOR,))
    third = Node(ops.Tanh(), (second.output,), (VECTOR,))
    rewired(first, x, third.output)
    dagir.check(Graph([x], [third.output]))


def row_2_self_loop():
    x = Value(VECTOR, name="x")
    node = Node(ops.Add(), (x, x), (VECTOR,))
    dagir.check(Graph([x], rewired(node, x, node.output).outputs))


def row_3_dangling_operand():
    x = Value(VECTOR, name="x")
    dagir.check(Graph([x], Node(ops.Add(), (x, None), (VECTOR,)).outputs))


def row_3_dangling_operand_of_a_call():
    dagir.apply(ops.Linear(), dagir.Input((3,), name="x"))


def row_3_operand_that_is_no_value():
    x = Value(VECTOR, name="x")
    Graph([x], Node(ops.Add(), (x, "y"), (VECTOR,)).outputs)


def row_3_array_in_place_of_a_value():
    dagir.apply(ops.Relu(), np.ones(3))


def row_4_two_inputs_of_one_name():
    a, b = dagir.Input((3,), name="a"), dagir.Input((4,), name="a")
    dagir.Model([a, b], layers.Concatenate()([a, b]))


def row_4_two_layers_of_one_name():
    x = dagir.Input((3,), name="x")
    y = layers.Dense(4, name="head")(x)
    dagir.Model(x, layers.Dense(5, name="head")(y))


def row_4_two_values_of_one_name():
    x = dagir.Input((3,), name="x")
    y = dagir.apply(ops.Tanh(), x, name="score")
    dagir.Model(x, dagir.apply(ops.Relu(), y, name="score"))


def row_4_an_input_listed_twice():
    x = dagir.Input((3,), name="x")
    dagir.Model([x, x], ops.relu(x))


def row_5_output_of_no_node():
    x = Value(VECTOR, name="x")
    node = Node(ops.Relu(), (x,), (VECTOR,))
    dagir.check(Graph([x], [Value(VECTOR, node, 1, name="second")]))


def row_5_no_outputs():
    dagir.Model(dagir.Input((3,), name="x"), [])


def row_5_output_by_name():
    x = dagir.Input((3,), name="x")
    dagir.Model(x, {"score": "relu"})


def row_5_outputs_left_out():
    dagir.Model(dagir.Input((3,), name="x"))


def row_6_value_of_another_graph():
    a, b = dagir.Input((3,), name="a"), dagir.Input((3,), name="b")
    other = dagir.Model(b, layers.Dense(3, name="hidden")(b), name="other")
    dagir.Model(a, a + other.output, name="mine")


def row_7_input_that_no_output_needs():
    a, b = dagir.Input((3,), name="a"), dagir.Input((3,), name="b")
    dagir.Model([a, b], layers.Dense(3)(a))


def row_8_unknown_layer():
    layers.Conv2DTransposed(3, 3)


def row_8_unknown_op():
    ops.expand_dimz(dagir.Input((3,)), 0)


def row_8_unknown_activation():
    layers.Dense(3, activation="rellu")


def row_8_unknown_name_of_the_package():
    dagir.sequential([layers.Dense(3)])


def row_9_unknown_argument_of_a_layer():
    layers.Dense(3, activaton="relu")


def row_9_unknown_attribute_of_an_op():
    ops.Conv(stride=(1,))


def row_9_argument_left_out():
    layers.RepeatVector()


def row_9_too_many_arguments():
    layers.Flatten(None, 3)


def row_10_axis_that_is_a_word():
    layers.Concatenate(axis="last")


def row_10_axis_that_is_a_fraction():
    ops.softmax(dagir.Input((3,), name="x"), axis=1.5)


def row_10_word_for_a_bool():
    layers.Dense(3, use_bias="no")


def row_10_nothing_for_a_number():
    layers.BatchNormalization(momentum=None)


def row_10_list_for_a_name():
    layers.Dense(3, name=["head"])


def row_10_shape_that_is_a_number():
    dagir.Input(shape=3)


def row_10_size_that_is_a_fraction():
    dagir.Input(shape=(2.5,))


def row_11_axis_out_of_range():
    ops.sum(dagir.Input((3, 4), name="x"), axis=3)


def row_11_axis_out_of_range_in_a_layer():
    layers.Softmax(axis=5, name="chances")(dagir.Input((3,), name="x"))


def row_11_index_out_of_range():
    dagir.Input((3,), name="x")[:, 7]


MESSAGES = {
    row_1_cycle: """\
InvalidGraph: graph 'graph' holds a cycle: add -> relu -> tanh -> add
  node       Add
  node       Relu
  node       Tanh
  called at  {here}:+6
  remedy: a graph runs from inputs to outputs: what a node reads must not depend on what it makes""",
    row_2_self_loop: """\
InvalidGraph: node 'add' reads its own output
  node       Add
  called at  {here}:+3
  remedy: a graph runs from inputs to outputs: what a node reads must not depend on what it makes""",
    row_3_dangling_operand: """\
InvalidGraph: operand x2 of 'add' is dangling: no value is connected to it
  node       Add
  called at  {here}:+2
  remedy: Add reads x1, x2""",
    row_3_dangling_operand_of_a_call: """\
InvalidGraph: operand w of 'linear' is dangling: no value is connected to it
  called at  {here}:+1
  remedy: Linear reads x, w, b""",
    row_3_operand_that_is_no_value: """\
InvalidGraph: an operand of 'add' is 'y' (str), which is no Value of a graph
  node       Add
  called at  {here}:+2""",
    row_3_array_in_place_of_a_value: """\
InvalidGraph: operand x of 'relu' is array([1., 1., 1.]), which is no Value
  called at  {here}:+1
  remedy: use the function in dagir.ops, which takes numbers and arrays too""",
    row_4_two_inputs_of_one_name: """\
InvalidGraph: the name 'a' stands for two inputs
  first      a float32[batch, 3], made at {here}:+1
  second     a float32[batch, 4], made at {here}:+1
  called at  {here}:+2
  remedy: give each input its own name""",
    row_4_two_layers_of_one_name: """\
InvalidGraph: the name 'head' stands for two layers
  first      Dense, called at {here}:+2
  second     Dense, called at {here}:+3
  called at  {here}:+3
  remedy: give each layer its own name, or call one layer twice""",
    row_4_two_values_of_one_name: """\
InvalidGraph: the name 'score' stands for two values
  first      Tanh, at {here}:+2
  second     Relu, at {here}:+3
  called at  {here}:+3
  remedy: give each value its own name, or none""",
    row_4_an_input_listed_twice: """\
InvalidGraph: input 'x' is listed twice
  called at  {here}:+2
  remedy: list each input once""",
    row_5_output_of_no_node: """\
InvalidGraph: output 'second' is produced by no node of graph 'graph'
  node         Relu
  its outputs  <Value relu float32[3]>
  called at    {here}:+3""",
    row_5_no_outputs: """\
InvalidGraph: graph 'functional' has no outputs
  called at  {here}:+1
  remedy: give at least one value as outputs=""",
    row_5_output_by_name: """\
ArgumentError: outputs of model 'functional' hold 'relu', no Value
  called at  {here}:+2""",
    row_5_outputs_left_out: """\
ArgumentError: Model takes inputs= and outputs=
  called at  {here}:+1
  remedy: dagir.Model(inputs=x, outputs=y)""",
    row_6_value_of_another_graph: """\
InvalidGraph: the outputs depend on input 'b', which is not among the inputs
  inputs     'a'
  missing    b float32[batch, 3], made at {here}:+1
  read by    Linear, layer 'hidden', at {here}:+2
  called at  {here}:+3
  remedy: add 'b' to inputs=, or take outputs that do not need it""",
    row_7_input_that_no_output_needs: """\
InvalidGraph: input 'b' of graph 'functional' is needed by no output
  input      b float32[batch, 3], made at {here}:+1
  outputs    'dense'
  called at  {here}:+2
  remedy: leave it out of inputs=, or use it""",
    row_8_unknown_layer: """\
UnknownName: dagir.layers has no 'Conv2DTransposed'
  called at  {here}:+1
  remedy: did you mean Conv2DTranspose or Conv3DTranspose or Conv1DTranspose?""",
    row_8_unknown_op: """\
UnknownName: dagir.ops has no 'expand_dimz'
  called at  {here}:+1
  remedy: did you mean expand_dims or ExpandDims?""",
    row_8_unknown_activation: """\
ArgumentError: unknown activation 'rellu'
  called at  {here}:+1
  remedy: did you mean relu or relu6 or elu?""",
    row_8_unknown_name_of_the_package: """\
UnknownName: dagir has no 'sequential'
  called at  {here}:+1
  remedy: did you mean Sequential?""",
    row_9_unknown_argument_of_a_layer: """\
ArgumentError: Dense takes no argument 'activaton'
  called at  {here}:+1
  remedy: did you mean activation?""",
    row_9_unknown_attribute_of_an_op: """\
ArgumentError: Conv has no attribute 'stride'
  called at  {here}:+1
  remedy: did you mean strides?""",
    row_9_argument_left_out: """\
ArgumentError: RepeatVector: missing a required argument: 'n'
  called at  {here}:+1
  remedy: its arguments are: n""",
    row_9_too_many_arguments: """\
ArgumentError: Flatten: too many positional arguments
  called at  {here}:+1
  remedy: its arguments are: data_format""",
    row_10_axis_that_is_a_word: """\
ArgumentError: Concatenate takes an int for axis, got 'last'
  called at  {here}:+1""",
    row_10_axis_that_is_a_fraction: """\
ArgumentError: axis must be an int, got 1.5
  called at  {here}:+1""",
    row_10_word_for_a_bool: """\
ArgumentError: Dense takes a bool for use_bias, got 'no'
  called at  {here}:+1""",
    row_10_nothing_for_a_number: """\
ArgumentError: BatchNormalization takes a number for momentum, got None
  called at  {here}:+1""",
    row_10_list_for_a_name: """\
ArgumentError: a layer name is a non-empty string without '/', got ['head']
  called at  {here}:+1""",
    row_10_shape_that_is_a_number: """\
ArgumentError: a shape is a tuple, got 3
  called at  {here}:+1
  remedy: write Input((3,))""",
    row_10_size_that_is_a_fraction: """\
ArgumentError: 2.5 is not a size
  called at  {here}:+1
  remedy: use an int of at least 0, a name such as 'time', or None""",
    row_11_axis_out_of_range: """\
ArgumentError: axis 3 is out of range for rank 3
  called at  {here}:+1
  remedy: valid axes: from -3 to 2""",
    row_11_axis_out_of_range_in_a_layer: """\
ArgumentError: axis 5 is out of range for rank 2
  layer      chances
  called at  {here}:+1
  input 0    float32[batch, 3]
  remedy: valid axes: from -2 to 1""",
    row_11_index_out_of_range: """\
ArgumentError: index 7 is out of range for axis 1 of float32[batch, 3]
  called at  {here}:+1
  remedy: valid indices: -3 to 2""",
}


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.__name__)
def test_message(case):
    assert message_of(case) == MESSAGES[case]


def test_row_10_unknown_dtype():
    with pytest.raises(dagir.ArgumentError) as caught:
        dagir.Input(shape=(3,), dtype="float31")
    assert caught.value.summary == "'float31' is not a dtype"
    assert caught.value.remedy.startswith("use one of float16, bfloat16, float32, float64, int8")
