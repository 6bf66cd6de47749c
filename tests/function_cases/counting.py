"""Counts, partitions, correlations, special functions, blocks of images, and views."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
from hypothesis import strategies as st

from dagir import testing
from dagir.testing.cases import SIZES
from function_cases.numerics import specials
from function_cases.reduce import axes_of
from function_cases.table import binary, function, unary

unary("erfinv", low=-0.999, high=0.999)
unary("i0", low=-40, high=40)
binary("gcd", "lcm", low=-40, high=40, dtypes=("int32", "int64", "int16"))


@function("nextafter", judge=np.nextafter)  # Keras's own is that of float64, which float32 rounds away
def nextafter(draw: Any) -> Any:
    x1 = specials(draw, 1.0, -2.0, np.inf)
    return (x1, draw(testing.arrays(x1.shape))), {}


def _correlated(x: Any) -> Any:
    found = np.corrcoef(x).astype("float32")  # Keras fails for a vector, and NumPy drops an axis of one row
    return found.reshape(x.shape[:-1] * 2)


@function("corrcoef", judge=_correlated)
def corrcoef(draw: Any) -> Any:
    shape = draw(st.sampled_from([(7,), (1, 5), (3, 6), (4, 9)]))
    return (draw(testing.arrays(shape)) + np.linspace(0, 3, shape[-1], dtype="float32") ** 2,), {}


@function("correlate")
def correlate(draw: Any) -> Any:
    mode = draw(st.sampled_from(["valid", "same", "full"]))
    n = draw(st.integers(1, 5))
    m = draw(st.integers(n if mode == "valid" else 1, 9))
    dtype = draw(st.sampled_from(["float32", "int32"]))
    return (draw(testing.arrays((m,), dtype)), draw(testing.arrays((n,), dtype))), {"mode": mode}


def _partitioned(x: Any, kth: int, axis: int | None) -> Any:
    """The order that is promised: Keras's own rounds to int32, and is wrong beyond a vector."""
    return np.argsort(x, axis=axis, kind="stable").astype("int32")


@function("argpartition", judge=_partitioned)
def argpartition(draw: Any) -> Any:
    x = draw(testing.arrays(testing.shapes(1, sizes=st.integers(2, 6)), draw(st.sampled_from(["float32", "int32"]))))
    return (x,), {"kth": draw(st.integers(0, 1)), "axis": axes_of(draw, x.ndim, several=False)}


@function("bincount")
def bincount(draw: Any) -> Any:
    shape = draw(testing.shapes(1, 2))
    x = draw(testing.arrays(shape, draw(st.sampled_from(["int32", "uint8", "int64"])), 0, 6))
    weights = draw(st.sampled_from([None, "float32", "int32"]))
    given = None if weights is None else draw(testing.arrays(shape, weights))
    if weights == "int32" and x.dtype == np.int64:
        given = given.astype("int64")
    return (x, given), {"minlength": draw(st.sampled_from([0, 3, 12]))}


@function("histogram")
def histogram(draw: Any) -> Any:
    bins = draw(st.integers(1, 5))
    x = draw(testing.arrays((draw(st.integers(2, 9)),), "float32", -4, 4))
    low, high = x.min(), x.max()
    apart = (np.floor((x - low) / max(high - low, 1e-3) * bins) + 0.4) / bins * (high - low) + low  # off the bounds
    x = np.where((x == low) | (x == high), x, apart.astype("float32"))
    return (x,), {"bins": bins, "range": draw(st.sampled_from([None, (-5.0625, 5.0625)])) if bins < 3 else None}


def _among(name: str, points: list[Any]) -> None:
    @function(name)
    def _(draw: Any) -> Any:
        shape = draw(testing.shapes(1, sizes=st.sampled_from([1, 3, 5])))
        x = draw(testing.arrays(shape))
        x = np.where(draw(testing.arrays(shape)) > 1, np.float32("nan"), x)
        axis = axes_of(draw, x.ndim)
        x[tuple(0 if axis is None or i in np.atleast_1d(axis) % x.ndim else slice(None) for i in range(x.ndim))] = 0.5
        options = {"method": draw(st.sampled_from(["linear", "lower", "higher", "midpoint"]))} if points else {}
        given = (x, draw(st.sampled_from(points))) if points else (x,)
        return given, {"axis": axis, "keepdims": draw(st.booleans()), **options}


_among("nanmedian", [])
_among("nanquantile", [0.5, 0.25, [0.0, 0.375, 1.0]])
_among("nanpercentile", [50, 25, [0, 37.5, 100]])


def _windows(draw: Any) -> dict[str, Any]:
    one, two = st.integers(1, 2), st.tuples(st.integers(1, 3), st.integers(1, 2))
    return {
        "kernel_size": draw(st.one_of(one, two)),
        "dilation": draw(one),
        "padding": draw(st.integers(0, 2)),
        "stride": draw(st.one_of(one, two)),
    }


@function("unfold")
def unfold(draw: Any) -> Any:
    sizes = (draw(SIZES), draw(SIZES), draw(st.integers(5, 8)), draw(st.integers(3, 6)))
    return (draw(testing.arrays(sizes)),), _windows(draw)


@function("fold")
def fold(draw: Any) -> Any:
    how = _windows(draw)
    size = (draw(st.integers(5, 8)), draw(st.integers(3, 6)))
    columns = keras.ops.unfold(np.zeros((1, draw(SIZES), *size), "float32"), **how).shape
    return (draw(testing.arrays((draw(SIZES), *columns[1:]))),), {"output_size": size, **how}


@function("rearrange")
def rearrange(draw: Any) -> Any:
    pattern, sizes = draw(
        st.sampled_from(
            [
                ("b h w c -> b c h w", {}),
                ("b h w c -> (b h) w c", {}),
                ("b h w c -> b (c h w)", {}),
                ("b (h1 h) (w1 w) c -> (b h1 w1) h w c", {"h1": 2, "w1": 3}),
                ("b (h h1) (w w1) c -> b h w (c h1 w1)", {"h1": 2, "w1": 2}),
            ]
        )
    )
    return (draw(testing.arrays((draw(SIZES), 4, 6, draw(SIZES)))), pattern), sizes


@function("view")
def view(draw: Any) -> Any:
    kinds = ["int8", "uint8", "int16", "int32", "uint32", "int64"]
    source, target = draw(st.sampled_from(kinds)), draw(st.sampled_from(kinds))
    low = 0 if source.startswith("u") else -(2 ** (8 * np.dtype(source).itemsize - 1))
    high = low + 2 ** (8 * np.dtype(source).itemsize) - 1
    shape = (*draw(testing.shapes(0, 2)), 8)
    flat = draw(st.lists(st.integers(low, high), min_size=int(np.prod(shape)), max_size=int(np.prod(shape))))
    return (np.array(flat, source).reshape(shape), target), {}
