"""Reductions, sorting, and running sums."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.numerics import specials
from function_cases.table import function


def axes_of(draw: Any, rank: int, several: bool = True) -> Any:
    """One axis from either end, several, or None for all."""
    choices = [st.none()]
    if rank:
        choices.append(st.integers(-rank, rank - 1))
    if rank > 1 and several:
        choices.append(st.sampled_from([(0, 1), (1, 0), (0, -1) if rank > 1 else (0,)]))
    return draw(st.one_of(choices))


def reduction(*names: str, dtypes: tuple[str, ...] = ("float32",), several: bool = True, low: float = -3) -> None:
    @function(*names)
    def _(draw: Any) -> Any:
        shape = draw(testing.shapes(1))
        x = draw(testing.arrays(shape, draw(st.sampled_from(dtypes)), low))
        return (x,), {"axis": axes_of(draw, len(shape), several), "keepdims": draw(st.booleans())}


reduction("sum", "prod", dtypes=("float32", "int32", "int8", "uint8", "bool"), low=0)
reduction("max", "min", "amax", "amin", "ptp", dtypes=("float32", "int32"))
reduction("mean", "var", "std", dtypes=("float32", "int32"))
reduction("any", "all", dtypes=("bool", "float32"))
reduction("logsumexp", "median")
reduction("argmax", "argmin", dtypes=("float32", "int32"), several=False)


@function("nanargmax", "nanargmin")
def places_without_nan(draw: Any) -> Any:
    x = specials(draw, np.nan)
    return (x,), {"axis": axes_of(draw, x.ndim, several=False), "keepdims": draw(st.booleans())}


@function("nansum", "nanprod", "nanmax", "nanmin", "nanmean", "nanvar", "nanstd")
def without_nan(draw: Any) -> Any:
    x = specials(draw, np.nan)
    return (x,), {"axis": axes_of(draw, x.ndim), "keepdims": draw(st.booleans())}


@function("nancumsum", "nancumprod")
def running_without_nan(draw: Any) -> Any:
    x = specials(draw, np.nan)
    return (x,), {"axis": axes_of(draw, x.ndim, several=False)}


@function("count_nonzero")
def count_nonzero(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1), draw(st.sampled_from(["float32", "int32", "bool"])), -1, 1))
    return (x,), {"axis": axes_of(draw, x.ndim)}


@function("average")
def average(draw: Any) -> Any:
    shape = draw(testing.shapes(1))
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    weights = draw(st.sampled_from([None, shape, (shape[axis],)]))
    given = None if weights is None else draw(testing.arrays(weights, low=0.1))
    return (draw(testing.arrays(shape)),), {"axis": axis, "weights": given}


@function("moments")
def moments(draw: Any) -> Any:
    shape = draw(testing.shapes(1))
    axis = draw(st.integers(0, len(shape) - 1))
    return (draw(testing.arrays(shape)), [axis]), {"keepdims": draw(st.booleans())}


def _quantile(name: str, points: list[Any]) -> None:
    @function(name)
    def _(draw: Any) -> Any:
        shape = draw(testing.shapes(1, sizes=st.sampled_from([1, 3, 5])))  # sizes at which no point is beside a whole
        x = draw(testing.arrays(shape))
        method = draw(st.sampled_from(["linear", "lower", "higher", "midpoint"]))
        axis = axes_of(draw, len(shape), several=False)
        return (x, draw(st.sampled_from(points))), {"axis": axis, "method": method, "keepdims": draw(st.booleans())}


_quantile("quantile", [0.5, 0.25, [0.0, 0.375, 1.0]])
_quantile("percentile", [50, 25, [0, 37.5, 100]])


@function("norm")
def norm(draw: Any) -> Any:
    shape = draw(testing.shapes(2, 4))
    x = draw(testing.arrays(shape))
    axis, order = draw(
        st.sampled_from([(None, None), (0, None), (-1, 1), (1, 2), (0, np.inf), (-1, -np.inf), (0, 0), (1, 3)])
        | st.sampled_from([((0, 1), "fro"), ((-1, 0), 1), ((0, 1), -1), ((0, -1), np.inf), ((1, 0), -np.inf)])
    )
    return (x,), {"ord": order, "axis": axis, "keepdims": draw(st.booleans())}


@function("normalize")
def normalize(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1)))
    return (x,), {"axis": draw(st.integers(-x.ndim, x.ndim - 1)), "order": draw(st.sampled_from([1, 2, 3]))}


@function("cumsum", "cumprod")
def running(draw: Any) -> Any:
    dtype = draw(st.sampled_from(["float32", "int32", "bool"]))
    x = draw(testing.arrays(testing.shapes(1), dtype, -1))
    return (x,), {"axis": axes_of(draw, x.ndim, several=False), "dtype": draw(st.sampled_from([None, "float32"]))}


@function("diff")
def diff(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1, 3, st.sampled_from([3, 5])), draw(st.sampled_from(["float32", "int32"]))))
    return (x,), {"n": draw(st.integers(0, 2)), "axis": draw(st.integers(-x.ndim, x.ndim - 1))}


@function("trapezoid", judge=lambda y, **options: np.trapezoid(y, **options).astype("float32"))
def trapezoid(draw: Any) -> Any:
    y = draw(testing.arrays(testing.shapes(1, 3, st.sampled_from([2, 3, 5]))))
    axis = draw(st.integers(-y.ndim, y.ndim - 1))
    points = np.cumsum(draw(testing.arrays((y.shape[axis],), low=0.1)))
    return (y,), {"axis": axis, **draw(st.sampled_from([{}, {"dx": 0.25}, {"x": points}]))}


@function("sort", "argsort")
def sort(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1), draw(st.sampled_from(["float32", "int32"]))))
    return (x,), {"axis": draw(st.integers(-x.ndim, x.ndim - 1))}


@function("top_k")
def top_k(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1), draw(st.sampled_from(["float32", "int32"]))))
    return (x, draw(st.integers(1, x.shape[-1]))), {}


def _searchsorted(sequence: Any, values: Any, side: str) -> Any:
    return np.searchsorted(sequence, values, side).astype("int32")  # Keras takes values of rank 1 alone


@function("searchsorted", judge=_searchsorted)
def searchsorted(draw: Any) -> Any:
    sequence = np.sort(draw(testing.arrays(testing.shapes(1, 1))))
    return (sequence, draw(testing.arrays(testing.shapes(0, 2)))), {"side": draw(st.sampled_from(["left", "right"]))}


@function("digitize")
def digitize(draw: Any) -> Any:
    return (draw(testing.arrays(testing.shapes())), draw(st.sampled_from([[0.5], [-2.0, 0.0, 1.5]]))), {}


@function("isin")
def isin(draw: Any) -> Any:
    dtype = draw(st.sampled_from(["int32", "float32"]))
    first, second = draw(testing.arrays(testing.shapes(), dtype)), draw(testing.arrays(testing.shapes(1, 2), dtype))
    return (first, second), {"invert": draw(st.booleans())}
