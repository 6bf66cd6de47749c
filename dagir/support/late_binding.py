"""Functions that a lower floor calls and a higher floor provides, so that no lower floor imports a higher one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, ParamSpec, TypeVar

P = ParamSpec("P")
R_co = TypeVar("R_co", covariant=True)


class LateBound(Generic[P, R_co]):
    """A function that is declared with its type where it is called, and bound once, by `dagir/wiring.py`.

    Calling it before that raises LookupError: it is a fault of dagir, not of the user.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._function: Callable[P, R_co] | None = None

    def bind(self, function: Callable[P, R_co]) -> None:
        """Say which function it is."""
        self._function = function

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_co:
        """Call the bound function."""
        if self._function is None:
            raise LookupError(f"{self.name} was not bound: import dagir first")
        return self._function(*args, **kwargs)
