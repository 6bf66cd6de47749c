"""Functions of one element at a time that write into a given array, and blocks of arrays that stay in a core's cache.

A kernel takes the op, the array to write into, and the operands; the first may be the array that it writes into.
`kernels` has those that chains of nodes are made of, see dagir_numpy.chains.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, TypeAlias

import numpy as np

from dagir.ir.graph import Op
from dagir.ir.types import Array
from dagir.support.threads import for_each

Kernel: TypeAlias = Callable[..., None]

BLOCK = 64 * 1024  # elements: two or three arrays of them fit into the second level of cache

kernels: dict[type[Op], Kernel] = {}


def kernel(*ops: type[Op]) -> Callable[[Kernel], Kernel]:
    """Decorate the kernel of one or more ops."""

    def register(function: Kernel) -> Kernel:
        kernels.update(dict.fromkeys(ops, function))
        return function

    return register


def in_blocks(function: Callable[[Array, Array], None], x: Array) -> Array:
    """A new array like x: function(part of it, part of x) writes each part."""
    if not np.ndim(x):  # NumPy's arithmetic makes of it a number, which nothing can be written into
        return in_blocks(function, np.reshape(x, 1)).reshape(())
    if x.size <= BLOCK or not x.flags.c_contiguous:
        out = np.empty_like(x, subok=False)
        function(out, x)
        return out
    out = np.empty(x.shape, x.dtype)
    to, flat = out.reshape(-1), x.reshape(-1)

    def work(start: int) -> None:
        function(to[start : start + BLOCK], flat[start : start + BLOCK])

    for_each(work, range(0, x.size, BLOCK), x.nbytes)
    return out


def rule_of(function: Kernel) -> Callable[[Any, Array], Array]:
    """The rule of an op of one operand, from its kernel."""
    return lambda op, x: in_blocks(lambda out, part: function(op, out, part), x)


@cache
def _filled(dtype: np.dtype[Any], number: float) -> Array:
    block = np.full(BLOCK, number, dtype)
    block.flags.writeable = False
    return block


def repeated(number: float, like: Array) -> Array:
    """A number as an array to compare with: NumPy's loops for that are several times as fast as with a scalar."""
    if like.size > BLOCK:
        return like.dtype.type(number)
    return _filled(like.dtype, number)[: like.size].reshape(like.shape)


def kernel_of(rule: Callable[..., Array]) -> Kernel:
    """A kernel from a rule that makes new arrays: in a block these cost little."""

    def write(op: Op, out: Array, *xs: Array) -> None:
        out[...] = rule(op, *xs)

    return write
