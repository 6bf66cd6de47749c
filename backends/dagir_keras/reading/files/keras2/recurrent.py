"""Recurrent layers of Keras 2: kernels as cuDNN has them, and time on the first axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from dagir import layers, ops
from dagir.ir.graph import Parameter, Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.traversal import reached
from dagir.ir.types import Array
from dagir.layers import Layer
from dagir.layers.internals import parts_of
from dagir_keras.reading.layer_calls import call_layer

Conversion: TypeAlias = Callable[[Array], Array]


def cudnn_conversions(layer: Layer, stored: Mapping[Parameter, Sequence[int]]) -> dict[Parameter, Conversion]:
    """How to convert the weights of the LSTM and GRU cells in a layer that a file has in the layout of cuDNN.

    stored: the shapes in the file. As in Keras, the shape of the bias tells the layout: cuDNN has two of them in a row.
    """
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


def time_first(layer: Layer, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
    """Call a recurrent layer whose sequences have the time on the first axis and the batch on the second."""
    sequences, *states = args
    if "mask" in kwargs:
        kwargs = {**kwargs, "mask": _swapped(kwargs["mask"])}
    found = flatten(call_layer(layer, [_swapped(sequences), *states], kwargs))
    returns: Any = layer
    if returns.return_sequences:
        count = 2 if isinstance(layer, layers.Bidirectional) and layer.merge_mode is None else 1
        found[:count] = map(_swapped, found[:count])
    return found[0] if len(found) == 1 else found


def _swapped(value: Any) -> Any:
    """The value with its first two axes exchanged, and its mask's."""
    return map_structure(_swap, value)


def _swap(leaf: Any) -> Any:
    if not isinstance(leaf, Value):
        return leaf
    made = ops.swapaxes(leaf, 0, 1)
    if leaf.mask is not None:
        made.attach_mask(ops.swapaxes(leaf.mask, 0, 1))
    return made
