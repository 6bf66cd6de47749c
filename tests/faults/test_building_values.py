"""Rows 20 to 25: dtypes, weights, shared layers, and calls."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import dagir
from dagir import layers, ops
from dagir.ir.graph import Parameter
from dagir.ir.types import DType, TensorType
from faults.messages import message_of

VECTOR = TensorType(DType.FLOAT32, (3,))


def row_20_mixed_dtypes():
    dagir.Input((3,), name="a") + dagir.Input((3,), name="b", dtype="int32")


def row_20_weights_of_another_dtype():
    layers.Dense(3, name="head")(dagir.Input((8,), name="x", dtype="float64"))


def row_20_counts_into_weights():
    layers.Dense(3, name="head")(dagir.Input((8,), name="counts", dtype="int32"))


def row_20_fraction_to_integers():
    dagir.Input((3,), name="counts", dtype="int32") * 0.5


def row_20_array_of_another_dtype():
    dagir.Input((3,), name="x") + np.arange(3)


def row_21_weight_of_another_shape():
    head = layers.Dense(3, name="head")
    head(dagir.Input((8,), name="x"))
    head.set_weights([np.ones((3, 8)), np.ones(3)])


def row_21_weights_left_out():
    head = layers.Dense(3, name="head")
    head(dagir.Input((8,), name="x"))
    head.set_weights([np.ones((8, 3))])


def row_21_parameter_of_another_shape():
    Parameter("scale", VECTOR, array=np.ones(4, "float32"))


def row_21_weight_of_words():
    head = layers.Dense(3, name="head")
    head(dagir.Input((8,), name="x"))
    head.bias.assign(["a", "b", "c"])


def row_21_initializer_of_another_shape():
    head = layers.Dense(3, kernel_initializer=lambda shape, dtype: np.ones((2, 2)), name="head")
    head(dagir.Input((8,), name="x"))
    head.get_weights()


def row_23_bool_into_weights():
    layers.Dense(3, name="head")(dagir.Input((8,), name="flags", dtype="bool"))


def row_23_bool_into_an_op():
    ops.tanh(dagir.Input((8,), name="flags", dtype="bool"))


def row_23_bool_for_a_rate():
    layers.Dropout(True)


def row_23_text_for_ids():
    layers.Embedding(10, 4, name="words")(dagir.Input((None,), name="ids", dtype="string"))


def row_24_shared_recurrence():
    shared = layers.LSTM(10, name="reader")
    shared(dagir.Input((5, 7), name="wide"))
    shared(dagir.Input((5, 3), name="narrow"))


def row_24_shared_convolution():
    conv = layers.Conv2D(8, 3, name="stem")
    conv(dagir.Input((32, 32, 3), name="rgb"))
    conv(dagir.Input((32, 32, 1), name="gray"))


def row_24_shared_normalization():
    norm = layers.BatchNormalization(name="norm")
    norm(dagir.Input((5, 7), name="wide"))
    norm(dagir.Input((5, 3), name="narrow"))


def row_24_shared_custom_layer():
    class Project(dagir.Layer):
        def build(self, input_shape):
            self.w = self.add_weight((input_shape[-1], 2), name="w")

        def call(self, x):
            return ops.matmul(x, self.w)

    project = Project(name="project")
    project(dagir.Input((5, 7), name="wide"))
    project(dagir.Input((5, 8), name="wider"))


def row_24_shared_model():
    a = dagir.Input((8,), name="a")
    inner = dagir.Model(a, layers.Dense(3)(a), name="inner")
    inner(dagir.Input((9,), name="z"))


def row_24_size_that_is_not_known():
    layers.Dense(3)(dagir.Input((None,), name="a"))


def row_25_call_on_nothing():
    layers.Dense(3, name="head")()


def row_25_call_on_an_empty_list():
    layers.Add(name="sum")([])


def row_25_call_on_an_array():
    layers.Dense(3, name="head")(np.zeros((2, 3)))


def row_25_call_on_two_values():
    x = dagir.Input((3,), name="x")
    layers.Dense(3, name="head")(x, x)


def row_25_call_on_a_list():
    x = dagir.Input((3,), name="x")
    layers.Dense(3, name="head")([x, x])


def row_25_model_without_an_input():
    a, b = dagir.Input((3,), name="a"), dagir.Input((3,), name="b")
    dagir.Model([a, b], a + b, name="two")([a])


MESSAGES = {
    row_20_mixed_dtypes: """\
DTypeError: operands have different dtypes: float32 and int32
  op         Add
  called at  {here}:+1
  x1         float32[batch, 3]
  x2         int32[batch, 3]
  remedy: cast one of them: ops.cast(x, 'float32')""",
    row_20_weights_of_another_dtype: """\
DTypeError: layer 'head' computes in float32, its input is float64
  layer      head
  called at  {here}:+1
  input 0    float64[batch, 8]
  remedy: cast the input with ops.cast, or make the layer with dtype='float64'""",
    row_20_counts_into_weights: """\
DTypeError: operands have different dtypes: int32 and float32
  op         Linear
  layer      head
  called at  {here}:+1
  x          int32[batch, 8]
  w          float32[8, 3]
  b          float32[3]
  remedy: cast one of them: ops.cast(x, 'float32')""",
    row_20_fraction_to_integers: """\
DTypeError: the number 0.5 does not fit a value of dtype int32
  value      counts int32[batch, 3]
  called at  {here}:+1
  remedy: cast the value first: ops.cast(x, 'float32')""",
    row_20_array_of_another_dtype: """\
DTypeError: operands have different dtypes: float32 and int64
  op         Add
  called at  {here}:+1
  x1         float32[batch, 3]
  x2         int64[3]
  remedy: cast one of them: ops.cast(x, 'float32')""",
    row_21_weight_of_another_shape: """\
ShapeError: weight 'head/kernel' has shape (8, 3), got an array of shape (3, 8)
  called at  {here}:+3
  remedy: give weights in the order and shapes of layer.weights""",
    row_21_weights_left_out: """\
ArgumentError: layer 'head' has 2 weights, got 1 arrays
  called at  {here}:+3
  remedy: give head/kernel (8, 3), head/bias (3,)""",
    row_21_parameter_of_another_shape: """\
ShapeError: weight 'scale' has shape (3,), got an array of shape (4,)
  called at  {here}:+1
  remedy: give weights in the order and shapes of layer.weights""",
    row_21_weight_of_words: """\
ArgumentError: weight 'head/bias' takes numbers, got ['a', 'b', 'c']
  called at  {here}:+3""",
    row_21_initializer_of_another_shape: """\
ShapeError: weight 'head/kernel' has shape (8, 3), got an array of shape (2, 2)
  called at  {here}:+3
  remedy: give weights in the order and shapes of layer.weights""",
    row_23_bool_into_weights: """\
DTypeError: operands have different dtypes: bool and float32
  op         Linear
  layer      head
  called at  {here}:+1
  x          bool[batch, 8]
  w          float32[8, 3]
  b          float32[3]
  remedy: cast one of them: ops.cast(x, 'float32')""",
    row_23_bool_into_an_op: """\
DTypeError: the op takes float values, operand 0 is bool
  op         Tanh
  called at  {here}:+1
  x          bool[batch, 8]
  remedy: cast it first: ops.cast(x, 'float32')""",
    row_23_bool_for_a_rate: """\
ArgumentError: Dropout takes a number from 0 to 1 for rate, got True
  called at  {here}:+1""",
    row_23_text_for_ids: """\
DTypeError: Embedding takes numbers as ids, got string
  layer      words
  called at  {here}:+1
  input 0    string[batch, ids_dim1]
  remedy: begin with a StringLookup""",
    row_24_shared_recurrence: """\
ShapeError: the last axis of x is 3, the weights take 7
  op         LSTM(activation='tanh', go_backwards=False, zero_output_for_mask=False, recurrent_activation='sigmoid')
  layer      reader
  called at  {here}:+3
  x          float32[batch, 5, 3]
                               ^
             input narrow
  w          float32[7, 40]
                     ^
             weight reader/lstm_cell/kernel
  r          float32[10, 40]
  b          float32[40]
  built for  float32[batch, 5, 7] at {here}:+2
  remedy: call it on a value whose last axis is 7, or make a new layer for this one""",
    row_24_shared_convolution: """\
ShapeError: x has 1 channels, the kernel takes 3
  op         Conv(strides=(1, 1), padding='valid', dilations=(1, 1), groups=1, data_format='channels_last')
  layer      stem
  called at  {here}:+3
  x          float32[batch, 32, 32, 1]
                                    ^
             input gray
  w          float32[3, 3, 3, 8]
                           ^
             weight stem/kernel
  b          float32[8]
  built for  float32[batch, 32, 32, 3] at {here}:+2
  remedy: give x 3 channels, or make a new layer for this input""",
    row_24_shared_normalization: """\
ShapeError: axis 2 of x has size 3, gamma has 7
  op         BatchNorm(axis=2, epsilon=0.001, momentum=0.99)
  layer      norm
  called at  {here}:+3
  x          float32[batch, 5, 3]
                               ^
             input narrow
  gamma      float32[7]
                     ^
             weight norm/gamma
  beta       float32[7]
  mean       float32[7]
  var        float32[7]
  built for  float32[batch, 5, 7] at {here}:+2
  remedy: call it on a value whose axis 2 is 7, or make a new layer for this one""",
    row_24_shared_custom_layer: """\
ShapeError: matmul needs equal inner sizes, got 8 and 7
  op               MatMul
  layer            project
  called at        {here}:+6
  x1               float32[batch, 5, 8]
                                     ^
                   input wider
  x2               float32[7, 2]
                           ^
                   weight project/w
  layer called at  {here}:+10
  built for        float32[batch, 5, 7] at {here}:+9
  remedy: transpose or reshape one operand, so that the marked axes agree""",
    row_24_shared_model: """\
ShapeError: input 0 of inner is float32[batch, 8], got float32[batch, 9]
  op         Call(graph=<Graph inner: 1 in, 1 nodes, 1 out>, sizes=())
  layer      inner
  called at  {here}:+3
  xs[0]      float32[batch, 9]
                            ^
             input z
  remedy: axis 1 must have size 8""",
    row_24_size_that_is_not_known: """\
ArgumentError: axis 0 of weight 'kernel' of layer 'dense' would have size None
  layer      dense
  called at  {here}:+1
  input 0    float32[batch, a_dim1]
  remedy: give the input a fixed size on the axis that the weight is made from""",
    row_25_call_on_nothing: """\
ArgumentError: layer 'head' was called on nothing; a layer takes values of the graph
  called at  {here}:+1
  remedy: start from dagir.Input(shape=...); to compute with arrays, dagir.lower(model, 'numpy')(arrays)""",
    row_25_call_on_an_empty_list: """\
ArgumentError: layer 'sum' was called on an empty list; a layer takes values of the graph
  called at  {here}:+1
  remedy: start from dagir.Input(shape=...); to compute with arrays, dagir.lower(model, 'numpy')(arrays)""",
    row_25_call_on_an_array: """\
ArgumentError: layer 'head' was called on ndarray; a layer takes values of the graph
  called at  {here}:+1
  remedy: start from dagir.Input(shape=...); to compute with arrays, dagir.lower(model, 'numpy')(arrays)""",
    row_25_call_on_two_values: """\
ArgumentError: layer 'head' is called with arguments that its call does not take: too many positional arguments
  called at  {here}:+2
  remedy: Dense.call takes: inputs""",
    row_25_call_on_a_list: """\
ArgumentError: layer 'head' takes one value, got a list of 2
  called at  {here}:+2
  remedy: call it on each, or on what layers.Concatenate()(values) makes of them""",
    row_25_model_without_an_input: """\
ArgumentError: model 'two' takes 2 inputs, got 1
  layer      two
  called at  {here}:+2
  input 0    float32[batch, 3]
  remedy: its inputs are: a, b""",
}


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.__name__)
def test_message(case):
    assert message_of(case) == MESSAGES[case]


# ---- row 22


def test_row_22_weights_that_are_no_numbers_are_a_warning_at_the_users_line():
    head = layers.Dense(3, name="head")
    head(dagir.Input((8,), name="x"))
    array = np.ones((8, 3))
    array[0], array[1, 0] = np.nan, -np.inf
    with pytest.warns(dagir.errors.NonFiniteWarning) as caught:
        head.kernel.assign(array)
    assert [str(each.message) for each in caught] == ["weight 'head/kernel' holds 3 NaN and 1 infinite of 24 numbers"]
    assert caught[0].filename == __file__


def test_row_22_a_model_that_is_converted_is_looked_through():
    x = dagir.Input((3,), name="x")
    array = np.asarray([1, np.inf, 2], "float32")
    model = dagir.Model(x, x * Parameter("scale", VECTOR, array=array).value)
    with pytest.warns(dagir.errors.NonFiniteWarning, match="weight 'scale' holds 1 infinite of 3 numbers"):
        dagir.to_onnx(model)


@pytest.mark.filterwarnings("error")
def test_row_22_large_numbers_are_numbers():
    big = TensorType(DType.FLOAT32, (3, 2))
    Parameter("w", big).assign(np.full((3, 2), 3e38, "float32"))
    Parameter("h", TensorType(DType.FLOAT16, (2,))).assign(np.full(2, 6e4))
    Parameter("n", TensorType(DType.INT64, (2,))).assign(np.full(2, 2**62))
    Parameter("e", TensorType(DType.FLOAT64, (2,))).assign(np.full(2, 1.7e308))


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "float64"])
@pytest.mark.parametrize("turned", [False, True])
def test_row_22_one_number_in_many_is_found(dtype, turned):
    kind = DType(dtype)
    array = np.full((128, 256), 3e38 if dtype in ("float32", "bfloat16") else 6e4).astype(kind.numpy)
    array = array.T if turned else array
    weight = Parameter("w", TensorType(kind, array.shape))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        weight.assign(array)
    array[100, 7] = np.inf
    with pytest.warns(dagir.errors.NonFiniteWarning, match="weight 'w' holds 1 infinite of 32768 numbers"):
        weight.assign(array)
    array.flags.writeable = False
    for _ in range(2):  # what was found once is said again
        with pytest.warns(dagir.errors.NonFiniteWarning):
            weight.warn_if_not_finite()


def test_row_22_numbers_that_were_assigned_are_looked_at_again():
    weight = Parameter("w", VECTOR, array=np.ones(3, "float32"))
    weight.warn_if_not_finite()
    for _ in range(2):
        with pytest.warns(dagir.errors.NonFiniteWarning, match="1 NaN"):
            weight.assign(np.asarray([1, np.nan, 1]))
