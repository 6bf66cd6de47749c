"""Python's operators on a tensor: their meaning is that of the backend's tensors, not that of keras.ops.

A TensorFlow tensor converts numbers and NumPy arrays to its own dtype, or refuses them, where keras.ops promotes both.
Integers divided by integers are float64. What the others do, `promotion` says.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import keras
import numpy as np

from dagir.ir.types import Array, DType
from dagir_keras.reading.live.introspection import array_of_tensor
from dagir_keras.reading.live.promotion import common, weak, weak_dtype
from dagir_keras.reading.problems import Untraceable


def _of_bits(logical: Callable[..., Any], bitwise: Callable[..., Any]) -> Callable[[Any, Any], Any]:
    """An operator on booleans, or on the bits of integers: Keras's symbolic tensors have the first only."""
    return lambda left, right: (logical if _dtype(left, right) == "bool" else bitwise)(left, right)


FUNCTIONS: Mapping[str, Callable[[Any, Any], Any]] = {
    "__add__": keras.ops.add,
    "__sub__": keras.ops.subtract,
    "__mul__": keras.ops.multiply,
    "__truediv__": keras.ops.true_divide,
    "__floordiv__": keras.ops.floor_divide,
    "__mod__": keras.ops.mod,
    "__pow__": keras.ops.power,
    "__matmul__": keras.ops.matmul,
    "__and__": _of_bits(keras.ops.logical_and, keras.ops.bitwise_and),
    "__or__": _of_bits(keras.ops.logical_or, keras.ops.bitwise_or),
    "__xor__": _of_bits(keras.ops.logical_xor, keras.ops.bitwise_xor),
    "__eq__": keras.ops.equal,
    "__ne__": keras.ops.not_equal,
    "__lt__": keras.ops.less,
    "__le__": keras.ops.less_equal,
    "__gt__": keras.ops.greater,
    "__ge__": keras.ops.greater_equal,
}
COMPARISONS = ("__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__")
_BITS = ("__and__", "__or__", "__xor__")
_NARROW = ("uint8", "int8", "uint16", "int16")  # integers whose quotients are float32 in TensorFlow
_ENGINE = str(keras.backend.backend())
_TITLE = {"tensorflow": "TensorFlow", "jax": "JAX", "torch": "PyTorch", "numpy": "NumPy"}.get(_ENGINE, _ENGINE)
_NUMBERS = (bool, int, float, np.generic, np.ndarray, list, tuple)


def of_tensors(name: str) -> Callable[[Any, Any], Any]:
    """The function of an operator for two operands, at least one of them a tensor."""
    function = FUNCTIONS[name]

    def operator(left: Any, right: Any) -> Any:
        left, right = _beside(name, left, right), _beside(name, right, left)
        left, right = _size_beside(left, right), _size_beside(right, left)
        _refuse_widest(name, left, right)
        wide = _computed_in(name, left, right)
        if wide:
            left, right = keras.ops.cast(left, wide), keras.ops.cast(right, wide)
        return function(left, right)

    return operator


def _refuse_widest(name: str, left: Any, right: Any) -> None:
    """TensorFlow's operators keep uint64, which keras.ops makes uint32: the graph of the call says which it is."""
    if _ENGINE == "tensorflow" and _dtype(left, right) == "uint64":
        raise Untraceable(f"its operator {name} computes in uint64", "cast to int64 or to a float before")


def reflected(name: str) -> str:
    """__radd__ for __add__."""
    return f"__r{name.strip('_')}__"


def _dtype(*operands: Any) -> str:
    """The dtype of the first that is a tensor."""
    found = next((each for each in operands if not isinstance(each, _NUMBERS)), operands[0])
    return str(keras.backend.standardize_dtype(found.dtype))


def _computed_in(name: str, left: Any, right: Any) -> str | None:
    """The dtype to which the operator casts both operands; None for that of keras.ops."""
    if _ENGINE == "tensorflow":
        return _quotients(_dtype(left, right)) if name == "__truediv__" else None
    if isinstance(left, _NUMBERS) and isinstance(right, _NUMBERS):
        return None
    return common(left, right, _ENGINE)


def _quotients(dtype: str) -> str | None:
    if not DType.of(dtype).is_integer:
        return None
    return "float32" if dtype in _NARROW else "float64"


def _is_weak(operand: Any) -> bool:
    """Whether it is a size, which is an int where tensors have all their sizes: everywhere but in TensorFlow."""
    return _ENGINE != "tensorflow" and getattr(operand, "is_size", False)


def _size_beside(operand: Any, other: Any) -> Any:
    if not _is_weak(operand) or _is_weak(other) or isinstance(other, (bool, int, float, list, tuple)):
        return operand
    dtype = str(np.asarray(other).dtype) if isinstance(other, (np.ndarray, np.generic)) else _dtype(other)
    return keras.ops.cast(operand, weak_dtype(int, dtype, _ENGINE))


def _beside(name: str, operand: Any, tensor: Any) -> Any:
    """An operand as the backend converts it for a tensor."""
    if not isinstance(operand, _NUMBERS) or isinstance(tensor, _NUMBERS):
        return operand
    dtype = _dtype(tensor)
    try:
        if _ENGINE == "tensorflow":
            return _of_tensorflow(name, operand, dtype)
        if _is_weak(tensor) and isinstance(operand, (np.ndarray, np.generic)):
            return operand
        if _ENGINE == "torch" and isinstance(operand, np.generic):
            operand = operand.item()  # to PyTorch a scalar of NumPy is a number
        if isinstance(operand, (bool, int, float)) and not isinstance(operand, np.generic):
            return weak(operand, dtype, _ENGINE)
        if _ENGINE == "torch":
            raise TypeError("PyTorch's operators take no arrays")
        return array_of_tensor(keras.ops.convert_to_tensor(operand))
    except (TypeError, ValueError, OverflowError):
        raise _refused(name, operand, dtype) from None


def _of_tensorflow(name: str, operand: Any, dtype: str) -> Array:
    """The operand in the dtype of the tensor. Raises TypeError, ValueError or OverflowError."""
    if dtype == "bool" and name not in (*_BITS, *COMPARISONS):
        raise TypeError("no arithmetic on truth values")
    import tensorflow as tf

    array = np.asarray(operand) if isinstance(operand, np.generic) else operand  # TensorFlow's cache of scalars
    # the conversion within NumPy ends the process at some types of ml_dtypes
    return np.asarray(tf.convert_to_tensor(array, dtype=dtype).numpy())


def _refused(name: str, operand: Any, dtype: str) -> Untraceable:
    kind = f"{operand.dtype}{list(operand.shape)}" if isinstance(operand, np.ndarray) else f"{operand!r:.60}"
    return Untraceable(
        f"{name} of a tensor of {dtype} takes no {type(operand).__name__} {kind} in {_TITLE}",
        "cast the tensor with keras.ops.cast, or compute with the function of keras.ops, which promotes",
    )
