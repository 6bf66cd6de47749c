"""The adjoints of linear maps: products, convolutions, average pools and sums."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import product

import numpy as np

from dagir import ops
from dagir.ir.types import Array, fixed, normalize_axes
from dagir.precision.adjoints import Evaluated, operand_of, rule, summed_to


@rule(ops.Linear)
def _linear(op: ops.Linear, at: Evaluated, place: int, gradient: Array) -> Array:
    x, w = operand_of(at, 0), operand_of(at, 1)
    if place == 0:
        return np.asarray(gradient @ w.T)
    if place == 1:
        return np.asarray(x.reshape(-1, w.shape[0]).T @ gradient.reshape(-1, w.shape[1]))
    return np.asarray(gradient.reshape(-1, w.shape[1]).sum(axis=0))


@rule(ops.MatMul)
def _matmul(op: ops.MatMul, at: Evaluated, place: int, gradient: Array) -> Array:
    left, right = operand_of(at, 0), operand_of(at, 1)
    given = (left, right)[place]
    gradient = gradient if right.ndim > 1 else gradient[..., None]
    gradient = gradient if left.ndim > 1 else gradient[..., None, :]
    left = left if left.ndim > 1 else left[None]
    right = right if right.ndim > 1 else right[:, None]
    if place == 0:
        return summed_to(gradient @ np.swapaxes(right, -1, -2), left.shape).reshape(given.shape)
    return summed_to(np.swapaxes(left, -1, -2) @ gradient, right.shape).reshape(given.shape)


@rule(ops.Einsum)
def _einsum(op: ops.Einsum, at: Evaluated, place: int, gradient: Array) -> Array:
    """The sum of products of the gradient and the other operands; a letter of this operand alone is spread."""
    left, result = op.equation.split("->")
    terms = left.split(",")
    others = [term for each, term in enumerate(terms) if each != place]
    arrays = [operand_of(at, each) for each in range(len(terms)) if each != place]
    given = operand_of(at, place)
    term = terms[place]
    known = set(result).union(*others) if others else set(result)
    head, dots, tail = term.partition("...")
    kept = "".join(letter for letter in term if letter in known or letter == ".")
    if not dots and "..." in result:  # the leading axes are those of another operand, and are summed
        kept = kept.replace(".", "")
    found = np.einsum(",".join([result, *others]) + "->" + kept, gradient, *arrays, optimize=True)
    lost = [axis for axis, letter in enumerate(head) if letter not in known]
    lost += [given.ndim - len(tail) + axis for axis, letter in enumerate(tail) if letter not in known]
    for axis in lost:
        found = np.expand_dims(found, axis)
    if found.ndim > given.ndim or any(size == 1 for size in given.shape):
        found = summed_to(found, given.shape)
    return np.asarray(np.broadcast_to(found, given.shape))


def _last(op: ops.Conv | ops.ConvTranspose, array: Array) -> Array:
    return array if op.data_format == "channels_last" else np.moveaxis(array, 1, -1)


def _first(op: ops.Conv | ops.ConvTranspose, array: Array) -> Array:
    return array if op.data_format == "channels_last" else np.moveaxis(array, -1, 1)


def _taps(
    kernel: Sequence[int], counts: Sequence[int], strides: Sequence[int], dilations: Sequence[int]
) -> list[tuple[tuple[int, ...], tuple[slice, ...]]]:
    """For each place of the kernel, the slices of the padded input that it meets."""
    found = []
    for tap in product(*map(range, kernel)):
        starts = [t * d for t, d in zip(tap, dilations, strict=True)]
        part = [slice(a, a + (n - 1) * s + 1, s) for a, n, s in zip(starts, counts, strides, strict=True)]
        found.append((tap, (slice(None), *part)))
    return found


@rule(ops.Conv)
def _conv(op: ops.Conv, at: Evaluated, place: int, gradient: Array) -> Array | None:
    """The kernel laid over the input again, at each place as strongly as the output there is worth."""
    x, w = _last(op, operand_of(at, 0)), operand_of(at, 1)
    gradient = _last(op, gradient)
    if place == 2:
        return np.asarray(gradient.reshape(-1, gradient.shape[-1]).sum(axis=0))
    kernel = w.shape[: op.rank]
    pads = [(fixed(low), fixed(high)) for low, high in op.pads(x.shape[1:-1], kernel)]
    padded = [size + low + high for size, (low, high) in zip(x.shape[1:-1], pads, strict=True)]
    taps = _taps(kernel, gradient.shape[1:-1], op.strides, op.dilations)
    if place == 1:
        wide = np.pad(x, [(0, 0), *pads, (0, 0)])
        return np.stack([_kernel_worth(wide[part], gradient, op.groups) for _, part in taps]).reshape(w.shape)
    found = np.zeros((x.shape[0], *padded, x.shape[-1]))
    for tap, part in taps:
        found[part] += _times(gradient, w[tap], op.groups)
    inside = [slice(low, low + size) for (low, _), size in zip(pads, x.shape[1:-1], strict=True)]
    return np.ascontiguousarray(_first(op, found[(slice(None), *inside)]))


def _kernel_worth(x: Array, gradient: Array, groups: int) -> Array:
    """Of the filters at one place of the kernel: f[c/groups, o]."""
    left = x.reshape(-1, groups, x.shape[-1] // groups)
    right = gradient.reshape(-1, groups, gradient.shape[-1] // groups)
    return np.asarray(np.einsum("ngc,ngo->cgo", left, right, optimize=True)).reshape(left.shape[-1], -1)


def _times(gradient: Array, w: Array, groups: int) -> Array:
    """gradient: f[..., o], w: f[c/groups, o] -> f[..., c]."""
    if groups == 1:
        return np.asarray(gradient @ w.T)
    parts = gradient.reshape(*gradient.shape[:-1], groups, -1)
    if w.shape[0] == 1 and parts.shape[-1] == 1:
        return np.asarray(gradient * w[0])
    kernels = w.reshape(w.shape[0], groups, -1)
    return np.asarray(np.einsum("...go,cgo->...gc", parts, kernels, optimize=True)).reshape(*gradient.shape[:-1], -1)


@rule(ops.ConvTranspose)
def _conv_transpose(op: ops.ConvTranspose, at: Evaluated, place: int, gradient: Array) -> Array | None:
    """A convolution of what the output is worth, whose cropped edges are worth nothing."""
    if place:
        return None
    x, w = _last(op, operand_of(at, 0)), operand_of(at, 1)
    gradient = _last(op, gradient)
    kernel = w.shape[: op.rank]
    extents = [(k - 1) * d + 1 for k, d in zip(kernel, op.dilations, strict=True)]
    covered = [(n - 1) * s + e for n, s, e in zip(x.shape[1:-1], op.strides, extents, strict=True)]
    whole = np.zeros((x.shape[0], *covered, gradient.shape[-1]))
    into, out = [slice(None)], [slice(None)]
    for size, total, (low, _) in zip(gradient.shape[1:-1], covered, op.crops(kernel), strict=True):
        n = min(size, total - low)
        into.append(slice(low, low + n))
        out.append(slice(0, n))
    whole[tuple(into)] = gradient[tuple(out)]
    found = np.zeros(x.shape)
    for tap, part in _taps(kernel, x.shape[1:-1], op.strides, op.dilations):
        filters = w[tap]  # [o/groups, c]
        if op.groups == 1:
            found += whole[part] @ filters
        else:
            parts = whole[part].reshape(*x.shape[:-1], op.groups, -1)
            kernels = filters.reshape(filters.shape[0], op.groups, -1)
            found += np.einsum("...go,ogc->...gc", parts, kernels, optimize=True).reshape(x.shape)
    return np.ascontiguousarray(_first(op, found))


@rule(ops.AveragePool)
def _average_pool(op: ops.AveragePool, at: Evaluated, place: int, gradient: Array) -> Array:
    """Each window's worth over its elements, as many as the op counts there: told by the pool of ones."""
    x = operand_of(at, 0)
    sizes = [x.shape[axis] for axis in op.spatial_axes]
    inside, widths = [slice(None)] * x.ndim, list(x.shape)
    for axis, (low, high) in zip(op.spatial_axes, op.reach(sizes), strict=True):
        before, after = fixed(low), max(fixed(high), 0)
        inside[axis] = slice(before, before + x.shape[axis])
        widths[axis] += before + after
    found, reached = np.zeros(widths), np.zeros(widths)
    reached[tuple(inside)] = 1.0
    counts = [gradient.shape[axis] for axis in op.spatial_axes]
    parts = [
        _over_axes(op.spatial_axes, part[1:], x.ndim) for _, part in _taps(op.pool_size, counts, op.strides, op.steps)
    ]
    held = sum(reached[part] for part in parts)
    ones = np.asarray(at.with_operand(0, np.ones(x.shape))[0])  # the share of elements inside, if the padding counts
    share = np.divide(ones, held, out=np.zeros(gradient.shape), where=held > 0) * gradient
    for part in parts:
        found[part] += share
    return np.ascontiguousarray(found[tuple(inside)])


def _over_axes(axes: Sequence[int], part: Sequence[slice], rank: int) -> tuple[slice, ...]:
    found = [slice(None)] * rank
    for axis, each in zip(axes, part, strict=True):
        found[axis] = each
    return tuple(found)


@rule(ops.ReduceSum, ops.ReduceMean)
def _reduce(op: ops.ReduceSum | ops.ReduceMean, at: Evaluated, place: int, gradient: Array) -> Array:
    x = operand_of(at, 0)
    axes = normalize_axes(op.axes, x.ndim)
    wide = gradient.reshape([1 if axis in axes else n for axis, n in enumerate(x.shape)])
    count = np.prod([x.shape[axis] for axis in axes]) if isinstance(op, ops.ReduceMean) else 1
    return np.asarray(np.broadcast_to(wide / max(count, 1), x.shape))


@rule(ops.BatchNorm)
def _batch_norm(op: ops.BatchNorm, at: Evaluated, place: int, gradient: Array) -> Array | None:
    if place:
        return None
    gamma, var = at.operands[1], operand_of(at, 4)
    scale = (1.0 if gamma is None else gamma) / np.sqrt(var + op.epsilon)
    return gradient * scale.reshape([-1 if axis == op.axis else 1 for axis in range(gradient.ndim)])
