"""Fourier transforms."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.table import function


@function("fft")
def fft(draw: Any) -> Any:
    shape = (*draw(testing.shapes(0, 2)), draw(st.sampled_from([1, 2, 5, 8, 12, 17])))
    return ((draw(testing.arrays(shape)), draw(testing.arrays(shape))),), {}


def _pair(draw: Any, *sizes: int) -> Any:
    shape = (*draw(testing.shapes(0, 2)), *sizes)
    return draw(testing.arrays(shape)), draw(testing.arrays(shape))


_SIZES = st.sampled_from([1, 2, 3, 5, 8, 12])


@function("fft2", "ifft2")
def fft2(draw: Any) -> Any:
    return (_pair(draw, draw(_SIZES), draw(_SIZES)),), {}


@function("rfft")
def rfft(draw: Any) -> Any:
    return (_pair(draw, draw(_SIZES))[0],), {"fft_length": draw(st.one_of(st.none(), _SIZES))}


@function("irfft")
def irfft(draw: Any) -> Any:
    bins = draw(_SIZES)
    return (_pair(draw, bins),), {"fft_length": draw(st.one_of(st.none() if bins > 1 else _SIZES, _SIZES))}


@function("extract_sequences")
def extract_sequences(draw: Any) -> Any:
    return (_pair(draw, draw(st.integers(5, 12)))[0],), {
        "sequence_length": draw(st.integers(1, 5)),
        "sequence_stride": draw(st.integers(1, 6)),
    }


def _transform(draw: Any) -> dict[str, Any]:
    length, stride = draw(st.sampled_from([3, 4, 8])), draw(st.integers(1, 3))
    window = draw(st.sampled_from(["hann", "hamming", None, "numbers"]))
    if window == "numbers":
        window = np.linspace(0.5, 1, length).astype("float32").tolist()
    size = length + draw(st.integers(0, 3))
    return {
        "sequence_length": length,
        "sequence_stride": stride,
        "fft_length": size,
        "window": window,
        "center": draw(st.booleans()),
    }


@function("stft")
def stft(draw: Any) -> Any:
    return (_pair(draw, draw(st.integers(12, 20)))[0],), _transform(draw)


@function("istft", within=8)
def istft(draw: Any) -> Any:
    how = _transform(draw)
    if how["window"] == "hann":  # its zeros may be all that a sample has, and 0 / 0 is NaN
        how["sequence_stride"] = 1
    frames = _pair(draw, draw(st.integers(4, 7)), how["fft_length"] // 2 + 1)
    return (frames,), {**how, "length": draw(st.sampled_from([None, 3]))}
