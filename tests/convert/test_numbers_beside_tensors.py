"""Numbers and arrays of every dtype of NumPy and Python beside traced tensors of every dtype: Keras says what comes."""

from __future__ import annotations

import operator
from typing import Any

import keras
import ml_dtypes
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from keras import layers as L
from keras import ops as K

import dagir

DTYPES = [
    *("bool", "uint8", "uint16", "uint32", "uint64", "int8", "int16", "int32", "int64"),
    *("float16", "bfloat16", "float32", "float64"),
]
OPERATORS = {
    name: getattr(operator, name)
    for name in (
        *("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul"),
        *("and_", "or_", "xor", "lt", "le", "gt", "ge", "eq", "ne"),
    )
}
ARITHMETIC = ("add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul")
FUNCTIONS = {
    **{
        name: getattr(K, name)
        for name in (
            *("add", "subtract", "multiply", "divide", "true_divide", "floor_divide", "mod", "power"),
            *("maximum", "minimum", "equal", "not_equal", "less", "less_equal", "greater", "greater_equal"),
            *("logical_and", "logical_or", "logical_xor", "arctan2", "logaddexp", "outer", "append"),
        )
    },
    "where": lambda a, b: K.where(K.ones((2, 2), dtype="bool"), a, b),
    "concatenate": lambda a, b: K.concatenate([a, b], axis=-1),
    "stack": lambda a, b: K.stack([a, b]),
}
KINDS = {
    "scalar": lambda array: array[0],
    "0-d": lambda array: np.asarray(array[0]),
    "1-d": lambda array: array[:2],
    "2-d": lambda array: array.reshape(2, 2),
}


def of(numbers: list[float], dtype: str) -> Any:
    unsigned = dtype.startswith(("u", "bool"))
    return np.abs(numbers).astype(dtype) if unsigned else np.asarray(numbers).astype(_numpy(dtype))


def _numpy(dtype: str) -> Any:
    return ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype(dtype)


numbers = st.lists(st.sampled_from([1.0, 2.0, 3.0, -1.0, 1.5, -2.5]), min_size=4, max_size=4)
arrays = st.builds(
    lambda kind, array: KINDS[kind](array),
    st.sampled_from(sorted(KINDS)),
    st.builds(of, numbers, st.sampled_from(DTYPES)),
)
others = arrays | st.sampled_from([True, 2, -1, 3, 0.5, 2.0, -1.5])


class Beside(L.Layer):
    def __init__(self, function: Any, other: Any, before: bool) -> None:
        super().__init__(autocast=False)
        self.call = lambda x: function(other, x) if before else function(x, other)


def judged(function: Any, other: Any, before: bool, dtype: str) -> None:
    keras.utils.clear_session()
    x = keras.Input((2,), batch_size=2, dtype=dtype)
    data = of([1, 2, 3, 2] if dtype.startswith(("u", "bool")) else [1, -2, 3, 2], dtype).reshape(2, 2)
    try:
        made = keras.Model(x, Beside(function, other, before)(x))
        want = np.asarray(keras.ops.convert_to_numpy(made(data)))
    except Exception:  # Keras and TensorFlow do not take it
        assume(False)
    read = dagir.from_keras(made)
    found = np.asarray(dagir.lower(read)(data))
    assert (found.dtype, found.shape) == (want.dtype, want.shape)
    coarse = want.dtype.name in ("float16", "bfloat16")
    np.testing.assert_allclose(found.astype("float64"), want.astype("float64"), rtol=2e-2 if coarse else 1e-5)


@pytest.mark.parametrize("name", ["add", "mul", "gt", "floordiv"])
def test_operators_keep_the_widest_integers(name):
    """keras.ops makes uint64 uint32; the operators of TensorFlow's tensors do not."""
    x = keras.Input((2,), dtype="uint64")
    made = keras.Model(x, Beside(OPERATORS[name], True, False)(x))
    data = np.array([[1, 2**40]], "uint64")
    want, found = np.asarray(made(data)), dagir.lower(dagir.from_keras(made))(data)
    assert found.dtype == want.dtype
    np.testing.assert_array_equal(found, want)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@given(st.sampled_from(sorted(OPERATORS)), others, st.booleans(), st.sampled_from(DTYPES))
def test_operators(name, other, before, dtype):
    assume(not (dtype == "bool" and name in ARITHMETIC))
    judged(OPERATORS[name], other, before, dtype)


@pytest.mark.filterwarnings("ignore:.*:RuntimeWarning")
@given(st.sampled_from(sorted(FUNCTIONS)), others, st.booleans(), st.sampled_from(DTYPES))
def test_functions(name, other, before, dtype):
    judged(FUNCTIONS[name], other, before, dtype)


@pytest.mark.parametrize("other", [np.sqrt(2.0), np.array([1.0, 2.0]), np.array(2.0), np.float64(3), np.int64(2)])
@pytest.mark.parametrize("name", ["add", "sub", "mul", "truediv", "pow", "mod", "floordiv"])
def test_float64_beside_float32(name, other):
    judged(OPERATORS[name], other, True, "float32")
    judged(OPERATORS[name], other, False, "float32")


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int32", "int64"])
def test_quotients_of_integers(dtype):
    judged(operator.truediv, 2, False, dtype)
    judged(operator.truediv, of([3, 1], dtype), True, dtype)


def test_truth_values_are_computed_with_as_tensorflow_does():
    x = keras.Input((2,), dtype="bool")
    made = keras.Model(x, Beside(operator.mul, 2, False)(x))
    given = np.array([[True, False]])
    found = dagir.lower(dagir.from_keras(made))(given)
    np.testing.assert_array_equal(found, np.asarray(made(given)), strict=True)
