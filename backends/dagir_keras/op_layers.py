"""Which ops on weights are what a layer of Keras computes: the weights become the variables of that layer."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import keras
from keras import ops as K

from dagir import ops
from dagir.ir.graph import Node, Op, Parameter, Value
from dagir_keras.conv import convolution_layer, transposed_layer
from dagir_keras.pool import reaches_outside

Make: TypeAlias = Callable[[str], keras.layers.Layer]
Run: TypeAlias = Callable[[keras.layers.Layer, Sequence[Any]], Any]
Key: TypeAlias = tuple[Op, tuple[Parameter, ...]]


@dataclass(frozen=True)
class OpLayer:
    """A layer of Keras for an op.

    make: the layer, for its dtype. weights: the Parameters of its variables, in their order. reads: what it is called
    on. run: calls it.
    """

    op: Op
    make: Make
    weights: tuple[Parameter, ...]
    reads: tuple[Value | None, ...]
    run: Run

    @property
    def key(self) -> Key:
        """Equal for all nodes that the same layer can compute."""
        return self.op, self.weights


_finders: dict[type[Op], Callable[[Any, Node], OpLayer | None]] = {}


def finder(*kinds: type[Op]) -> Callable[[Any], Any]:
    """Register what finds the layer of an op of these classes."""

    def register(function: Any) -> Any:
        _finders.update(dict.fromkeys(kinds, function))
        return function

    return register


def op_layer(node: Node) -> OpLayer | None:
    """The layer for a node; None where Keras has none, or where a layer cannot hold its weights as they are."""
    finder = _finders.get(type(node.op))
    found = None if finder is None else finder(node.op, node)
    if found is None or len(set(found.weights)) < len(found.weights):
        return None
    read = [value for value in found.reads if value is not None]
    if any(isinstance(value.source, Parameter) for value in read):
        return None
    if found.weights and not _is_built_on(node.op, read[0]):
        return None
    moving = found.weights[-2:] if isinstance(node.op, ops.BatchNorm) else ()
    own = found.weights[: len(found.weights) - len(moving)]
    if any(weight.trainable for weight in moving) or len({weight.trainable for weight in own}) > 1:
        return None  # a layer has one flag for all of its weights
    return found


def _is_built_on(op: Op, x: Value) -> bool:
    """Whether the sizes are known that a layer of Keras makes its weights by."""
    if isinstance(op, ops.Einsum):
        data, kernel = op.equation.partition("->")[0].split(",")
        axes = [axis for axis, letter in enumerate(data) if letter in kernel]
    elif isinstance(op, ops.Embedding):
        axes = []
    elif hasattr(op, "data_format"):
        axes = [-1 if op.data_format == "channels_last" else 1]
    else:
        axes = list(getattr(op, "axes", None) or [getattr(op, "axis", -1)])
    return all(isinstance(x.type.shape[axis], int) for axis in axes)


def weights_of(node: Node) -> tuple[Parameter, ...]:
    """The Parameters that a node reads, each once."""
    sources = (value.source for value in node.inputs if value is not None)
    return tuple(dict.fromkeys(source for source in sources if isinstance(source, Parameter)))


def _parameters(*values: Value | None) -> tuple[Parameter, ...] | None:
    """The Parameters of operands, without the absent ones; None where one is something else."""
    sources = [value.source for value in values if value is not None]
    found = tuple(source for source in sources if isinstance(source, Parameter))
    return found if len(found) == len(sources) else None


def _operands(node: Node, count: int) -> list[Value | None]:
    return [*node.inputs, *[None] * count][:count]


def _given(value: Value | None) -> Value:
    assert value is not None
    return value


def on_first(layer: keras.layers.Layer, tensors: Sequence[Any]) -> Any:
    """Call a layer on the first of the tensors."""
    return layer(tensors[0])


@finder(ops.Linear, ops.MatMul)
def _dense(op: Op, node: Node) -> OpLayer | None:
    x, w, b = _operands(node, 3)
    weights = _parameters(w, b)
    if weights is None or not weights or _given(x).type.rank < 2 or weights[0].type.rank != 2:
        return None
    if not weights[0].dtype.is_float:
        return None
    units = weights[0].shape[1]

    def make(dtype: str) -> keras.layers.Layer:
        return keras.layers.Dense(units, use_bias=b is not None, dtype=dtype)

    return OpLayer(op, make, weights, (x,), on_first)


@finder(ops.Einsum)
def _einsum_dense(op: ops.Einsum, node: Node) -> OpLayer | None:
    if len(node.inputs) != 2:
        return None
    x, w = node.inputs
    weights, (left, result) = _parameters(w), op.equation.split("->")
    data, kernel = left.split(",")
    letters = [data, kernel, result]
    plain = all(part.isalpha() and len(set(part)) == len(part) for part in letters)
    if not weights or not plain or not weights[0].dtype.is_float or data[0] != result[0] or data[0] in kernel:
        return None
    summed, kept = set(data) & set(kernel) - set(result), set(kernel) - set(data)
    if not summed or not kept or not set(data) - summed <= set(result) or not kept <= set(result):
        return None
    sizes = node.output.shape[1:]

    def make(dtype: str) -> keras.layers.Layer:
        return keras.layers.EinsumDense(op.equation, sizes, dtype=dtype)

    return OpLayer(op, make, weights, (x,), on_first)


@finder(ops.Conv)
def _conv(op: ops.Conv, node: Node) -> OpLayer | None:
    x, w, b = _operands(node, 3)
    weights = _parameters(w, b)
    if not weights or not weights[0].dtype.is_float:
        return None
    make, run = convolution_layer(_with_same(op, _given(x), weights[0].shape), weights[0].shape, b is not None)
    return OpLayer(op, make, weights, (x,), run)


def _with_same(op: ops.Conv, x: Value, kernel: tuple[int, ...]) -> ops.Conv:
    """The convolution with Keras's word for its padding, where that means the same pads."""
    same, sizes = replace(op, padding="same"), [x.type.shape[axis] for axis in op.spatial_axes]
    return same if op.padding == same.pads(sizes, kernel[: op.rank]) else op


@finder(ops.ConvTranspose)
def _conv_transpose(op: ops.ConvTranspose, node: Node) -> OpLayer | None:
    x, w, b = _operands(node, 3)
    weights = _parameters(w, b)
    found = None if not weights else transposed_layer(op, weights[0].shape, b is not None)
    return None if found is None or weights is None else OpLayer(op, found[0], weights, (x,), found[1])


@finder(ops.Embedding)
def _embedding(op: ops.Embedding, node: Node) -> OpLayer | None:
    ids, table = node.inputs
    weights = _parameters(table)
    if not weights or weights[0].type.rank != 2:
        return None
    rows, width = weights[0].shape

    def make(dtype: str) -> keras.layers.Layer:
        return keras.layers.Embedding(rows, width, dtype=dtype)

    return OpLayer(op, make, weights, (ids,), on_first)


@finder(ops.BatchNorm)
def _batch_norm(op: ops.BatchNorm, node: Node) -> OpLayer | None:
    x, *vectors = _operands(node, 5)
    weights = _parameters(*vectors)
    if weights is None or vectors[2] is None or vectors[3] is None or not _are_known(x, (op.axis,)):
        return None
    scale, center = (vector is not None for vector in vectors[:2])

    def make(dtype: str) -> keras.layers.Layer:
        options = {"momentum": op.momentum, "epsilon": op.epsilon, "scale": scale, "center": center}
        return keras.layers.BatchNormalization(op.axis, dtype=dtype, **options)

    return OpLayer(op, make, weights, (x,), on_first)


@finder(ops.LayerNorm)
def _layer_norm(op: ops.LayerNorm, node: Node) -> OpLayer | None:
    x, gamma, beta = _operands(node, 3)
    weights = _parameters(gamma, beta)
    if not weights or not _are_known(x, op.axes):
        return None

    def make(dtype: str) -> keras.layers.Layer:
        options = {"scale": gamma is not None, "center": beta is not None}
        return keras.layers.LayerNormalization(_axes(op.axes), epsilon=op.epsilon, dtype=dtype, **options)

    return OpLayer(op, make, weights, (x,), on_first)


@finder(ops.RMSNorm)
def _rms_norm(op: ops.RMSNorm, node: Node) -> OpLayer | None:
    x, scale = _operands(node, 2)
    weights = _parameters(scale)
    if not weights or op.axes != (_given(x).type.rank - 1,):  # Keras scales along the last axis
        return None
    return OpLayer(
        op,
        lambda dtype: keras.layers.RMSNormalization(_axes(op.axes), epsilon=op.epsilon, dtype=dtype),
        weights,
        (x,),
        on_first,
    )


def _are_known(x: Value | None, axes: tuple[int, ...]) -> bool:
    return all(isinstance(_given(x).type.shape[axis], int) for axis in axes)


def _axes(axes: tuple[int, ...]) -> Any:
    return axes[0] if len(axes) == 1 else list(axes)


@finder(ops.GroupNorm)
def _group_norm(op: ops.GroupNorm, node: Node) -> OpLayer | None:
    x, gamma, beta = _operands(node, 3)
    weights = _parameters(gamma, beta)
    if not weights:
        return None

    def make(dtype: str) -> keras.layers.Layer:
        options = {"scale": gamma is not None, "center": beta is not None}
        return keras.layers.GroupNormalization(op.groups, op.axis, op.epsilon, dtype=dtype, **options)

    return OpLayer(op, make, weights, (x,), on_first)


@finder(ops.PRelu)
def _prelu(op: ops.PRelu, node: Node) -> OpLayer | None:
    x, slope = node.inputs
    weights, shape = _parameters(slope), _given(x).shape
    if not weights or weights[0].type.rank > len(shape) or len(shape) < 2:
        return None
    (slopes,) = weights
    sizes = (1,) * (len(shape) - len(slopes.shape)) + slopes.shape
    if sizes[0] != 1:
        return None
    shared = [axis for axis, size in enumerate(sizes) if axis and size == 1]

    def make(dtype: str) -> keras.layers.Layer:
        return keras.layers.PReLU(shared_axes=shared, dtype=dtype)

    return OpLayer(op, make, weights, (x,), on_first)


@finder(ops.LSTM, ops.GRU, ops.SimpleRNN)
def _recurrence(op: Any, node: Node) -> OpLayer | None:
    x, w, r, b, *rest = _operands(node, 5 + op.states)
    states, mask = rest[: op.states], rest[-1]
    weights = _parameters(w, r, b)
    if weights is None or any(state is None for state in states) != all(state is None for state in states):
        return None
    options = {"activation": op.activation, "go_backwards": op.go_backwards}
    if isinstance(op, (ops.LSTM, ops.GRU)):
        options["recurrent_activation"] = op.recurrent_activation
    if isinstance(op, ops.GRU):
        options["reset_after"] = op.reset_after
    options |= {"zero_output_for_mask": op.zero_output_for_mask, "return_sequences": True, "return_state": True}
    cls = getattr(keras.layers, type(op).__name__)

    def make(dtype: str) -> keras.layers.Layer:
        return cls(weights[1].shape[0], use_bias=b is not None, dtype=dtype, **options)

    def run(layer: keras.layers.Layer, tensors: Sequence[Any]) -> Any:
        first, *begin, kept = tensors
        initial = None if states[0] is None else begin
        return layer(first, initial_state=initial, mask=kept)

    return OpLayer(op, make, weights, (x, *states, mask), run)


_NOISE: dict[type[Op], Callable[..., keras.layers.Layer]] = {
    ops.Dropout: lambda op, **kwargs: keras.layers.Dropout(op.rate, op.noise_shape, op.seed, **kwargs),
    ops.AlphaDropout: lambda op, **kwargs: keras.layers.AlphaDropout(op.rate, op.noise_shape, op.seed, **kwargs),
    ops.GaussianDropout: lambda op, **kwargs: keras.layers.GaussianDropout(op.rate, op.seed, **kwargs),
    ops.GaussianNoise: lambda op, **kwargs: keras.layers.GaussianNoise(op.stddev, op.seed, **kwargs),
}


@finder(*_NOISE)
def _noise(op: Op, node: Node) -> OpLayer | None:
    if isinstance(op, ops.GaussianNoise) and op.stddev > 1:
        return None  # which Keras refuses
    return OpLayer(op, lambda dtype: _NOISE[type(op)](op, dtype=dtype), (), node.inputs, on_first)


@finder(ops.AdaptiveAveragePool, ops.AdaptiveMaxPool)
def _adaptive_pool(op: Any, node: Node) -> OpLayer | None:
    """Keras cannot load what it saves of its operation."""
    (x,) = node.inputs
    if reaches_outside(op, _given(x).shape):
        return None
    kind = "Average" if isinstance(op, ops.AdaptiveAveragePool) else "Max"
    cls = getattr(keras.layers, f"Adaptive{kind}Pooling{len(op.output_size)}D")

    def make(dtype: str) -> keras.layers.Layer:
        return cls(op.output_size, data_format=op.data_format, dtype=dtype)

    return OpLayer(op, make, (), (x,), on_first)


def without_mask(tensor: Any) -> Any:
    """The tensor without the mask that it has in Keras: an op reads none, and its result has none."""
    masked = getattr(tensor, "_keras_mask", None) is not None
    return K.copy(tensor) if masked else tensor
