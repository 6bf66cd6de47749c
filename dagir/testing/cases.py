"""OpCase: an op with arrays that fit it; and the table of strategies, one for each op class.

A strategy is registered in the file of the op's family, with `@strategy_for(ops.Relu)`, and draws an OpCase. Every case
is valid: the op's own `infer` accepts it, and every backend that has a rule must agree with the float64 oracle.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from math import prod
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

from dagir.errors import ArgumentError
from dagir.ir.dims import symbol
from dagir.ir.graph import Graph, Op, Parameter, Value, apply_node
from dagir.ir.types import Array, DType, TensorType, type_of


@dataclass(frozen=True)
class OpCase:
    """An op, and an array for each operand (None for an absent one). weights: indices of operands that are weights.

    >>> case = dagir.testing.OpCase(ops.Tanh(), (np.zeros((2, 3), "float32"),))
    >>> graph, feeds = case.graph()
    >>> graph.nodes[0].op
    Tanh()
    """

    op: Op
    arrays: tuple[Array | None, ...]
    weights: frozenset[int] = field(default_factory=frozenset)

    def graph(self, dynamic: tuple[tuple[int, int], ...] = ()) -> tuple[Graph, list[Array]]:
        """A graph with only this op, and the arrays of its inputs. dynamic: (operand, axis) pairs of symbolic sizes."""
        operands: list[Value | None] = []
        inputs: list[Value] = []
        for place, array in enumerate(self.arrays):
            if array is None:
                operands.append(None)
            elif place in self.weights:
                operands.append(Parameter(f"weight_{place}", type_of(array), array=array).value)
            else:
                inputs.append(Value(_type(array, place, dynamic), name=f"input_{place}"))
                operands.append(inputs[-1])
        node = apply_node(self.op, tuple(operands))
        feeds = [a for place, a in enumerate(self.arrays) if a is not None and place not in self.weights]
        return Graph(inputs, node.outputs, self.op.op_name), feeds


def _type(array: Array, place: int, dynamic: tuple[tuple[int, int], ...]) -> TensorType:
    shape = tuple(
        symbol(f"d{place}_{axis}") if (place, axis) in dynamic else size for axis, size in enumerate(array.shape)
    )
    return TensorType(DType.of(array.dtype), shape)


Strategy: TypeAlias = st.SearchStrategy[OpCase]
_table: dict[type[Op], Callable[[], Strategy]] = {}


def strategy_for(*ops: type[Op]) -> Callable[[Callable[[], Strategy]], Callable[[], Strategy]]:
    """Register a function that returns the strategy of one or more ops. An op can have only one strategy.

    >>> @settings(max_examples=2)
    ... @given(dagir.testing.cases(ops.StopGradient))
    ... def test(case):
    ...     assert len(case.arrays) == 1
    >>> test()
    """

    def register(function: Callable[[], Strategy]) -> Callable[[], Strategy]:
        for op in ops:
            if op in _table:
                raise ArgumentError(f"{op.__name__} has a strategy already")
            _table[op] = function
        return function

    return register


def cases(op: type[Op]) -> Strategy:
    """The strategy of an op. Raises ArgumentError where there is none.

    >>> @settings(max_examples=2)
    ... @given(dagir.testing.cases(ops.Tanh))
    ... def test(case):
    ...     assert case.op == ops.Tanh()
    >>> test()
    """
    if op not in _table:
        raise ArgumentError(f"{op.__name__} has no strategy", remedy="add one in dagir/testing with @strategy_for")
    return _table[op]()


def covered() -> set[type[Op]]:
    """The ops that have a strategy.

    >>> ops.Tanh in dagir.testing.covered()
    True
    """
    return set(_table)


# ---- parts that the families build their strategies from

SIZES = st.sampled_from([1, 2, 3, 5, 7])


def shapes(
    min_rank: int = 0, max_rank: int = 4, sizes: st.SearchStrategy[int] = SIZES
) -> st.SearchStrategy[tuple[int, ...]]:
    """Shapes of small sizes, including 1 and primes.

    >>> @settings(max_examples=2)
    ... @given(dagir.testing.shapes(max_rank=2))
    ... def test(shape):
    ...     assert len(shape) <= 2
    >>> test()
    """
    return st.lists(sizes, min_size=min_rank, max_size=max_rank).map(tuple)


@st.composite
def whole_numbers(draw: st.DrawFn, shape: object, dtype: str, low: int = -3, high: int = 3) -> Array:
    """Integers of the dtype from low to high; half of the arrays also hold its extreme values, where sums overflow."""
    ends = np.iinfo(dtype)
    numbers = draw(arrays(shape, dtype, max(low, int(ends.min)), min(high, int(ends.max))))
    flat = numbers.reshape(-1)
    if draw(st.booleans()):
        for number in (ends.min, ends.max, ends.max - 1)[: flat.size]:
            flat[draw(st.integers(0, flat.size - 1))] = number
    return numbers


@st.composite
def arrays(draw: st.DrawFn, shape: Any, dtype: str = "float32", low: float = -3.0, high: float = 3.0) -> Array:
    """An array with values in [low, high], from a drawn seed, including negative values; floats include exact zeros.

    dtype: of the array, a name such as "int32".

    >>> @settings(max_examples=2)
    ... @given(dagir.testing.arrays((2, 3), low=0.0))
    ... def test(array):
    ...     assert array.shape == (2, 3) and array.min() >= 0
    >>> test()
    """
    sizes = draw(shape) if isinstance(shape, st.SearchStrategy) else tuple(shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**16)))
    if dtype == "bool":
        return np.asarray(rng.random(sizes) < 0.5)
    if "int" in dtype:
        return np.asarray(rng.integers(int(low), int(high), sizes, endpoint=True)).astype(dtype)
    values = rng.uniform(low, high, sizes).astype(DType(dtype).numpy)
    if prod(sizes) > 1 and low <= 0 <= high:
        values.reshape(-1)[:: max(7, prod(sizes) // 3)] = 0
    return values
