"""The table of ONNX: a rule for each operator, and the versions of the operator that it serves.

A rule takes a NodeCall and returns its output, or a sequence of outputs in the operator's order:

    @rule("Relu")
    def relu(call: NodeCall) -> Value:
        return ops.relu(call.inputs[0])

An operator that changed its meaning has a rule for each range of versions: @rule("Softmax", until=12) and
@rule("Softmax", since=13). Attributes that only became inputs need no second rule: see `NodeCall.setting`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, TypeAlias, TypeVar

from dagir.support.late_import import import_modules

Rule: TypeAlias = Callable[[Any], Any]  # from a NodeCall
_R = TypeVar("_R", bound=Rule)

NEWEST_OPSET = 28
"""The newest opset of ONNX's own domain whose operators the rules were written for."""
MICROSOFT = "com.microsoft"
"""The domain of onnxruntime's own operators."""
_ALIASES = {"ai.onnx": ""}


@dataclass(frozen=True)
class Entry:
    """One rule, and the versions of its operator that it serves, both ends included."""

    rule: Rule
    since: int
    until: int | None

    def serves(self, version: int) -> bool:
        """Whether the rule is for the operator as of this version."""
        return self.since <= version and (self.until is None or version <= self.until)

    def overlaps(self, other: Entry) -> bool:
        """Whether a version has both rules."""
        return self.serves(other.since) or other.serves(self.since)


_rules: dict[tuple[str, str], list[Entry]] = {}


def plain_domain(domain: str) -> str:
    """A domain, ONNX's own as an empty text."""
    return _ALIASES.get(domain, domain)


def rule(*names: str, domain: str = "", since: int = 1, until: int | None = None) -> Callable[[_R], _R]:
    """Decorate the rule of an operator, or of several that are the same. since, until: versions of its domain."""

    def register(function: _R) -> _R:
        for name in names:
            entry = Entry(function, since, until)
            known = _rules.setdefault((plain_domain(domain), name), [])
            if any(entry.overlaps(other) for other in known):
                raise TypeError(f"{domain or 'ai.onnx'} {name} has a rule for version {since} already")
            known.append(entry)
        return function

    return register


@cache
def load() -> None:
    """Import every module of this package, and so register their rules."""
    import_modules(__name__.rpartition(".")[0])


def find_rule(domain: str, op: str, version: int) -> Rule | None:
    """The rule of an operator as of a version of its domain."""
    load()
    entries: Sequence[Entry] = _rules.get((plain_domain(domain), op), ())
    return next((entry.rule for entry in entries if entry.serves(version)), None)


def coverage() -> Iterator[tuple[str, str, int, int | None]]:
    """Every operator that has a rule: domain, name, and the versions from and to, in order."""
    load()
    for (domain, name), entries in sorted(_rules.items()):
        for entry in sorted(entries, key=lambda each: each.since):
            yield domain, name, entry.since, entry.until


__all__ = ["MICROSOFT", "NEWEST_OPSET", "Rule", "coverage", "find_rule", "load", "plain_domain", "rule"]
