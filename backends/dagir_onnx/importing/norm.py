"""Normalizations."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dagir import ops
from dagir.ir.graph import Parameter, Value, apply
from dagir.ir.types import DType, normalize_axis
from dagir.ops.norm import BatchNorm
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("BatchNormalization")
def _batch_norm(call: NodeCall) -> Sequence[Value]:
    """At inference. Old files have a `momentum`, and outputs of training that nothing reads."""
    x = call.input(0)
    if x.ndim == 1:  # of one axis: the batch, of one channel
        x = ops.expand_dims(x, 1)
    found = list(_training_norm(call, x) if call.attribute("training_mode", 0) else [_inference_norm(call, x)])
    return [ops.squeeze(found[0], 1), *found[1:]] if call.input(0).ndim == 1 else found


def _inference_norm(call: NodeCall, x: Value) -> Value:
    scale, bias = _own(call, 1, 1.0), _own(call, 2, 0.0)
    statistics = [None if each is None else call.reader.weights.apart(each) for each in _statistics(call)]
    vectors = [None if each is None else _cast(each, x.dtype) for each in (scale, bias, *statistics)]
    momentum = call.attribute("momentum", 0.9)
    return apply(BatchNorm(1, call.attribute("epsilon", 1e-5), momentum), x, *vectors)


def _own(call: NodeCall, place: int, absent: float) -> Value | None:
    """Gamma or beta; None where dagir wrote the vector in place of one that the model does not have."""
    found = call.weight(place)
    source = None if found is None else found.source
    if not isinstance(source, Parameter) or source.trainable:
        return found
    return None if bool((source.array == absent).all()) else found


def _statistics(call: NodeCall) -> tuple[Value | None, Value | None]:
    """The mean and the variance; of several norms with equal ones, each has its own, which move in training."""
    return call.weight(3, trainable=False), call.weight(4, trainable=False)


def _training_norm(call: NodeCall, x: Value) -> Sequence[Value]:
    """By the statistics of the batch, which move the running ones."""
    momentum = call.attribute("momentum", 0.9)
    axes = [axis for axis in range(x.ndim) if axis != 1]
    mean = ops.mean(x, axes)
    spread = ops.mean(ops.square(ops.subtract(x, ops.mean(x, axes, True))), axes)
    found = [apply(BatchNorm(1, _eps(call), momentum), x, call.weight(1), call.weight(2), mean, spread)]
    for place, current in ((3, mean), (4, spread)):
        before = call.input(place)
        moved = ops.multiply(ops.cast(current, before.dtype), 1 - momentum)
        found.append(ops.add(ops.multiply(before, momentum), moved))
    return found


def _cast(x: Value, dtype: DType) -> Value:
    return x if x.dtype is dtype else ops.cast(x, dtype)


@rule("InstanceNormalization")
def _instance_norm(call: NodeCall) -> Value:
    x = call.input(0)
    channels = x.type.shape[1]
    epsilon = call.attribute("epsilon", 1e-5)
    if isinstance(channels, int):
        return ops.group_normalization(x, channels, call.weight(1), call.weight(2), 1, epsilon)
    return _scaled(_centred(x, list(range(2, x.ndim)), epsilon), call.weight(1), call.weight(2))


def _centred(x: Value, axes: list[int], epsilon: float) -> Value:
    mean = ops.mean(x, axes, True)
    rest = ops.subtract(x, mean)
    variance = ops.mean(ops.square(rest), axes, True)
    return ops.multiply(rest, ops.rsqrt(ops.add(variance, epsilon)))


def _scaled(x: Value, scale: Value | None, bias: Value | None) -> Value:
    """x times and plus vectors along axis 1."""
    shape = (-1, *(1,) * (x.ndim - 2))
    if scale is not None:
        x = ops.multiply(x, ops.reshape(scale, shape))
    return x if bias is None else ops.add(x, ops.reshape(bias, shape))


@rule("GroupNormalization")
def _group_norm(call: NodeCall) -> Value:
    """Version 18 had a scale for each group, later ones for each channel."""
    x, groups = call.input(0), call.attribute("num_groups")
    scale, bias, channels = call.weight(1), call.weight(2), x.shape[1]
    if call.version < 21 and channels is not None and channels != groups:
        scale, bias = (None if each is None else ops.repeat(each, channels // groups, 0) for each in (scale, bias))

    def normalized(x: Value, scale: Value | None, bias: Value | None) -> Value:
        return ops.group_normalization(x, groups, scale, bias, 1, _eps(call))

    return _in_stash(call, x, normalized, scale, bias)


def _eps(call: NodeCall) -> float:
    found: float = call.attribute("epsilon", 1e-5)
    return found


@rule("LayerNormalization")
def _layer_norm(call: NodeCall) -> Sequence[Value]:
    x, scale, bias = call.input(0), call.weight(1), call.weight(2)
    axis = normalize_axis(call.attribute("axis", -1), x.ndim)
    axes = list(range(axis, x.ndim))

    def normalized(x: Value, scale: Value | None, bias: Value | None = None) -> Value:
        return _affine(x, axes, scale, bias, _eps(call))

    results = [_in_stash(call, x, normalized, scale, bias)]
    if call.wants(1) or call.wants(2):
        mean = ops.mean(_stashed(call, x), axes, True)
        variance = ops.mean(ops.square(ops.subtract(_stashed(call, x), mean)), axes, True)
        results += [mean, ops.rsqrt(ops.add(variance, _eps(call)))]
    return results


def _affine(x: Value, axes: list[int], scale: Value | None, bias: Value | None, epsilon: float) -> Value:
    """LayerNorm, whose vectors may broadcast to the normalized axes."""
    wanted = x.type.shape[axes[0] :]
    if all(each is None or each.type.shape == wanted for each in (scale, bias)):
        return ops.layer_normalization(x, scale, bias, axes, epsilon)
    found = ops.layer_normalization(x, None, None, axes, epsilon)
    found = found if scale is None else ops.multiply(found, scale)
    return found if bias is None else ops.add(found, bias)


@rule("RMSNormalization")
def _rms_norm(call: NodeCall) -> Value:
    x, scale = call.input(0), call.weight(1)
    axis = normalize_axis(call.attribute("axis", -1), x.ndim)
    axes = list(range(axis, x.ndim))

    def normalized(x: Value, scale: Value | None) -> Value:
        if scale is None or scale.type.shape == x.type.shape[axis:]:
            return ops.rms_normalization(x, scale, axes, _eps(call))
        return ops.multiply(ops.rms_normalization(x, None, axes, _eps(call)), scale)

    return _in_stash(call, x, normalized, scale)


def _stashed(call: NodeCall, x: Value) -> Value:
    return _cast(x, call.dtype("stash_type", DType.FLOAT32)) if x.dtype.numpy.itemsize < 4 else x


def _in_stash(call: NodeCall, x: Value, function: Callable[..., Value], *vectors: Value | None) -> Value:
    """A normalization computed in the dtype that the node says, and cast back: half precision is too narrow."""
    given = _stashed(call, x)
    found = function(given, *[None if each is None else _cast(each, given.dtype) for each in vectors])
    return _cast(found, x.dtype)


@rule("LRN")
def _lrn(call: NodeCall) -> Value:
    """x over a power of the sum of squares of the neighbouring channels."""
    x, size = call.input(0), call.attribute("size")
    alpha, beta, bias = call.attribute("alpha", 1e-4), call.attribute("beta", 0.75), call.attribute("bias", 1.0)
    channels = x.type.shape[1]
    before, after = (size - 1) // 2, size - 1 - (size - 1) // 2
    widths = [(before, after) if axis == 1 else (0, 0) for axis in range(x.ndim)]
    padded = ops.pad(ops.square(x), widths)
    total = padded[:, 0:channels]
    for shift in range(1, size):
        total = ops.add(total, padded[:, shift : channels + shift])
    return ops.divide(x, ops.power(ops.add(ops.multiply(total, alpha / size), bias), beta))


@rule("LpNormalization")
def _lp_normalization(call: NodeCall) -> Value:
    x, axis = call.input(0), call.attribute("axis", -1)
    if call.attribute("p", 2) == 1:
        norm = ops.sum(ops.absolute(x), axis, True)
    else:
        norm = ops.sqrt(ops.sum(ops.square(x), axis, True))
    return ops.where(ops.equal(norm, 0), ops.zeros_like(x), ops.divide(x, norm))


@rule("MeanVarianceNormalization")
def _mean_variance(call: NodeCall) -> Value:
    x, axes = call.input(0), list(call.attribute("axes", [0, 2, 3]))
    rest = ops.subtract(x, ops.mean(x, axes, True))
    deviation = ops.sqrt(ops.mean(ops.square(rest), axes, True))
    return ops.divide(rest, ops.add(deviation, 1e-9))
