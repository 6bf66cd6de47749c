"""Spectrograms: STFTSpectrogram and MelSpectrogram, as convolutions with windowed sines and cosines."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Unpack

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Initializer, Parameter, Value
from dagir.ir.operands import as_value
from dagir.ir.types import Array, DType
from dagir.layers.argument_types import LayerOptions
from dagir.layers.base import Layer
from dagir.layers.core import positive_int
from dagir.layers.pooling import check_rank, checked_data_format
from dagir.support import limits

__all__ = [
    "MelSpectrogram",
    "STFTSpectrogram",
]

_EPSILON = 1e-7  # keras.config.epsilon()
_COSINES = {
    "boxcar": (1.0,),
    "hann": (0.5, 0.5),
    "hamming": (0.54, 0.46),
    "blackman": (0.42, 0.5, 0.08),
    "nuttall": (0.3635819, 0.4891775, 0.1365995, 0.0106411),
    "blackmanharris": (0.35875, 0.48829, 0.14128, 0.01168),
    "flattop": (0.21557895, 0.41663158, 0.277263158, 0.083578947, 0.006947368),
}


def window_of(window: object, length: int, periodic: bool) -> Array:
    """A window by SciPy's name, or the numbers of one: f64[length]. Raises ArgumentError.

    A window with a name is a sum of cosines: scipy.signal.windows.general_cosine.
    """
    if isinstance(window, str):
        if window not in _COSINES:
            raise ArgumentError(
                f"unknown window {window!r}",
                remedy=f"use one of {', '.join(_COSINES)}, or give its numbers: scipy.signal.get_window(...)",
            )
        limits.spend("elements", length, f"a window of {length:,} steps")
        steps = max(length if periodic else length - 1, 1)
        turns = 2 * np.pi * np.arange(length) / steps
        signs = np.array([(-1.0) ** k for k in range(len(_COSINES[window]))])
        parts = [sign * a * np.cos(k * turns) for k, (sign, a) in enumerate(zip(signs, _COSINES[window], strict=True))]
        return np.asarray(np.sum(parts, axis=0)) if length > 1 else np.ones(1)
    found = np.asarray(window, np.float64)
    if found.shape != (length,):
        raise ArgumentError(f"the window needs {length} numbers, got an array of shape {list(found.shape)}")
    return found


def _stft(side: Callable[[Array], Array], window: object, scaling: str | None, periodic: bool) -> Initializer:
    """The initial kernels, computed in their own dtype as in Keras.  keras.initializers.STFT."""

    def initialize(shape: tuple[int, ...], dtype: DType) -> Array:
        length, _, bins = shape
        kind = dtype.numpy
        frequencies = np.arange(bins).astype(kind) / kind.type((bins - 1) * 2)
        angles = (-2 * np.arange(length).astype(kind))[:, None, None] * frequencies * kind.type(np.pi)
        kernel = side(angles)
        if window is None:
            return kernel
        weights = window_of(window, length, periodic).astype(kind).reshape(length, 1, 1)
        scale = {None: 1, "density": np.sqrt(np.sum(np.square(weights))), "spectrum": np.sum(np.abs(weights))}[scaling]
        return np.asarray(kernel * weights / scale, kind)

    return initialize


class STFTSpectrogram(Layer):
    """The short-time Fourier transform of signals, with kernels that train.  keras.layers.STFTSpectrogram.

    mode: log, magnitude, psd, real, imag, angle or stft (real and imaginary parts one after the other).
    frame_length: samples of a window. frame_step: samples from one to the next. fft_length: samples that are
    transformed. window: its name. periodic: its kind. scaling: "density" or "spectrum". expand_dims: whether the
    result has an axis of channels.

    >>> layers.STFTSpectrogram()(dagir.Input((16000, 1)))
    <Value stft_spectrogram float32[batch, 124, 129]>
    """

    MODES = ("log", "magnitude", "psd", "real", "imag", "angle", "stft")

    def __init__(
        self,
        mode: str = "log",
        frame_length: int = 256,
        frame_step: int | None = None,
        fft_length: int | None = None,
        window: str | Array | None = "hann",
        periodic: bool = False,
        scaling: str | None = "density",
        padding: str = "valid",
        expand_dims: bool = False,
        data_format: str | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.mode, self.padding, self.scaling = mode, padding, scaling
        self.frame_length = positive_int("STFTSpectrogram", "frame_length", frame_length)
        self.frame_step = frame_step or self.frame_length // 2
        self.fft_length = fft_length or 2 ** math.ceil(math.log2(self.frame_length))
        self.window, self.periodic, self.expand_dims = window, periodic, expand_dims
        self.data_format = checked_data_format(data_format)
        self._check()

    def _check(self) -> None:
        for name, value, known in (
            ("mode", self.mode, self.MODES),
            ("scaling", self.scaling, ("density", "spectrum", None)),
            ("padding", self.padding, ("valid", "same")),
        ):
            if value not in known:
                raise ArgumentError(f"STFTSpectrogram takes {', '.join(map(str, known))} for {name}, got {value!r}")
        if not 1 <= self.frame_step <= self.frame_length:
            raise ArgumentError(f"frame_step is from 1 to frame_length={self.frame_length}, got {self.frame_step}")
        if self.fft_length < self.frame_length:
            raise ArgumentError(f"fft_length is at least frame_length={self.frame_length}, got {self.fft_length}")
        if self.window is not None:
            window_of(self.window, self.frame_length, self.periodic)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """real_kernel and imag_kernel [frame_length, 1, fft_length // 2 + 1], or the one that mode needs."""

        def kernel(name: str, side: Callable[[Array], Array]) -> Parameter:
            shape = (self.frame_length, 1, self.fft_length // 2 + 1)
            return self.add_weight(shape, _stft(side, self.window, self.scaling, self.periodic), name=name)

        self.real_kernel = kernel("real_kernel", np.cos) if self.mode != "imag" else None
        self.imag_kernel = kernel("imag_kernel", np.sin) if self.mode != "real" else None

    def call(self, inputs: Value) -> Value:
        """x: f[n, t, c] -> f[n, frames, c * bins]; channels_first: f[n, c, t] -> f[n, c * bins, frames].

        expand_dims: f[n, frames, bins, c], or f[n, c, frames, bins].
        """
        check_rank(self, inputs, 3)
        real = None if self.real_kernel is None else self._transformed(inputs, self.real_kernel)
        imag = None if self.imag_kernel is None else self._transformed(inputs, self.imag_kernel)
        if real is None or imag is None:
            return self._arranged(imag if real is None else real)  # type: ignore[arg-type]  # one of them is there
        if self.mode == "angle":
            return self._arranged(ops.arctan2(imag, real))
        if self.mode == "stft":
            return self._arranged(ops.concatenate([real, imag], axis=2))
        power = ops.square(real) + ops.square(imag)
        if self.mode == "psd":
            return self._arranged(power + ops.pad(power[:, :, 1:-1, :], ((0, 0), (0, 0), (1, 1), (0, 0))))
        magnitude = self._arranged(ops.sqrt(ops.maximum(power, _EPSILON)))
        return magnitude if self.mode == "magnitude" else ops.log(ops.maximum(magnitude, _EPSILON))

    def _transformed(self, inputs: Value, kernel: Parameter) -> Value:
        """f[n, c, bins, frames]."""
        x = ops.transpose(inputs, (0, 2, 1)) if self.data_format == "channels_last" else inputs
        batch, channels, time = x.type.shape
        signals = ops.reshape(x, (batch * channels, time, 1))
        found = ops.transpose(ops.conv(signals, kernel, self.frame_step, self.padding), (0, 2, 1))
        _, bins, frames = found.type.shape
        return ops.reshape(found, (batch, channels, bins, frames))

    def _arranged(self, x: Value) -> Value:
        batch, channels, bins, frames = x.type.shape
        last = self.data_format == "channels_last"
        if self.expand_dims:
            return ops.transpose(x, (0, 3, 2, 1) if last else (0, 1, 3, 2))
        joined = ops.reshape(x, (batch, channels * bins, frames))
        return ops.transpose(joined, (0, 2, 1)) if last else joined


class MelSpectrogram(Layer):
    """The power of signals in bands of the mel scale, in decibels.  keras.layers.MelSpectrogram.

    fft_length: samples of a window. sequence_stride: samples from one to the next. sequence_length: samples of the
    window that are not 0. sampling_rate: in Hz. num_mel_bins: of the result. min_freq, max_freq: in Hz.
    power_to_db, top_db: in decibels, at most so many below the largest. mag_exp: 1 for magnitudes, 2 for power.
    min_power, ref_power: the floor, and what is 0 dB. window: its name.

    >>> layers.MelSpectrogram(num_mel_bins=80)(dagir.Input((16000,)))
    <Value mel_spectrogram float32[batch, 80, 32]>
    """

    def __init__(
        self,
        fft_length: int = 2048,
        sequence_stride: int = 512,
        sequence_length: int | None = None,
        window: str | Array | None = "hann",
        sampling_rate: int = 16000,
        num_mel_bins: int = 128,
        min_freq: float = 20.0,
        max_freq: float | None = None,
        power_to_db: bool = True,
        top_db: float = 80.0,
        mag_exp: float = 2.0,
        min_power: float = 1e-10,
        ref_power: float = 1.0,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        self.fft_length = positive_int("MelSpectrogram", "fft_length", fft_length)
        self.sequence_stride = positive_int("MelSpectrogram", "sequence_stride", sequence_stride)
        self.sequence_length = positive_int("MelSpectrogram", "sequence_length", sequence_length or fft_length)
        self.num_mel_bins = positive_int("MelSpectrogram", "num_mel_bins", num_mel_bins)
        if self.sequence_length > self.fft_length:
            raise ArgumentError(f"sequence_length is at most fft_length={fft_length}, got {sequence_length}")
        if isinstance(window, str) and window not in ("hann", "hamming"):
            raise ArgumentError(f"MelSpectrogram takes 'hann', 'hamming', numbers or None for window, got {window!r}")
        self.window = window
        self.sampling_rate, self.min_freq = sampling_rate, min_freq
        self.max_freq = max_freq or int(sampling_rate / 2)
        self.power_to_db, self.top_db, self.mag_exp = power_to_db, top_db, mag_exp
        self.min_power, self.ref_power = min_power, ref_power

    def check_dtype(self, inputs: object) -> None:
        """Any floats are taken, and cast."""
        if isinstance(inputs, Value) and not inputs.dtype.is_float:
            raise DTypeError(f"MelSpectrogram takes floats, got {inputs.dtype}", remedy="cast the input with ops.cast")

    def call(self, inputs: Value) -> Value:
        """x: f[n, t] -> f[n, num_mel_bins, frames], or f[t] -> f[num_mel_bins, frames]."""
        if inputs.ndim not in (1, 2):
            raise ShapeError(f"MelSpectrogram takes signals of rank 2, or one of rank 1, got rank {inputs.ndim}")
        dtype = self.dtype if self.dtype in (DType.FLOAT32, DType.FLOAT64) else DType.FLOAT32
        x = ops.cast(inputs, dtype)
        x = ops.expand_dims(x, 0) if x.ndim == 1 else x
        bands = ops.matmul(self._power(x), as_value(self._bands().astype(dtype.numpy)))
        bands = ops.transpose(self._decibels(bands) if self.power_to_db else bands, (0, 2, 1))
        return ops.cast(ops.squeeze(bands, 0) if inputs.ndim == 1 else bands, self.dtype)

    def _power(self, x: Value) -> Value:
        """f[n, frames, bins]: magnitudes to the power mag_exp, of frames that are centred at every stride."""
        half, bins = self.fft_length // 2, self.fft_length // 2 + 1
        time: Dim = x.type.shape[1]
        if isinstance(time, int) and time <= half:
            raise ShapeError(f"the signal needs more than fft_length // 2 = {half} samples, it has {time}")
        framed = ops.expand_dims(ops.pad(x, ((0, 0), (half, half)), "reflect"), 2)
        waves = ops.conv(framed, as_value(self._waves().astype(x.dtype.numpy)), self.sequence_stride)
        magnitude = ops.sqrt(ops.square(waves[:, :, :bins]) + ops.square(waves[:, :, bins:]))
        return ops.power(magnitude, float(self.mag_exp))

    def _waves(self) -> Array:
        """[fft_length, 1, 2 * bins]: the window times cosines, then times sines."""
        length, bins = self.fft_length, self.fft_length // 2 + 1
        limits.spend("elements", 2 * length * bins, f"a spectrum of fft_length={length:,}")
        weights = np.ones(length)  # without a window Keras reads the whole frame, and ignores sequence_length
        if self.window is not None:
            before = (length - self.sequence_length) // 2
            periodic = self.sequence_length % 2 == 0  # tf.signal's windows of an odd length are not
            window = window_of(self.window, self.sequence_length, periodic)
            weights = np.pad(window, (before, length - self.sequence_length - before))
        turns = np.outer(np.arange(length), np.arange(bins)) % length  # so that the angles are exact
        angles = -2 * np.pi * turns / length
        return np.asarray(np.concatenate([np.cos(angles), np.sin(angles)], axis=1) * weights[:, None])[:, None]

    def _bands(self) -> Array:
        """[bins, num_mel_bins]: triangles on the mel scale, computed in float32 as in Keras."""
        kind = np.float32

        def mel(hertz: Array) -> Array:
            return np.asarray(kind(1127.0) * np.log(kind(1.0) + hertz / kind(700.0)))

        bins = self.fft_length // 2 + 1
        limits.spend("elements", bins * self.num_mel_bins, f"num_mel_bins={self.num_mel_bins:,}")
        places = mel(np.linspace(0, kind(self.sampling_rate / 2), bins, dtype=kind)[1:])[:, None]
        ends = mel(np.array([self.min_freq, self.max_freq], kind))
        edges = np.linspace(ends[0], ends[1], self.num_mel_bins + 2, dtype=kind)
        low, middle, high = edges[:-2], edges[1:-1], edges[2:]
        with np.errstate(all="ignore"):
            rising, falling = (places - low) / (middle - low), (high - places) / (high - middle)
        return np.pad(np.maximum(0, np.minimum(rising, falling)), ((1, 0), (0, 0)))

    def _decibels(self, power: Value) -> Value:
        """Relative to ref_power, and no more than top_db below the loudest of the batch."""
        reference = 10.0 * math.log10(max(abs(self.ref_power), self.min_power))
        found = ops.log(ops.maximum(power, self.min_power)) * (10.0 / math.log(10.0)) - reference
        return ops.maximum(found, ops.max(found) - self.top_db)
