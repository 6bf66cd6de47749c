"""What the form of a size shows of how large it is, whatever the named sizes are."""

from __future__ import annotations

from dagir.ir.dims import Dim, never_negative, substitute, symbol, symbols


def never_empty(dim: Dim) -> bool:
    """Whether the form of `dim` shows that it is 1 at least where every named size is."""
    return never_negative(substitute(dim, {name: symbol(name) + 1 for name in symbols(dim)}) - 1)


def at_most_one(dim: Dim) -> bool:
    """Whether the form of `dim` shows that it is 0 or 1, as the size of `x[:1]` is."""
    if isinstance(dim, int):
        return dim <= 1
    if len(dim.terms) != 1 or dim.terms[0][1] != 1 or len(dim.terms[0][0]) != 1:
        return False
    atom = dim.terms[0][0][0]
    return not isinstance(atom, str) and atom.function == "min" and (at_most_one(atom.left) or at_most_one(atom.right))
