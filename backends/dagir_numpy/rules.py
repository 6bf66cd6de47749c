"""The table of NumPy rules. A rule takes the op and one array per operand; it is the meaning of the op.

rule(op, *arrays) -> array, or a tuple of arrays for an op with several outputs. None stands for an absent operand.
Rules work for any float dtype and never look beyond their own op.
"""

from collections.abc import Callable
from typing import Any

from dagir.runtime.backend import Rules
from dagir.support.backend_names import NUMPY

rules: Rules[Callable[..., Any]] = Rules(NUMPY)
