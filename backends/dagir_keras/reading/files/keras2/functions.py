"""The functions that have other names, or other meanings, in older versions of Keras."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir_keras.reading.files.keras2.writer import Writer

HARD_SIGMOID = "hard_sigmoid of Keras 2"
_SINCE = {
    "swish": (2, 4),
    "gelu": (2, 4),
    "mish": (2, 13),
    **dict.fromkeys(("leaky_relu", "log_softmax", "silu"), (2, 6)),  # TensorFlow's own
}  # before that version the name was that of a user's function
_ALWAYS = {
    *("softmax", "elu", "selu", "softplus", "softsign", "relu", "tanh", "sigmoid", "exponential", "linear"),
    *("softmax_v2", "log_softmax_v2", "relu6"),  # names of TensorFlow's own functions
}


def hard_sigmoid(x: Any) -> Value:
    """0.2 x + 0.5 between 0 and 1, which Keras 2 means; Keras 3 means relu6(x + 3) / 6."""
    return ops.clip(x * 0.2 + 0.5, 0.0, 1.0)


def adapt_activation(data: Any, writer: Writer) -> Any:
    """The current name of an activation; an object that is refused where the name was not one of Keras."""
    if not isinstance(data, str):
        return data
    if data == "hard_sigmoid":
        return HARD_SIGMOID
    known = data in _ALWAYS or (data in _SINCE and not writer.before(*_SINCE[data]))
    return data if known else {"class_name": "function", "module": None, "config": data}
