"""The table of rules of a backend."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

from dagir.errors import ArgumentError, BackendError, UnsupportedOp, UserCodeError
from dagir.ir.diagnostics import describe
from dagir.ir.graph import Node, Op
from dagir.layers.unknown import Opaque
from dagir.support.backend_names import ALL
from dagir.support.did_you_mean import nearest
from dagir.support.user_code import of_class

RuleT = TypeVar("RuleT", bound=Callable[..., Any])


class Rules(Generic[RuleT]):
    """The rules of one backend, keyed by op class. A second rule for an op is refused.

    >>> rules = dagir.Rules("mine")
    >>> @rules.rule(ops.Tanh)
    ... def tanh(op, x):
    ...     return np.tanh(x)
    >>> ops.Tanh in rules, ops.Erf in rules
    (True, False)
    """

    def __init__(self, backend: str) -> None:
        self.backend = backend
        self._rules: dict[type[Op], RuleT] = {}
        self._gaps: dict[type[Op], str] = {}

    def rule(self, *ops: type[Op]) -> Callable[[RuleT], RuleT]:
        """Decorate the rule for one or more ops."""

        def register(function: RuleT) -> RuleT:
            for op in ops:
                if op in self._rules or op in self._gaps:
                    raise ArgumentError(f"{self.backend} has a rule for {op.__name__} already")
                self._rules[op] = function
            return function

        return register

    def gap(self, op: type[Op], reason: str) -> None:
        """Declare that the target truly lacks an op, and why."""
        if op in self._rules or op in self._gaps:
            raise ArgumentError(f"{self.backend} has a rule for {op.__name__} already")
        self._gaps[op] = reason

    def __getitem__(self, op: type[Op]) -> RuleT:
        try:
            return self._rules[op]
        except KeyError:
            raise self._missing(op) from None

    def __contains__(self, op: type[Op]) -> bool:
        return op in self._rules

    def __iter__(self) -> Iterator[type[Op]]:
        return iter(self._rules)

    @property
    def gaps(self) -> Mapping[type[Op], str]:
        """The declared gaps with their reasons."""
        return dict(self._gaps)

    def results(self, node: Node, found: Any, kind: type[object] = object) -> tuple[Any, ...]:
        """What a rule gave, as one result for each output of its node. Raises BackendError where it is not that.

        kind: of each result.
        """
        results = found if isinstance(found, tuple) else (found,)
        if len(results) == len(node.outputs) and all(each is not None and isinstance(each, kind) for each in results):
            return results
        name, count = type(node.op).__name__, len(node.outputs)
        got = ", ".join("None" if each is None else type(each).__name__ for each in results) or "nothing"
        what = "an array" if kind is object else f"a {kind.__name__}"
        raise BackendError(
            f"the rule of {self.backend} for {name} returned {got}",
            facts=[("node", describe(node))],
            remedy=f"return {what}" if count == 1 else f"return a tuple of {count}, {what} for each output",
        )

    def user_error(self, node: Node, error: Exception) -> UserCodeError | None:
        """The error for an exception of a rule, if the op of the node is one of the user's own; else None."""
        told = of_class(type(node.op), error, f"the rule of {self.backend} for {type(node.op).__name__}")
        if told is not None:
            told.fact("node", describe(node))
        return told

    def _missing(self, op: type[Op]) -> UnsupportedOp:
        if op is Opaque:
            return UnsupportedOp(
                f"a layer that is not known stands in the graph, which {self.backend} cannot run",
                remedy="cut it away with dagir.extract(model, outputs=..., inputs=...), or read the file with "
                "custom_objects= for it",
            )
        reason = self._gaps.get(op)
        where = f" of dagir_{self.backend}.rules" if self.backend in ALL else ""
        near = nearest(op.__name__, (known.__name__ for known in self._rules))
        return UnsupportedOp(
            f"{self.backend} has no rule for {op.__name__}" + (f": {reason}" if reason else ""),
            remedy=f"add one with @rules.rule({op.__name__}){where}" + (f"; it has {', '.join(near)}" if near else ""),
        )
