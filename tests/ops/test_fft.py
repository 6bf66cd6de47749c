"""Fourier transforms: sizes that are no powers of two, sums that cancel, and calls that are refused."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import Input, Model, ops
from dagir.errors import ArgumentError, DTypeError, ShapeError


def transform(size):
    real, imag = Input((size,)), Input((size,))
    return Model([real, imag], list(ops.fft((real, imag))))


def signals(size):
    """Noise; a real constant, all of whose sums but one are 0; two elements that are not 0, and one.

    The sums of the one are exact, but a fast transform of a large prime size is off by a share of the whole.
    """
    noise = np.random.default_rng(0).uniform(-3, 3, (2, 2, size)).astype("float32")
    sparse = np.where(np.arange(size) < 2, noise, 0)
    impulse = np.float32(1.3) * (np.arange(size) == 0) * np.float32([[[1]], [[0]]])
    constant = [np.ones_like(noise[0]), np.zeros_like(noise[0])]
    return {"noise": noise, "constant": constant, "sparse": sparse, "impulse": impulse}


@pytest.mark.parametrize("signal", ["noise", "constant", "sparse", "impulse"])
@pytest.mark.parametrize("size", [4, 251, 500, 512])
def test_every_backend_is_within_the_roundings(size, signal):
    real, imag = signals(size)[signal]
    report = dagir.verify(transform(size), inputs=[real, imag])
    assert report.ok, report


@pytest.mark.parametrize("size", [4, 251])
@pytest.mark.parametrize("backend", ["onnx", "keras"])
def test_what_cancels_to_0_by_symmetry_is_0_within_the_norm(size, backend):
    real, imag = signals(size)["constant"]
    found = dagir.lower(transform(size), backend)([real, imag])
    assert np.abs(found[0][:, 0] - size).max() <= 1e-6 * size
    assert np.abs(found[0][:, 1:]).max() <= 1e-6 * size
    assert np.abs(found[1]).max() <= 1e-6 * size


def test_a_transform_is_not_taken_for_its_conjugate():
    real, imag = Input((8,)), Input((8,))
    found, other = ops.fft((real, imag))
    wrong = Model([real, imag], [found, -other])
    assert not dagir.verify(transform(8), wrong).ok


@pytest.mark.parametrize(
    ("pair", "error", "said"),
    [
        (lambda: (Input((None,)), Input((None,))), ShapeError, "a last axis of a known size"),
        (lambda: (Input((4,)), Input((5,))), ShapeError, "different sizes: 4 and 5"),
        (lambda: (Input((4,)), Input((2, 4))), ShapeError, "two values of one shape"),
        (lambda: (1.0, 2.0), ShapeError, "rank 1 or more"),
        (lambda: (np.zeros((2, 0)), np.zeros((2, 0))), ShapeError, "at least 1, got 0"),
        (lambda: (np.arange(3), np.arange(3)), DTypeError, "takes float values"),
        (lambda: (np.zeros(3), np.zeros(3, "float32")), DTypeError, "different dtypes"),
        (lambda: Input((4,)), ArgumentError, "takes a pair"),
    ],
)
def test_refuses_at_the_call(pair, error, said):
    with pytest.raises(error, match=said):
        ops.fft(pair())
