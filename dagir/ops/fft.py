"""Fourier transforms. A complex number is a pair of floats, as in keras.ops: no dtype of dagir holds one."""

from __future__ import annotations

import math

import numpy as np

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Op, Operand, Value, apply_node
from dagir.ir.operands import as_value
from dagir.ir.rounding import Disturbed, Rounding
from dagir.ir.types import Array, Equations, Inferred, TensorType
from dagir.ops.arrangement import swapaxes
from dagir.ops.creation import arange, zeros_like
from dagir.ops.operands import reference, require, same_dtype
from dagir.ops.padding import pad
from dagir.ops.reduce import sum as total
from dagir.ops.shape import concatenate, expand_dims, flip, reshape, take

__all__ = [
    "Dft",
    "extract_sequences",
    "fft",
    "fft2",
    "ifft2",
    "irfft",
    "istft",
    "rfft",
    "stft",
]

_NAMED = {"hann": 0.5, "hamming": 0.54}


def _spread_evenly(op: Dft, disturbed: Disturbed) -> Array:
    """As with an error that is a share of the norm of the whole axis: fast transforms mix all elements in all sums.

    The error of a fast transform grows as the number of its stages, log2 n. N. J. Higham, Accuracy and Stability of
    Numerical Algorithms, theorem 24.2.
    """
    squares = [np.square(part) for part in disturbed.operands if part is not None]
    norm = np.sqrt(np.sum(squares[0] + squares[1], axis=-1, keepdims=True))
    size = disturbed.result.shape[-1]
    noise = disturbed.rng.standard_normal(disturbed.result.shape)
    return np.asarray(disturbed.result + 0.25 * disturbed.eps * np.log2(size) * norm * noise, disturbed.result.dtype)


class Dft(Op):
    """real, imag: f[*s, n] -> f[*s, n], f[*s, n]: out[k] = sum over j of x[j] exp(-2 pi i j k / n).  ONNX DFT-20."""

    rounding = Rounding(
        compound=True, terms=lambda op, floats: 2.0 * float(floats[0].shape[-1]), errors=(_spread_evenly,)
    )
    operands = ("real", "imag")

    def infer(self, real: TensorType, imag: TensorType) -> Inferred:
        """The type of real, twice."""
        equations = Equations()
        same_dtype(real, imag)
        require("float", real, imag)
        if real.rank < 1 or real.rank != imag.rank:
            raise ShapeError("a Fourier transform takes two values of one shape, of rank 1 or more")
        sizes = []
        for axis, (size, other) in enumerate(zip(real.shape, imag.shape, strict=True)):
            agreed = equations.equate(size, other)
            if agreed is None:
                raise ShapeError(
                    f"the real and the imaginary part have different sizes: {size} and {other}",
                    marks={0: [axis], 1: [axis]},
                )
            sizes.append(agreed)
        if not isinstance(sizes[-1], int) or sizes[-1] < 1:
            raise ShapeError(
                f"a Fourier transform takes a last axis of a known size, at least 1, got {sizes[-1]}",
                marks={0: [real.rank - 1], 1: [imag.rank - 1]},
                remedy="give the input a number for its last axis: Input(shape=(..., 128))",
            )
        result = real.with_shape(tuple(sizes))
        return equations.inferred(result, result)


def fft(x: tuple[Operand, Operand]) -> tuple[Value, Value]:
    """The discrete Fourier transform along the last axis, whose size must be known. x: the real and the imaginary part.

    >>> show(*ops.fft(([1.0, 2.0], [0.0, 1.0])))
    [3.0, -1.0]
    [1.0, -1.0]
    """
    real, imag = apply_node(Dft(), _pair("fft", x)).outputs
    return real, imag


def _pair(name: str, x: tuple[Operand, Operand]) -> tuple[Value, Value]:
    if not isinstance(x, (tuple, list)) or len(x) != 2:
        raise ArgumentError(
            f"{name} takes a pair, the real and the imaginary part",
            remedy=f"for a real x: ops.{name}((x, ops.zeros_like(x)))",
        )
    first = as_value(x[0], like=reference(x[1]))
    return first, as_value(x[1], like=first)


def fft2(x: tuple[Operand, Operand]) -> tuple[Value, Value]:
    """The discrete Fourier transform along the last two axes, whose sizes must be known. x: a pair, as in `fft`.

    >>> show(ops.fft2(([[1.0, 2.0], [3.0, 4.0]], [[0.0, 0.0], [0.0, 0.0]]))[0])
    [[10.0, -2.0], [-4.0, 0.0]]
    """
    return _along_columns(fft(_pair("fft2", x)))


def ifft2(x: tuple[Operand, Operand]) -> tuple[Value, Value]:
    """The inverse of `fft2`.  ifft2(x) = conj(fft2(conj(x))) / (h * w).

    >>> show(ops.ifft2(([[10.0, -2.0], [-4.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]))[0])
    [[1.0, 2.0], [3.0, 4.0]]
    """
    real, imag = _pair("ifft2", x)
    found, other = fft2((real, -imag))
    count = float(math.prod(_known(size, "ifft2") for size in found.type.shape[-2:]))
    return found / count, -other / count


def rfft(x: Operand, fft_length: int | None = None) -> tuple[Value, Value]:
    """The first n // 2 + 1 elements of the Fourier transform of real numbers: f[*s, n] -> f[*s, n // 2 + 1], twice.

    fft_length: n, to which the last axis is cut, or filled with zeros; by default its size, which must be known.

    >>> show(*ops.rfft([1.0, 2.0, 3.0]))
    [6.0, -1.5]
    [0.0, 0.866]
    """
    real = as_value(x)
    require_rank("rfft", real, 1)
    if fft_length is not None:
        real = resized(real, _positive("fft_length", fft_length))
    found, other = fft((real, zeros_like(real)))
    bins = _known(found.type.shape[-1], "rfft") // 2 + 1
    return found[..., :bins], other[..., :bins]


def irfft(x: tuple[Operand, Operand], fft_length: int | None = None) -> Value:
    """The inverse of `rfft`: f[*s, k], f[*s, k] -> f[*s, n], of real numbers.

    fft_length: n, by default 2 * (k - 1). Elements behind n // 2 are left out, and those that lack are 0.

    >>> show(ops.irfft(([6.0, -1.5], [0.0, 0.8660254]), 3))
    [1.0, 2.0, 3.0]
    """
    real, imag = _pair("irfft", x)
    require_rank("irfft", real, 1)
    count = 2 * (_known(real.type.shape[-1], "irfft") - 1) if fft_length is None else fft_length
    count = _positive("fft_length", count)
    real, imag = (resized(part, count // 2 + 1) for part in (real, imag))
    rest = slice(1, (count + 1) // 2)
    whole = concatenate([real, flip(real[..., rest], -1)], -1)
    other = concatenate([imag, -flip(imag[..., rest], -1)], -1)
    return fft((whole, -other))[0] / float(count)


def extract_sequences(x: Operand, sequence_length: int, sequence_stride: int) -> Value:
    """Windows of the last axis: f[*s, n] -> f[*s, (n - sequence_length) // sequence_stride + 1, sequence_length].

    >>> show(ops.extract_sequences([1.0, 2.0, 3.0, 4.0, 5.0], 3, 2))
    [[1.0, 2.0, 3.0], [3.0, 4.0, 5.0]]
    """
    value = as_value(x)
    require_rank("extract_sequences", value, 1)
    length, step = _positive("sequence_length", sequence_length), _positive("sequence_stride", sequence_stride)
    count = (value.type.shape[-1] - length) // step + 1
    if isinstance(count, int) and count < 0:
        count = 0
    starts = expand_dims(arange(0, count * step, step, "int32"), 1)
    return take(value, starts + expand_dims(arange(length, dtype="int32"), 0), -1)


def stft(
    x: Operand,
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    window: str | Array | None = "hann",
    center: bool = True,
) -> tuple[Value, Value]:
    """The short-time Fourier transform: f[*s, n] -> f[*s, frames, fft_length // 2 + 1], twice.

    sequence_length: samples that the window covers. fft_length: samples that are transformed, at least as many.
    window: "hann", "hamming", its numbers, or None. center: whether frame i is around the sample i * sequence_stride,
    where the signal is mirrored at its ends. A window with a name and an odd length is symmetric, as TensorFlow's.

    >>> real, imag = ops.stft(dagir.Input((16000,)), 256, 128, 256)
    >>> real
    <Value slice float32[batch, 126, 129]>
    """
    value = as_value(x)
    require_rank("stft", value, 1)
    weights = _window(window, sequence_length, fft_length)
    if center:
        half = fft_length // 2
        value = pad(value, [(0, 0)] * (value.ndim - 1) + [(half, half)], "reflect")
    frames = extract_sequences(value, fft_length, sequence_stride)
    if weights is not None:
        frames = frames * as_value(weights.astype(frames.dtype.numpy))
    return rfft(frames)


def istft(
    x: tuple[Operand, Operand],
    sequence_length: int,
    sequence_stride: int,
    fft_length: int,
    length: int | None = None,
    window: str | Array | None = "hann",
    center: bool = True,
) -> Value:
    """The inverse of `stft`: f[*s, frames, fft_length // 2 + 1], twice -> f[*s, n].

    length: n, where the signal is cut; by default as many samples as the frames tell. sequence_length,
    sequence_stride, fft_length, window, center: those of `stft`.

    >>> spectrum = (dagir.Input((126, 129)), dagir.Input((126, 129)))
    >>> ops.istft(spectrum, 256, 128, 256)
    <Value slice float32[batch, 16000]>
    """
    step = _positive("sequence_stride", sequence_stride)
    weights = _window(window, sequence_length, fft_length)
    frames = irfft(_pair("istft", x), fft_length)
    require_rank("istft", frames, 2)
    if weights is not None:
        frames = frames * as_value(_inverse(weights, step).astype(frames.dtype.numpy))
    signal = overlap_add(frames, step)
    start = fft_length // 2 if center else 0
    if length is not None:
        return signal[..., start : start + length]
    return signal[..., start : -(fft_length // 2)] if center else signal


def overlap_add(frames: Value, step: int) -> Value:
    """f[*s, k, n] -> f[*s, (k - 1) * step + n]: the sum of the frames, each `step` behind the one before.

    Each frame is cut into parts of `step`; a row of zeros behind the parts of one number shifts those of the next.
    """
    *outer, count, length = frames.type.shape
    length = _known(length, "overlap_add")
    parts = -(-length // step)
    none = [(0, 0)] * len(outer)
    cut = reshape(pad(frames, [*none, (0, 0), (0, parts * step - length)]), (*outer, count, parts, step))
    rows = pad(swapaxes(cut, -3, -2), [*none, (0, 0), (0, parts), (0, 0)])
    flat = reshape(rows, (*outer, parts * (count + parts), step))
    used = parts * (count + parts - 1)
    shifted = reshape(flat[..., :used, :], (*outer, parts, count + parts - 1, step))
    signal = reshape(total(shifted, -3), (*outer, (count + parts - 1) * step))
    return signal[..., : (count - 1) * step + length]


def _window(window: object, length: int, size: int) -> Array | None:
    """f64[size]: the window, with zeros at both sides. Raises ArgumentError."""
    length, size = _positive("sequence_length", length), _positive("fft_length", size)
    if size < length:
        raise ArgumentError(f"fft_length is at least sequence_length={length}, got {size}")
    if window is None:
        return None
    if isinstance(window, str):
        if window not in _NAMED:
            raise ArgumentError(f"the window is 'hann', 'hamming', its numbers or None, got {window!r}")
        share = _NAMED[window]
        turns = 2 * np.pi * np.arange(length) / max(length - length % 2, 1)
        found = share - (1 - share) * np.cos(turns) if length > 1 else np.ones(1)
    else:
        found = np.asarray(window, np.float64)
    if found.shape != (length,):
        raise ArgumentError(f"the window needs {length} numbers, got an array of shape {list(found.shape)}")
    before = (size - length) // 2
    return np.pad(found, (before, size - length - before))


def _inverse(weights: Array, step: int) -> Array:
    """What undoes a window: it, divided by the sum of the squares of those that overlap."""
    parts = -(-weights.size // step)
    squares = np.pad(np.square(weights), (0, parts * step - weights.size)).reshape(parts, step)
    with np.errstate(all="ignore"):
        return np.asarray(weights / np.tile(squares.sum(0), parts)[: weights.size])


def _along_columns(x: tuple[Value, Value]) -> tuple[Value, Value]:
    require_rank("fft2", x[0], 2)
    found, other = fft((swapaxes(x[0], -1, -2), swapaxes(x[1], -1, -2)))
    return swapaxes(found, -1, -2), swapaxes(other, -1, -2)


def resized(x: Value, size: int) -> Value:
    """The last axis cut, or filled with zeros."""
    own = x.type.shape[-1]
    if own == size:
        return x
    more = max(size - own, 0) if isinstance(own, int) else size
    filled = pad(x, [(0, 0)] * (x.ndim - 1) + [(0, more)]) if more else x
    return filled[..., :size]


def _known(size: Dim, name: str) -> int:
    if not isinstance(size, int):
        raise ShapeError(f"{name} takes an axis of a known size, got {size}", remedy="give fft_length, or fix the size")
    return size


def _positive(name: str, number: object) -> int:
    if not isinstance(number, int) or isinstance(number, bool) or number < 1:
        raise ArgumentError(f"{name} is a whole number, at least 1, got {number!r}")
    return number


def require_rank(name: str, x: Value, least: int) -> None:
    """Raises ShapeError for a value of fewer axes."""
    if x.ndim < least:
        raise ShapeError(f"{name} takes a value of rank {least} or more, got rank {x.ndim}")
