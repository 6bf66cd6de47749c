"""The control flow of keras.ops in a traced call: its functions run once on traced tensors, and become bodies."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.nest import map_structure
from dagir_keras.reading.live.branches import explored
from dagir_keras.reading.operations import RUNS_FUNCTIONS

FUNCTIONS = tuple(RUNS_FUNCTIONS.values())

Convert = Callable[[Any], Any]


def is_control(kind: str) -> bool:
    """Whether an operation of Keras, by the name of its class, runs functions of the user's."""
    return kind in RUNS_FUNCTIONS


def run_operation(kind: str, fields: Mapping[str, Any], args: Any, kwargs: Any, value: Convert, traced: Convert) -> Any:
    """The outputs of an operation. fields: the arguments of its constructor; value, traced: see `run_function`."""
    name = RUNS_FUNCTIONS[kind]
    leading = [fields[key] for key in _LEADING.get(name, ()) if key in fields]
    rest = {key: part for key, part in fields.items() if key not in _LEADING.get(name, ())}
    return run_function(name, [*leading, *args], {**rest, **kwargs}, value, traced)


_LEADING = {
    "while_loop": ("cond", "body"),
    "fori_loop": ("lower", "upper", "body_fun"),
    "vectorized_map": ("function",),
}
"""Arguments that Keras's operation has as fields, and its function before the others."""


def run_function(name: str, args: Any, kwargs: Any, value: Convert, traced: Convert) -> Any:
    """The outputs of a function of keras.ops, as values.

    value: from what a traced call handles to a value, or a size; traced: the way back.
    """

    def convert(part: Any) -> Any:
        return _on_values(part, value, traced) if callable(part) and not isinstance(part, type) else value(part)

    given = [map_structure(convert, part) for part in args]
    options = {key: map_structure(convert, part) for key, part in kwargs.items() if part is not None}
    if name == "cond":
        given = [_truth(given[0]), *given[1:]]
    made: Callable[..., Any] = getattr(ops, name)
    return made(*given, **options)


def _truth(pred: Any) -> Any:
    """A predicate: known, as it is when it depends on numbers alone, or a bool of the graph."""
    return ops.cast(pred, "bool") if isinstance(pred, Value) else bool(np.asarray(pred))


def _on_values(function: Callable[..., Any], value: Convert, traced: Convert) -> Callable[..., Any]:
    """A function on tensors of Keras as one on values; an `if` of Python in it is a branch in the body."""
    return lambda *values: explored(lambda: map_structure(value, function(*map_structure(traced, list(values)))))
