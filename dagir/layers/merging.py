"""Layers that take a list of values and make one of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Unpack

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Structure, Value
from dagir.layers.argument_types import LayerOptions, Mask
from dagir.layers.base import Layer

__all__ = [
    "Add",
    "Average",
    "Concatenate",
    "Dot",
    "Maximum",
    "Minimum",
    "Multiply",
    "Subtract",
    "add",
    "average",
    "concatenate",
    "dot",
    "maximum",
    "minimum",
    "multiply",
    "subtract",
]

_EPSILON = 1e-7  # keras.config.epsilon()


class _Merge(Layer):
    """Elementwise over a list; values of lower rank get axes of size 1 after the batch axis."""

    supports_masking = True

    def __init__(self, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)

    def call(self, inputs: Sequence[Value]) -> Value:
        """xs: t[n, *s]* -> t[n, *broadcast of s]."""
        values = self._listed(inputs)
        self._check_batch(values)
        rank = max(value.ndim for value in values)
        if any(value.ndim != rank for value in values):
            values = [_with_rank(value, rank) for value in values]
        return self._merge(values)

    def _merge(self, values: list[Value]) -> Value:
        raise NotImplementedError

    def _listed(self, inputs: Structure, count: int | None = None) -> list[Value]:
        name = type(self).__name__
        if not isinstance(inputs, (list, tuple)):
            raise ArgumentError(f"{name} takes a list of values, got one", remedy=f"call it as {name}()([a, b])")
        if count is not None and len(inputs) != count:
            raise ArgumentError(f"{name} takes a list of {count} values, got {len(inputs)}")
        return list(inputs)

    def _check_batch(self, values: Sequence[Value]) -> None:
        known = [value.type.shape[0] for value in values if value.ndim and isinstance(value.type.shape[0], int)]
        if len(set(known)) > 1:
            raise ShapeError(
                f"{type(self).__name__} takes values of one batch size, got {', '.join(map(str, known))}",
                remedy="the first axis is the batch: make it equal, or broadcast with ops",
            )

    def compute_mask(self, inputs: Sequence[Value], mask: Mask = None) -> Value | None:
        """True where any input's mask is; None if an input has no mask."""
        if not isinstance(mask, (list, tuple)) or any(each is None for each in mask):
            return None
        joined: Value = reduce(ops.logical_or, mask)
        return joined


def _with_rank(value: Value, rank: int) -> Value:
    for _ in range(rank - value.ndim):
        value = ops.expand_dims(value, 1)
    return value


def _spread(mask: Value | None, value: Value) -> Value | None:
    """The mask with an axis for the channels, so that it broadcasts against the value."""
    return None if mask is None else ops.expand_dims(mask, -1)


def _merged_within_masks(function: Callable[[Value, Value], Value], values: list[Value]) -> Value:
    """Masked elements do not count: if one of two is masked, the other one is the result."""
    merged, merged_mask = values[0], _spread(values[0].carried_mask, values[0])
    for value in values[1:]:
        mask = _spread(value.carried_mask, value)
        operand = value if mask is None else ops.where(mask, value, merged)
        kept = merged if merged_mask is None else ops.where(merged_mask, merged, operand)
        merged_mask = None if mask is None or merged_mask is None else ops.logical_or(merged_mask, mask)
        merged = function(kept, operand)
    return merged


class Add(_Merge):
    """The sum.  keras.layers.Add.

    >>> layers.Add()([dagir.Input((4,)), dagir.Input((4,))])
    <Value add float32[batch, 4]>
    """

    def _merge(self, values: list[Value]) -> Value:
        return reduce(ops.add, values)


class Subtract(_Merge):
    """The first less the second.  keras.layers.Subtract.

    >>> layers.Subtract()([dagir.Input((4,)), dagir.Input((4,))])
    <Value subtract float32[batch, 4]>
    """

    def _merge(self, values: list[Value]) -> Value:
        first, second = self._listed(values, 2)
        return ops.subtract(first, second)


class Multiply(_Merge):
    """The product. A masked element counts as 1; the product of masked elements only is 0.  keras.layers.Multiply.

    >>> layers.Multiply()([dagir.Input((4,)), dagir.Input((4,))])
    <Value multiply float32[batch, 4]>
    """

    def _merge(self, values: list[Value]) -> Value:
        masks = [_spread(value.carried_mask, value) for value in values]
        known = [mask for mask in masks if mask is not None]
        pairs = zip(values, masks, strict=True)
        product = reduce(ops.multiply, [v if m is None else ops.where(m, v, 1) for v, m in pairs])
        return ops.where(reduce(ops.logical_or, known), product, 0) if len(known) == len(values) else product


class Average(_Merge):
    """The mean.  keras.layers.Average.

    >>> layers.Average()([dagir.Input((4,)), dagir.Input((4,))])
    <Value average float32[batch, 4]>
    """

    def _merge(self, values: list[Value]) -> Value:
        total = reduce(ops.add, values)
        return ops.divide(total if total.dtype.is_float else ops.cast(total, self.dtype), len(values))


class Maximum(_Merge):
    """The largest, of those not masked.  keras.layers.Maximum.

    >>> layers.Maximum()([dagir.Input((4,)), dagir.Input((4,))])
    <Value maximum float32[batch, 4]>
    """

    def _merge(self, values: list[Value]) -> Value:
        return _merged_within_masks(ops.maximum, values)


class Minimum(_Merge):
    """The smallest, of those not masked.  keras.layers.Minimum.

    >>> layers.Minimum()([dagir.Input((4,)), dagir.Input((4,))])
    <Value minimum float32[batch, 4]>
    """

    def _merge(self, values: list[Value]) -> Value:
        return _merged_within_masks(ops.minimum, values)


class Concatenate(_Merge):
    """The values joined along an axis.  keras.layers.Concatenate.

    >>> layers.Concatenate()([dagir.Input((4,)), dagir.Input((4,))])
    <Value concatenate float32[batch, 8]>
    """

    def __init__(self, axis: int = -1, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        if isinstance(axis, bool) or not isinstance(axis, int):
            raise ArgumentError(f"Concatenate takes an int for axis, got {axis!r}")
        self.axis = axis

    def call(self, inputs: Sequence[Value]) -> Value:
        """xs: t[*a, n_i, *c]* -> t[*a, sum of n_i, *c]."""
        return ops.concatenate(self._listed(inputs), self.axis)

    def compute_mask(self, inputs: Sequence[Value], mask: Mask = None) -> Value | None:
        """The masks joined; a value without a mask has one of True. A step counts if any of its channels does."""
        if not isinstance(mask, (list, tuple)) or all(each is None for each in mask):
            return None
        joined = [_full_mask(value, each) for value, each in zip(inputs, mask, strict=True)]
        return ops.any(ops.concatenate(joined, self.axis), axis=-1)


def _full_mask(value: Value, mask: Value | None) -> Value:
    """The mask, broadcast to the shape of the value."""
    if mask is not None and mask.ndim >= value.ndim:
        return mask
    ones = ops.logical_or(ops.equal(value, value), True)
    if mask is None:
        return ones
    while mask.ndim < value.ndim:
        mask = ops.expand_dims(mask, -1)
    return ops.logical_and(mask, ones)


class Dot(_Merge):
    """Products summed along an axis of each, batch by batch; cosines with normalize.  keras.layers.Dot.

    axes: the axis of each, or one for both.

    >>> layers.Dot(axes=1)([dagir.Input((4,)), dagir.Input((4,))])
    <Value dot float32[batch, 1]>
    """

    def __init__(self, axes: int | Sequence[int], normalize: bool = False, **kwargs: Unpack[LayerOptions]) -> None:
        super().__init__(**kwargs)
        pair = (axes, axes) if isinstance(axes, int) else axes
        whole = isinstance(pair, (list, tuple)) and len(pair) == 2
        if not whole or any(isinstance(axis, bool) or not isinstance(axis, int) for axis in pair):
            raise ArgumentError(f"Dot takes an int or two ints for axes, got {axes!r}")
        self.axes, self.normalize = axes, bool(normalize)
        self._pair = (pair[0], pair[1])

    def call(self, inputs: Sequence[Value]) -> Value:
        """x1: t[n, *a, k], x2: t[n, *b, k], the summed axes anywhere behind n -> t[n, *a, *b]; t[n, 1] for vectors."""
        first, second = self._listed(inputs, 2)
        self._check_batch((first, second))
        axes = [self._axis(value, axis) for value, axis in zip((first, second), self._pair, strict=True)]
        sizes: list[Dim] = [first.type.shape[axes[0]], second.type.shape[axes[1]]]
        if isinstance(sizes[0], int) and isinstance(sizes[1], int) and sizes[0] != sizes[1]:
            raise ShapeError(
                f"Dot sums over axes of one size, got {sizes[0]} (axis {axes[0]}) and {sizes[1]} (axis {axes[1]})",
                remedy="choose axes of equal size",
            )
        if self.normalize:
            first, second = _unit(first, axes[0]), _unit(second, axes[1])
        product = ops.einsum(_equation(first.ndim, second.ndim, axes), first, second)
        return ops.expand_dims(product, 1) if product.ndim == 1 else product

    def _axis(self, value: Value, axis: int) -> int:
        found = axis + value.ndim if axis < 0 else axis
        if not 1 <= found < value.ndim:
            raise ArgumentError(
                f"axis {axis} of Dot is out of range for rank {value.ndim}, or is the batch",
                remedy=f"valid axes: 1 to {value.ndim - 1}" if value.ndim > 1 else "give values of rank 2 or more",
            )
        return found

    def compute_mask(self, inputs: Structure, mask: Mask = None) -> None:
        """None."""


def _unit(value: Value, axis: int) -> Value:
    """Vectors of length 1 along the axis; a vector of length 0 stays 0."""
    inverse = ops.rsqrt(ops.sum(ops.square(value), axis, keepdims=True))
    return ops.multiply(value, ops.minimum(inverse, 1 / _EPSILON))


def _equation(rank1: int, rank2: int, axes: Sequence[int]) -> str:
    letters = iter("cdefghijklmnopqrstuvwxyz")
    terms = ["".join("b" if i == 0 else "a" if i == axes[k] else next(letters) for i in range(rank))
             for k, rank in enumerate((rank1, rank2))]  # fmt: skip
    kept = [letter for term in terms for letter in term if letter not in "ab"]
    return f"{terms[0]},{terms[1]}->b{''.join(kept)}"


def add(inputs: Sequence[Value], **kwargs: Unpack[LayerOptions]) -> Value:
    """The sum of a list of values, as a layer of its own.

    >>> layers.add([dagir.Input((4,)), dagir.Input((4,))])
    <Value add float32[batch, 4]>
    """
    return Add(**kwargs)(inputs)


def subtract(inputs: Sequence[Value], **kwargs: Unpack[LayerOptions]) -> Value:
    """The first of two values less the second, as a layer of its own.

    >>> layers.subtract([dagir.Input((4,)), dagir.Input((4,))])
    <Value subtract float32[batch, 4]>
    """
    return Subtract(**kwargs)(inputs)


def multiply(inputs: Sequence[Value], **kwargs: Unpack[LayerOptions]) -> Value:
    """The product of a list of values, as a layer of its own.

    >>> layers.multiply([dagir.Input((4,)), dagir.Input((4,))])
    <Value multiply float32[batch, 4]>
    """
    return Multiply(**kwargs)(inputs)


def average(inputs: Sequence[Value], **kwargs: Unpack[LayerOptions]) -> Value:
    """The mean of a list of values, as a layer of its own.

    >>> layers.average([dagir.Input((4,)), dagir.Input((4,))])
    <Value average float32[batch, 4]>
    """
    return Average(**kwargs)(inputs)


def maximum(inputs: Sequence[Value], **kwargs: Unpack[LayerOptions]) -> Value:
    """The largest of a list of values, as a layer of its own.

    >>> layers.maximum([dagir.Input((4,)), dagir.Input((4,))])
    <Value maximum float32[batch, 4]>
    """
    return Maximum(**kwargs)(inputs)


def minimum(inputs: Sequence[Value], **kwargs: Unpack[LayerOptions]) -> Value:
    """The smallest of a list of values, as a layer of its own.

    >>> layers.minimum([dagir.Input((4,)), dagir.Input((4,))])
    <Value minimum float32[batch, 4]>
    """
    return Minimum(**kwargs)(inputs)


def concatenate(inputs: Sequence[Value], axis: int = -1, **kwargs: Unpack[LayerOptions]) -> Value:
    """A list of values joined along an axis, as a layer of its own.

    >>> layers.concatenate([dagir.Input((4,)), dagir.Input((4,))])
    <Value concatenate float32[batch, 8]>
    """
    return Concatenate(axis=axis, **kwargs)(inputs)


def dot(inputs: Sequence[Value], axes: int | Sequence[int] = -1, **kwargs: Unpack[LayerOptions]) -> Value:
    """Products of two values summed along an axis of each, as a layer of its own.

    >>> layers.dot([dagir.Input((4,)), dagir.Input((4,))], axes=1)
    <Value dot float32[batch, 1]>
    """
    return Dot(axes=axes, **kwargs)(inputs)
