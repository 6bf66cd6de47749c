"""What a rule gave, held against what the op infers: the rules of ops from outside have no tests but this."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras

from dagir.errors import BackendError
from dagir.ir.diagnostics import describe
from dagir.ir.graph import Node, Op
from dagir.ir.types import TensorType
from dagir_keras.rules import rules


def results_of(node: Node, op: Op, rule: Callable[..., Any], operands: Sequence[Any]) -> tuple[Any, ...]:
    """What the rule of a node gives for an op with its sizes. Raises BackendError, UserCodeError."""
    try:
        found = rule(op, *operands)
    except Exception as error:
        told = rules.user_error(node, error)
        if told is None:
            raise
        raise told from error
    return _checked(node, found)


def _checked(node: Node, found: Any) -> tuple[Any, ...]:
    """A tensor for each output of a node. Raises BackendError, which names the op and says what to return.

    Shapes and dtypes are those of `infer`, as far as both sides know them. They are asked of ops from outside alone:
    the tests hold the rules of dagir's own, and some of these leave a dtype to the layer behind them.
    """
    results = rules.results(node, found)
    if type(node.op).__module__.startswith("dagir."):
        return results
    name = type(node.op).__name__
    for value, result in zip(node.outputs, results, strict=True):
        if not hasattr(result, "shape") or not hasattr(result, "dtype"):
            raise BackendError(
                f"the rule of keras for {name} returned {type(result).__name__}",
                facts=[("node", describe(node))],
                remedy="return a tensor of Keras, or a tuple with one for each output",
            )
        given = f"{keras.backend.standardize_dtype(result.dtype)}{_shown(result)}"
        if not _has_shape(result, value.type):
            raise _wrong(node, given, value.type, "mend the one that is wrong: both tell the shape of the same output")
        if keras.backend.standardize_dtype(result.dtype) != str(value.dtype):
            remedy = f"return keras.ops.cast(result, '{value.dtype}'), or mend infer"
            raise _wrong(node, given, value.type, remedy)
    return results


def _wrong(node: Node, given: str, wanted: TensorType, remedy: str) -> BackendError:
    name = type(node.op).__name__
    return BackendError(
        f"the rule of keras for {name} gave {given}, and infer of {name} says {wanted}",
        facts=[("node", describe(node))],
        remedy=remedy,
    )


def _shown(tensor: Any) -> str:
    return str([*tensor.shape]).replace("None", "?")


def _has_shape(tensor: Any, wanted: TensorType) -> bool:
    """Whether the rank is the same, and each size that both sides know as a number."""
    sizes = tuple(tensor.shape)
    return len(sizes) == wanted.rank and all(
        size == known
        for size, known in zip(sizes, wanted.shape, strict=True)
        if isinstance(size, int) and isinstance(known, int)
    )
