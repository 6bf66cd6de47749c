"""The table of Keras rules. A rule takes the op and one tensor per operand, and computes with keras.ops.

rule(op, *tensors) -> tensor, or a tuple of them. None stands for an absent operand. Tensors are KerasTensors while a
functional model is built, and tensors of the backend inside a layer. Layers that Keras has are not lowered by these
rules: `builder` makes the real layer.
"""

from collections.abc import Callable
from typing import Any

from dagir.backend import Rules

rules: Rules[Callable[..., Any]] = Rules("keras")
