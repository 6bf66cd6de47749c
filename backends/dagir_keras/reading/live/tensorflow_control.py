"""Control flow of TensorFlow in a traced call: tf.cond, tf.while_loop, tf.map_fn ... by those of dagir.ops.

Its functions run once on traced tensors, and become bodies.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dagir import ops
from dagir.errors import DagirError
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir_keras.reading.live.branches import explored
from dagir_keras.reading.problems import OutsideTable, Refused, Untraceable
from dagir_keras.reading.tensorflow.tensors import constant_of, tensor, value

Function = Callable[..., Any]


def is_control(name: str) -> bool:
    """Whether a function of TensorFlow, by its public name, runs functions of the user's."""
    return name.removeprefix("compat.v1.") in _RULES


def run(
    name: str, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any], given: Function, back: Function
) -> Any:
    """What the function gives in a traced call. given: a leaf as the table takes it; back: the way back.

    Raises OutsideTable.
    """
    rule = _RULES[name.removeprefix("compat.v1.")]
    try:
        bound = inspect.signature(function).bind(*args, **kwargs).arguments
        known = inspect.signature(rule).parameters
        taken = {key: part for key, part in bound.items() if key in known}
        return rule(**taken, lift=_Lift(given, back))
    except (OutsideTable, Untraceable):
        raise
    except Refused as refused:
        raise OutsideTable(f"tf.{name}: {refused.reason}", refused.remedy) from None
    except DagirError as error:
        raise OutsideTable(f"tf.{name}: {error.summary}", error.remedy) from None


class _Lift:
    """Between what a traced call handles and the values of the graph."""

    def __init__(self, given: Function, back: Function) -> None:
        self._given, self._back = given, back

    def values(self, structure: Any) -> Any:
        """What a call handles as values."""
        return map_structure(lambda leaf: value(tensor(self._given(leaf))), structure)

    def back(self, structure: Any) -> Any:
        """Values as a call handles them."""
        return map_structure(self._back, structure)

    def body(self, function: Function) -> Function:
        """A function on what a call handles as one on values; an `if` of Python in it is a branch in the body."""
        return lambda *given: explored(lambda: self.values(function(*map(self.back, given))))

    def truth(self, pred: Any) -> Any:
        """A predicate: known, or a bool of the graph."""
        found = self.values(pred)
        known = constant_of(found)
        return ops.cast(found, "bool") if known is None else bool(known)


def _cond(pred: Any, true_fn: Function, false_fn: Function, *, lift: _Lift) -> Any:
    known = lift.truth(pred)
    if isinstance(known, bool):
        return (true_fn if known else false_fn)()
    return lift.back(ops.cond(known, lift.body(true_fn), lift.body(false_fn)))


def _case(pred_fn_pairs: Any, default: Any = None, exclusive: bool = False, *, lift: _Lift) -> Any:
    pairs = list(pred_fn_pairs.items() if isinstance(pred_fn_pairs, Mapping) else pred_fn_pairs)
    if default is None or exclusive:
        raise Refused("it holds no default, or demands that one condition alone holds", "give a default")
    chosen: Function = default
    for pred, function in reversed(pairs):
        chosen = partial(_cond, pred, function, chosen, lift=lift)
    return chosen()


def _switch_case(branch_index: Any, branch_fns: Any, default: Any = None, *, lift: _Lift) -> Any:
    rows = dict(branch_fns if isinstance(branch_fns, Mapping) else _numbered(branch_fns))
    last = max(rows)
    if sorted(rows) != list(range(last + 1)):
        raise Refused("its branches are not numbered from 0 on")
    functions = [lift.body(rows[place]) for place in range(last + 1)]
    functions.append(lift.body(default) if default is not None else functions[-1])
    index = lift.values(branch_index)
    place = ops.where(ops.less(index, 0), last + 1, ops.minimum(index, last + 1))
    return lift.back(ops.switch(place, functions))


def _numbered(branches: Sequence[Any]) -> list[tuple[int, Function]]:
    return [each if isinstance(each, tuple) else (place, each) for place, each in enumerate(branches)]


def _while_loop(cond: Function, body: Function, loop_vars: Any, maximum_iterations: Any = None, *, lift: _Lift) -> Any:
    begin = lift.values(loop_vars)
    most = None if maximum_iterations is None else lift.values(maximum_iterations)
    listed = isinstance(begin, (list, tuple))

    def step(*state: Any) -> Any:
        made = lift.body(body)(*state)
        return list(made) if listed and isinstance(made, (list, tuple)) else [made] if listed else made

    found = ops.while_loop(lift.body(cond), step, list(begin) if listed else begin, most)
    return lift.back(type(begin)(found) if listed and not hasattr(begin, "_fields") else found)


def _map_fn(fn: Function, elems: Any, *, lift: _Lift) -> Any:
    return lift.back(ops.map(lift.body(fn), lift.values(elems)))


def _scan(fn: Function, elems: Any, initializer: Any = None, reverse: bool = False, *, lift: _Lift) -> Any:
    first, rows = _begun(elems, initializer, reverse, lift)

    def step(carry: Any, row: Any) -> tuple[Any, Any]:
        made = lift.body(fn)(carry, row)
        return made, made

    found = ops.scan(step, first, rows, reverse=reverse)[1]
    if initializer is None:
        ends = zip(flatten(first), flatten(found), strict=True)
        both = [[ops.expand_dims(begin, 0), rest] for begin, rest in ends]
        joined = iter([ops.concatenate(pair[::-1] if reverse else pair, 0) for pair in both])
        found = map_structure(lambda _: next(joined), found)
    return lift.back(found)


def _foldl(fn: Function, elems: Any, initializer: Any = None, *, lift: _Lift) -> Any:
    return _folded(fn, elems, initializer, False, lift)


def _foldr(fn: Function, elems: Any, initializer: Any = None, *, lift: _Lift) -> Any:
    return _folded(fn, elems, initializer, True, lift)


def _folded(fn: Function, elems: Any, initializer: Any, reverse: bool, lift: _Lift) -> Any:
    first, rows = _begun(elems, initializer, reverse, lift)
    step = lift.body(fn)
    return lift.back(ops.scan(lambda carry, row: (step(carry, row), None), first, rows, reverse=reverse)[0])


def _begun(elems: Any, initializer: Any, reverse: bool, lift: _Lift) -> tuple[Any, Any]:
    """The first carry, and the rows that are left: without an initializer the first row is it."""
    rows = lift.values(elems)
    if initializer is not None:
        return lift.values(initializer), rows
    cut = slice(None, -1) if reverse else slice(1, None)

    def row(part: Value) -> Value:
        return part[-1 if reverse else 0]

    return map_structure(row, rows), map_structure(lambda part: part[cut], rows)


_RULES: Mapping[str, Function] = {
    "cond": _cond,
    "case": _case,
    "switch_case": _switch_case,
    "while_loop": _while_loop,
    "map_fn": _map_fn,
    "vectorized_map": _map_fn,
    "scan": _scan,
    "foldl": _foldl,
    "foldr": _foldr,
}
