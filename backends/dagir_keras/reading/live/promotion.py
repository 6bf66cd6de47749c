"""What the operators of JAX's, PyTorch's and NumPy's tensors make of a number or an array beside a tensor.

TensorFlow's, which convert it to the dtype of the tensor, are in `operators`.
"""

from __future__ import annotations

from typing import Any

import keras
import numpy as np

from dagir.ir.types import Array, DType

_WIDE = {"jax": ("int32", "float32"), "torch": ("int64", "float32"), "numpy": ("int64", "float64")}


def weak(number: Any, dtype: str, engine: str) -> Array:
    """A Python number as it is beside a tensor of a dtype. Raises OverflowError where that does not hold it.

    It has the dtype of the tensor, unless it is an integer beside truth values, or a float beside integers.
    """
    return np.asarray(number, dtype=np.dtype(DType.of(weak_dtype(type(number), dtype, engine)).numpy))


def weak_dtype(kind: type, dtype: str, engine: str) -> str:
    """The dtype of a Python number of a kind beside a tensor of a dtype."""
    integer, real = _WIDE[engine]
    if issubclass(kind, float) and not DType.of(dtype).is_float:
        return real
    return integer if issubclass(kind, int) and kind is not bool and dtype == "bool" else dtype


def common(left: Any, right: Any, engine: str) -> str | None:
    """The dtype to which an operator of two tensors casts both, where that is not what keras.ops does; else None."""
    dtypes = [str(keras.backend.standardize_dtype(each.dtype)) for each in (left, right)]
    if engine == "numpy":
        return str(np.result_type(*(DType.of(dtype).numpy for dtype in dtypes)))
    scalars = [len(each.shape) == 0 for each in (left, right)]
    if engine != "torch" or scalars[0] == scalars[1]:
        return None
    scalar, tensor = (dtypes[place] for place in ((0, 1) if scalars[0] else (1, 0)))
    return tensor if _category(scalar) <= _category(tensor) else scalar


def _category(dtype: str) -> int:
    known = DType.of(dtype)
    return 2 if known.is_float else 1 if known.is_integer else 0
