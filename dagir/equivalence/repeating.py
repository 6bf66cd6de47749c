"""The call of `dagir.verify` that makes a report again, as text."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from os import PathLike, fspath

from dagir.equivalence.closeness import Thresholds


def as_called(
    backends: object,
    names: Iterable[str],
    inputs: object,
    *,
    seed: int,
    thresholds: Thresholds,
    **others: object,
) -> str:
    """The call. names: of the sides that were compared, for those that have no text of their own.

    An object that was given (a model, arrays) is a word in its place. others: further arguments; None is left out.
    """
    arguments = ["model", _sides(backends, names)]
    if isinstance(inputs, (str, PathLike)):
        arguments.append(repr(fspath(inputs)))
    elif inputs is not None:
        arguments.append("inputs")
    arguments.append(f"seed={seed}")
    if thresholds.any:
        kept = {name: each for name, each in vars(thresholds).items() if each is not None}
        arguments.append(f"thresholds=dagir.Thresholds({', '.join(f'{name}={each!r}' for name, each in kept.items())})")
    arguments += [f"{name}={_word(name, each)}" for name, each in others.items() if each is not None]
    return f"dagir.verify({', '.join(arguments)})"


def _sides(backends: object, names: Iterable[str]) -> str:
    if isinstance(backends, Mapping):
        return "{" + ", ".join(f"{name!r}: {_side(side)}" for name, side in backends.items()) + "}"
    given = list(backends) if isinstance(backends, (list, tuple)) else [backends]
    if all(isinstance(each, (str, PathLike)) for each in given):
        return f"[{', '.join(map(_side, given))}]"
    return "{" + ", ".join(f"{name!r}: ..." for name in names) + "}"


def _side(side: object) -> str:
    return repr(fspath(side)) if isinstance(side, (str, PathLike)) else "..."


def _word(name: str, given: object) -> str:
    """A number, a text or a structure of them as Python writes it; anything else by the name of its argument."""
    return repr(given) if _is_plain(given) else name


def _is_plain(given: object) -> bool:
    if isinstance(given, Mapping):
        return all(map(_is_plain, (*given, *given.values())))
    if isinstance(given, (list, tuple)):
        return all(map(_is_plain, given))
    return isinstance(given, (str, int, float))


__all__ = ["as_called"]
