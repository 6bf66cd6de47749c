"""The table: for each function how its arguments are drawn, and who judges it where keras.ops has no such name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis import strategies as st

from dagir import testing


@dataclass(frozen=True)
class Function:
    """arguments: draw -> (args, kwargs); an array among them is an input of the graph. judge: None is keras.ops'.

    within: how many times the usual tolerance Keras's own float32 answer may be off the float64 oracle.
    """

    arguments: Callable[[Any], tuple[tuple[Any, ...], dict[str, Any]]]
    judge: Callable[..., Any] | None = None
    within: float = 1.0


_SCALARS = {"float32": 1.5, "int32": 2, "bool": True}

FUNCTIONS: dict[str, Function] = {}


def function(*names: str, judge: Callable[..., Any] | None = None, within: float = 1.0) -> Callable[[Any], Any]:
    """Register how the arguments of one or more functions are drawn."""

    def register(arguments: Any) -> Any:
        for name in names:
            assert name not in FUNCTIONS, name
            FUNCTIONS[name] = Function(arguments, judge, within)
        return arguments

    return register


def unary(*names: str, low: float = -3.0, high: float = 3.0, dtypes: tuple[str, ...] = ("float32",)) -> None:
    """Functions of one array."""

    @function(*names)
    def _(draw: Any) -> Any:
        return (draw(testing.arrays(testing.shapes(), draw(st.sampled_from(dtypes)), low, high)),), {}


def binary(
    *names: str,
    low: float = -3.0,
    high: float = 3.0,
    second: tuple[float, float] | None = None,
    dtypes: tuple[str, ...] = ("float32",),
) -> None:
    """Functions of two arrays that broadcast, or of an array and a number."""

    @function(*names)
    def _(draw: Any) -> Any:
        dtype = draw(st.sampled_from(dtypes))
        first_shape, second_shape = draw(testing.elementwise.broadcastable(2))
        bounds = second or (low, high)
        x1 = draw(testing.arrays(first_shape, dtype, low, high))
        x2 = draw(testing.arrays(second_shape, dtype, *bounds))
        if dtype in _SCALARS and draw(st.integers(0, 3)) == 0:
            return (x1, _SCALARS[dtype]), {}
        return (x1, x2), {}
