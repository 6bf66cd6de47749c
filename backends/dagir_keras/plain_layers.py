"""Which ops without weights are what a layer of Keras computes: a model of them reads as a user of Keras writes it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import keras

from dagir import ops
from dagir.ir.graph import Node, Op, Value
from dagir.ir.leaves import is_leaf
from dagir.ops.pool import Pool
from dagir_keras.op_layers import OpLayer, finder, on_first, op_layer

__all__ = ["op_layer"]

Make: TypeAlias = Callable[[str], keras.layers.Layer]

_ACTIVATIONS: dict[type[Op], str] = {
    ops.Relu: "relu",
    ops.Sigmoid: "sigmoid",
    ops.Tanh: "tanh",
    ops.Softplus: "softplus",
    ops.Softsign: "softsign",
    ops.Silu: "silu",
    ops.HardSigmoid: "hard_sigmoid",
    ops.HardSilu: "hard_silu",
    ops.Selu: "selu",
    ops.Exp: "exponential",
}


def _of_one(op: Op, node: Node, make: Make) -> OpLayer | None:
    """A layer that is called on the first operand. In float64 Keras's layers round some numbers to float32."""
    x = node.inputs[0]
    if x is None or is_leaf(x) or str(x.dtype) not in ("float32", "float16", "bfloat16"):
        return None
    return OpLayer(op, make, (), (x,), on_first)


@finder(*_ACTIVATIONS)
def _activation(op: Op, node: Node) -> OpLayer | None:
    return _of_one(op, node, lambda dtype: keras.layers.Activation(_ACTIVATIONS[type(op)], dtype=dtype))


@finder(ops.Gelu)
def _gelu(op: ops.Gelu, node: Node) -> OpLayer | None:
    if op.approximate:  # Keras's name means the exact one
        return None
    return _of_one(op, node, lambda dtype: keras.layers.Activation("gelu", dtype=dtype))


@finder(ops.LeakyRelu)
def _leaky_relu(op: ops.LeakyRelu, node: Node) -> OpLayer | None:
    if not op.negative_slope >= 0:  # which Keras's layer refuses
        return None
    return _of_one(op, node, lambda dtype: keras.layers.LeakyReLU(op.negative_slope, dtype=dtype))


@finder(ops.Elu)
def _elu(op: ops.Elu, node: Node) -> OpLayer | None:
    return _of_one(op, node, lambda dtype: keras.layers.ELU(op.alpha, dtype=dtype))


@finder(ops.Clip)
def _clip(op: ops.Clip, node: Node) -> OpLayer | None:
    if op.minimum != 0 or not 0 < op.maximum < float("inf"):
        return None
    return _of_one(op, node, lambda dtype: keras.layers.ReLU(op.maximum, dtype=dtype))


@finder(ops.Softmax)
def _softmax(op: ops.Softmax, node: Node) -> OpLayer | None:
    axis, shape = op.axes[0], node.output.shape
    if len(op.axes) != 1 or axis != len(shape) - 1 or shape[axis] == 1:  # Keras warns of an axis of size 1
        return None
    return _of_one(op, node, lambda dtype: keras.layers.Activation("softmax", dtype=dtype))


@finder(ops.MaxPool, ops.AveragePool)
def _pool(op: ops.MaxPool | ops.AveragePool, node: Node) -> OpLayer | None:
    padding = _padding_word(op, node)
    counts_padding = isinstance(op, ops.AveragePool) and op.count_include_pad and padding == "same"
    if padding not in ("valid", "same") or counts_padding or not op.is_plain:
        return None
    kind = "Max" if isinstance(op, ops.MaxPool) else "Average"
    cls = getattr(keras.layers, f"{kind}Pooling{op.rank}D")
    return _of_one(op, node, lambda dtype: cls(op.pool_size, op.strides, padding, op.data_format, dtype=dtype))


def _padding_word(op: Pool, node: Node) -> object:
    """Keras's word for pads that are numbers, where it means the same."""
    x = node.inputs[0]
    if isinstance(op.padding, str) or x is None:
        return op.padding
    if not any(map(any, op.padding)):
        return "valid"
    sizes = [x.type.shape[axis] for axis in op.spatial_axes]
    return "same" if replace(op, padding="same").pads(sizes) == op.padding else op.padding


@finder(ops.ReduceMean, ops.ReduceMax)
def _global_pool(op: ops.ReduceMean | ops.ReduceMax, node: Node) -> OpLayer | None:
    x = node.inputs[0]
    rank = 0 if x is None else x.type.rank
    if not 3 <= rank <= 5 or op.axes != tuple(range(1, rank - 1)):
        return None
    kind = "Max" if isinstance(op, ops.ReduceMax) else "Average"
    cls = getattr(keras.layers, f"Global{kind}Pooling{rank - 2}D")
    return _of_one(op, node, lambda dtype: cls(data_format="channels_last", keepdims=op.keepdims, dtype=dtype))


@finder(ops.Pad)
def _zero_padding(op: ops.Pad, node: Node) -> OpLayer | None:
    rank, spatial = len(op.pads) - 2, op.pads[1:-1]
    if (
        not 1 <= rank <= 3
        or op.mode != "constant"
        or op.value != 0
        or any(low < 0 or high < 0 for low, high in spatial)
    ):
        return None
    if any(op.pads[0]) or any(op.pads[-1]):
        return None
    cls = getattr(keras.layers, f"ZeroPadding{rank}D")
    options = {"data_format": "channels_last"} if rank > 1 else {}
    return _of_one(op, node, lambda dtype: cls(spatial[0] if rank == 1 else spatial, dtype=dtype, **options))


@finder(ops.Reshape)
def _reshape(op: ops.Reshape, node: Node) -> OpLayer | None:
    x, shape = node.inputs[0], node.output.shape
    if x is None or not x.shape or not shape or isinstance(shape[0], int):
        return None
    if x.type.shape[0] != node.output.type.shape[0]:  # two sizes that are known at run time only
        return None
    rest = shape[1:]
    if not rest or not all(isinstance(size, int) and size > 0 for size in (*rest, *x.shape[1:])):
        return None
    if len(rest) == 1:
        return _of_one(op, node, lambda dtype: keras.layers.Flatten("channels_last", dtype=dtype))
    return _of_one(op, node, lambda dtype: keras.layers.Reshape(rest, dtype=dtype))


@finder(ops.Transpose)
def _permute(op: ops.Transpose, node: Node) -> OpLayer | None:
    if len(op.axes) < 2 or op.axes[0] != 0:
        return None
    return _of_one(op, node, lambda dtype: keras.layers.Permute(op.axes[1:], dtype=dtype))


_MERGES: dict[type[Op], type[keras.layers.Layer]] = {
    ops.Add: keras.layers.Add,
    ops.Subtract: keras.layers.Subtract,
    ops.Multiply: keras.layers.Multiply,
    ops.Maximum: keras.layers.Maximum,
    ops.Minimum: keras.layers.Minimum,
}


@finder(*_MERGES)
def _merge(op: Op, node: Node) -> OpLayer | None:
    first, second = node.inputs
    assert first is not None
    assert second is not None
    if first.type != second.type or first.type.rank < 2:
        return None
    return _of_several(op, [first, second], lambda dtype: _MERGES[type(op)](dtype=dtype))


@finder(ops.Concatenate)
def _concatenate(op: ops.Concatenate, node: Node) -> OpLayer | None:
    values = [value for value in node.inputs if value is not None]
    if len(values) < 2 or op.axis == 0:
        return None
    return _of_several(op, values, lambda dtype: keras.layers.Concatenate(op.axis, dtype=dtype))


def _of_several(op: Op, values: Sequence[Value], make: Make) -> OpLayer | None:
    if any(is_leaf(value) or str(value.dtype) not in ("float32", "float16", "bfloat16") for value in values):
        return None
    return OpLayer(op, make, (), tuple(values), _on_all)


def _on_all(layer: keras.layers.Layer, tensors: Sequence[Any]) -> Any:
    return layer(list(tensors))
