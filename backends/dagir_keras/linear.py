"""Linear maps."""

from __future__ import annotations

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
    return K.einsum(op.equation, *xs)


@rules.rule(ops.Embedding)
def embedding(op: ops.Embedding, ids: Any, table: Any) -> Any:
    if backend.standardize_dtype(ids.dtype) not in ("int32", "int64"):  # TensorFlow gathers by no other
        ids = K.cast(ids, "int32")
    return K.take(table, ids, axis=0)
