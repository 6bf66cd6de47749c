"""Loops over a Python function, which is traced once: while_loop, fori_loop, scan, map, associative_scan."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim, max_dim
from dagir.ir.graph import Operand, Structure, Value, apply_node
from dagir.ir.nest import flatten, pack
from dagir.ir.operands import as_value
from dagir.ir.types import DType, TensorType
from dagir.ops.arrangement import moveaxis
from dagir.ops.bodies import close, tracing_body
from dagir.ops.control_flow import Loop
from dagir.ops.elementwise import cast
from dagir.ops.logic import equal, where
from dagir.ops.scanning import Scan
from dagir.ops.shape import expand_dims, flip, squeeze
from dagir.ops.sizes import counted, measured

__all__ = [
    "associative_scan",
    "fori_loop",
    "map",
    "scan",
    "vectorized_map",
    "while_loop",
]

_ITERATION = TensorType(DType.INT64, ())


def while_loop(
    cond: Callable[..., Operand],
    body: Callable[..., Structure],
    loop_vars: Structure,
    maximum_iterations: Operand | Dim | None = None,
) -> Any:
    """loop_vars after `body` as long as `cond` holds.  keras.ops.while_loop.

    cond: from the variables to bool[]; body: to new variables of the same types. A list or tuple of variables is
    passed as arguments, another structure as one. maximum_iterations: an integer scalar; None for no bound.
    Raises ShapeError, DTypeError.

    >>> show(ops.while_loop(lambda x: x < 50.0, lambda x: x * 2.0, [ops.array(3.0)])[0])
    96.0
    """
    several = isinstance(loop_vars, (list, tuple))

    def called(function: Callable[..., Any], leaves: Sequence[Value]) -> Any:
        packed = pack(loop_vars, leaves)
        return function(*packed) if several else function(packed)

    def step(_: Value, state: list[Value]) -> tuple[list[Value], Value]:
        new = _same_structure("body", state, flatten(called(body, state)))
        return new, as_value(called(cond, new))

    state = [_value(leaf) for leaf in flatten(loop_vars)]
    count = None if maximum_iterations is None else _number(maximum_iterations)
    final = _loop(step, state, count, as_value(called(cond, state)), "while")
    return pack(loop_vars, final)


def fori_loop(
    lower: Operand | Dim, upper: Operand | Dim, body_fun: Callable[..., Structure], init_val: Structure
) -> Any:
    """init_val after body_fun(i, val) for i = lower, ..., upper - 1.  keras.ops.fori_loop.

    lower, upper: integer scalars, or sizes. body_fun: gives a structure of the same types as init_val.
    Raises ShapeError, DTypeError.

    >>> show(ops.fori_loop(1, 5, lambda i, x: x * ops.cast(i, "float32"), ops.array(1.0)))
    24.0
    """
    start = _number(lower)

    def step(i: Value, state: list[Value]) -> tuple[list[Value], None]:
        place = cast(i + start, "int32")
        return _same_structure("body_fun", state, flatten(body_fun(place, pack(init_val, state)))), None

    state = [_value(leaf) for leaf in flatten(init_val)]
    if isinstance(lower, int | SymbolicDim) and isinstance(upper, int | SymbolicDim):
        return pack(init_val, _loop(step, state, max_dim(upper - lower, 0), None, "for"))
    return pack(init_val, _loop(step, state, _number(upper) - start, None, "for"))


Step = Callable[[Value, list[Value]], "tuple[list[Value], Value | None]"]


def _loop(step: Step, state: Sequence[Value], count: Value | Dim | None, condition: Value | None, name: str) -> Any:
    """The node of a loop: `step` is called once, on symbolic values."""
    if not state:
        return ()
    with tracing_body() as named:
        iteration = Value(_ITERATION, name=named("iteration"))
        before = [Value(x.type, name=named(f"state_{i}")) for i, x in enumerate(state)]
        new, again = step(iteration, list(before))
    tested = [] if again is None else [again]
    body = close([iteration, *before], [*tested, *new], name, near=state)
    captured = body.inputs[1 + len(state) :]
    size = (count,) if count is not None and not isinstance(count, Value) else ()
    op = Loop(body, len(state), bool(tested), size)
    return apply_node(op, (count if isinstance(count, Value) else None, condition, *state, *captured)).outputs


def scan(
    f: Callable[..., Any],
    init: Structure,
    xs: Structure = None,
    length: Dim | None = None,
    reverse: bool = False,
    unroll: int | bool = 1,
) -> Any:
    """(carry, ys): f(carry, x) -> (carry, y) over axis 0 of xs, the ys stacked along axis 0.  keras.ops.scan.

    init: the first carry; f gives one of the same types. xs: arrays t[n,*s] of one length n, or None with `length`.
    reverse: from the last step to the first; ys stay at their places. unroll: accepted, and without effect.
    Raises ShapeError, DTypeError, ArgumentError.

    >>> show(*ops.scan(lambda total, x: (total + x, total * x), ops.array(0.0), ops.array([1.0, 2.0, 3.0])))
    6.0
    [0.0, 2.0, 9.0]
    """
    sequences = [_value(leaf) for leaf in flatten(xs) if leaf is not None]
    if not sequences and length is None:
        raise ArgumentError("scan needs xs, or a length", remedy="give length=, the number of steps")
    if any(not x.ndim for x in sequences):
        raise ShapeError("scan goes along axis 0 of xs, and one of them is a scalar", remedy="give it an axis")
    steps = sequences or [counted(length)]  # type: ignore[arg-type]  # steps that nobody reads

    def step(state: list[Value], parts: list[Value]) -> tuple[list[Value], Any]:
        given = pack(xs, parts) if sequences else None
        carry, y = f(pack(init, state), given)
        return _same_structure("f", state, flatten(carry)), y

    state = [_value(leaf) for leaf in flatten(init)]
    final, ys = _scan(step, state, steps, reverse)
    return pack(init, final), ys


def _scan(
    step: Callable[[list[Value], list[Value]], tuple[list[Value], Any]],
    state: Sequence[Value],
    sequences: Sequence[Value],
    reverse: bool,
) -> tuple[list[Value], Any]:
    """The node of a scan along axis 0; Scan itself goes along axis 1, so there is an axis of size 1 before it."""
    kinds = [x.type.with_shape((1, *x.type.shape[1:])) for x in sequences]
    with tracing_body() as named:
        before = [Value(x.type, name=named(f"state_{i}")) for i, x in enumerate(state)]
        rows = [Value(kind, name=named(f"step_{i}")) for i, kind in enumerate(kinds)]
        new, y = step(list(before), [squeeze(row, 0) for row in rows])
    leaves = [leaf for leaf in flatten(y) if leaf is not None]
    outs = [expand_dims(_value(leaf), 0) for leaf in leaves]
    body = close([*before, *rows], [*outs, *new], "scan", near=[*state, *sequences])
    captured = body.inputs[len(before) + len(rows) :]
    op = Scan(body, len(before), len(rows), reverse)
    results = apply_node(op, (*state, *(expand_dims(x, 0) for x in sequences), *captured)).outputs
    ys = [squeeze(value, 0) for value in results[: len(outs)]]
    made = iter([flip(value, 0) if reverse else value for value in ys])
    return list(results[len(outs) :]), pack(y, [None if leaf is None else next(made) for leaf in flatten(y)])


def map(f: Callable[..., Any], xs: Structure) -> Any:
    """f(x) for each x along axis 0 of xs, stacked along axis 0.  keras.ops.map.

    xs: arrays t[n,*s] of one length n.

    >>> show(ops.map(lambda x: x * x + 1.0, ops.array([1.0, 2.0, 3.0])))
    [2.0, 5.0, 10.0]
    """
    return scan(lambda carry, x: (carry, f(x)), [], xs)[1]


def vectorized_map(function: Callable[..., Any], elements: Structure) -> Any:
    """function(x) for each x along axis 0 of elements, stacked along axis 0.  keras.ops.vectorized_map.

    elements: arrays t[n,*s] of one length n.

    >>> show(ops.vectorized_map(lambda x: ops.sum(x), ops.array([[1.0, 2.0], [3.0, 4.0]])))
    [3.0, 7.0]
    """
    return map(function, elements)


def associative_scan(f: Callable[..., Structure], elems: Structure, reverse: bool = False, axis: int = 0) -> Any:
    """The running results of f(a, b) along an axis, as cumsum for addition.  keras.ops.associative_scan.

    f: associative; from two slices, in which the axis has size 1, to one. elems: arrays of one size on that axis.
    reverse: from the last slice to the first.

    >>> show(ops.associative_scan(lambda a, b: a + b, ops.array([1.0, 2.0, 3.0])))
    [1.0, 3.0, 6.0]
    """
    given = [moveaxis(_value(leaf), axis, 0) for leaf in flatten(elems)]
    given = [flip(x, 0) if reverse else x for x in given]
    places = counted(given[0].type.shape[0])

    def step(state: list[Value], x: Any) -> tuple[list[Value], list[Value]]:
        place, parts = x[0], x[1:]
        sides = [pack(elems, [moveaxis(expand_dims(p, 0), 0, axis) for p in side]) for side in (state, parts)]
        joined = [squeeze(moveaxis(_value(leaf), axis, 0), 0) for leaf in flatten(f(*sides))]
        new = [where(equal(place, 0), first, later) for first, later in zip(parts, joined, strict=True)]
        return new, new

    _, ys = scan(step, [squeeze(x[:1], 0) for x in given], [places, *given])
    return pack(elems, [moveaxis(flip(y, 0) if reverse else y, 0, axis) for y in ys])


def _same_structure(what: str, state: Sequence[Value], leaves: Sequence[Any]) -> list[Value]:
    """The new state as values; a Python number takes the dtype of the state. Raises ShapeError."""
    if len(leaves) != len(state):
        raise ShapeError(
            f"{what} takes {len(state)} values and gives {len(leaves)}", remedy="return the structure that came in"
        )
    return [_value(leaf, like) for leaf, like in zip(leaves, state, strict=True)]


def _value(leaf: Any, like: Value | None = None) -> Value:
    """A leaf of a structure as a value: a named size is measured at run time."""
    return measured(leaf) if isinstance(leaf, SymbolicDim) else as_value(leaf, like=like)


def _number(count: Operand | Dim) -> Value:
    """An integer scalar of int64."""
    return cast(_value(count), "int64")
