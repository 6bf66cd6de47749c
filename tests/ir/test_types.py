"""Types: dtypes by name, broadcasting as NumPy has it, axes, and shapes as users write them."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir import dims
from dagir.ir.types import (
    DType,
    Equation,
    Equations,
    Inferred,
    TensorType,
    normalize_axes,
    normalize_axis,
    shape_from_user,
    type_of,
)

SHAPES = st.lists(st.sampled_from([0, 1, 2, 3]), max_size=4).map(tuple)


@given(st.lists(SHAPES, min_size=1, max_size=3))
def test_broadcasting_is_that_of_numpy(shapes):
    try:
        wanted = np.broadcast_shapes(*shapes)
    except ValueError:
        with pytest.raises(ShapeError) as caught:
            Equations().broadcast(*shapes)
        for operand, axes in caught.value.marks.items():
            assert all(0 <= axis < len(shapes[operand]) for axis in axes)
        assert len(caught.value.marks) == 2
    else:
        assert Equations().broadcast(*shapes) == wanted


@given(st.lists(SHAPES, min_size=1, max_size=3), st.data())
def test_broadcasting_of_named_sizes_agrees_once_they_are_numbers(shapes, data):
    """Sizes are hidden behind names; what was recorded to be checked at run time must tell the failures."""
    names: dict[str, int] = {}

    def hide(size):
        if size == 1 and data.draw(st.booleans()):  # as that of x[:1]
            names["n3"] = 3
            return dims.min_dim(1, dims.symbol("n3"))
        if size < 2 or not data.draw(st.booleans()):
            return size
        names[name := data.draw(st.sampled_from([f"n{size}", f"m{size}"]))] = size
        return dims.symbol(name)

    hidden = [tuple(hide(size) for size in shape) for shape in shapes]
    equations = Equations()
    try:
        found = equations.broadcast(*hidden)
    except ShapeError:
        with pytest.raises(ValueError):
            np.broadcast_shapes(*shapes)
        return
    holds = all(dims.evaluate(e.left, names) == dims.evaluate(e.right, names) for e in equations.found)
    try:
        wanted = np.broadcast_shapes(*shapes)
    except ValueError:
        assert not holds
    else:
        assert holds and tuple(dims.evaluate(size, names) for size in found) == wanted


def test_one_row_of_an_array_broadcasts_with_its_rows():
    """Without a condition: where the array is empty, both are."""
    rows, equations = dims.symbol("rows"), Equations()
    assert equations.broadcast((rows, 3), (dims.min_dim(1, rows), 3)) == (rows, 3)
    assert not equations.found
    assert equations.broadcast((dims.min_dim(1, rows),), (5,)) == (5,)
    assert [str(each) for each in equations.found] == ["min(1, rows) == 1"]


def test_equate_decides_or_records():
    time, batch = dims.symbol("time"), dims.symbol("batch")
    equations = Equations()
    equate = equations.equate
    assert equate(3, 3) == 3 and equate(time, time) is time and equate(3, 4) is None
    assert equate(time, time + 1) is None
    assert equations.inferred().equations == ()
    assert equate(time, 4) == 4 and equate(4, time) == 4 and equate(time, batch) is batch
    assert equations.inferred().equations == (Equation(time, 4), Equation(4, time), Equation(time, batch))
    assert equations.taken() == (Equation(time, 4), Equation(4, time), Equation(time, batch))
    assert equations.taken() == () and str(Equation(time, 4)) == "time == 4"


def test_what_a_shape_rule_finds_reads_as_types():
    kind = TensorType(DType.FLOAT32, (dims.symbol("time"),))
    equations = Equations()
    equations.equate(kind.shape[0], 4)
    inferred = equations.inferred(kind, kind)
    assert list(inferred) == [kind, kind] and inferred[1] is kind and len(inferred) == 2
    assert Inferred.of(inferred) is inferred and Inferred.of((kind,)) == Inferred((kind,), ())


@given(st.integers(-6, 6), st.integers(0, 4))
def test_axes_are_counted_as_numpy_counts_them(axis, rank):
    if -rank <= axis < rank:
        assert normalize_axis(axis, rank) == range(rank)[axis]
    else:
        with pytest.raises(ArgumentError) as caught:
            normalize_axis(axis, rank)
        assert f"from {-rank} to {rank - 1}" in str(caught.value) if rank else "a scalar" in str(caught.value)


def test_lists_of_axes():
    assert normalize_axes(None, 3) == (0, 1, 2)
    assert normalize_axes([-1, 0], 3) == (0, 2)
    with pytest.raises(ArgumentError, match="twice"):
        normalize_axes([1, -2], 3)
    for odd in (True, 1.0, "x", None):
        with pytest.raises(ArgumentError, match="must be an int"):
            normalize_axis(odd, 3)


@pytest.mark.parametrize("dtype", list(DType))
def test_dtypes_by_name_and_from_numpy(dtype):
    if dtype.is_code and not hasattr(ml_dtypes, dtype.value):
        with pytest.raises(DTypeError, match=f"has no {dtype.value}"):
            _ = dtype.numpy
        return
    assert DType.of(str(dtype)) is DType.of(dtype.numpy) is DType.of(dtype) is dtype
    assert type_of(np.zeros((2, 3), dtype.numpy)) == TensorType(dtype, (2, 3))
    computes = not dtype.is_code
    kinds = (dtype.numpy.kind in "fV" and computes, dtype.numpy.kind in "iu" and computes)
    assert (dtype.is_float, dtype.is_integer) == kinds
    if dtype.is_float:
        assert dtype.eps == float(ml_dtypes.finfo(dtype.numpy).eps)


@pytest.mark.parametrize("odd", ["float33", object, "object", np.dtype("U3"), None, 3, complex])
def test_what_is_no_dtype(odd):
    if odd is None:
        return  # NumPy reads None as float64
    with pytest.raises(ArgumentError) as caught:
        DType.of(odd)
    assert "use one of float16, bfloat16, float32" in str(caught.value)


def test_shapes_as_users_write_them():
    time = dims.symbol("time")
    assert shape_from_user((3, "time", np.int64(4), "2*time", time), "x") == (3, time, 4, time * 2, time)
    assert shape_from_user((None, 3), "img") == (dims.symbol("img_dim0"), 3)
    assert all(isinstance(size, dims.SymbolicDim) for size in shape_from_user((None,), "a b/c"))
    for odd in (-1, 2.5, True, "a b", [3]):
        with pytest.raises(ArgumentError):
            shape_from_user((odd,), "x")
    with pytest.raises(ArgumentError, match="a shape is a tuple"):
        shape_from_user("time", "x")


def test_types_as_text():
    assert str(TensorType(DType.FLOAT32, (dims.symbol("batch"), 3))) == "float32[batch, 3]"
    assert str(TensorType(DType.BOOL, ())) == "bool[]"
