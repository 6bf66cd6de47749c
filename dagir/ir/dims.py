"""Sizes of axes: an int, or an integer expression over named sizes in a canonical form.

A symbolic dim is a polynomial with integer coefficients over atoms. An atom is a name ("batch"), or one of
floordiv, min, max of other dims. The same function always has the same form for sums, products, and the
divisions by a constant that strides, pads and pools make of one name, so `==` decides equality there;
`provably_equal` tells apart "equal", "different" and "not known until run time", which is what remains where a
product of a division is divided again.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping
from functools import reduce
from typing import TypeAlias, Union

from dagir.errors import ArgumentError
from dagir.support.missing_size import MissingSize

Dim: TypeAlias = Union[int, "SymbolicDim"]
Atom: TypeAlias = Union[str, "Application"]
Monomial: TypeAlias = tuple[Atom, ...]
Terms: TypeAlias = Mapping[Monomial, int]

MAX_TERMS = 1000  # of a product: what layers make has a few, and text from a file could ask for any number
MAX_DEGREE = 64  # sizes that one product multiplies: no array has so many axes
MAX_WEIGHT = 5000  # names in one expression, those within divisions too
MAX_COEFFICIENT = 1 << 127  # the product of two sizes of 63 bits, and no text of it is long


class Application:
    """floordiv, min or max of two dims: an atom of the polynomial."""

    __slots__ = ("_hash", "depth", "function", "left", "right", "weight")

    def __init__(self, function: str, left: Dim, right: Dim) -> None:
        self.function, self.left, self.right = function, left, right
        self._hash = hash((function, left, right))
        self.weight, self.depth = weight_of(left) + weight_of(right), 1 + max(_depth_of(left), _depth_of(right))
        if self.depth > MAX_DEGREE:
            raise ArgumentError(f"a size is an expression with more than {MAX_DEGREE} divisions within each other")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Application)
            and self.function == other.function
            and self.left == other.left
            and self.right == other.right
        )

    def __str__(self) -> str:
        if self.function == "floordiv":
            return f"{_bracket(self.left)}//{_bracket(self.right)}"
        return f"{self.function}({self.left}, {self.right})"

    def rebuild(self, resolve: Callable[[Dim], Dim]) -> Dim:
        """Apply the function again, its operands mapped by `resolve`."""
        left, right = resolve(self.left), resolve(self.right)
        if self.function == "floordiv":
            return left // right
        return min_dim(left, right) if self.function == "min" else max_dim(left, right)


class SymbolicDim:
    """A size that is known at run time only. Immutable, hashable, canonical."""

    __slots__ = ("_hash", "_text", "depth", "terms", "weight")

    def __init__(self, terms: tuple[tuple[Monomial, int], ...]) -> None:
        self.terms = terms
        self._hash = hash(terms)
        self._text: str | None = None
        self.weight = self.depth = 0
        for monomial, _ in terms:
            self.weight += len(monomial)
            for atom in monomial:
                if isinstance(atom, Application):
                    self.weight, self.depth = self.weight + atom.weight - 1, max(self.depth, atom.depth)
        if self.weight > MAX_WEIGHT:
            raise ArgumentError(f"a size is an expression of more than {MAX_WEIGHT} names")

    def __hash__(self) -> int:
        return self._hash

    def __eq__(self, other: object) -> bool:
        return self is other or (isinstance(other, SymbolicDim) and self.terms == other.terms)

    def __add__(self, other: Dim) -> Dim:
        terms = dict(self.terms)
        for monomial, coefficient in _terms_of(other):
            terms[monomial] = terms.get(monomial, 0) + coefficient
        return _canonical(terms)

    def __mul__(self, other: Dim) -> Dim:
        terms: dict[Monomial, int] = {}
        factors = _terms_of(other)
        if len(self.terms) * len(factors) > MAX_TERMS:
            raise ArgumentError(f"a product of sizes has more than {MAX_TERMS} terms")
        for left, a in self.terms:
            for right, b in factors:
                if len(left) + len(right) > MAX_DEGREE:
                    raise ArgumentError(f"a size is a product of more than {MAX_DEGREE} named sizes")
                monomial = tuple(sorted(left + right, key=str))
                terms[monomial] = terms.get(monomial, 0) + a * b
        return _canonical(terms)

    def __floordiv__(self, other: Dim) -> Dim:
        return _floordiv(self, other)

    def __mod__(self, other: Dim) -> Dim:
        return self - (self // other) * other

    def __neg__(self) -> Dim:
        return self * -1

    def __sub__(self, other: Dim) -> Dim:
        return self + (-1 * other)

    def __rsub__(self, other: Dim) -> Dim:
        return -self + other

    def __rfloordiv__(self, other: int) -> Dim:
        return _floordiv(other, self)

    __radd__ = __add__
    __rmul__ = __mul__

    def __bool__(self) -> bool:
        raise ArgumentError(
            f"the size {self} is not known until run time, so it cannot be tested here",
            remedy="give the input a fixed size, or write the branch on a known axis",
        )

    __index__ = None
    __lt__ = __le__ = __gt__ = __ge__ = None

    def __str__(self) -> str:
        if self._text is None:
            self._text = _render(self.terms)
        return self._text

    def __repr__(self) -> str:
        return str(self)


def symbol(name: str) -> SymbolicDim:
    """The named size `name`; the same name is the same size."""
    if not isinstance(name, str) or not name.isidentifier():
        raise ArgumentError(f"a named size must be an identifier such as 'time', not {name!r}")
    return SymbolicDim((((name,), 1),))


def parse(text: str) -> Dim:
    """Read a dim from text such as 'time' or '(time - 3)//2 + 1'. Raises ArgumentError."""
    try:
        if len(text) > 10_000:
            raise SyntaxError
        return _read(ast.parse(text, mode="eval").body)
    except (SyntaxError, ValueError, RecursionError, MemoryError, ZeroDivisionError):
        raise ArgumentError(f"{text[:80]!r} is not a size: use an int, a name, or + - * // min max of them") from None


def weight_of(dim: Dim) -> int:
    """How many names the expression of a size holds: what handling it costs."""
    return dim.weight if isinstance(dim, SymbolicDim) else 0


def _depth_of(dim: Dim) -> int:
    return dim.depth if isinstance(dim, SymbolicDim) else 0


def symbols(dim: Dim) -> set[str]:
    """The names that `dim` depends on."""
    if isinstance(dim, int):
        return set()
    found: set[str] = set()
    for monomial, _ in dim.terms:
        for atom in monomial:
            found |= {atom} if isinstance(atom, str) else symbols(atom.left) | symbols(atom.right)
    return found


def substitute(dim: Dim, sizes: Mapping[str, Dim]) -> Dim:
    """Replace names by dims; names that `sizes` does not have stay."""
    if isinstance(dim, int):
        return dim
    total: Dim = 0
    for monomial, coefficient in dim.terms:
        product: Dim = coefficient
        for atom in monomial:
            if isinstance(atom, str):
                product = product * sizes.get(atom, symbol(atom))
            else:
                product = product * atom.rebuild(lambda part: substitute(part, sizes))
        total = total + product
    return total


def evaluate(dim: Dim, sizes: Mapping[str, int]) -> int:
    """The number that `dim` is when every name has a number. Raises MissingSize for a missing name."""
    if isinstance(dim, int):
        return dim
    missing = symbols(dim) - sizes.keys()
    if missing:
        raise MissingSize(sorted(missing)[0])
    value = substitute(dim, sizes)
    assert isinstance(value, int)
    return value


def provably_equal(left: Dim, right: Dim) -> bool | None:
    """True, False, or None where only run time can tell."""
    if left == right:
        return True
    if isinstance(left, int) and isinstance(right, int):
        return False
    return False if isinstance(left - right, int) else None


def min_dim(left: Dim, right: Dim) -> Dim:
    """The smaller of two sizes. Named sizes are never negative, so min(time, 0) is 0."""
    return _extreme("min", left, right)


def max_dim(left: Dim, right: Dim) -> Dim:
    """The larger of two sizes."""
    return _extreme("max", left, right)


def ceil_div(dim: Dim, divisor: int) -> Dim:
    """`dim / divisor`, rounded up."""
    return (dim + (divisor - 1)) // divisor


def _extreme(function: str, left: Dim, right: Dim) -> Dim:
    difference = left - right
    if isinstance(difference, int):
        return left if (difference <= 0) == (function == "min") else right
    for low, high, above in ((right, left, difference), (left, right, right - left)):
        if never_negative(above):
            return low if function == "min" else high
    first, second = sorted((left, right), key=str)
    return SymbolicDim((((Application(function, first, second),), 1),))


def never_negative(dim: Dim) -> bool:
    """Whether the form of `dim` shows that it is never negative: a sum or product of sizes that never are."""
    if isinstance(dim, int):
        return dim >= 0
    return all(c > 0 and all(map(_is_plain_atom, monomial)) for monomial, c in dim.terms)


def _is_plain_atom(atom: Atom) -> bool:
    if isinstance(atom, str):
        return True
    sides = never_negative(atom.left), never_negative(atom.right)
    return any(sides) if atom.function == "max" else all(sides)


def _terms_of(dim: Dim) -> tuple[tuple[Monomial, int], ...]:
    if isinstance(dim, SymbolicDim):
        return dim.terms
    return (((), int(dim)),) if dim else ()


def _canonical(terms: Terms) -> Dim:
    kept = {monomial: coefficient for monomial, coefficient in terms.items() if coefficient}
    if not kept:
        return 0
    if any(abs(coefficient) > MAX_COEFFICIENT for coefficient in kept.values()):
        raise ArgumentError("a size is an expression with a number that no size of an array reaches")
    if len(kept) == 1 and () in kept:
        return kept[()]
    return SymbolicDim(tuple(sorted(kept.items(), key=lambda item: _order(item[0]))))


def _order(monomial: Monomial) -> tuple[int, str]:
    """Products first, then names, the constant last."""
    return (-len(monomial), "*".join(map(str, monomial)))


def _floordiv(dividend: Dim, divisor: Dim) -> Dim:
    if isinstance(divisor, SymbolicDim):
        return _divide_by_symbol(dividend, divisor)
    if divisor == 0:
        raise ArgumentError(f"the size {dividend} is divided by 0")
    if divisor < 0:
        return _floordiv(-1 * dividend, -divisor)
    if isinstance(dividend, int):
        return dividend // divisor
    whole = {monomial: c // divisor for monomial, c in dividend.terms}
    rest = {monomial: c % divisor for monomial, c in dividend.terms}
    return _canonical(whole) + _proper_fraction(_canonical(rest), divisor)


def _proper_fraction(dividend: Dim, divisor: int) -> Dim:
    """floor(dividend / divisor) in lowest terms, each coefficient below the divisor, nested floors merged."""
    if isinstance(dividend, int):
        return dividend // divisor
    variable = [(monomial, c) for monomial, c in dividend.terms if monomial]
    constant = dict(dividend.terms).get((), 0)
    common = math.gcd(divisor, *(c for _, c in variable))
    reduced = _canonical({**{monomial: c // common for monomial, c in variable}, (): constant // common})
    divisor //= common
    if divisor == 1:
        return reduced
    if common > 1:
        return _floordiv(reduced, divisor)
    inner = _inner_division(variable)
    if inner is not None:  # (rest + x//a)//b == (rest*a + x)//(a*b)
        rest = reduced - SymbolicDim((((inner,), 1),))
        return _floordiv(rest * inner.right + inner.left, inner.right * divisor)
    return SymbolicDim((((Application("floordiv", reduced, divisor),), 1),))


def _inner_division(terms: list[tuple[Monomial, int]]) -> Application | None:
    """A term `x // number` of a sum; of several the longest one, which was made last."""
    alone = [monomial[0] for monomial, coefficient in terms if coefficient == 1 and len(monomial) == 1]
    divisions = [
        atom
        for atom in alone
        if isinstance(atom, Application) and atom.function == "floordiv" and isinstance(atom.right, int)
    ]
    return max(divisions, key=lambda atom: len(str(atom)), default=None)


def _divide_by_symbol(dividend: Dim, divisor: SymbolicDim) -> Dim:
    if dividend == 0:
        return 0
    if dividend == divisor:
        return 1
    exact = _divide_terms(dividend, divisor)
    if exact is not None:
        return exact
    return SymbolicDim((((Application("floordiv", dividend, divisor),), 1),))


def _divide_terms(dividend: Dim, divisor: SymbolicDim) -> Dim | None:
    """Exact quotient by a divisor that is a single product, or None."""
    if len(divisor.terms) != 1:
        return None
    product, factor = divisor.terms[0]
    quotient: dict[Monomial, int] = {}
    for monomial, coefficient in _terms_of(dividend):
        left = list(monomial)
        for atom in product:
            if atom not in left:
                return None
            left.remove(atom)
        if coefficient % factor:
            return None
        quotient[tuple(left)] = coefficient // factor
    return _canonical(quotient)


def _bracket(dim: Dim) -> str:
    text = str(dim)
    return text if text.isidentifier() or text.isdigit() else f"({text})"


def _render(terms: tuple[tuple[Monomial, int], ...]) -> str:
    text = ""
    for monomial, coefficient in terms:
        factors = [str(atom) for atom in monomial]
        if abs(coefficient) != 1 or not factors:
            factors.insert(0, str(abs(coefficient)))
        if len(factors) > 1 or coefficient < 0:
            factors = [f"({factor})" if "//" in factor else factor for factor in factors]
        plus, minus = (" + ", " - ") if text else ("", "-")
        text += (minus if coefficient < 0 else plus) + "*".join(factors)
    return text


_BINARY: dict[type[ast.operator], Callable[[Dim, Dim], Dim]] = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
    ast.Mod: lambda a, b: a - (a // b) * b,
}


def _read(node: ast.expr) -> Dim:
    if isinstance(node, ast.Constant) and type(node.value) is int and node.value <= MAX_COEFFICIENT:
        return node.value
    if isinstance(node, ast.Name):
        return symbol(node.id)
    if isinstance(node, ast.BinOp) and type(node.op) in _BINARY:
        return _BINARY[type(node.op)](_read(node.left), _read(node.right))
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        return -1 * _read(node.operand)
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and len(node.args) == 2:
        function = {"min": min_dim, "max": max_dim}.get(node.func.id)
        if function:
            return reduce(function, map(_read, node.args))
    raise SyntaxError
