"""Sizes as floats: exporters scale a size by casting it to a float, and cast the product back to an integer.

Such a number is a size times a fraction. Floor and casts to integers give a size again: floor(n * 0.5) is n//2.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.dims import Dim, SymbolicDim, max_dim
from dagir.ir.graph import Value
from dagir.ir.types import Array, DType
from dagir.ops.sizes import measured

_FINEST = 1 << 12  # a denominator: what scales sizes are halves, thirds, and the like
Real: TypeAlias = "Scaled | Fraction"


@dataclass(frozen=True)
class Scaled:
    """A size that is known at run time only, times a fraction."""

    size: SymbolicDim
    factor: Fraction = Fraction(1)

    def times(self, factor: Fraction) -> Real:
        """The product with a number."""
        return Scaled(self.size, self.factor * factor) if factor else Fraction(0)

    def floor(self) -> Dim:
        """The size below it."""
        return (self.size * self.factor.numerator) // self.factor.denominator

    def ceil(self) -> Dim:
        """The size above it."""
        return (self.size * self.factor.numerator + self.factor.denominator - 1) // self.factor.denominator

    def measured(self, dtype: DType) -> Value:
        """The number as a value of the graph."""
        found = ops.cast(measured(self.size), dtype)
        return found if self.factor == 1 else ops.multiply(found, float(self.factor))


def as_real(number: object) -> Real:
    """An entry of a tensor of sizes, or a float, as a number.

    Raises ArgumentError for a float that is no simple fraction, as 0.3333..., whose product with a size is rounded.
    """
    if isinstance(number, (Scaled, Fraction)):
        return number
    if isinstance(number, SymbolicDim):
        return Scaled(number)
    if isinstance(number, int):
        return Fraction(number)
    exact = Fraction(float(number))  # type: ignore[arg-type]
    if exact.denominator <= _FINEST:
        return exact
    raise ArgumentError(f"{number} is no simple fraction")


def multiplied(left: Any, right: Any) -> Real:
    """The product, if one of them is a number. Raises ArgumentError."""
    x, y = as_real(left), as_real(right)
    if isinstance(x, Scaled) and isinstance(y, Scaled):
        product = x.size * y.size
        factor = x.factor * y.factor
        return Scaled(product, factor) if isinstance(product, SymbolicDim) else product * factor
    if isinstance(x, Scaled):
        assert isinstance(y, Fraction)
        return x.times(y)
    return y.times(x) if isinstance(y, Scaled) else x * y


def divided_reals(left: Any, right: Any) -> Real:
    """The quotient, if the divisor is a number, or a size that divides the other one. Raises ArgumentError."""
    dividend, divisor = as_real(left), as_real(right)
    if isinstance(divisor, Scaled) and isinstance(dividend, Scaled):
        whole = dividend.size // divisor.size
        if whole * divisor.size != dividend.size:
            raise ArgumentError("a quotient of sizes that is no size")
        factor = dividend.factor / divisor.factor
        return Scaled(whole, factor) if isinstance(whole, SymbolicDim) else whole * factor
    if isinstance(divisor, Scaled) or not divisor:
        raise ArgumentError("a quotient by a size")
    return multiplied(left, 1 / divisor)


def floored(number: Any) -> Dim:
    """The integer below."""
    real = as_real(number)
    return real.floor() if isinstance(real, Scaled) else real.numerator // real.denominator


def ceiled(number: Any) -> Dim:
    """The integer above."""
    real = as_real(number)
    return real.ceil() if isinstance(real, Scaled) else -(-real.numerator // real.denominator)


def steps_between(start: Real, limit: Real, step: Fraction) -> Dim:
    """How many numbers there are from the start on, before the limit."""
    if isinstance(start, Scaled):
        raise ArgumentError("a range that starts at a size")
    if isinstance(limit, Scaled):
        factor, offset = limit.factor / step, start / step
        whole = factor.denominator * offset.denominator
        numerator = limit.size * int(factor * whole) - int(offset * whole)
        return max_dim(-1 * ((-1 * numerator) // whole), 0)
    return max(-((start - limit) // step), 0)


def plain(number: Real) -> object:
    """The number as an entry: an int where it is one."""
    if isinstance(number, Scaled) and number.factor == 1:
        return number.size
    if isinstance(number, Fraction) and number.denominator == 1:
        return number.numerator
    return number


def real_array(data: Array) -> Array:
    """Floats as entries. Raises ArgumentError."""
    found = np.empty(data.shape, object)
    for place in np.ndindex(data.shape):
        found[place] = plain(as_real(data[place].item()))
    return found


__all__ = [
    "Scaled",
    "as_real",
    "ceiled",
    "divided_reals",
    "floored",
    "multiplied",
    "plain",
    "real_array",
    "steps_between",
]
