"""Facts of an error about a call: the layer, the user's line, the operands with the wrong axes marked."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields
from enum import StrEnum
from functools import cache
from inspect import signature
from typing import TYPE_CHECKING, Any

import numpy as np

from dagir.errors import ArgumentError, DagirError, DTypeError, InvalidGraph, UserCodeError
from dagir.ir.types import Array, TensorType
from dagir.support.location import LayerCall, Location

if TYPE_CHECKING:
    from dagir.ir.graph import Node, Op, Value


def of_shape_rule(
    error: Exception,
    op: Op,
    inputs: Sequence[Value | None],
    scope: LayerCall | None,
    location: Location | None,
) -> Exception:
    """What `apply` raises for an exception of `op.infer`: of operands that it does not take, or with the call named."""
    cause = error.__cause__ if isinstance(error, UserCodeError) else error
    wrong = wrong_operands(op, inputs) if isinstance(cause, (AttributeError, TypeError)) else None
    if wrong is not None or not isinstance(error, DagirError):
        return wrong or error
    return _explained(error, op, inputs, scope, location)


def _explained(
    error: DagirError,
    op: Op,
    inputs: Sequence[Value | None],
    scope: LayerCall | None,
    location: Location | None,
) -> DagirError:
    """Add to an error of `op.infer` all that the user needs to find the call."""
    error.fact("op", op_text(op))
    if scope is not None:
        error.fact("layer", scope.path)
    if location is not None:
        error.fact("called at", str(location))
    for index, value in enumerate(inputs):
        if value is not None:
            axes = error.marks.get(index, ())
            text = marked(value.type, axes)
            source = origin_text(value) if axes else ""
            error.fact(operand_name(op, index), f"{text}\n{source}" if source else text)
    return error


def op_text(op: Op) -> str:
    """The op's class with its attributes."""
    kind: object = type(op)
    listed = ", ".join(f"{name}={_attribute(getattr(op, name))}" for name in _field_names(kind))
    return f"{type(op).__name__}({listed})" if listed else type(op).__name__


@cache
def _field_names(op: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(op))


def _attribute(value: object) -> str:
    text = str(value) if isinstance(value, StrEnum) else repr(value)
    return text if len(text) <= 60 else text[:57] + "..."


def operand_name(op: Op, index: int) -> str:
    """What the op calls its operand; a variadic op calls them xs[0], xs[1], ..."""
    names = op.operands
    if names[-1].startswith("*") and index >= len(names) - 1:
        return f"{names[-1][1:]}[{index - len(names) + 1}]"
    return names[index] if index < len(names) else f"operand {index}"


def marked(type: TensorType, axes: Sequence[int]) -> str:
    """The type as text, with carets under the axes."""
    text = f"{type.dtype}["
    carets = " " * len(text)
    for axis, size in enumerate(map(str, type.shape)):
        separator = ", " if axis else ""
        text += separator + size
        carets += " " * len(separator) + ("^" if axis in axes else " ") * len(size)
    text += "]"
    if not type.shape and axes:
        carets = " " * (len(text) - 1) + "^"
    return f"{text}\n{carets.rstrip()}" if axes else text


def origin_text(value: Value) -> str:
    """Where a value's size came from, in words; empty where nothing is known."""
    node = value.node
    if node is not None:
        made_by = f"layer {node.scope.path}" if node.scope else node.op.op_name
        where = f" at {node.location}" if node.location else ""
        return f"made by {made_by}{where}"
    if value.is_input:
        return f"input {value.name}"
    weight = getattr(value.source, "name", None)  # a constant has no name
    return f"weight {weight}" if weight is not None else ""


def describe(node: Node) -> str:
    """A node in one line: op, layer, source line."""
    parts = [op_text(node.op)]
    if node.scope is not None:
        parts.append(f"layer {node.scope.path!r}")
    if node.location is not None:
        parts.append(f"at {node.location}")
    return ", ".join(parts)


def missing_input(value: Value, inputs: Sequence[Value], nodes: Iterable[Node]) -> DagirError:
    """The error for a graph whose outputs need an Input that is not listed, such as one of another graph."""
    listed = ", ".join(repr(known.name) for known in inputs) or "none"
    reader = next((node for node in nodes if value in node.inputs), None)
    error = InvalidGraph(
        f"the outputs depend on input {value.name!r}, which is not among the inputs",
        facts=[("inputs", listed), ("missing", input_text(value))],
        remedy=f"add {value.name!r} to inputs=, or take outputs that do not need it",
    )
    return error if reader is None else error.fact("read by", describe(reader))


def input_text(value: Value) -> str:
    """An input in one line: name, type, and the line that made it."""
    location = getattr(value.source, "location", None)
    return f"{value.name} {value.type}" + (f", made at {location}" if location else "")


def maker_text(thing: Any) -> str:
    """A value, a node or a layer in one line, with the line of its first call."""
    text = getattr(type(thing), "told_as", None)  # of the class: a layer may well have attributes `op` and `source`
    if text is not None:
        return str(text(thing))
    location = thing._calls[0].location if getattr(thing, "_calls", None) else None
    return type(thing).__name__ + (f", called at {location}" if location else "")


def not_a_value(found: object, nodes: Iterable[Node]) -> DagirError:
    """The error for something in place of a Value among the outputs of a graph, or the operands of a node."""
    reader = next((node for node in nodes if found in node.inputs), None)
    what = "an output" if reader is None else f"an operand of {reader.op.op_name!r}"
    error = InvalidGraph(f"{what} is {found!r} ({type(found).__name__}), which is no Value of a graph")
    return error if reader is None else error.fact("node", describe(reader))


def check_op(given: object, kind: type[Op]) -> None:
    """Raise ArgumentError for something else in the place of an op: most often the class of one."""
    if not isinstance(given, kind):
        name = getattr(given, "__name__", kind.__name__)
        raise ArgumentError(f"apply takes an op, got {given!r:.80}", remedy=f"make one: dagir.apply({name}(), x)")


def wrong_operands(op: Op, operands: Sequence[Value | None]) -> DagirError | None:
    """The error for operands that a shape rule cannot be called with; None if they are right."""
    if (found := dangling(op, operands)) is not None:
        return found
    rule = signature(op.infer)
    try:
        rule.bind(*operands)
    except TypeError:
        count = f"{len(operands)} operand{'s' * (len(operands) != 1)}"
        return ArgumentError(
            f"{type(op).__name__} was applied to {count}, and its infer takes {rule}",
            remedy="give the operands that infer takes, or let infer take self and a type for each operand",
        )
    return None


def dangling(op: Op, operands: Sequence[Value | None]) -> DagirError | None:
    """The error for an operand that is missing or is not a Value; None if all operands are right."""
    for place, value in enumerate(operands):
        if value is not None and not hasattr(value, "source"):
            return InvalidGraph(
                f"operand {operand_name(op, place)} of {op.op_name!r} is {value!r}, which is no Value",
                remedy="use the function in dagir.ops, which takes numbers and arrays too",
            )
    absent = next((place for place, value in enumerate(operands) if value is None), len(operands))
    if absent == len(operands) and absent >= len(op.operands):
        return None
    return InvalidGraph(
        f"operand {operand_name(op, absent)} of {op.op_name!r} is dangling: no value is connected to it",
        remedy=f"{type(op).__name__} reads {', '.join(op.operands)}",
    )


def refuse_lossy_scalar(number: float, like: Value) -> None:
    """Raise DTypeError where a Python number would change its meaning in the dtype of `like`."""
    exact = like.dtype.is_float or isinstance(number, bool) or (like.dtype.is_integer and isinstance(number, int))
    if like.dtype == "bool" and not isinstance(number, bool):
        exact = False
    if isinstance(number, int) and not isinstance(number, bool) and like.dtype.is_integer:
        ends = np.iinfo(like.dtype.numpy)
        exact = int(ends.min) <= number <= int(ends.max)
    if isinstance(number, int) and like.dtype.is_float and number.bit_length() > 1024:
        exact = False  # no float at all, where one that is too large for the dtype is infinity
    if not exact:
        shown = repr(number) if abs(number) < 1e30 else f"{repr(number)[:20]}..."
        raise DTypeError(
            f"the number {shown} does not fit a value of dtype {like.dtype}",
            facts=[("value", f"{like.name} {like.type}")],
            remedy="cast the value first: ops.cast(x, 'float32')",
        )


def refuse_above_32_bits(array: Array) -> None:
    """Raise DTypeError for a Python int that does not fit into int32, its default dtype."""
    ends = np.iinfo(np.int32)
    if array.size and not (ends.min <= array.min() and array.max() <= ends.max):
        worst = array.max() if array.max() > ends.max else array.min()
        raise DTypeError(
            f"the number {worst} does not fit int32, which whole numbers of Python are here",
            remedy="give an array of another dtype: numpy.int64(...)",
        )
