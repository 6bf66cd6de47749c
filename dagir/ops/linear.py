"""Linear maps: Linear, MatMul, Einsum, Embedding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.first_order import weighted
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import EXACT, Rounding
from dagir.ir.types import Array, Equations, Inferred, TensorType
from dagir.ops.operands import require, same_dtype
from dagir.ops.shape import squeeze

__all__ = [
    "Einsum",
    "Embedding",
    "Linear",
    "MatMul",
    "einsum",
    "embedding",
    "linear",
    "matmul",
]


class Linear(Op):
    """x: f[*d, i], w: f[i, o], b: f[o]? -> f[*d, o]: x @ w + b on the last axis.  keras.layers.Dense; ONNX Gemm-13."""

    rounding = Rounding(compound=True, first_order=weighted(lambda op: -1, lambda op: -1))
    operands = ("x", "w", "b")

    def infer(self, x: TensorType, w: TensorType, b: TensorType | None = None) -> Inferred:
        """The shape of x, its last axis replaced by o."""
        equations = Equations()
        dtype = same_dtype(x, w, *([] if b is None else [b]))
        require("float", x)
        if x.rank < 1 or w.rank != 2:
            raise ShapeError("Linear takes x of rank 1 or more and w of rank 2", remedy="flatten or reshape x first")
        if equations.equate(x.shape[-1], w.shape[0]) is None:
            raise ShapeError(
                f"the last axis of x is {x.shape[-1]}, the weights take {w.shape[0]}",
                marks={0: [x.rank - 1], 1: [0]},
                remedy=f"call it on a value whose last axis is {w.shape[0]}, or make a new layer for this one",
            )
        if b is not None and b.shape != w.shape[1:]:
            raise ShapeError(f"the bias must have shape [{w.shape[1]}]", marks={1: [1], 2: [0]})
        return equations.inferred(TensorType(dtype, (*x.shape[:-1], w.shape[1])))


class MatMul(Op):
    """x1: t[*s1, m, k], x2: t[*s2, k, n] -> t[*broadcast(s1, s2), m, n]; rank 1 as in NumPy.  ONNX MatMul-13."""

    rounding = Rounding(compound=True, terms=lambda op, floats: float(floats[0].shape[-1]))
    operands = ("x1", "x2")

    def infer(self, x1: TensorType, x2: TensorType) -> Inferred:
        """NumPy's matmul rule."""
        equations = Equations()
        dtype = same_dtype(x1, x2)
        require("number", x1)
        if x1.rank == 0 or x2.rank == 0:
            raise ShapeError("matmul takes values of rank 1 or more", remedy="use * for scalars")
        inner = max(x2.rank - 2, 0)
        if equations.equate(x1.shape[-1], x2.shape[inner]) is None:
            raise ShapeError(
                f"matmul needs equal inner sizes, got {x1.shape[-1]} and {x2.shape[inner]}",
                marks={0: [x1.rank - 1], 1: [inner]},
                remedy="transpose or reshape one operand, so that the marked axes agree",
            )
        batch = equations.broadcast(x1.shape[:-2], x2.shape[:-2])
        rows = x1.shape[-2:-1]
        columns = x2.shape[-1:] if x2.rank > 1 else ()
        return equations.inferred(TensorType(dtype, (*batch, *rows, *columns)))


def _summed_terms(op: Einsum, floats: Sequence[Array]) -> float:
    """The product of the sizes that the equation sums over."""
    left, _, result = op.equation.partition("->")
    sizes = {c: n for term, array in zip(left.split(","), floats, strict=True) for c, n in _named_sizes(term, array)}
    return float(np.prod([n for letter, n in sizes.items() if letter not in result], dtype=float))


def _named_sizes(term: str, array: Array) -> list[tuple[str, int]]:
    head, dots, tail = term.partition("...")
    sizes = [*zip(head, array.shape, strict=False)]
    return sizes + ([*zip(tail, array.shape[array.ndim - len(tail) :], strict=True)] if dots else [])


def _places(term: str, rank: int) -> list[tuple[int, str]]:
    """The axis of each subscript of an operand."""
    head, _, tail = term.partition("...")
    return [*enumerate(head), *((rank - len(tail) + i, letter) for i, letter in enumerate(tail))]


@dataclass(frozen=True)
class Einsum(Op):
    """xs: t[...]* -> t[...]: the sum of products that `equation` writes, with explicit "->".  ONNX Einsum-12."""

    rounding = Rounding(compound=True, terms=_summed_terms)
    operands = ("*xs",)
    equation: str

    def infer(self, *xs: TensorType) -> Inferred:
        """The output subscripts' sizes; "..." stands for leading axes that broadcast."""
        equations = Equations()
        dtype = same_dtype(*xs)
        require("number", *xs)
        left, result = self.equation.split("->")
        terms = left.split(",")
        if len(terms) != len(xs):
            raise ShapeError(f"einsum {self.equation!r} names {len(terms)} operands, got {len(xs)}")
        sizes: dict[str, Dim] = {}
        pairs = enumerate(zip(terms, xs, strict=True))
        bound = [self._bind(i, term, x, sizes, equations) for i, (term, x) in pairs]
        ellipsis = equations.broadcast(*bound)
        shape: list[Dim] = []
        head, dots, tail = result.partition("...")
        unknown = set(head + tail) - sizes.keys()
        if unknown:
            raise ArgumentError(f"einsum {self.equation!r}: no operand has subscript {sorted(unknown)[0]!r}")
        shape = [sizes[letter] for letter in head] + list(ellipsis if dots else ()) + [sizes[letter] for letter in tail]
        return equations.inferred(TensorType(dtype, tuple(shape)))

    def _bind(
        self, index: int, term: str, x: TensorType, sizes: dict[str, Dim], equations: Equations
    ) -> tuple[Dim, ...]:
        head, dots, tail = term.partition("...")
        named = len(head) + len(tail)
        if (x.rank != named) if not dots else (x.rank < named):
            raise ShapeError(f"einsum {self.equation!r}: operand {index} has rank {x.rank}, {term!r} needs {named}")
        cut = x.rank - len(tail)
        for axis, letter in _places(term, x.rank):
            agreed = equations.equate(sizes.get(letter, x.shape[axis]), x.shape[axis])
            if agreed is None:
                raise ShapeError(
                    f"einsum {self.equation!r}: subscript {letter!r} is {sizes[letter]} and {x.shape[axis]}",
                    marks={index: [axis]},
                )
            sizes[letter] = agreed
        return x.shape[len(head) : cut] if dots else ()


class Embedding(Op):
    """ids: int[*s], table: f[n, d] -> f[*s, d]; an id outside 0..n-1 is an error.  keras.layers.Embedding."""

    rounding = EXACT
    moves_only = True
    operands = ("ids", "table")

    def infer(self, ids: TensorType, table: TensorType) -> Types:
        """The shape of ids with the table's row size appended."""
        if not ids.dtype.is_integer:
            raise DTypeError(
                f"an embedding takes integer ids, got {ids.dtype}",
                remedy="give the input an integer dtype: Input(shape=..., dtype='int32')",
            )
        if table.rank != 2:
            raise ShapeError("the table of an embedding has rank 2")
        return (TensorType(table.dtype, (*ids.shape, table.shape[1])),)


def linear(x: Operand, w: Operand, b: Operand | None = None) -> Value:
    """x @ w + b on the last axis. Shapes: x [*d, i], w [i, o], b [o] -> [*d, o].

    >>> show(ops.linear([[1.0, 2.0]], [[1.0, 0.0], [0.0, 1.0]], [10.0, 20.0]))
    [[11.0, 22.0]]
    """
    return apply(Linear(), as_value(x), as_value(w), None if b is None else as_value(b))


def matmul(x1: Operand, x2: Operand) -> Value:
    """The matrix product, batched over leading axes, as numpy.matmul.

    >>> show(ops.matmul([[1.0, 2.0]], [[3.0], [4.0]]))
    [[11.0]]
    """
    return apply(MatMul(), as_value(x1), as_value(x2))


def einsum(subscripts: str, *operands: Operand) -> Value:
    """Einstein's sum, as numpy.einsum; without "->" the output subscripts are those that occur once, sorted.

    operands: the values, one for each of the subscripts between commas.

    >>> show(ops.einsum("ij,j->i", [[1, 2], [3, 4]], [10, 1]))
    [12, 34]
    """
    equation = subscripts.replace(" ", "")
    if "->" not in equation:
        letters = [c for c in equation if c.isalpha()]
        once = sorted(letter for letter in set(letters) if letters.count(letter) == 1)
        equation += "->" + ("..." if "..." in equation else "") + "".join(once)
    values = [as_value(operand) for operand in operands]
    return apply(*_without_ones(equation, values))


def _without_ones(equation: str, xs: Sequence[Value]) -> tuple[Einsum, *tuple[Value, ...]]:
    """NumPy repeats an axis of size 1 whose subscript is larger elsewhere. The op does not: such an axis is dropped."""
    left, _, result = equation.partition("->")
    terms = left.split(",")
    if len(terms) != len(xs) or any(len(_letters(term)) > x.ndim for term, x in zip(terms, xs, strict=True)):
        return Einsum(equation), *xs  # which tells what is wrong
    pairs = [(term, x, _places(term, x.ndim)) for term, x in zip(terms, xs, strict=True)]
    wide = {letter for _, x, places in pairs for axis, letter in places if x.type.shape[axis] != 1}
    kept, values = [], []
    for term, x, places in pairs:
        ones = [(axis, letter) for axis, letter in places if x.type.shape[axis] == 1]
        extra = [(axis, letter) for axis, letter in ones if letter in wide and term.count(letter) == 1]
        kept.append("".join(c for c in term if c not in {letter for _, letter in extra}))
        values.append(squeeze(x, [axis for axis, _ in extra]) if extra else x)
    return Einsum(f"{','.join(kept)}->{result}"), *values


def _letters(term: str) -> str:
    return term.replace("...", "")


def embedding(ids: Operand, table: Operand) -> Value:
    """Row `id` of the table for each id. Shapes: ids [*s], table [n, d] -> [*s, d].

    >>> show(ops.embedding([2, 0], [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]]))
    [[5.0, 6.0], [1.0, 2.0]]
    """
    return apply(Embedding(), as_value(ids), as_value(table))
