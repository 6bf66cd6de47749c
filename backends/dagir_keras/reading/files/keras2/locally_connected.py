"""Locally connected layers of Keras 2: convolutions with another kernel at each place."""

from __future__ import annotations

from math import prod
from typing import Any, ClassVar

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Parameter, Value
from dagir.ir.types import Array
from dagir.layers import Layer
from dagir.layers import activation as activations


class _LocallyConnected(Layer):
    """layout: how the kernel is stored, Keras's `implementation` 1, 2 or 3.

    1: [places, kernel * channels, filters]. 2: a dense matrix from all inputs to all outputs, most of which is not
    used. 3: the used numbers of that matrix alone, by output, then by input.
    """

    rank: ClassVar[int]

    def __init__(
        self,
        filters: int,
        kernel_size: Any,
        strides: Any = 1,
        padding: str = "valid",
        data_format: str | None = None,
        activation: Any = None,
        use_bias: bool = True,
        kernel_initializer: Any = "glorot_uniform",
        bias_initializer: Any = "zeros",
        kernel_regularizer: Any = None,
        bias_regularizer: Any = None,
        kernel_constraint: Any = None,
        bias_constraint: Any = None,
        layout: int = 1,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.filters, self.use_bias = self._ints("filters", filters, 1)[0], bool(use_bias)
        self.kernel_size = self._ints("kernel_size", kernel_size, self.rank)
        self.strides = self._ints("strides", strides, self.rank)
        if padding not in ("valid", "same") or data_format not in (None, "channels_last", "channels_first"):
            raise ArgumentError(
                f"{type(self).__name__} takes padding 'valid' or 'same' and data_format 'channels_last' or "
                f"'channels_first', got {padding!r} and {data_format!r}"
            )
        if layout not in (1, 2, 3) or (layout == 1 and padding == "same"):
            raise ArgumentError(
                f"{type(self).__name__} takes implementation 1, 2 or 3, and 1 with padding 'valid' only"
            )
        self.padding, self.layout = padding, layout
        self.channels_first = data_format == "channels_first"
        self.activation = activations.get(activation)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def _ints(self, name: str, value: Any, count: int) -> tuple[int, ...]:
        numbers = tuple(value) if isinstance(value, (list, tuple)) else (value,) * count
        if len(numbers) != count or any(type(number) is not int or number < 1 for number in numbers):
            raise ArgumentError(f"{type(self).__name__} takes ints of at least 1 for {name}, got {value!r}")
        return numbers

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel, in the shape of its layout; bias [*places, filters]."""
        sizes = [size for size in input_shape[1:] if size is not None]
        if len(sizes) != self.rank + 1 or len(input_shape) != self.rank + 2:
            raise ShapeError(f"{type(self).__name__} layer {self.name!r} needs {self.rank} fixed sizes and channels")
        channels = sizes.pop(0 if self.channels_first else -1)
        self._sizes = tuple(sizes)
        self._fields = [self._field(*each) for each in zip(sizes, self.kernel_size, self.strides, strict=True)]
        self._inputs, self._valid = self._windows(channels)
        places, width = self._inputs.shape
        count = int(self._valid.sum()) * self.filters
        inner, out = (channels, *self._sizes), (self.filters, *self._out)
        if not self.channels_first:
            inner, out = (*self._sizes, channels), (*self._out, self.filters)
        shape = {1: (places, width, self.filters), 2: inner + out, 3: (count,)}[self.layout]
        self.kernel = self.add_weight(shape, self.kernel_initializer, name="kernel")
        self.bias: Parameter | None = None
        if self.use_bias:
            self.bias = self.add_weight((*self._out, self.filters), self.bias_initializer, name="bias")

    def _field(self, size: int, kernel: int, stride: int) -> Array:
        """The inputs [place, kernel] that each place of one axis sees; those outside the axis count as zero."""
        same = self.padding == "same"
        places = -(-size // stride) if same else (size - kernel) // stride + 1
        if places < 1:
            raise ShapeError(f"the kernel of {self.name!r} is {kernel} wide, its input {size}")
        first = np.arange(places) * stride - (kernel // 2 if same else 0)
        return np.asarray(first[:, None] + np.arange(kernel))

    @property
    def _out(self) -> tuple[int, ...]:
        return tuple(len(field) for field in self._fields)

    def _windows(self, channels: int) -> tuple[Array, Array]:
        """Which inputs, counted in a row, each place sees, [place, kernel * channels], and whether they exist."""
        axes = range(self.rank)
        where, exists = np.zeros((1, 1), np.int64), np.ones((1, 1), bool)
        for axis in axes:
            field, size = self._fields[axis], self._sizes[axis]
            inside = (field >= 0) & (field < size)
            where = _outer(where * size, np.where(inside, field, 0), np.add)
            exists = _outer(exists, inside, np.logical_and)
        total = prod(self._sizes)
        each = np.arange(channels)
        if self.channels_first:
            found = (each[:, None] * total + where[:, None, :]).reshape(len(where), -1)
            return found, np.tile(exists, (1, channels))
        return (where[:, :, None] * channels + each).reshape(len(where), -1), np.repeat(exists, channels, axis=1)

    def _places(self) -> Array:
        """Where each number of the kernel [places, kernel * channels, filters] is stored; past the end for a zero."""
        place, filters = np.arange(len(self._inputs))[:, None, None], np.arange(self.filters)
        seen, valid = self._inputs[:, :, None], self._valid[:, :, None]
        count = len(place)
        out = filters * count + place if self.channels_first else place * self.filters + filters
        if self.layout == 2:
            found = seen * count * self.filters + out
        else:
            total = int(self._inputs.max()) + 1
            keys = np.where(valid, out * total + seen, np.iinfo(np.int64).max)
            found = np.empty(keys.size, np.int64)
            found[np.argsort(keys, axis=None, kind="stable")] = np.arange(keys.size)
            found = found.reshape(keys.shape)
        return np.where(valid, found, prod(self.kernel.shape))

    def call(self, inputs: Value) -> Value:
        """x: f[n, *d, c] -> f[n, *places, filters]; channels_first: f[n, c, *d] -> f[n, filters, *places]."""
        batch = inputs.type.shape[0]
        places, width = self._inputs.shape
        kernel = self.kernel.value
        if self.layout != 1:
            row = ops.reshape(kernel, (-1,))
            row = ops.concatenate([row, ops.zeros((1,), str(self.dtype))], 0)
            kernel = ops.reshape(ops.take(row, self._places().ravel(), 0), (places, width, self.filters))
        seen = ops.take(
            ops.reshape(inputs, (batch, prod(self._sizes) * (width // prod(self.kernel_size)))), self._inputs.ravel(), 1
        )
        y = ops.einsum("npk,pkf->npf", ops.reshape(seen, (batch, places, width)), kernel)
        if self.channels_first:
            y = ops.reshape(ops.transpose(y, (0, 2, 1)), (batch, self.filters, *self._out))
        else:
            y = ops.reshape(y, (batch, *self._out, self.filters))
        if self.bias is not None:
            bias = self.bias.value
            y = y + (ops.reshape(bias, (1, self.filters, *self._out)) if self.channels_first else bias)
        return self.activation(y)


def _outer(left: Array, right: Array, join: Any) -> Array:
    """join of [p, k] and [q, j] as [p * q, k * j]."""
    made = join(left[:, None, :, None], right[None, :, None, :])
    return np.asarray(made.reshape(made.shape[0] * made.shape[1], -1))


class LocallyConnected1D(_LocallyConnected):
    """A kernel of its own at each step.  keras.layers.LocallyConnected1D of Keras 2."""

    rank = 1


class LocallyConnected2D(_LocallyConnected):
    """A kernel of its own at each pixel.  keras.layers.LocallyConnected2D of Keras 2."""

    rank = 2
