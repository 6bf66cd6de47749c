"""Layers that only older Kerases had, held against what they are by definition, written here as loops."""

from __future__ import annotations

import math
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers
from dagir_keras.reading.files.keras2 import conversions
from dagir_keras.reading.files.keras2.images import ResizingByArea, UpSampling2DByArea, UpSampling2DOnCorners
from dagir_keras.reading.files.keras2.locally_connected import LocallyConnected1D, LocallyConnected2D
from dagir_keras.reading.files.keras2.normalization import BatchNormalizationOverAxes

RNG = np.random.default_rng(5)


def array(*shape):
    return RNG.normal(size=shape).astype("float32")


def computed(layer, x, weights):
    """What a layer computes with these weights."""
    given = dagir.Input(x.shape[1:], batch_size=len(x))
    model = dagir.Model(given, layer(given))
    layer.set_weights(weights)
    return dagir.lower(model, "numpy")(x)


@st.composite
def locally_connected(draw):
    rank = draw(st.sampled_from([1, 2]))
    layout = draw(st.sampled_from([1, 2, 3]))
    sizes = draw(st.tuples(*[st.integers(2, 5)] * rank))
    kernel = tuple(draw(st.integers(1, size)) for size in sizes)
    strides = draw(st.tuples(*[st.integers(1, 2)] * rank))
    padding = "valid" if layout == 1 else draw(st.sampled_from(["valid", "same"]))
    channels, filters = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    return layout, sizes, kernel, strides, padding, channels, filters, draw(st.booleans())


@given(locally_connected())
def test_locally_connected_layers_have_a_kernel_at_each_place(case):
    layout, sizes, kernel, strides, padding, channels, filters, first = case
    same = padding == "same"
    out = [-(-d // s) if same else (d - k) // s + 1 for d, k, s in zip(sizes, kernel, strides, strict=True)]
    kind = LocallyConnected1D if len(sizes) == 1 else LocallyConnected2D
    layer = kind(filters, kernel, strides, padding, "channels_first" if first else None, use_bias=False, layout=layout)
    x = array(2, *sizes, channels)
    want = np.zeros((2, *out, filters))
    stored = {}  # by output and input, as their indices are counted
    for place, filter_, offset, channel in product(
        product(*map(range, out)), range(filters), product(*map(range, kernel)), range(channels)
    ):
        seen = tuple(
            p * s + o - (k // 2 if same else 0) for p, s, o, k in zip(place, strides, offset, kernel, strict=True)
        )
        if all(0 <= at < size for at, size in zip(seen, sizes, strict=True)):
            number = float(RNG.normal())
            want[:, *place, filter_] += x[:, *seen, channel] * number
            key = ((filter_, *place), (channel, *seen)) if first else ((*place, filter_), (*seen, channel))
            stored[key] = number
    weights = _as_stored(layout, stored, sizes, out, kernel, channels, filters, first)
    got = computed(layer, np.moveaxis(x, -1, 1) if first else x, [weights.astype("float32")])
    np.testing.assert_allclose(np.moveaxis(got, 1, -1) if first else got, want, rtol=1e-4, atol=1e-4)


def _as_stored(layout, stored, sizes, out, kernel, channels, filters, first):
    if layout == 3:
        return np.array([stored[key] for key in sorted(stored)])
    if layout == 2:
        inner, outer = ((channels, *sizes), (filters, *out)) if first else ((*sizes, channels), (*out, filters))
        dense = array(*inner, *outer)  # what is not used is no zero
        for (to, of), number in stored.items():
            dense[of + to] = number
        return dense
    places = list(product(*map(range, out)))
    by_place = [[[] for _ in range(filters)] for _ in places]
    for (to, _), number in sorted(stored.items()):
        place, filter_ = (to[1:], to[0]) if first else (to[:-1], to[-1])
        by_place[places.index(place)][filter_].append(number)
    return np.moveaxis(np.array(by_place).reshape(len(places), filters, math.prod(kernel) * channels), 1, 2)


@given(st.data())
def test_batch_normalization_over_several_axes(data):
    shape = data.draw(st.lists(st.integers(1, 4), min_size=1, max_size=3))
    axes = data.draw(st.lists(st.integers(1, len(shape)), min_size=1, unique=True))
    virtual = data.draw(st.sampled_from([None, 2]))
    x = array(3, *shape)
    own = [1] + [size if axis in axes else 1 for axis, size in enumerate(shape, 1)]
    stored = [1, *own] if virtual else own
    gamma, beta, mean, variance = array(*own), array(*own), array(*own), np.abs(array(*own)) + 0.1
    counted = [axis + 1 for axis in axes] if virtual else axes
    layer = BatchNormalizationOverAxes(counted, virtual_batch_size=virtual)
    got = computed(layer, x, [part.reshape(stored) for part in (gamma, beta, mean, variance)])
    np.testing.assert_allclose(got, (x - mean) / np.sqrt(variance + 1e-3) * gamma + beta, rtol=2e-4, atol=2e-4)


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(1, 3), st.booleans())
def test_upsampling_on_the_grid_of_corners(height, width, down, across, first):
    x = array(2, height, width, 3)
    want = np.empty((2, height * down, width * across, 3))
    for i, j in product(range(height * down), range(width * across)):
        top, left, low, right = i // down, j // across, (i % down) / down, (j % across) / across
        below, beside = min(top + 1, height - 1), min(left + 1, width - 1)
        upper = x[:, top, left] * (1 - right) + x[:, top, beside] * right
        lower = x[:, below, left] * (1 - right) + x[:, below, beside] * right
        want[:, i, j] = upper * (1 - low) + lower * low
    data_format = "channels_first" if first else None
    layer = UpSampling2DOnCorners((down, across), data_format)
    got = computed(layer, np.moveaxis(x, -1, 1) if first else x, [])
    np.testing.assert_allclose(np.moveaxis(got, 1, -1) if first else got, want, rtol=1e-5, atol=1e-6)


@given(st.integers(1, 6), st.integers(1, 6), st.integers(1, 6), st.integers(1, 6))
def test_resizing_by_area_is_the_mean_of_what_a_pixel_covers(height, width, down, across):
    """As the mean over blocks of an image that was repeated to a common multiple."""
    x = array(2, height, width, 1)
    fine = np.repeat(np.repeat(x, down, 1), across, 2)
    want = fine.reshape(2, down, height, across, width, 1).mean((2, 4))
    np.testing.assert_allclose(computed(ResizingByArea(down, across), x, []), want, rtol=1e-4, atol=1e-5)
    if down % height == 0 and across % width == 0:
        factors = (down // height, across // width)
        np.testing.assert_allclose(computed(UpSampling2DByArea(factors), x, []), want, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["LSTM", "GRU"])
@pytest.mark.parametrize("wrapped", [False, True])
def test_the_weights_of_cudnn(kind, wrapped):
    """cuDNN multiplies with transposed matrices, and has two biases: one of the input, one of the state."""
    gates, units, width = 4 if kind == "LSTM" else 3, 3, 2
    inner = getattr(layers, kind)(units)
    layer = layers.Bidirectional(inner) if wrapped else inner
    x = dagir.Input((4, width))
    layer(x)
    cells = [layer.forward_layer.cell, layer.backward_layer.cell] if wrapped else [layer.cell]
    stored = {}
    for cell in cells:
        shapes = {
            "kernel": (width, gates * units),
            "recurrent_kernel": (units, gates * units),
            "bias": (2 * gates * units,),
        }
        stored |= {getattr(cell, name): array(*shape) for name, shape in shapes.items()}
    found = conversions(layer, {weight: data.shape for weight, data in stored.items()})
    assert found.keys() == stored.keys()
    for cell in cells:
        kernel, recurrent, bias = (found[w](stored[w]) for w in (cell.kernel, cell.recurrent_kernel, cell.bias))
        for gate in range(gates):
            part = slice(gate * units, (gate + 1) * units)
            rows = stored[cell.kernel][:, part].reshape(units, width)
            np.testing.assert_array_equal(kernel[:, part], rows.T)
            np.testing.assert_array_equal(recurrent[:, part], stored[cell.recurrent_kernel][:, part].T)
        both = stored[cell.bias].reshape(2, -1)
        np.testing.assert_array_equal(bias, both.sum(0) if kind == "LSTM" else both)
