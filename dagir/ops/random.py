"""Ops that are random in training and the identity at inference; their fields are for training."""

from __future__ import annotations

from dataclasses import dataclass

from dagir.errors import ArgumentError
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT
from dagir.ir.types import TensorType
from dagir.ops.operands import require

__all__ = [
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "dropout",
]


class _Noise(Op):
    """x: f[*s] -> f[*s]."""

    moves_only = True  # at inference
    random = True

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require("float", x)
        self._check(x)
        return (x,)

    def works_apart_along(self, axis: int) -> bool:
        """At inference it is the identity."""
        return True

    def _check(self, x: TensorType) -> None:
        """Raise ArgumentError where a field is out of range."""


def _check_rate(rate: float) -> None:
    if not 0 <= rate <= 1:
        raise ArgumentError(f"a rate is a number from 0 to 1, got {rate!r}")


@dataclass(frozen=True)
class Dropout(_Noise):
    """x: f[*s] -> f[*s]: x at inference; training sets a share `rate` to 0, scales the rest.  keras.layers.Dropout.

    noise_shape: what is dropped together has size 1 there; None is the size of x.
    """

    rounding = EXACT
    rate: float
    noise_shape: tuple[int | None, ...] | None = None
    seed: int | None = None

    def _check(self, x: TensorType) -> None:
        _check_rate(self.rate)
        if self.noise_shape is not None and len(self.noise_shape) != x.rank:
            raise ArgumentError(f"noise_shape {self.noise_shape} must have a size for each of the {x.rank} axes")


@dataclass(frozen=True)
class AlphaDropout(Dropout):
    """x: f[*s] -> f[*s]: x at inference; training keeps mean and variance.  keras.layers.AlphaDropout."""

    rounding = EXACT


@dataclass(frozen=True)
class GaussianDropout(_Noise):
    """x: f[*s] -> f[*s]: x at inference; training multiplies by noise around 1.  keras.layers.GaussianDropout."""

    rounding = EXACT
    rate: float
    seed: int | None = None

    def _check(self, x: TensorType) -> None:
        _check_rate(self.rate)


@dataclass(frozen=True)
class GaussianNoise(_Noise):
    """x: f[*s] -> f[*s]: x at inference; training adds normal noise.  keras.layers.GaussianNoise."""

    rounding = EXACT
    stddev: float
    seed: int | None = None

    def _check(self, x: TensorType) -> None:
        if not self.stddev >= 0:
            raise ArgumentError(f"stddev is a number of at least 0, got {self.stddev!r}")


def dropout(
    x: Operand, rate: float, noise_shape: tuple[int | None, ...] | None = None, seed: int | None = None
) -> Value:
    """x at inference; training sets a share `rate` of the elements to 0. keras.random.dropout.

    noise_shape: what is dropped together has size 1 there.

    >>> show(ops.dropout([1.0, 2.0], 0.5))
    [1.0, 2.0]
    """
    return apply(Dropout(float(rate), noise_shape, seed), as_value(x))
