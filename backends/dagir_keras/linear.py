"""Linear maps."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_letters
from typing import Any

from keras import backend
from keras import ops as K

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.Linear)
def linear(op: ops.Linear, x: Any, w: Any, b: Any = None) -> Any:
    y = K.matmul(x, w)
    return y if b is None else K.add(y, b)


@rules.rule(ops.MatMul)
def matmul(op: ops.MatMul, x1: Any, x2: Any) -> Any:
    return K.matmul(x1, x2)


@rules.rule(ops.Einsum)
def einsum(op: ops.Einsum, *xs: Any) -> Any:
    return K.einsum(_without_dots(op.equation, [len(x.shape) for x in xs]), *xs)


def _without_dots(equation: str, ranks: Sequence[int]) -> str:
    """The equation with letters for the axes that "..." stands for, where all dots are as long.

    On KerasTensors Keras takes dots behind letters for the first axes.
    """
    if "..." not in equation:
        return equation
    inputs = equation.partition("->")[0].split(",")
    counts = [rank - len(part.replace("...", "")) for part, rank in zip(inputs, ranks, strict=True) if "..." in part]
    if len(set(counts)) != 1:
        return equation
    free = [letter for letter in ascii_letters if letter not in equation]
    return equation.replace("...", "".join(free[: counts[0]]))


@rules.rule(ops.Embedding)
def embedding(op: ops.Embedding, ids: Any, table: Any) -> Any:
    if backend.standardize_dtype(ids.dtype) not in ("int32", "int64"):  # TensorFlow gathers by no other
        ids = K.cast(ids, "int32")
    return K.take(table, ids, axis=0)
