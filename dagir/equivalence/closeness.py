"""How close the outputs of a narrow model are to those of the model: relative error, cosine and top-1.

Rounding of the model's own dtypes does not explain what narrowing changes, so that the error budget says nothing here.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, sqrt
from typing import Any

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Graph
from dagir.ir.types import Array, DType
from dagir.ops.call import graphs_of

_HALVES = (DType.FLOAT16, DType.BFLOAT16)
_OF_CODES = (
    *(ops.QuantizeLinear, ops.DequantizeLinear, ops.DynamicQuantizeLinear),
    *(ops.MatMulInteger, ops.ConvInteger, ops.DynamicQuantizeLSTM),
)


@dataclass(frozen=True)
class Closeness:
    """One output. relative: the norm of the difference over that of the answer. cosine: of the angle between both.

    worst: the largest difference of an element. top_1: how often the largest element of the last axis is the same one;
    None where that has no meaning. misplaced: how many elements are NaN or infinite in one of both only.
    """

    output: str
    relative: float
    worst: float
    cosine: float
    top_1: float | None
    misplaced: int

    def to_dict(self) -> dict[str, Any]:
        """Plain data; a number that is not finite is None, as JSON has none."""
        numbers = {"relative_error": self.relative, "max_error": self.worst, "cosine": self.cosine}
        return {
            "output": self.output,
            **{name: number if isfinite(number) else None for name, number in numbers.items()},
            "top_1": self.top_1,
            "misplaced": self.misplaced,
        }

    def __str__(self) -> str:
        parts = [f"relative error {self.relative:.2g}", f"cosine {self.cosine:.6f}"]
        parts += [f"top-1 {100 * self.top_1:.4g} %"] if self.top_1 is not None else []
        parts += [f"{self.misplaced} elements NaN or infinite in one only"] if self.misplaced else []
        return f"{self.output}: {', '.join(parts)}"


_LARGEST = sys.float_info.max
_RANGES = {"rtol": (0.0, _LARGEST), "atol": (0.0, _LARGEST), "cosine": (-1.0, 1.0), "top_1": (0.0, 1.0)}
SCALED = "scaled channels"
"""The measure of an output behind a channel that is scaled, which the output as a whole may not show."""


@dataclass(frozen=True)
class Criterion:
    """One measure of an output, as text. allowed: None where nothing is asked of it, and then ok is None too."""

    measure: str
    found: str
    allowed: str | None
    ok: bool | None

    def __str__(self) -> str:
        return f"{self.measure} {self.found}, allowed: {(self.allowed or '-').removeprefix('or ')}"


@dataclass(frozen=True)
class Thresholds:
    """What a narrow model must keep to. rtol: the largest relative error of an output as a whole; atol: a difference
    of elements that is always allowed. cosine, top_1: the least. What is None is not asked for.

    >>> x = dagir.Input((3,), name="x")
    >>> model = dagir.Model(x, ops.tanh(x))
    >>> dagir.verify(model, "numpy", thresholds=dagir.Thresholds(rtol=1e-3)).rows[0].verdict
    'close'
    """

    rtol: float | None = None
    atol: float | None = None
    cosine: float | None = None
    top_1: float | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _RANGES.items():
            given: object = getattr(self, name)
            if given is None:
                continue
            if isinstance(given, bool) or not isinstance(given, (int, float, np.number)) or not low <= given <= high:
                raise ArgumentError(
                    f"the threshold {name} is a number from {low:g} to {high:g}, got {given!r}",
                    remedy="a share, as 0.99 for 99 %" if name == "top_1" else None,
                )

    @property
    def any(self) -> bool:
        """Whether something is asked for."""
        return any(each is not None for each in (self.rtol, self.atol, self.cosine, self.top_1))

    def share(self, found: Closeness) -> float:
        """How much of what is allowed an output uses; above 1 where it fails."""
        if self.failures(found):
            return float("inf")
        shares = [0.0]
        if self.rtol:
            shares.append(found.relative / self.rtol)
        if self.cosine is not None and self.cosine < 1:
            shares.append((1 - found.cosine) / (1 - self.cosine))
        if self.top_1 is not None and self.top_1 < 1 and found.top_1 is not None:
            shares.append((1 - found.top_1) / (1 - self.top_1))
        return min(max(shares), 1.0)  # an output may pass by atol alone

    def failures(self, found: Closeness) -> list[str]:
        """What an output does not keep to, in words."""
        return [str(each) for each in self.criteria(found) if each.ok is False]

    def criteria(self, found: Closeness) -> list[Criterion]:
        """Each measure of an output beside what was asked of it: what is judged first, then what is only told."""
        near = self._is_near(found)
        bounds = _bound("<=", self.rtol), _bound("<=" if self.rtol is None else "or <=", self.atol)
        every = [
            Criterion("relative error", f"{found.relative:.3g}", bounds[0], None if self.rtol is None else near),
            Criterion("max error", f"{found.worst:.3g}", bounds[1], None if self.atol is None else near),
            Criterion(
                "cosine", _near_one(found.cosine), _bound(">=", self.cosine), _reaches(found.cosine, self.cosine)
            ),
        ]
        if found.top_1 is not None:
            least = None if self.top_1 is None else f">= {100 * self.top_1:g} %"
            every.append(Criterion("top-1", f"{100 * found.top_1:.4g} %", least, _reaches(found.top_1, self.top_1)))
        if found.misplaced:
            every.append(Criterion("NaN or infinite", f"{found.misplaced} in one only", "none", False))
        return sorted(every, key=lambda each: each.ok is None)

    def _is_near(self, found: Closeness) -> bool:
        """By the relative error of the whole, or by that of the worst element."""
        of_each = self.atol is not None and found.worst <= self.atol
        return of_each or (self.rtol is not None and found.relative <= self.rtol)

    def to_dict(self) -> dict[str, float | None]:
        """Plain data; what is not asked for is None."""
        return {"rtol": self.rtol, "atol": self.atol, "cosine": self.cosine, "top_1": self.top_1}


def _bound(words: str, limit: float | None) -> str | None:
    return None if limit is None else f"{words} {limit:g}"


def _near_one(cosine: float) -> str:
    """With the digits that tell it from 1."""
    gap = 1 - cosine
    return f"1 - {gap:.2g}" if 0 < gap < 1e-5 else f"{cosine:.6f}"


def _reaches(found: float, least: float | None) -> bool | None:
    return None if least is None else found >= least


LOW_PRECISION = {
    "float16": Thresholds(rtol=1e-2, cosine=0.9999),
    "bfloat16": Thresholds(rtol=3e-2, cosine=0.999),
    "codes": Thresholds(cosine=0.99),
}
"""What is asked of a file of a lower precision than the model's where nothing else is.

float16 rounds by 2**-11 at most, so that a network of a hundred layers, whose roundings add up as the root of their
number, moves its outputs by half a percent; twice that is allowed, and a cosine that no smaller error gives. bfloat16
has three bits less, and files in it keep the worst nodes wide: three times as much. What codes cost depends on their
ranges more than on rounding.
"""


def of_low_precision(graph: Graph) -> bool:
    """Whether a graph computes in halves or in codes somewhere, bodies and nested models included."""
    return any(
        isinstance(node.op, _OF_CODES) or any(value.dtype in _HALVES for value in node.outputs)
        for inner in graphs_of(graph)
        for node in inner.nodes
    )


def closeness(name: str, found: Sequence[Array], wanted: Sequence[Array]) -> Closeness:
    """Of one output, over all runs: pairs of arrays of the same shapes. Integers count as equal or not."""
    pairs = [(f.astype(np.float64), w.astype(np.float64)) for f, w in zip(found, wanted, strict=True)]
    top_1 = _top_1(pairs)
    narrow, right = (np.concatenate([pair[side].reshape(-1) for pair in pairs]) for side in (0, 1))
    finite = np.isfinite(narrow) & np.isfinite(right)
    same = (narrow == right) | (np.isnan(narrow) & np.isnan(right))
    misplaced = int((~finite & ~same).sum())
    narrow, right = narrow[finite], right[finite]
    norm, size = sqrt(float(right @ right)), sqrt(float(narrow @ narrow))
    error = narrow - right
    moved = sqrt(float(error @ error))
    relative = moved / norm if norm else (0.0 if moved == 0 else float("inf"))
    cosine = float(narrow @ right) / (norm * size) if norm and size else float(norm == size)
    return Closeness(name, relative, float(np.abs(error).max(initial=0)), cosine, top_1, misplaced)


def _top_1(pairs: Sequence[tuple[Array, Array]]) -> float | None:
    """For outputs with a batch and at least two classes on the last axis."""
    if any(right.ndim < 2 or right.shape[-1] < 2 for _, right in pairs):
        return None
    same = [(narrow.argmax(-1) == right.argmax(-1)).reshape(-1) for narrow, right in pairs]
    together = np.concatenate(same) if same else np.zeros(0)
    return float(together.mean()) if together.size else None
