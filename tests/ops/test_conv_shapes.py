"""The shape rules of convolutions, on fixed and named sizes, and what is said where they do not hold."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir import dims
from dagir.ir.graph import Graph, Value, apply
from dagir.ir.types import DType, TensorType
from dagir.testing.conv import paddings, windows


def value(*shape, dtype="float32", name="x"):
    return Value(TensorType(DType(dtype), tuple(dims.parse(s) if isinstance(s, str) else s for s in shape)), name=name)


def weights(*shape):
    return np.ones(shape, "float32")


def sizes(found):
    return [str(size) for size in found.type.shape]


def brute_force(size, extent, stride):
    """How many places the kernel has, counted."""
    return len([start for start in range(0, size - extent + 1, stride)])


@given(st.data())
def test_conv_counts_the_places_of_the_kernel(data):
    rank = data.draw(st.integers(1, 3))
    kernel, strides, dilations = data.draw(windows(rank))
    op = ops.Conv(strides, data.draw(paddings(rank)), dilations)
    extents = op.extents(kernel)
    axes = tuple(extent + data.draw(st.integers(0, 9)) for extent in extents)
    (found,) = op.infer(value(3, *axes, 2).type, value(*kernel, 2, 5).type)
    pads = op.pads(axes, kernel)
    padded = [size + low + high for size, (low, high) in zip(axes, pads, strict=True)]
    assert found.shape == (3, *map(brute_force, padded, extents, strides), 5)
    if op.padding == "same":
        assert all(0 <= high - low <= 1 for low, high in pads)


@given(st.data())
def test_named_sizes_give_what_fixed_sizes_give(data):
    """The expression, evaluated, is the size; for both ops and layouts."""
    rank = data.draw(st.integers(1, 3))
    kernel, strides, dilations = data.draw(windows(rank))
    layout = data.draw(st.sampled_from(["channels_last", "channels_first"]))
    if data.draw(st.booleans()):
        op = ops.Conv(strides, data.draw(paddings(rank)), dilations, 1, layout)
        w = value(*kernel, 2, 5).type
    else:
        op = ops.ConvTranspose(strides, data.draw(st.sampled_from(["valid", "same"])), dilations, 1, layout)
        w = value(*kernel, 5, 2).type
    axes = tuple(extent + data.draw(st.integers(0, 9)) for extent in op.extents(kernel))
    names = tuple("hwd"[:rank])

    def shape(batch, spatial):
        return (batch, *spatial, 2) if layout == "channels_last" else (batch, 2, *spatial)

    (named,) = op.infer(value(*shape("batch", names)).type, w)
    (fixed,) = op.infer(value(*shape(4, axes)).type, w)
    known = {"batch": 4, **dict(zip(names, axes, strict=True))}
    assert tuple(dims.evaluate(size, known) for size in named.shape) == fixed.shape


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["batch", "time - 2", "5"]),
        ({"padding": "same"}, ["batch", "time", "5"]),
        ({"padding": "causal", "dilation_rate": 3}, ["batch", "time", "5"]),
        ({"padding": "same", "strides": 2}, ["batch", "(time + 1)//2", "5"]),
        ({"padding": [(1, 2)]}, ["batch", "time + 1", "5"]),
        ({"padding": "SAME", "strides": 3}, ["batch", "(time + 2)//3", "5"]),
    ],
)
def test_conv_of_a_named_size(arguments, expected):
    assert sizes(ops.conv(value("batch", "time", 2), weights(3, 2, 5), **arguments)) == expected


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ({}, ["batch", "time + 2", "5"]),
        ({"strides": 2}, ["batch", "2*time + 1", "5"]),
        ({"strides": 4}, ["batch", "4*time", "5"]),
        ({"strides": 2, "padding": "same"}, ["batch", "2*time", "5"]),
        ({"strides": 2, "padding": "same", "output_padding": 0}, ["batch", "2*time - 1", "5"]),
        ({"strides": 2, "output_padding": 1}, ["batch", "2*time + 2", "5"]),
        ({"padding": [(1, 1)]}, ["batch", "time", "5"]),
    ],
)
def test_conv_transpose_of_a_named_size(arguments, expected):
    assert sizes(ops.conv_transpose(value("batch", "time", 2), weights(3, 5, 2), **arguments)) == expected


def test_groups_follow_from_the_channels():
    y = ops.conv(value(1, 8, 8, 6), weights(3, 3, 2, 9))
    assert y.node.op.groups == 3
    assert ops.conv(value(1, 6, 8, 8), weights(3, 3, 2, 9), data_format="channels_first").node.op.groups == 3


def test_depthwise_and_separable():
    x = value("n", 8, 8, 3)
    assert sizes(ops.depthwise_conv(x, weights(3, 3, 3, 2), strides=2)) == ["n", "3", "3", "6"]
    assert sizes(ops.separable_conv(x, weights(3, 3, 3, 2), weights(1, 1, 6, 4), padding="same")) == [
        "n",
        "8",
        "8",
        "4",
    ]


def test_functions_are_the_classes():
    """keras.ops.depthwise_conv by hand: each channel alone."""
    rng = np.random.default_rng(0)
    x, w = rng.uniform(-1, 1, (2, 7, 3)), rng.uniform(-1, 1, (4, 3, 2))
    inputs = value(*x.shape, dtype="float64")
    found = dagir.lower(Graph([inputs], [ops.depthwise_conv(inputs, w)]), "numpy")(x)
    found = found[0] if isinstance(found, list) else found
    for channel in range(3):
        for filter in range(2):
            expected = [np.correlate(row[:, channel], w[:, channel, filter]) for row in x]
            np.testing.assert_allclose(found[:, :, 2 * channel + filter], expected, rtol=1e-12)


def test_transpose_is_the_adjoint_of_conv():
    """<conv(x), y> = <x, conv_transpose(y)>: the definition, by the NumPy rules alone."""
    rng = np.random.default_rng(0)
    x, w, y = rng.uniform(-1, 1, (1, 9, 8, 2)), rng.uniform(-1, 1, (3, 2, 2, 4)), rng.uniform(-1, 1, (1, 4, 4, 4))
    forward, back = value(1, 9, 8, 2, dtype="float64"), value(1, 4, 4, 4, dtype="float64")
    graph = Graph([forward, back], [ops.conv(forward, w, 2), ops.conv_transpose(back, w, 2)])
    cx, ty = dagir.lower(graph, "numpy")([x, y])
    np.testing.assert_allclose((cx * y).sum(), (x * ty).sum(), rtol=1e-12)


# ---- what is said where it does not fit


def refused(kind, call):
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_kernel_larger_than_the_input():
    text = refused(ShapeError, lambda: ops.conv(value(1, 4, 9, 2), weights(3, 5, 2, 4), dilation_rate=(2, 1)))
    assert "reaches over 5 elements (dilation 2), the axis has 4" in text
    lines = text.split("\n")
    place = next(i for i, line in enumerate(lines) if "float32[1, 4, 9, 2]" in line)
    assert lines[place + 1].index("^") == lines[place].index("4, 9")
    assert "padding='same'" in text


def test_channels_that_the_kernel_does_not_take():
    text = refused(ShapeError, lambda: ops.conv(value(1, 3, 32, 32), weights(3, 3, 3, 4)))
    assert "x has 32 channels, the kernel takes 3" in text
    assert text.count("^^") == 1  # under x's 32
    assert text.count("^") == 3  # and under the kernel's 3
    assert "data_format='channels_first'" in text
    assert "give x 5 channels" in refused(ShapeError, lambda: ops.conv(value(1, 8, 8, 3), weights(3, 3, 5, 4)))


def test_channels_of_a_transpose():
    text = refused(ShapeError, lambda: ops.conv_transpose(value(1, 8, 3), weights(3, 4, 5)))
    assert "x has 3 channels, the kernel takes 5" in text


def test_groups_that_do_not_divide():
    op = ops.Conv((1,), "valid", (1,), groups=2)
    text = refused(ShapeError, lambda: apply(op, value(1, 8, 4), value(3, 2, 5)))
    assert "5 filters do not split into 2 groups" in text
    text = refused(ShapeError, lambda: apply(op, value(1, 8, 5), value(3, 2, 4)))
    assert "takes 4 (2 groups of 2)" in text


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda x, w: ops.conv(x, w, strides=0), "ints above 0 for strides, got (0, 0)"),
        (lambda x, w: ops.conv(x, w, dilation_rate=(1, 0)), "ints above 0 for dilations, got (1, 0)"),
        (lambda x, w: ops.conv(x, w, strides=(1, 1, 1)), "strides is an int or 2 ints, got (1, 1, 1)"),
        (lambda x, w: ops.conv(x, w, padding="reflect"), "padding valid, same, causal or explicit pairs"),
        (lambda x, w: ops.conv(x, w, padding="causal"), "needs one spatial axis"),
        (lambda x, w: ops.conv(x, w, padding=[(0, -1), (0, 0)]), "ints >= 0"),
        (lambda x, w: ops.conv(x, w, data_format="nhwc"), "'channels_last' or 'channels_first'"),
        (lambda x, w: ops.conv_transpose(x, w, padding="causal"), "padding valid, same or explicit pairs"),
        (lambda x, w: ops.conv_transpose(x, w, 2, output_padding=2), "from 0 to below strides or dilations (2, 2)"),
    ],
)
def test_arguments_out_of_range(call, said):
    assert said in refused(ArgumentError, lambda: call(value(1, 8, 8, 2), weights(3, 3, 2, 2)))


def test_ranks_and_dtypes():
    assert "rank 4, got 3 and 4" in refused(ShapeError, lambda: ops.conv(value(8, 8, 2), weights(3, 3, 2, 4)))
    assert "rank 3, 4 or 5" in refused(ShapeError, lambda: ops.conv(value(8, 2), weights(2, 4)))
    with pytest.raises(DTypeError):
        ops.conv(value(1, 8, 2, dtype="float64"), weights(3, 2, 4))


def test_transpose_that_crops_all_away():
    text = refused(ShapeError, lambda: ops.conv_transpose(value(1, 1, 2), weights(3, 5, 2), padding=[(2, 1)]))
    assert "the output would have size 0" in text


def test_kernel_larger_than_a_size_known_at_run_time():
    x = value("n", "time", 2)
    run = dagir.lower(Graph([x], [ops.conv(x, weights(3, 2, 4))]), "numpy")
    text = refused(ShapeError, lambda: run(weights(1, 2, 2)))
    assert "reaches over 3 elements, the axis has 2" in text
