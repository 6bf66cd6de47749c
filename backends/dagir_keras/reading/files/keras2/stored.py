"""Weights that older versions of Keras store in another layout than the current one."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np

from dagir import layers
from dagir.ir.graph import Parameter
from dagir.ir.traversal import reached
from dagir.ir.types import Array
from dagir.layers import Layer
from dagir.layers.internals import own_weights, parts_of

Conversion: TypeAlias = Callable[[Array], Array]


def conversions(layer: Layer, stored: Mapping[Parameter, Sequence[int]]) -> dict[Parameter, Conversion]:
    """How to convert the weights of a layer, and of those inside, that have another layout. stored: their shapes."""
    return _of_axes(layer, stored) | _of_cudnn(layer, stored)


def _of_axes(layer: Layer, stored: Mapping[Parameter, Sequence[int]]) -> dict[Parameter, Conversion]:
    """For LayerNormalization: the sizes of its axes were in the order in which they were written, now they are sorted.

    The numbers are in the same order in both.
    """
    found: dict[Parameter, Conversion] = {}
    for each in reached([layer], parts_of):
        for weight in own_weights(each) if isinstance(each, layers.LayerNormalization) else []:
            shape = tuple(stored.get(weight, weight.shape))
            if shape != weight.shape and sorted(shape) == sorted(weight.shape):
                found[weight] = _reshaped(weight.shape)
    return found


def _reshaped(shape: tuple[int, ...]) -> Conversion:
    return lambda array: array.reshape(shape)


def _of_cudnn(layer: Layer, stored: Mapping[Parameter, Sequence[int]]) -> dict[Parameter, Conversion]:
    """For LSTM and GRU: as in Keras, the shape of the bias tells the layout, for cuDNN has two of them in a row."""
    found: dict[Parameter, Conversion] = {}
    for cell in reached([layer], parts_of):
        if not isinstance(cell, (layers.LSTMCell, layers.GRUCell)) or cell.bias is None or cell.bias not in stored:
            continue
        gates, bias = 4 if isinstance(cell, layers.LSTMCell) else 3, cell.bias
        units = cell.recurrent_kernel.shape[0]
        if tuple(stored[bias]) == (2 * gates * units,) and (isinstance(cell, layers.LSTMCell) or cell.reset_after):
            found[cell.kernel] = _by_gates(gates, lambda kernel: kernel.reshape(kernel.shape[::-1]).T)
            found[cell.recurrent_kernel] = _by_gates(gates, np.transpose)
            found[bias] = _sum_of_two if gates == 4 else _two_rows
    return found


def _by_gates(count: int, convert: Conversion) -> Conversion:
    return lambda array: np.hstack([convert(part) for part in np.hsplit(array, count)])


def _sum_of_two(bias: Array) -> Array:
    return np.asarray(bias.reshape(2, -1).sum(axis=0))


def _two_rows(bias: Array) -> Array:
    return bias.reshape(2, -1)
