"""The table of ONNX rules. A rule takes the op, the emitter and one Tensor per operand, and returns Tensors.

rule(op, emit, *tensors) -> Tensor, or a tuple of them. None stands for an absent operand. `emit("Relu", x)` writes
a node; `emit.constant(array)` and `emit.derived(w, f)` write initializers. Rules never look beyond their own op.
"""

from collections.abc import Callable
from typing import Any

from dagir.runtime.rules import Rules
from dagir.support.backend_names import ONNX

rules: Rules[Callable[..., Any]] = Rules(ONNX)
