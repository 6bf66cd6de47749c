"""The dtypes of TensorFlow, as files write them: "float32", "DT_FLOAT", the number of the enumeration."""

from __future__ import annotations

from typing import Any

from dagir.ir.types import DType
from dagir_keras.reading.problems import Refused

_BY_NUMBER = {
    **{1: "float32", 2: "float64", 3: "int32", 4: "uint8", 5: "int16", 6: "int8", 9: "int64", 10: "bool"},
    **{14: "bfloat16", 17: "uint16", 19: "float16", 22: "uint32", 23: "uint64"},
}
_BY_NAME = {
    **{"float": "float32", "double": "float64", "half": "float16", "boolean": "bool"},
    **{"dt_float": "float32", "dt_double": "float64", "dt_half": "float16"},
}


def dtype_of(data: Any) -> DType:
    """The dtype. Raises Refused for one that dagir has not: complex numbers, text, quantized numbers."""
    if isinstance(data, DType):
        return data
    if isinstance(data, dict):  # as Keras's newer format writes tf.float32
        config = data.get("config")
        data = config.get("name", config) if isinstance(config, dict) else config
    name = _BY_NUMBER.get(data) if type(data) is int else data
    if isinstance(name, str):
        folded = name.strip("<>").removeprefix("dtype: ").strip("'").lower()
        folded = _BY_NAME.get(folded, folded).removeprefix("dt_").removesuffix("_ref")
        if folded in set(DType) and folded != DType.STRING:
            return DType.of(folded)
    raise Refused(f"its dtype is {str(data)[:40]}, which dagir has not")
