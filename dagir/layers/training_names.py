"""The names of Keras's regularizers and constraints. Keras makes them for training; a wrong name fails at the call."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from dagir.errors import ArgumentError
from dagir.layers.arguments import signature
from dagir.support.did_you_mean import did_you_mean

_KNOWN = {
    "regularizer": ("l1", "l2", "l1l2", "orthogonal_regularizer", "L1", "L2", "L1L2", "OrthogonalRegularizer"),
    "constraint": (
        *("max_norm", "min_max_norm", "non_neg", "unit_norm"),
        *("MaxNorm", "MinMaxNorm", "NonNeg", "UnitNorm"),
    ),
}


@cache
def _taken(cls: type) -> tuple[tuple[str, str], ...]:
    """The regularizers and constraints among the arguments of a layer."""
    names = {*signature(cls).parameters, "activity_regularizer"}
    return tuple((name, kind) for name in sorted(names) for kind in _KNOWN if name.endswith(kind))


def check_training_names(cls: type, arguments: Mapping[str, object]) -> None:
    """Raise ArgumentError for a regularizer or constraint that Keras does not know."""
    for name, kind in _taken(cls):
        value, known = arguments.get(name), _KNOWN[kind]
        if value is None or callable(value) or isinstance(value, Mapping):
            continue
        if isinstance(value, str) and (value in known or ">" in value):  # "package>Name": a registered class
            continue
        raise ArgumentError(
            f"{_named(cls, arguments)} takes no {name} {value!r}",
            remedy=f"{did_you_mean(value, known, instead=known[:4])} An object of keras.{kind}s is taken too",
        )


def _named(cls: type, arguments: Mapping[str, object]) -> str:
    return f"{cls.__name__} {arguments['name']!r}" if arguments.get("name") else cls.__name__
