"""Initializers of weights: the names, defaults and distributions of keras.initializers."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.graph import Initializer
from dagir.types import Array, DType

_generator = np.random.default_rng()


def seed(number: int) -> None:
    """Make all initial weights that are drawn from now on reproducible."""
    global _generator  # noqa: PLW0603  # one stream for the process, as in Keras
    _generator = np.random.default_rng(number)


def fans(shape: tuple[int, ...]) -> tuple[float, float]:
    """(fan in, fan out) of a weight shape, as Keras counts them: receptive field times channels."""
    if not shape:
        return 1.0, 1.0
    if len(shape) == 1:
        return float(shape[0]), float(shape[0])
    field = math.prod(shape[:-2])
    return float(shape[-2] * field), float(shape[-1] * field)


def _uniform(shape: tuple[int, ...], limit: float) -> Array:
    return _generator.uniform(-limit, limit, shape)


def _truncated(shape: tuple[int, ...], stddev: float) -> Array:
    values = _generator.standard_normal(shape)
    outside = np.abs(values) > 2
    while outside.any():
        values[outside] = _generator.standard_normal(int(outside.sum()))
        outside = np.abs(values) > 2
    return values * stddev


def _variance_scaling(scale: float, mode: str, distribution: str) -> Initializer:
    def initialize(shape: tuple[int, ...], dtype: DType) -> Array:
        fan_in, fan_out = fans(shape)
        fan = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}[mode]
        variance = scale / max(1.0, fan)
        if distribution == "uniform":
            values = _uniform(shape, math.sqrt(3 * variance))
        else:  # the truncation at two deviations shrinks the variance, which the constant makes good
            values = _truncated(shape, math.sqrt(variance) / 0.87962566103423978)
        return values.astype(dtype.numpy)

    return initialize


def _constant(value: float) -> Initializer:
    return lambda shape, dtype: np.full(shape, value, dtype.numpy)


def _orthogonal(shape: tuple[int, ...], dtype: DType) -> Array:
    rows, columns = math.prod(shape[:-1]), shape[-1]
    q, r = np.linalg.qr(_generator.standard_normal((max(rows, columns), min(rows, columns))))
    q = q * np.sign(np.diag(r))
    return (q if rows >= columns else q.T).reshape(shape).astype(dtype.numpy)


def _identity(shape: tuple[int, ...], dtype: DType) -> Array:
    return np.eye(*shape, dtype=dtype.numpy)


def _drawn(draw: Callable[[tuple[int, ...]], Array]) -> Initializer:
    return lambda shape, dtype: draw(shape).astype(dtype.numpy)


_BY_NAME: dict[str, Initializer] = {
    "zeros": _constant(0),
    "ones": _constant(1),
    "glorot_uniform": _variance_scaling(1, "fan_avg", "uniform"),
    "glorot_normal": _variance_scaling(1, "fan_avg", "normal"),
    "he_uniform": _variance_scaling(2, "fan_in", "uniform"),
    "he_normal": _variance_scaling(2, "fan_in", "normal"),
    "lecun_uniform": _variance_scaling(1, "fan_in", "uniform"),
    "lecun_normal": _variance_scaling(1, "fan_in", "normal"),
    "uniform": _drawn(lambda shape: _uniform(shape, 0.05)),
    "random_uniform": _drawn(lambda shape: _uniform(shape, 0.05)),
    "normal": _drawn(lambda shape: 0.05 * _generator.standard_normal(shape)),
    "random_normal": _drawn(lambda shape: 0.05 * _generator.standard_normal(shape)),
    "truncated_normal": _drawn(lambda shape: _truncated(shape, 0.05)),
    "orthogonal": _orthogonal,
    "identity": _identity,
}


def get(initializer: Any) -> Initializer:
    """The initializer for a name or a callable f(shape, dtype). Raises ArgumentError that lists the names."""
    if callable(initializer):
        return initializer  # type: ignore[no-any-return]
    found = _BY_NAME.get(initializer) if isinstance(initializer, str) else None
    if found is None:
        raise ArgumentError(f"unknown initializer {initializer!r}", remedy=f"use one of {', '.join(_BY_NAME)}")
    return found
