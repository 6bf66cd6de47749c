"""Rows 12 to 19: shapes, counts and sizes."""

from __future__ import annotations

import pytest

import dagir
from dagir import layers, ops
from dagir.ir.types import DType, TensorType
from faults.messages import message_of

VECTOR = TensorType(DType.FLOAT32, (3,))


def row_12_matmul():
    ops.matmul(dagir.Input((3, 4), name="a"), dagir.Input((5, 6), name="b"))


def row_12_layer_built_for_another_size():
    head = layers.Dense(10, name="head")
    head(dagir.Input((784,), name="img"))
    head(dagir.Input((32,), name="code"))


def row_13_shapes_that_do_not_broadcast():
    dagir.Input(("time", 8), name="a") + dagir.Input(("time", 5), name="b")


def row_14_ranks_of_concatenate():
    a, b = dagir.Input((3,), name="a"), dagir.Input((3, 4), name="b")
    layers.Concatenate(name="join")([a, b])


def row_14_sizes_of_concatenate():
    a, b = dagir.Input((3, 4), name="a"), dagir.Input((5, 4), name="b")
    layers.Concatenate(name="join")([a, b])


def row_15_count_of_reshape():
    ops.reshape(dagir.Input((3, 4), name="a", batch_size=2), (5, 5))


def row_15_count_of_reshape_layer():
    layers.Reshape((5, 5), name="grid")(dagir.Input((3, 8), name="a"))


def row_15_two_unknown_sizes():
    ops.reshape(dagir.Input((3, 4), name="a"), (-1, -1))


def row_15_two_unknown_sizes_of_a_layer():
    layers.Reshape((-1, -1))


def row_18_groups_and_filters():
    layers.Conv2D(3, 3, groups=2)


def row_18_groups_and_channels():
    layers.Conv2D(4, 3, groups=2, name="stem")(dagir.Input((8, 8, 3), name="rgb"))


def row_18_groups_of_group_normalization():
    layers.GroupNormalization(groups=5, name="norm")(dagir.Input((8, 8, 6), name="x"))


def row_19_kernel_larger_than_its_input():
    layers.Conv1D(8, 7, name="wide")(dagir.Input((5, 2), name="short"))


def row_19_window_larger_than_its_input():
    layers.MaxPooling2D(9, name="pool")(dagir.Input((8, 12, 3), name="image"))


MESSAGES = {
    row_12_matmul: """\
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
    row_12_layer_built_for_another_size: """\
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
    row_13_shapes_that_do_not_broadcast: """\
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
    row_14_ranks_of_concatenate: """\
ShapeError: concatenate takes values of one rank, got 2 and 3
  op         Concatenate(axis=1)
  layer      join
  called at  {here}:+2
  xs[0]      float32[batch, 3]
  xs[1]      float32[batch, 3, 4]
  remedy: give them the same number of axes: ops.expand_dims, ops.reshape, or layers.Flatten""",
    row_14_sizes_of_concatenate: """\
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
    row_15_count_of_reshape: """\
ShapeError: cannot reshape 24 elements to (5, 5)
  op         Reshape(target=(5, 5))
  called at  {here}:+1
  x          float32[2, 3, 4]
  remedy: the product of the target's sizes must be the number of elements""",
    row_15_count_of_reshape_layer: """\
ShapeError: cannot reshape 24*batch elements to (batch, 5, 5)
  op         Reshape(target=(batch, 5, 5))
  layer      grid
  called at  {here}:+1
  x          float32[batch, 3, 8]
  remedy: the product of the target's sizes must be the number of elements""",
    row_15_two_unknown_sizes: """\
ShapeError: reshape target (-1, -1) holds -1 twice
  op         Reshape(target=(-1, -1))
  called at  {here}:+1
  x          float32[batch, 3, 4]
  remedy: at most one size may be -1""",
    row_15_two_unknown_sizes_of_a_layer: """\
ArgumentError: Reshape takes at most one -1, got (-1, -1)
  called at  {here}:+1
  remedy: give all sizes but one""",
    row_18_groups_and_filters: """\
ArgumentError: 3 filters do not split into 2 groups
  called at  {here}:+1
  remedy: choose a number of filters that groups divides""",
    row_18_groups_and_channels: """\
ShapeError: 3 channels do not split into 2 groups (layer 'stem')
  layer      stem
  called at  {here}:+1
  input 0    float32[batch, 8, 8, 3]
  remedy: choose groups that divides the number of channels""",
    row_18_groups_of_group_normalization: """\
ShapeError: axis 3 of size 6 does not split into 5 equal groups
  op         GroupNorm(groups=5, axis=3, epsilon=0.001)
  layer      norm
  called at  {here}:+1
  x          float32[batch, 8, 8, 6]
                                  ^
             input x
  gamma      float32[6]
  beta       float32[6]
  built for  float32[batch, 8, 8, 6] at {here}:+1
  remedy: choose a number of groups that divides a fixed size""",
    row_19_kernel_larger_than_its_input: """\
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
    row_19_window_larger_than_its_input: """\
ShapeError: the window reaches over 9 elements, the axis has 8
  op         MaxPool(pool_size=(9, 9), strides=(9, 9), padding='valid', data_format='channels_last', \
dilations=None, ceil_mode=False)
  layer      pool
  called at  {here}:+1
  x          float32[batch, 8, 12, 3]
                            ^
             input image
  remedy: use padding='same', a smaller pool_size, or a larger input""",
}


@pytest.mark.parametrize("case", MESSAGES, ids=lambda case: case.__name__)
def test_message(case):
    assert message_of(case) == MESSAGES[case]


# ---- rows 16 and 17: counts and sizes, of every layer that has them

INT_OR_TWO = "an int of at least 1, or 2 of them"
ARGUMENTS = [
    (lambda: layers.Dense(0), "Dense takes a positive int for units, got 0"),
    (lambda: layers.Dense(-3), "Dense takes a positive int for units, got -3"),
    (lambda: layers.Dense(2.5), "Dense takes a positive int for units, got 2.5"),
    (lambda: layers.Dense("seven"), "Dense takes a positive int for units, got 'seven'"),
    (lambda: layers.Dense(True), "Dense takes a positive int for units, got True"),
    (lambda: layers.Dense(None), "Dense takes a positive int for units, got None"),
    (lambda: layers.LSTM(0), "LSTMCell takes a positive int for units, got 0"),
    (lambda: layers.GRU(-1), "GRUCell takes a positive int for units, got -1"),
    (lambda: layers.SimpleRNN(1.5), "SimpleRNNCell takes a positive int for units, got 1.5"),
    (lambda: layers.Embedding(0, 4), "Embedding takes a positive int for input_dim, got 0"),
    (lambda: layers.Embedding(4, -1), "Embedding takes a positive int for output_dim, got -1"),
    (lambda: layers.RepeatVector(0), "RepeatVector takes a positive int for n, got 0"),
    (lambda: layers.UpSampling1D(0), "UpSampling1D takes a positive int for size, got 0"),
    (lambda: layers.Conv2D(0, 3), "Conv2D takes a positive int for filters, got 0"),
    (lambda: layers.Conv2D(4, 0), f"Conv2D takes {INT_OR_TWO} for kernel_size, got 0"),
    (lambda: layers.Conv2D(4, (3, 3, 3)), f"Conv2D takes {INT_OR_TWO} for kernel_size, got (3, 3, 3)"),
    (lambda: layers.Conv2D(4, 3, strides=0), f"Conv2D takes {INT_OR_TWO} for strides, got 0"),
    (lambda: layers.Conv2D(4, 3, strides=(1, 0)), f"Conv2D takes {INT_OR_TWO} for strides, got (1, 0)"),
    (lambda: layers.Conv2D(4, 3, dilation_rate=0), f"Conv2D takes {INT_OR_TWO} for dilation_rate, got 0"),
    (lambda: layers.Conv2D(4, 3, dilation_rate="2"), f"Conv2D takes {INT_OR_TWO} for dilation_rate, got '2'"),
    (lambda: layers.Conv2D(4, 3, groups=0), "Conv2D takes a positive int for groups, got 0"),
    (lambda: layers.Conv2D(4, 3, groups=2.5), "Conv2D takes a positive int for groups, got 2.5"),
    (lambda: layers.Conv2D(4, 3, padding="full"), "Conv2D takes padding 'valid' or 'same', got 'full'"),
    (
        lambda: layers.Conv2D(4, 3, strides=2, dilation_rate=2),
        "Conv2D takes strides or dilation_rate above 1, not both: (2, 2) and (2, 2)",
    ),
    (
        lambda: layers.Conv2D(4, 3, data_format="channels"),
        "data_format is 'channels_last' or 'channels_first', got 'channels'",
    ),
    (lambda: layers.Conv1D(4, 3, strides=0), "Conv1D takes an int of at least 1 for strides, got 0"),
    (lambda: layers.Conv1DTranspose(4, 3, -1), "Conv1DTranspose takes an int of at least 1 for strides, got -1"),
    (
        lambda: layers.Conv2DTranspose(4, 3, strides=2, output_padding=2),
        "output_padding (2, 2) must be below strides (2, 2) on each axis",
    ),
    (lambda: layers.DepthwiseConv2D(3, strides=0), f"DepthwiseConv2D takes {INT_OR_TWO} for strides, got 0"),
    (
        lambda: layers.DepthwiseConv2D(3, depth_multiplier=0),
        "DepthwiseConv2D takes a positive int for depth_multiplier, got 0",
    ),
    (lambda: layers.SeparableConv2D(4, 3, strides=0), f"SeparableConv2D takes {INT_OR_TWO} for strides, got 0"),
    (lambda: layers.MaxPooling2D(0), f"MaxPooling2D takes {INT_OR_TWO} for pool_size, got 0"),
    (lambda: layers.AveragePooling2D(2, strides=0), f"AveragePooling2D takes {INT_OR_TWO} for strides, got 0"),
    (lambda: layers.ZeroPadding1D(-1), "ZeroPadding1D takes an int of at least 0, or 2 of them for padding, got -1"),
    (lambda: layers.Cropping1D(1.5), "Cropping1D takes an int of at least 0, or 2 of them for cropping, got 1.5"),
    (lambda: layers.Dropout(1.5), "Dropout takes a number from 0 to 1 for rate, got 1.5"),
    (lambda: dagir.Input((-1,)), "-1 is not a size"),
]


@pytest.mark.parametrize(("make", "summary"), ARGUMENTS, ids=[summary for _, summary in ARGUMENTS])
def test_rows_16_and_17_counts_and_sizes(make, summary):
    with pytest.raises(dagir.ArgumentError) as caught:
        make()
    assert caught.value.summary == summary
    assert f"called at  {__file__}:" in str(caught.value)
