"""Integers where backends used to differ, or to end the process: one answer, or one error."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers, ops
from dagir.errors import ArgumentError, DTypeError, FeedError

BACKENDS = ("numpy", "onnx", "keras")
LEAST = -(2**31)


def run(backend, function, *arrays):
    inputs = [dagir.Input(batch_shape=array.shape, dtype=str(array.dtype)) for array in arrays]
    return dagir.lower(dagir.Model(inputs, function(*inputs)), backend)(list(arrays))


@pytest.mark.parametrize(
    ("dtype", "number"),
    [("uint8", -1), ("int32", 2**40), ("int32", 2**31), ("int64", 2**63), ("int8", 200), ("float32", 2**2000)],
)
def test_a_number_that_the_dtype_has_not_is_refused_at_the_call(dtype, number):
    x = dagir.Input((2,), dtype=dtype)
    with pytest.raises(DTypeError, match="does not fit"):
        x + number


def test_a_whole_number_alone_is_an_int32_or_refused():
    with pytest.raises(DTypeError, match="does not fit int32"):
        ops.add([2**40], [1])


@pytest.mark.parametrize("function", [lambda x: x // 0, lambda x: x % 0, lambda x: x**-1, lambda x: x // np.int32(0)])
def test_a_constant_without_an_answer_is_refused_at_the_call(function):
    with pytest.raises(ArgumentError, match=r"divides integers by 0|negative power"):
        function(dagir.Input((2,), dtype="int32"))


def test_a_bound_that_the_dtype_has_not_is_refused_at_the_call():
    with pytest.raises(DTypeError, match="bound -1"):
        ops.clip(dagir.Input((2,), dtype="uint8"), -1, 7)


@pytest.mark.parametrize("deep", [False, True], ids=["fed", "computed"])
@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", [lambda x, y: x // y, lambda x, y: x % y, lambda x, y: x ** (y - 1)])
def test_a_number_without_an_answer_is_an_error_when_it_runs(function, backend, deep):
    x, y = dagir.Input((1,), dtype="int32"), dagir.Input((1,), dtype="int32")
    same = layers.Dense(1, use_bias=False, kernel_initializer="ones")
    divisor = ops.cast(same(ops.cast(y, "float32")), "int32") if deep else y
    executable = dagir.lower(dagir.Model([x, y], function(x, divisor)), backend)
    said = "(?i)integer" if backend == "keras" else r"divides integers by 0|raises integers to a negative power"
    with pytest.raises(FeedError, match=said):
        executable([np.array([[7]], np.int32), np.array([[0]], np.int32)])
    assert executable([np.array([[7]], np.int32), np.array([[1]], np.int32)]) == (function(7, 1))


@pytest.mark.parametrize("dtype", ["int8", "uint32", "int64", "uint64"])
@pytest.mark.parametrize("function", [ops.floor_divide, ops.mod, ops.power])
def test_a_division_deep_in_a_layer_is_told_as_such_from_a_file_too(function, dtype, tmp_path):
    class Inner(layers.Layer):
        def call(self, x):
            divisor = ops.cast(ops.cumsum(ops.cast(x, "float64"), axis=1), dtype)
            for _ in range(70):  # more than is looked at before a run
                divisor = divisor * 1
            return function(x, divisor)

    x = dagir.Input((2,), dtype=dtype)
    model = dagir.Model(x, Inner(name="inner")(x))
    feed = np.array([[1, -3]] if function is ops.power else [[0, 1]]).astype(dtype)
    path = dagir.to_onnx(model, tmp_path / "m.onnx")
    if function is ops.power and dtype.startswith("u"):
        return
    for executable in (dagir.lower(model, "onnx"), dagir.backend("onnx").open(path, model)):
        with pytest.raises(FeedError, match=f"^{function.__name__} (divides|raises) integers") as told:
            executable(feed)
        assert dict(told.value.facts)["layer"] == "inner"


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_shifts_by_negative_numbers_are_none(dtype, backend):
    x, by = np.array([1, 100, -5], dtype), np.array([-2, -1, np.iinfo(dtype).min], dtype)
    for function in (ops.bitwise_left_shift, ops.bitwise_right_shift):
        assert run(backend, function, x, by).tolist() == x.tolist()
        assert run(backend, lambda x, function=function: function(x, -2), x).tolist() == x.tolist()
        ones = np.ones(3, dtype)
        shifted = run(backend, lambda x, function=function, ones=ones: x * 0 + function(ones, -2), x)
        assert shifted.tolist() == [1, 1, 1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64"])
def test_the_least_by_minus_one(dtype, backend):
    least = np.iinfo(dtype).min
    x, y = np.array([least, least, 5], dtype), np.array([-1, 1, -1], dtype)
    assert run(backend, lambda x, y: x // y, x, y).tolist() == [least, least, -5]
    assert run(backend, lambda x, y: x % y, x, y).tolist() == [0, 0, 0]
    assert run(backend, lambda x: [x // -1, x % -1], x)[0].tolist() == [least, least, -5]


@given(st.data())
def test_divisions_fail_alike(data):
    whole = st.integers(-2, 2)
    x, y = (np.array(data.draw(st.lists(whole, min_size=3, max_size=3)), np.int32) for _ in range(2))
    function = data.draw(st.sampled_from([ops.floor_divide, ops.mod, ops.power]))
    found = []
    for backend in ("numpy", "onnx"):
        try:
            found.append(run(backend, function, x, y).tolist())
        except FeedError as error:
            found.append(str(error).splitlines()[0])
    assert found[0] == found[1]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("length", [1, 40])
@pytest.mark.parametrize("source", ["float16", "float32", "float64"])
@pytest.mark.parametrize("dtype", ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"])
def test_floats_that_no_integer_holds(dtype, source, length, backend):
    ends = np.iinfo(dtype)
    x = np.repeat(np.array([np.nan, np.inf, -np.inf, -3e4, 6e4, -1.5, 2.7], source), length)
    finite = (min(max(int(number), ends.min), ends.max) for number in x[3 * length :: length])
    wanted = [0, ends.max, ends.min, *finite]
    found = run(backend, lambda x: ops.cast(x, dtype), x)
    assert found.tolist() == np.repeat(np.array(wanted, dtype), length).tolist()


@pytest.mark.parametrize("backend", BACKENDS)
def test_shifts_beyond_the_width(backend):
    x, by = np.array([7, 7, -8, 7], np.int32), np.array([32, 100, 40, -3], np.int32)
    assert run(backend, ops.left_shift, x, by).tolist() == [LEAST, LEAST, 0, 7]
    assert run(backend, ops.right_shift, x, by).tolist() == [0, 0, -1, 7]


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("dtype", ["int32", "int64", "int8"])
def test_sums_products_and_powers_wrap(dtype, backend):
    most = np.iinfo(dtype).max
    x = np.array([[most, 3, 2], [most - 1, 5, 7]], dtype)
    with np.errstate(over="ignore"):
        for op, wanted in ((ops.ReduceSum, np.sum), (ops.ReduceProd, np.prod)):
            for axes in ((0,), (1,), (0, 1)):
                found = run(backend, lambda x, op=op, axes=axes: dagir.apply(op(axes), x), x)
                assert np.array_equal(found, wanted(x, axes, dtype=dtype)), (op, axes)
        for exponent in (0, 1, 2, 11):
            found = run(backend, lambda x, exponent=exponent: x**exponent, x)
            assert np.array_equal(found, x ** np.array(exponent, dtype))
        by = np.array([[3, 33, 0], [2, 27, 23]], dtype)
        assert np.array_equal(run(backend, lambda x, y: x**y, x, by), x**by)


@pytest.mark.parametrize("backend", BACKENDS)
@pytest.mark.parametrize("function", [ops.mean, ops.max, ops.min, ops.var, ops.argmax, ops.argmin])
def test_what_nothing_has_not_is_one_error(function, backend):
    for axes in (("n", 3), (0, 3)):
        x = dagir.Input(batch_shape=axes)
        with pytest.raises(FeedError, match="of no elements"):
            dagir.lower(dagir.Model(x, function(x, axis=0)), backend)(np.zeros((0, 3), np.float32))


@pytest.mark.parametrize("backend", BACKENDS)
def test_what_nothing_has(backend):
    x, nothing = dagir.Input(batch_shape=("n", 3)), np.zeros((0, 3), np.float32)
    outputs = [ops.sum(x, 0), ops.prod(x, 0), ops.logsumexp(x, 0), ops.any(x > 0, 0), ops.all(x > 0, 0)]
    found = dagir.lower(dagir.Model(x, outputs), backend)(nothing)
    assert [array[0] for array in found] == [0, 1, -np.inf, False, True]


def test_64_bits_are_not_narrowed_in_silence():
    x = dagir.Input((1,), dtype="uint64")
    with pytest.raises(dagir.BackendError, match="32 bits"):
        dagir.lower(dagir.Model(x, x + x), "keras")(np.array([[2**63]], np.uint64))
