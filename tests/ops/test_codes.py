"""Codes of 8 bits and less: casts as onnxruntime has them, quantization to them, and files that hold them."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import ops
from dagir.errors import DTypeError, UnsupportedOp
from dagir.ir.graph import Parameter, apply
from dagir.ir.types import DType, type_of
from dagir_onnx.packing import lent, packed, unpacked

FLOATS = [DType.FLOAT8_E4M3FN, DType.FLOAT8_E4M3FNUZ, DType.FLOAT8_E5M2, DType.FLOAT8_E5M2FNUZ]
WHOLE = [DType.INT4, DType.UINT4]
PACKED = [*WHOLE, DType.INT2, DType.UINT2, DType.FLOAT4_E2M1FN]


def through(function, x, **options):
    """The function of one input on NumPy and on onnxruntime."""
    given = dagir.Input(batch_shape=x.shape, dtype=DType.of(x.dtype))
    model = dagir.Model(given, function(given))
    return dagir.lower(model, "numpy")(x), dagir.lower(model, "onnx", **options)(x)


def bits(array):
    return np.ascontiguousarray(array).view(np.uint8)


@pytest.mark.parametrize("saturate", [True, False])
@pytest.mark.parametrize("dtype", FLOATS)
@given(st.data())
def test_casts_to_short_floats_are_those_of_onnxruntime(dtype, saturate, data):
    numbers = st.floats(-1000, 1000, width=32) | st.sampled_from([np.nan, np.inf, -np.inf, 464.0, 448.0, 1e30, -0.0])
    if dtype is DType.FLOAT8_E4M3FN and not saturate:
        numbers = numbers.filter(lambda number: not 480 <= abs(number) < 496)  # see tests/upstream
    x = np.asarray(data.draw(st.lists(numbers, min_size=1, max_size=6)), np.float32)
    cast = ops.Cast(dtype, saturate)
    found, judge = through(lambda value: ops.cast(apply(cast, value), "float32"), x)
    assert np.array_equal(found, judge, equal_nan=True)
    codes, theirs = through(lambda value: apply(cast, value), x)
    assert codes.dtype == theirs.dtype == dtype.numpy
    nan = np.isnan(codes.astype(np.float32))
    assert np.array_equal(bits(codes)[~nan], bits(theirs)[~nan])


@pytest.mark.parametrize("dtype", WHOLE)
@given(st.lists(st.integers(-300, 300), min_size=1, max_size=9))
def test_integers_cast_to_4_bits_keep_the_low_bits(dtype, numbers):
    x = np.asarray(numbers, np.int32)
    found, judge = through(lambda value: ops.cast(value, dtype), x)
    assert found.dtype == judge.dtype == dtype.numpy
    assert np.array_equal(found.astype(np.int32), judge.astype(np.int32))
    low = x & 15
    assert np.array_equal(found.astype(np.int32), np.where((dtype is DType.INT4) & (low > 7), low - 16, low))


def test_a_float_cast_to_4_bits_is_cut_off_first():
    x = np.array([3.9, -3.9, 7.0, 9.0], np.float32)
    found, judge = through(lambda value: ops.cast(ops.cast(value, "int4"), "int32"), x)
    assert found.tolist() == judge.tolist() == [3, -3, 7, -7]


@pytest.mark.parametrize("mode, wanted", [("up", [2, 4, 4, 8]), ("down", [2, 2, 4, 4]), ("nearest", [2, 4, 4, 4])])
def test_powers_of_two_are_rounded_as_told(mode, wanted):
    x = np.array([2.0, 3.0, 4.0, 5.0], np.float32)
    value = dagir.Input(batch_shape=(4,))
    model = dagir.Model(value, ops.cast(apply(ops.Cast(DType.FLOAT8_E8M0FNU, True, mode), value), "float32"))
    assert dagir.lower(model, "numpy")(x).tolist() == wanted


@given(st.data(), st.sampled_from(PACKED))
def test_packing_is_undone_by_unpacking(data, dtype):
    low, high = dtype.bounds
    shape = tuple(data.draw(st.lists(st.integers(0, 5), max_size=3)))
    numbers = np.random.default_rng(data.draw(st.integers(0, 99))).integers(int(low), int(high), shape, endpoint=True)
    array = numbers.astype(np.float32).astype(dtype.numpy)
    assert np.array_equal(unpacked(packed(array), dtype, shape).astype(np.float32), array.astype(np.float32))
    assert lent(array).shape == shape and lent(array).dtype == np.uint8


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE])
def test_weights_of_codes_go_through_every_file(dtype, tmp_path):
    codes = np.arange(-7, 8).astype(np.float32).reshape(3, 5).astype(dtype.numpy)
    if dtype is DType.UINT4:
        codes = np.arange(15).reshape(3, 5).astype(dtype.numpy)
    x = dagir.Input(batch_shape=(3, 5))
    weight = Parameter("codes", type_of(codes), array=codes)
    scale = np.array([0.5, 0.25, 2.0], np.float32)
    model = dagir.Model(x, [ops.absolute(x), ops.dequantize_linear(weight.value, scale, axis=0)])
    feed = np.ones((3, 5), np.float32)
    wanted = codes.astype(np.float32) * scale[:, None]
    model.save(tmp_path / "m.dagir")
    for name in ("numpy", "onnx"):
        assert np.array_equal(dagir.lower(dagir.load(tmp_path / "m.dagir"), name)(feed)[1], wanted)
    dagir.to_onnx(model, tmp_path / "m.onnx")
    again = dagir.from_onnx(tmp_path / "m.onnx")
    _, numbers = dagir.lower(again, "numpy")(feed).values()
    assert np.array_equal(numbers, wanted)


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE])
def test_quantization_to_codes_is_that_of_onnxruntime(dtype):
    x = np.array([[-900.0, -3.25, 0.3], [0.5, 2.0, 700.0]], np.float32)
    for axis, scale in ((None, np.float32(0.5)), (1, np.array([0.5, 1, 2], np.float32))):
        found, judge = through(lambda value: ops.quantize_linear(value, scale, dtype=dtype, axis=axis), x)  # noqa: B023
        assert np.array_equal(found.astype(np.float32), judge.astype(np.float32))


def test_codes_are_not_computed_with():
    with pytest.raises(DTypeError, match="does not fit"):
        ops.cast(dagir.Input((3,)), "float8_e4m3fn") + 1


def test_an_opset_without_the_dtype_is_refused():
    x = dagir.Input(batch_shape=(3,))
    model = dagir.Model(x, ops.cast(ops.cast(x, "int4"), "float32"))
    with pytest.raises(UnsupportedOp, match="from opset 21 on"):
        dagir.lower(model, "onnx", opset=19)


@pytest.mark.parametrize("dtype", [*FLOATS, *WHOLE])
def test_inputs_and_outputs_of_codes_are_verified(dtype):
    codes, x = dagir.Input((6,), dtype=dtype), dagir.Input((6,))
    numbers = ops.multiply(x, 3.0) if dtype in FLOATS else ops.cast(ops.multiply(x, 3.0), "int32")
    model = dagir.Model([codes, x], [ops.cast(codes, "float32"), ops.cast(numbers, dtype)])
    report = dagir.verify(model, ("numpy", "onnx"))
    assert report.ok, report
