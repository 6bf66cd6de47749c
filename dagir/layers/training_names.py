"""The names of Keras's regularizers and constraints: Keras makes them when it trains, and a wrong one fails here."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache

from dagir.errors import ArgumentError
from dagir.layers.arguments import signature

_KNOWN = {
    "regularizer": ("l1", "l2", "l1l2", "orthogonal_regularizer", "L1", "L2", "L1L2", "OrthogonalRegularizer"),
    "constraint": (
        *("max_norm", "min_max_norm", "non_neg", "unit_norm"),
        *("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"),
    ),
}


@cache
def _taken(cls: type) -> tuple[tuple[str, str], ...]:
    """The arguments of a layer that are of these kinds, each with its kind."""
    names = {*signature(cls).parameters, "activity_regularizer"}
    return tuple((name, kind) for name in sorted(names) for kind in _KNOWN if name.endswith(kind))


def check_training_names(cls: type, arguments: Mapping[str, object]) -> None:
    """Raise ArgumentError where a regularizer or constraint is none that Keras knows."""
    for name, kind in _taken(cls):
        value, known = arguments.get(name), _KNOWN[kind]
        if value is None or callable(value) or isinstance(value, Mapping):
            continue
        if isinstance(value, str) and (value in known or ">" in value):  # "package>Name": a registered class
            continue
        near = difflib.get_close_matches(str(value), known, n=3) or known[:4]
        raise ArgumentError(
            f"{_named(cls, arguments)} takes no {name} {value!r}",
            remedy=f"did you mean {' or '.join(near)}? An object of keras.{kind}s is taken too",
        )


def _named(cls: type, arguments: Mapping[str, object]) -> str:
    return f"{cls.__name__} {arguments['name']!r}" if arguments.get("name") else cls.__name__
