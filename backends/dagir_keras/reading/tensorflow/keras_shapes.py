"""The functions of keras.backend that move elements, with the arguments of Keras 2."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir_keras.reading.tensorflow.registry import function
from dagir_keras.reading.tensorflow.shape import concat, pad, repeat, reverse, tile, transpose
from dagir_keras.reading.tensorflow.tensors import Tensor, dims, integer, product, tensor, value


@function("keras.backend.transpose")
def _transpose_of_keras(x: Any) -> Tensor:
    return transpose(x)


@function("keras.backend.permute_dimensions")
def _permuted(x: Any, pattern: Any) -> Tensor:
    return transpose(x, pattern)


@function("keras.backend.concatenate")
def _concatenate(tensors: Any, axis: Any = -1) -> Tensor:
    return concat(tensors, axis)


@function("keras.backend.tile")
def _tile_of_keras(x: Any, n: Any) -> Tensor:
    return tile(x, n if isinstance(n, (list, tuple)) else [n])


@function("keras.backend.repeat_elements")
def _repeat_elements(x: Any, rep: Any, axis: Any) -> Tensor:
    return repeat(x, integer(rep, "rep"), axis)


@function("keras.backend.repeat")
def _repeat_rows(x: Any, n: Any) -> Tensor:
    """[batch, c] -> [batch, n, c]."""
    return ops.tile(ops.expand_dims(_value(x), 1), (1, dims(n, "n")[0], 1))


@function("keras.backend.reverse")
def _reverse_of_keras(x: Any, axes: Any) -> Tensor:
    return reverse(x, axes)


@function("keras.backend.temporal_padding")
def _temporal_padding(x: Any, padding: Any = (1, 1)) -> Tensor:
    return pad(x, [[0, 0], list(padding), [0, 0]])


@function("keras.backend.batch_flatten")
def batch_flatten(x: Any) -> Tensor:
    """[batch, *s] -> [batch, all of s]."""
    given = _value(x)
    return ops.reshape(given, (-1, product(given.type.shape[1:])))


@function("keras.backend.flatten")
def _flatten(x: Any) -> Tensor:
    return ops.reshape(_value(x), (-1,))


def _value(data: Any) -> Value:
    return value(tensor(data))
