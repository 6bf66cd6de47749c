"""The table of NumPy rules. A rule takes the op and one array per operand; it is the meaning of the op.

rule(op, *arrays) -> array, or a tuple of arrays for an op with several outputs. None stands for an absent operand.
Rules work for any float dtype and never look beyond their own op. The rule of an op that holds graphs is a generator:
it yields each graph that it runs with its inputs, and is sent the results: the loop of the interpreter runs them.
"""

from collections.abc import Callable, Generator, Sequence
from typing import Any, TypeAlias

from dagir.ir.graph import Graph
from dagir.ir.types import Array
from dagir.runtime.rules import Rules
from dagir.support.backend_names import NUMPY

Bodies: TypeAlias = Generator[tuple[Graph, Sequence[Array]], Sequence[Array], Sequence[Array]]

rules: Rules[Callable[..., Any]] = Rules(NUMPY)
