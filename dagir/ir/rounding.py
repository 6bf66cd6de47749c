"""Rounding: how the results of an op round, as each op class says for itself in `Op.rounding`.

The error budget (dagir.equivalence.budget) disturbs what a node reads and what it yields by the size of the target
dtype's roundings. A Rounding says whether there is anything to disturb, and which errors such noise does not show.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np

from dagir.ir.first_order import FirstOrder
from dagir.ir.types import Array, DType

Arrays: TypeAlias = Sequence[Array | None]


@dataclass(frozen=True)
class Disturbed:
    """One disturbed evaluation of a node: the operands with their noise, one result, eps of its dtype, and a generator.

    apply: evaluates the node in a dtype on other operands. place: which of the node's results it is.
    """

    operands: Arrays
    result: Array
    eps: float
    rng: np.random.Generator
    apply: Callable[[Arrays, DType | None], tuple[Array, ...]]
    place: int = 0


ErrorRule: TypeAlias = Callable[[Any, Disturbed], Array]


@dataclass(frozen=True)
class Rounding:
    """How an op rounds.

    exact: the result in the target dtype is that in float64 to the last bit, so every backend computes the same.
    compound: the formula differs from target to target; that a result is exact at some inputs is chance.
    adds: it adds terms up, and is exact only where it is in every order of them: kernels take different ones.
    within: roundings within the node, in units of eps of the result, as of gates and of approximated functions.
    absolute: from the first operand, the size of an error that is a share of eps itself, not of the result.
    errors: rules (op, Disturbed) -> result, applied in turn, for errors that noise on operands does not bring out.
    terms: from the op and its float operands, how many terms one element of the result sums; None is an estimate.
    skippable: a target may leave the op out and go on with its operand, as onnxruntime does with casts to float16 and
        back where it has no kernels between them: what narrowing changes is a rounding too.
    admissible: (operands with noise, operands) -> operands that the op is defined for.
    first_order: how deviations of the operands carry over to the result: see dagir.ir.first_order.
    """

    exact: bool = False
    skippable: bool = False
    compound: bool = False
    adds: bool = False
    within: float = 0.0
    absolute: Callable[[Array], Array | float] | None = None
    errors: tuple[ErrorRule, ...] = ()
    terms: Callable[[Any, Sequence[Array]], float] | None = None
    admissible: Callable[[Arrays, Arrays], Arrays] | None = None
    first_order: FirstOrder | None = None

    @property
    def is_approximate(self) -> bool:
        """Whether a result that looks exact may be off on another target.

        So it is where functions are saturated: (1 + erf x) x / 2 is 0 below -6, and x erfc(-x) / 2 is not.
        """
        return self.compound or self.within > 0 or self.absolute is not None


def of_squares_less_square(sample: Disturbed, of_squares: Array, squared_mean: Array) -> Array:
    """What rounding leaves of a variance that is the mean of the squares less the square of the mean, drawn.

    So Keras has it on NumPy, JAX and PyTorch, and so had onnxruntime's LayerNormalization (1.20). The two numbers
    cancel and their roundings do not: those of the mean of the squares, and of the square of the mean, where the
    mean's count twice.
    """
    first, second = sample.rng.standard_normal((2, *of_squares.shape))
    return np.asarray(sample.eps * (0.4 * first * of_squares + 0.65 * second * squared_mean))


EXACT = Rounding(exact=True)
"""Ops that move, compare or select numbers."""

ROUNDED = Rounding()
"""Ops whose results are rounded, except where an evaluation shows that they are exact."""

SKIPPABLE = Rounding(skippable=True)
"""Casts to short floats."""

COMPOUND = Rounding(compound=True)
"""Ops of several steps, which kernels take in different orders."""

APPROXIMATED = Rounding(within=0.5)
"""Functions that kernels approximate, a few units off where they saturate (MLAS has sigmoid and tanh within 4)."""


def is_short(number: float) -> bool:
    """Whether a number has the digits and the range of float16 and of bfloat16, and so is one of every float dtype."""
    with np.errstate(over="ignore"):
        return all(float(np.asarray(number, dtype.numpy)) == number for dtype in (DType.FLOAT16, DType.BFLOAT16))
