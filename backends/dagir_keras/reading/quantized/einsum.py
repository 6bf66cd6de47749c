"""The subscripts of an EinsumDense of codes: which axes are summed, and where the scales lie in the result."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from string import ascii_letters

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir.layers.einsum_dense import Equation
from dagir_keras.reading.quantized.arithmetic import integer_product


@dataclass(frozen=True)
class Subscripts:
    """The letters of "x,kernel->y", with letters for the axes that "..." stands for."""

    x: str
    kernel: str
    y: str

    @classmethod
    def of(cls, equation: Equation, rank: int) -> Subscripts:
        """rank: of x."""
        used = {*equation.x, *equation.kernel, *equation.y}
        more = "".join([letter for letter in ascii_letters if letter not in used][: rank - len(equation.x)])
        if equation.dots == "left":
            return cls(more + equation.x, equation.kernel, more + equation.y)
        return cls(equation.x + more, equation.kernel, equation.y + more)

    @property
    def reduced(self) -> tuple[int, ...]:
        """The axes of x that the result does not have: its codes have a scale for each place on the others."""
        return tuple(place for place, letter in enumerate(self.x) if letter not in self.y)

    def scale_shape(self, kernel: tuple[int, ...]) -> tuple[int, ...]:
        """The shape of the scales of a kernel, which broadcasts with the result."""
        sizes = dict(zip(self.kernel, kernel, strict=True))
        return tuple(sizes.get(letter, 1) for letter in self.y)

    def aligned(self, scale: Value) -> Value:
        """The scales of x, whose reduced axes have size 1, in a shape that broadcasts with the result."""
        found = ops.squeeze(scale, axis=self.reduced) if self.reduced else scale
        letters = [letter for letter in self.x if letter in self.y]
        found = _transposed(found, letters, [letter for letter in self.y if letter in letters])
        new = tuple(place for place, letter in enumerate(self.y) if letter not in letters)
        return ops.expand_dims(found, axis=new) if new else found

    def integer_product(self, codes: Value, kernel: Value) -> Value:
        """The sums of products of int8 codes, in int32: as a matrix product, where the subscripts say one."""
        summed = [letter for letter in self.x if letter in self.kernel and letter not in self.y]
        rows = [letter for letter in self.x if letter in self.y]
        columns = [letter for letter in self.kernel if letter in self.y]
        is_product = len({*summed, *rows}) == len(self.x) and len({*summed, *columns}) == len(self.kernel)
        if not is_product or not summed or not columns or set(rows) & set(columns):
            wide = [ops.cast(each, DType.INT32) for each in (codes, kernel)]
            return ops.einsum(f"{self.x},{self.kernel}->{self.y}", *wide)
        left, right = _transposed(codes, self.x, rows + summed), _transposed(kernel, self.kernel, summed + columns)
        outer, inner = left.type.shape[: len(rows)], right.type.shape[len(summed) :]
        size = prod(n for n in right.type.shape[: len(summed)] if isinstance(n, int))
        left = ops.reshape(left, (*(outer or (1,)), size))
        right = ops.reshape(right, (size, prod(n for n in inner if isinstance(n, int))))
        sums = ops.reshape(integer_product(left, right), (*outer, *inner))
        return _transposed(sums, rows + columns, list(self.y))


def _transposed(value: Value, letters: str | list[str], wanted: list[str]) -> Value:
    order = tuple(letters.index(letter) for letter in wanted)
    return value if order == tuple(range(len(order))) else ops.transpose(value, order)
