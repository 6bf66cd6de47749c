"""keras.losses and keras.backend: losses that a model computes as an output, and batch_dot."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import normalize_axis
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, cast, ints, like, pair, tensor, value

_EPSILON = 1e-7  # keras.backend.epsilon()


def _both(y_true: Any, y_pred: Any) -> tuple[Value, Value]:
    found = tensor(y_pred)
    target = tensor(y_true, like=found)
    return value(cast(target, found.dtype)), value(found)


@function("keras.metrics.mean_squared_error")
def _mean_squared_error(y_true: Any, y_pred: Any) -> Tensor:
    target, found = _both(y_true, y_pred)
    return ops.mean(ops.square(ops.subtract(found, target)), -1)


@function("keras.metrics.mean_absolute_error")
def _mean_absolute_error(y_true: Any, y_pred: Any) -> Tensor:
    target, found = _both(y_true, y_pred)
    return ops.mean(ops.absolute(ops.subtract(found, target)), -1)


@function("keras.losses.cosine_similarity")
def _cosine_similarity(y_true: Any, y_pred: Any, axis: Any = -1) -> Tensor:
    target, found = (_unit(each, axis) for each in _both(y_true, y_pred))
    return ops.negative(ops.sum(ops.multiply(target, found), axis))


def _unit(x: Value, axis: Any) -> Value:
    squares = ops.sum(ops.square(x), axis, keepdims=True)
    return ops.multiply(x, ops.rsqrt(ops.maximum(squares, like(1e-12, x))))


@function("keras.backend.binary_crossentropy")
def _binary_crossentropy(target: Any, output: Any, from_logits: Any = False) -> Tensor:
    """-(t log p + (1 - t) log(1 - p)), p kept off 0 and 1; of logits without overflow."""
    wanted, found = map(value, pair(target, output))
    if from_logits:
        return _of_logits(wanted, found)
    kept = ops.clip(found, _EPSILON, 1.0 - _EPSILON)
    yes = ops.multiply(wanted, ops.log(ops.add(kept, _EPSILON)))
    no = ops.multiply(ops.subtract(1.0, wanted), ops.log(ops.add(ops.subtract(1.0, kept), _EPSILON)))
    return ops.negative(ops.add(yes, no))


def _of_logits(labels: Value, logits: Value) -> Value:
    above = ops.subtract(ops.relu(logits), ops.multiply(logits, labels))
    return ops.add(above, ops.log1p(ops.exp(ops.negative(ops.absolute(logits)))))


@function("nn.sigmoid_cross_entropy_with_logits", "compat.v1.nn.sigmoid_cross_entropy_with_logits")
def _sigmoid_cross_entropy(labels: Any = None, logits: Any = None) -> Tensor:
    wanted, found = map(value, pair(labels, logits))
    return _of_logits(wanted, found)


@function("nn.weighted_cross_entropy_with_logits", "compat.v1.nn.weighted_cross_entropy_with_logits")
def _weighted_cross_entropy(
    labels: Any = None, logits: Any = None, pos_weight: Any = None, targets: Any = None
) -> Tensor:
    found = value(tensor(logits))
    wanted = like(labels if labels is not None else targets, found)
    factor = ops.add(ops.multiply(ops.subtract(like(pos_weight, found), 1.0), wanted), 1.0)
    hinge = ops.add(ops.log1p(ops.exp(ops.negative(ops.absolute(found)))), ops.relu(ops.negative(found)))
    return ops.add(ops.multiply(ops.subtract(1.0, wanted), found), ops.multiply(factor, hinge))


@function("nn.softmax_cross_entropy_with_logits", "compat.v1.nn.softmax_cross_entropy_with_logits_v2")
def _softmax_cross_entropy(labels: Any, logits: Any, axis: Any = -1) -> Tensor:
    wanted, found = map(value, pair(labels, logits))
    place = -1 if axis is None else int(axis)
    return ops.negative(ops.sum(ops.multiply(wanted, ops.log_softmax(found, place)), place))


@raw("SoftmaxCrossEntropyWithLogits")
def _softmax_cross_entropy_raw(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and its gradient."""
    slopes = ops.subtract(ops.softmax(value(features)), value(labels))
    return _softmax_cross_entropy(labels, features), slopes


@function("nn.sparse_softmax_cross_entropy_with_logits", "compat.v1.nn.sparse_softmax_cross_entropy_with_logits")
def _sparse_softmax_cross_entropy(labels: Any = None, logits: Any = None) -> Tensor:
    """Of the class of each row: labels i[*n] in 0..k-1, logits f[*n, k] -> f[*n]."""
    found, classes = value(tensor(logits)), value(tensor(labels))
    if found.ndim == 0 or classes.ndim != found.ndim - 1:
        raise Refused(f"it takes labels of rank {max(found.ndim - 1, 0)}, got rank {classes.ndim}")
    picked = ops.take_along_axis(ops.log_softmax(found, -1), ops.expand_dims(classes, -1), -1)
    return ops.negative(ops.squeeze(picked, -1))


@raw("SparseSoftmaxCrossEntropyWithLogits")
def _sparse_softmax_cross_entropy_raw(features: Tensor, labels: Tensor) -> tuple[Tensor, Tensor]:
    """The loss, and its gradient."""
    found = value(features)
    ones = ops.one_hot(value(labels), found.type.shape[-1], dtype=str(found.dtype))
    return _sparse_softmax_cross_entropy(labels, features), ops.subtract(ops.softmax(found), ones)


@function("keras.backend.batch_dot")
def _batch_dot(x: Any, y: Any, axes: Any = None) -> Tensor:
    """The sum over one axis of each, for each element of the batch."""
    left, right = map(value, pair(x, y))
    if axes is None:
        places = (left.ndim - 1, 1 if right.ndim == 2 else right.ndim - 2)
    else:
        given = ints(axes, "axes")
        places = (given[0], given[-1])
    first, second = normalize_axis(places[0], left.ndim), normalize_axis(places[1], right.ndim)
    if 0 in (first, second) or max(left.ndim, right.ndim) > 10:
        raise Refused("it sums over the batch")
    letters = iter("cdefghijklmnopqrstuvw")
    names_x = ["b", *("a" if axis == first else next(letters) for axis in range(1, left.ndim))]
    names_y = ["b", *("a" if axis == second else next(letters) for axis in range(1, right.ndim))]
    kept = [name for name in (*names_x, *names_y[1:]) if name != "a"]
    found = ops.einsum(f"{''.join(names_x)},{''.join(names_y)}->{''.join(kept)}", left, right)
    return ops.expand_dims(found, 1) if found.ndim == 1 else found
