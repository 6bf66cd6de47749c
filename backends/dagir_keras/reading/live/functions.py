"""Functions in the arguments of a Keras layer in memory, such as an activation: recognized by identity, or traced.

The name is not enough: a user's function may be called relu, and keras.ops.gelu is not keras.activations.gelu.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from typing import Any

from dagir.errors import UnsupportedLayer
from dagir.ir.graph import Value
from dagir.ir.nest import flatten
from dagir.layers.activation import name_of_keras
from dagir_keras.reading.live.reader import Reader
from dagir_keras.reading.problems import Refused

_OF_TENSORFLOW = {  # functions of TensorFlow that compute, by default, the same as Keras's function of that name
    "tensorflow": ("tanh", "sigmoid"),
    "tensorflow.math": ("log_sigmoid", "softplus"),
    "tensorflow.nn": (
        *("elu", "gelu", "leaky_relu", "log_softmax", "relu", "relu6", "selu", "sigmoid", "silu", "softmax"),
        *("softplus", "softsign", "swish", "tanh"),
    ),
}


def known_name(function: Any) -> str | None:
    """The name in dagir of what a function computes; None for a function that must be traced."""
    if function is None:
        return "linear"
    return name_of_keras(function) or next((name for name, known in _of_tensorflow() if known is function), None)


@cache
def _of_tensorflow() -> list[tuple[str, Any]]:
    """The functions of TensorFlow with their names; none if it is not imported: this imports nothing."""
    found = []
    for path, names in _OF_TENSORFLOW.items():
        root, _, inner = path.partition(".")
        module = sys.modules.get(root)
        module = getattr(module, inner, None) if inner else module
        found += [(name, getattr(module, name)) for name in names if hasattr(module, name)]
    return found


class TracedFunction:
    """A function on Keras tensors as a function on values: each call is traced, with the weights that it reads."""

    def __init__(self, function: Callable[..., Any], reader: Reader, owner: Any, path: str) -> None:
        self.function, self.reader, self.owner, self.where = function, reader, owner, path
        self.__name__ = str(getattr(function, "__name__", type(function).__name__))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """What the function computes of a value, or of several."""
        reader = self.reader
        before = reader.problems.count
        try:
            found = reader.run(self.owner, self.where, self.function, list(args), kwargs)
        except Refused as refused:
            raise UnsupportedLayer(refused.reason, remedy=refused.remedy) from None
        if reader.done and reader.problems.count > before:  # called by the user, after everything was read
            reader.problems.require_none(f"the function {self.__name__!r}")
        for leaf in flatten(found):
            if not isinstance(leaf, Value):
                raise UnsupportedLayer(f"the function {self.__name__!r} returns {type(leaf).__name__}, no tensor")
        return found
