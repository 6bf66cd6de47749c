"""Whole messages, as a user reads them. `{here}` stands for this file; line numbers are relative to the case."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import numpy as np
import pytest

import dagir
from dagir import layers, ops


def a_layer_built_for_another_size():
    head = layers.Dense(10, name="head")
    head(dagir.Input((784,), name="img"))
    head(dagir.Input((32,), name="code"))


def values_that_do_not_broadcast():
    dagir.Input(("time", 8), name="a") + dagir.Input(("time", 5), name="b")


def matmul():
    ops.matmul(dagir.Input((3, 4), name="a"), dagir.Input((5, 6), name="b"))


def reshape():
    ops.reshape(dagir.Input((3, 4), name="a", batch_size=2), (5, 5))


def concatenate():
    a, b = dagir.Input((3, 4), name="a"), dagir.Input((5, 4), name="b")
    layers.Concatenate(name="join")([a, b])


def convolution_over_the_wrong_channels():
    conv = layers.Conv2D(8, 3, name="stem")
    conv(dagir.Input((32, 32, 3), name="rgb"))
    conv(dagir.Input((32, 32, 1), name="gray"))


def a_kernel_larger_than_its_input():
    layers.Conv1D(8, 7, name="wide")(dagir.Input((5, 2), name="short"))


def mixed_dtypes():
    dagir.Input((3,), name="a") + dagir.Input((3,), name="b", dtype="int32")


def ids_that_are_floats():
    layers.Embedding(10, 4, name="words")(dagir.Input((None,), name="ids"))


def a_weight_of_unknown_size():
    layers.Dense(3)(dagir.Input((None,), name="a"))


def a_nested_model():
    a = dagir.Input((8,), name="a")
    inner = dagir.Model(a, layers.Dense(3)(a), name="inner")
    inner(dagir.Input((9,), name="z"))


def an_input_left_out():
    a, b = dagir.Input((3,), name="a"), dagir.Input((3,), name="b")
    dagir.Model(a, a + b)


def arrays_in_place_of_values():
    layers.Dense(3)(np.zeros((2, 3)))


def an_argument_that_no_layer_has():
    layers.Dense(3, unitz=4)


def units_that_are_no_count():
    layers.Dense(-3)


MESSAGES = {
    a_layer_built_for_another_size: """\
ShapeError: the last axis of x is 32, the weights take 784
  op         Linear
  layer      head
  called at  {here}:+3
  x          float32[batch, 32]
                            ^^
             input code
  w          float32[784, 10]
                     ^^^
             weight head/kernel
  b          float32[10]
  built for  float32[batch, 784] at {here}:+2
  remedy: call it on a value whose last axis is 784, or make a new layer for this one""",
    values_that_do_not_broadcast: """\
ShapeError: shapes do not broadcast: 8 against 5 on axis -1
  op         Add
  called at  {here}:+1
  x1         float32[batch, time, 8]
                                  ^
             input a
  x2         float32[batch, time, 5]
                                  ^
             input b
  remedy: make the two sizes equal, or one of them 1""",
    matmul: """\
ShapeError: matmul needs equal inner sizes, got 4 and 5
  op         MatMul
  called at  {here}:+1
  x1         float32[batch, 3, 4]
                               ^
             input a
  x2         float32[batch, 5, 6]
                            ^
             input b
  remedy: transpose or reshape one operand, so that the marked axes agree""",
    reshape: """\
ShapeError: cannot reshape 24 elements to (5, 5)
  op         Reshape(target=(5, 5))
  called at  {here}:+1
  x          float32[2, 3, 4]
  remedy: the product of the target's sizes must be the number of elements""",
    concatenate: """\
ShapeError: sizes differ on axis 1, and only axis 2 is concatenated
  op         Concatenate(axis=2)
  layer      join
  called at  {here}:+2
  xs[0]      float32[batch, 3, 4]
                            ^
             input a
  xs[1]      float32[batch, 5, 4]
                            ^
             input b
  remedy: make the marked sizes equal, or concatenate along that axis""",
    convolution_over_the_wrong_channels: """\
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
    a_kernel_larger_than_its_input: """\
ShapeError: the kernel reaches over 7 elements, the axis has 5
  op         Conv(strides=(1,), padding='valid', dilations=(1,), groups=1, data_format='channels_last')
  layer      wide
  called at  {here}:+1
  x          float32[batch, 5, 2]
                            ^
             input short
  w          float32[7, 2, 8]
                     ^
             weight wide/kernel
  b          float32[8]
  built for  float32[batch, 5, 2] at {here}:+1
  remedy: use padding='same', a smaller kernel, or a larger input""",
    mixed_dtypes: """\
DTypeError: operands have different dtypes: float32 and int32
  op         Add
  called at  {here}:+1
  x1         float32[batch, 3]
  x2         int32[batch, 3]
  remedy: cast one of them: ops.cast(x, 'float32')""",
    ids_that_are_floats: """\
DTypeError: Embedding takes integer ids, got float32
  layer      words
  called at  {here}:+1
  input 0    float32[batch, ids_dim1]
  remedy: give the input an integer dtype: dagir.Input(shape=(None,), dtype='int32')""",
    a_weight_of_unknown_size: """\
ArgumentError: axis 0 of weight 'kernel' of layer 'dense' would have size None
  layer      dense
  called at  {here}:+1
  input 0    float32[batch, a_dim1]
  remedy: give the input a fixed size on the axis that the weight is made from""",
    a_nested_model: """\
ShapeError: input 0 of inner is float32[batch, 8], got float32[batch, 9]
  op         Call(graph=<Graph inner: 1 in, 1 nodes, 1 out>)
  layer      inner
  called at  {here}:+3
  xs[0]      float32[batch, 9]
                            ^
             input z
  remedy: axis 1 must have size 8""",
    an_input_left_out: """\
InvalidGraph: the outputs depend on input 'b', which is not among the inputs
  inputs     'a'
  missing    b float32[batch, 3]
  called at  {here}:+2
  remedy: add 'b' to inputs=, or take outputs that do not need it""",
    arrays_in_place_of_values: """\
ArgumentError: layer 'dense' was called on ndarray; a layer takes values of the graph
  called at  {here}:+1
  remedy: start from dagir.Input(shape=...); to compute with arrays, dagir.lower(model, 'numpy')(arrays)""",
    an_argument_that_no_layer_has: """\
ArgumentError: Dense takes no argument 'unitz'
  called at  {here}:+1
  remedy: did you mean units?""",
    units_that_are_no_count: """\
ArgumentError: Dense takes a positive int for units, got -3
  called at  {here}:+1""",
}


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.__name__)
def test_message(case):
    with pytest.raises(dagir.DagirError) as caught:
        case()
    first = inspect.getsourcelines(case)[1]
    text = f"{type(caught.value).__name__}: {caught.value}"
    here = re.escape(str(Path(__file__)))
    assert re.sub(here + r":(\d+)", lambda m: f"{{here}}:+{int(m[1]) - first}", text) == MESSAGES[case]
