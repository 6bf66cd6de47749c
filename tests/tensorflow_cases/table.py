"""The table: how the arguments of TensorFlow's functions and raw ops are drawn. An array among them is an input."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from hypothesis import strategies as st

Arguments = tuple[tuple[Any, ...], dict[str, Any]]
Drawing = Callable[["Draw"], Arguments]

FUNCTIONS: dict[str, Drawing] = {}
RAW_OPS: dict[str, Drawing] = {}


class Draw:
    """Draws sizes and choices by hypothesis, and numbers by a seed of it."""

    def __init__(self, draw: Any) -> None:
        self._draw = draw
        self.rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))

    def int(self, low: int, high: int) -> int:
        return int(self._draw(st.integers(low, high)))

    def one(self, *choices: Any) -> Any:
        return self._draw(st.sampled_from(choices))

    def flag(self) -> bool:
        return bool(self._draw(st.booleans()))

    def shape(self, low: int = 1, high: int = 4, most: int = 4) -> tuple[int, ...]:
        return tuple(self.int(1, most) for _ in range(self.int(low, high)))

    def floats(self, shape: Any, low: float = -3.0, high: float = 3.0, dtype: str = "float32") -> Any:
        return self.rng.uniform(low, high, tuple(shape)).astype(dtype)

    def ints(self, shape: Any, low: int = -5, high: int = 6, dtype: str = "int32") -> Any:
        return self.rng.integers(low, high, tuple(shape)).astype(dtype)

    def bools(self, shape: Any) -> Any:
        return self.rng.random(tuple(shape)) < 0.5

    def array(self, shape: Any, dtype: str, low: float = -3.0, high: float = 3.0) -> Any:
        if dtype == "bool":
            return self.bools(shape)
        if "int" in dtype:
            return self.ints(shape, max(int(low), 0) if dtype[0] == "u" else int(low), int(high) + 1, dtype)
        return self.floats(shape, low, high, dtype)

    def axis(self, rank: int) -> int:
        return self.int(-rank, rank - 1)

    def axes(self, rank: int) -> Any:
        """One axis, several, or None for all."""
        several = sorted(self._draw(st.sets(st.integers(0, rank - 1), min_size=1)))
        return self.one(None, self.axis(rank), several)

    def broadcasting(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """A shape that broadcasts with this one."""
        kept = shape[self.int(0, len(shape)) :]
        return tuple(1 if self.flag() and self.flag() else size for size in kept)


def function(*names: str) -> Callable[[Drawing], Drawing]:
    return _register(FUNCTIONS, names)


def raw(*names: str) -> Callable[[Drawing], Drawing]:
    return _register(RAW_OPS, names)


def _register(table: dict[str, Drawing], names: tuple[str, ...]) -> Callable[[Drawing], Drawing]:
    def register(drawing: Drawing) -> Drawing:
        for name in names:
            assert name not in table, name
            table[name] = drawing
        return drawing

    return register


def unary(
    *names: str, low: float = -3.0, high: float = 3.0, dtypes: tuple[str, ...] = ("float32", "float32", "float64")
) -> None:
    @function(*names)
    def _(draw: Draw) -> Arguments:
        return (draw.array(draw.shape(), draw.one(*dtypes), low, high),), {}


def binary(
    *names: str, low: float = -3.0, high: float = 3.0, dtypes: tuple[str, ...] = ("float32",), numbers: bool = True
) -> None:
    @function(*names)
    def _(draw: Draw) -> Arguments:
        shape, dtype = draw.shape(), draw.one(*dtypes)
        first = draw.array(shape, dtype, low, high)
        if numbers and draw.flag():
            number = draw.int(max(1, int(low)), int(high)) if "int" in dtype else draw.one(0.5, 1, 2.0)
            return (first, number), {}
        other = draw.array(draw.broadcasting(shape), dtype, low, high)
        return (first, other), {}
