"""Functions that move elements, and those that make values."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import testing
from function_cases.table import function

_DTYPES = st.sampled_from(["float32", "int32"])


def array(draw: Any, low: int = 0, high: int = 4, sizes: Any = None) -> Any:
    """An array of some rank, of floats or integers."""
    shape = draw(testing.shapes(low, high, *([] if sizes is None else [sizes])))
    return draw(testing.arrays(shape, draw(_DTYPES)))


def axis_of(draw: Any, x: Any, more: int = 0) -> int:
    return draw(st.integers(-x.ndim - more, x.ndim - 1 + more))


@function("shape")
def shape(draw: Any) -> Any:
    return (array(draw),), {}


@function("size", "ndim", "ravel", judge=None)
def flat(draw: Any) -> Any:
    return (array(draw),), {}


@function("copy", "convert_to_tensor", "array", "flip")
def whole(draw: Any) -> Any:
    return (array(draw, 1),), {}


@function("reshape")
def reshape(draw: Any) -> Any:
    x = array(draw)
    return (x, draw(st.sampled_from([(-1,), x.shape[::-1], (1, -1), (*x.shape, 1)]))), {}


@function("transpose")
def transpose(draw: Any) -> Any:
    x = array(draw)
    return (x,), {"axes": draw(st.none() | st.permutations(range(x.ndim)))}


@function("expand_dims")
def expand_dims(draw: Any) -> Any:
    x = array(draw)
    return (x, draw(st.integers(-x.ndim - 1, x.ndim))), {}


@function("squeeze")
def squeeze(draw: Any) -> Any:
    x = array(draw)[..., None]
    return (x,), {"axis": draw(st.sampled_from([None, -1]))}


@function("broadcast_to")
def broadcast_to(draw: Any) -> Any:
    x = array(draw, 1, 3)
    return (x[..., :1], (2, *x.shape)), {}


@function("concatenate", "stack")
def joined(draw: Any) -> Any:
    x = array(draw, 1)
    return ([x, x[::-1].copy(), x + x],), {"axis": axis_of(draw, x)}


@function("append")
def append(draw: Any) -> Any:
    x = array(draw, 1)
    return (x, x + x), {"axis": draw(st.none() | st.integers(-x.ndim, x.ndim - 1))}


@function("vstack", judge=np.vstack)  # Keras leaves vectors of size 1 as they are
@function("hstack", "dstack")
def stacked(draw: Any) -> Any:
    x = array(draw, 1, 3)
    return ([x, x + x],), {}


@function("pad", judge=np.pad)  # Keras fails where one number is given for all axes
def pad(draw: Any) -> Any:
    x = array(draw, 1, 3, st.sampled_from([2, 3, 5]))
    width = draw(st.sampled_from([1, ((1, 0),), tuple((1, i % 2) for i in range(x.ndim))]))
    options = [{}, {"mode": "constant", "constant_values": 2}, {"mode": "reflect"}, {"mode": "symmetric"}]
    return (x, width), draw(st.sampled_from(options))


@function("tile")
def tile(draw: Any) -> Any:
    x = array(draw, 1, 3)
    return (x, draw(st.sampled_from([2, (2,) * x.ndim, (2, *(1,) * x.ndim)]))), {}


@function("repeat")
def repeat(draw: Any) -> Any:
    x = array(draw, 1)
    axis = draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    several = [draw(st.integers(0, 2)) for _ in range(x.size if axis is None else x.shape[axis])]
    return (x, draw(st.sampled_from([2, several if sum(several) else 1]))), {"axis": axis}


@function("roll")
def roll(draw: Any) -> Any:
    x = array(draw, 1)
    return (x, draw(st.integers(-9, 9))), {"axis": draw(st.none() | st.integers(-x.ndim, x.ndim - 1))}


@function("rot90", judge=np.rot90)  # Keras turns the wrong way round by two
def rot90(draw: Any) -> Any:
    x = array(draw, 2)
    return (x,), {"k": draw(st.integers(-2, 5)), "axes": draw(st.sampled_from([(0, 1), (1, 0), (-1, 0)]))}


@function("fliplr", "flipud")
def turned(draw: Any) -> Any:
    return (array(draw, 2),), {}


@function("swapaxes")
def swapaxes(draw: Any) -> Any:
    x = array(draw, 1)
    return (x, axis_of(draw, x), axis_of(draw, x)), {}


@function("moveaxis")
def moveaxis(draw: Any) -> Any:
    x = array(draw, 2)
    return draw(st.sampled_from([(x, 0, -1), (x, -1, 0), (x, (0, 1), (1, 0)), (x, [-1], [0])])), {}


@function("split")
def split(draw: Any) -> Any:
    x = array(draw, 1, 3, st.just(6))
    return (x, draw(st.sampled_from([1, 2, 3, [2], [1, 4]]))), {"axis": axis_of(draw, x)}


@function("array_split", judge=np.array_split)
def array_split(draw: Any) -> Any:
    x = array(draw, 1, 3, st.sampled_from([5, 7]))
    return (x, draw(st.sampled_from([1, 2, 3, [2, 4]]))), {"axis": axis_of(draw, x)}


@function("hsplit", "vsplit", "dsplit")
def split_on_an_axis(draw: Any) -> Any:
    return (array(draw, 3, 4, st.just(4)), draw(st.sampled_from([2, [1, 3]]))), {}


@function("unstack")
def unstack(draw: Any) -> Any:
    x = array(draw, 1, 3)
    return (x,), {"axis": axis_of(draw, x)}


@function("unravel_index", judge=lambda places, shape: [n.astype("int32") for n in np.unravel_index(places, shape)])
def unravel_index(draw: Any) -> Any:
    return (draw(testing.arrays(testing.shapes(1), "int32", 0, 29)), (2, 3, 5)), {}


@function("meshgrid")
def meshgrid(draw: Any) -> Any:
    parts = [draw(testing.arrays(testing.shapes(1, 1))) for _ in range(draw(st.integers(1, 3)))]
    return tuple(parts), {"indexing": draw(st.sampled_from(["xy", "ij"]))}


@function("depth_to_space")
def depth_to_space(draw: Any) -> Any:
    first = draw(st.booleans())
    shape = (2, 8, 3, 5) if first else (2, 3, 5, 8)
    return (draw(testing.arrays(shape)), 2), {"data_format": "channels_first" if first else "channels_last"}


@function("space_to_depth")
def space_to_depth(draw: Any) -> Any:
    first = draw(st.booleans())
    shape = (2, 3, 4, 6) if first else (2, 4, 6, 3)
    return (draw(testing.arrays(shape)), 2), {"data_format": "channels_first" if first else "channels_last"}


@function("take")
def take(draw: Any) -> Any:
    x = array(draw, 1)
    axis = draw(st.none() | st.integers(-x.ndim, x.ndim - 1))
    size = x.size if axis is None else x.shape[axis]
    return (x, draw(testing.arrays(testing.shapes(0, 2), "int32", -size, size - 1))), {"axis": axis}


@function("arange")
def arange(draw: Any) -> Any:
    return draw(st.sampled_from([(5,), (2, 7), (1, 9, 3), (5, 0, -2), (0.0, 1.0, 0.25)])), {}


@function("linspace", "logspace", "geomspace")
def spaced(draw: Any) -> Any:
    return (1.0, draw(st.sampled_from([3.0, 0.5]))), {"num": draw(st.integers(2, 5)), "endpoint": draw(st.booleans())}


@function("eye", judge=lambda n, m, k: np.eye(n, m, k, "float32"))  # Keras fails where no diagonal is left
@function("tri")
def square(draw: Any) -> Any:
    return (draw(st.integers(1, 5)), draw(st.integers(1, 5))), {"k": draw(st.integers(-2, 2))}


@function("bartlett", "blackman", "hamming", "hanning")
def window(draw: Any) -> Any:
    return (draw(st.integers(2, 9)),), {}


@function("kaiser")
def kaiser(draw: Any) -> Any:
    return (draw(st.integers(2, 9)), 3.0), {}


@function("zeros", "ones", "empty", judge=None)
def filled(draw: Any) -> Any:
    return (draw(testing.shapes()),), {"dtype": draw(st.sampled_from([None, "int32", "bool"]))}


@function("zeros_like", "ones_like", "empty_like")
def filled_like(draw: Any) -> Any:
    return (array(draw),), {"dtype": draw(st.sampled_from([None, "int32", "bool"]))}


@function("full")
def full(draw: Any) -> Any:
    return (draw(testing.shapes()), 2.5), {"dtype": draw(st.sampled_from([None, "float16"]))}


@function("full_like")
def full_like(draw: Any) -> Any:
    return (array(draw), 2), {}
