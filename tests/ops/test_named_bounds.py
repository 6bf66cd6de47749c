"""Named sizes as bounds of slices, counts of tiles, ends of ranges and widths of pads: as Python's numbers there."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import dagir
from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.dims import max_dim, min_dim

TABLE = np.arange(20, dtype="float32").reshape(10, 2)

SLICED = {  # f(x, its size, the ops): the same for an array with its number, and for a value with its named size
    "to the end": lambda x, n: x[:, :n],
    "all but one": lambda x, n: x[:, : n - 1],
    "all but three": lambda x, n: x[:, : n - 3],
    "past the end": lambda x, n: x[:, : n + 2],
    "half": lambda x, n: x[:, : n // 2],
    "second half": lambda x, n: x[:, n // 2 :],
    "between": lambda x, n: x[:, n // 3 : n - 1],
    "from the end": lambda x, n: x[:, -(n // 2) - 1 :],
    "nothing": lambda x, n: x[:, n:],
    "steps": lambda x, n: x[:, 1 : n // 2 + 1 : 2],
    "the last": lambda x, n: x[:, n - 1],
    "the middle": lambda x, n: x[:, n // 2],
}


def runs(build, expected, sizes=(1, 2, 5, 8)):
    x = dagir.Input(("time", 3, 2), name="x")
    model = dagir.Model(x, build(x, ops.shape(x)[1]))
    backends = {name: dagir.lower(model, name) for name in ("numpy", "onnx", "keras")}
    for size in sizes:
        array = np.random.default_rng(size).normal(size=(2, size, 3, 2)).astype("float32")
        wanted = expected(array, size)
        for name, executable in backends.items():
            np.testing.assert_allclose(executable(array), wanted, atol=1e-6, err_msg=f"{name} at {size}")


@pytest.mark.parametrize("name", SLICED)
def test_a_slice_with_named_bounds(name):
    runs(SLICED[name], SLICED[name])


def test_a_slice_of_another_axis_beside_new_ones():
    runs(
        lambda x, n: ops.swapaxes(x, 1, 2)[:, 1, None, : n // 2, 0],
        lambda x, n: np.swapaxes(x, 1, 2)[:, 1, None, : n // 2, 0],
    )


def test_a_slice_of_a_table_of_fixed_size_ends_where_the_table_does():
    runs(lambda x, n: ops.sum(ops.array(TABLE)[:n]) + ops.sum(x), lambda x, n: TABLE[:n].sum() + x.sum(), (3, 10, 14))


VALUES = {
    "size": (lambda x, n: ops.convert_to_tensor(n), lambda x, n: n),
    "formula": (
        lambda x, n: ops.convert_to_tensor(max_dim(min_dim(n, 4) * n * 2 - 7, n // 3)),
        lambda x, n: max(min(n, 4) * n * 2 - 7, n // 3),
    ),
    "tile": (lambda x, n: ops.tile(x, (1, n, 1, 2)), lambda x, n: np.tile(x, (1, n, 1, 2))),
    "tile of ones": (lambda x, n: ops.tile(x[:1, :1], (n, 1, 1, 1)), lambda x, n: np.tile(x[:1, :1], (n, 1, 1, 1))),
    "repeat": (lambda x, n: ops.repeat(x, n, axis=2), lambda x, n: np.repeat(x, n, axis=2)),
    "range": (lambda x, n: ops.arange(n, 3 * n, 2), lambda x, n: np.arange(n, 3 * n, 2)),
    "range back": (lambda x, n: ops.arange(n, -1, -1), lambda x, n: np.arange(n, -1, -1)),
    "range by three": (lambda x, n: ops.arange(1, n, 3, "float32"), lambda x, n: np.arange(1, n, 3)),
    "eye": (lambda x, n: ops.eye(n, n + 1, 1), lambda x, n: np.eye(n, n + 1, 1)),
    "tri": (lambda x, n: ops.tri(n, k=-1), lambda x, n: np.tri(n, k=-1)),
    "one_hot": (
        lambda x, n: ops.one_hot(ops.array([0, 4]), n),
        lambda x, n: (np.array([[0], [4]]) == np.arange(n)) * 1,
    ),
    "pad": (
        lambda x, n: ops.pad(x, ((0, 0), (1, -n % 4), (0, 0), (n, 0)), constant_values=2.0),
        lambda x, n: np.pad(x, ((0, 0), (1, -n % 4), (0, 0), (n, 0)), constant_values=2.0),
    ),
}


@pytest.mark.parametrize("name", VALUES)
def test_a_named_size_in_place_of_a_number(name):
    build, expected = VALUES[name]
    runs(lambda x, n: ops.multiply(ops.cast(build(x, n), "float32"), 1.0) + 0 * ops.sum(x), expected)


def test_what_a_named_size_cannot_do_is_told():
    x = dagir.Input(("time", 3))
    with pytest.raises(ArgumentError, match="step -1 cannot begin or end at a named size"):
        x[:, : ops.shape(x)[1] // 2 : -1]
    with pytest.raises(ArgumentError, match="a range to a named size has ints beside it"):
        ops.arange(0.5, ops.shape(x)[1])
