"""Dense and EinsumDense with quantized weights."""

from __future__ import annotations

from collections.abc import Mapping
from math import prod
from typing import Any, ClassVar

from dagir import ops
from dagir.errors import ShapeError
from dagir.ir.dims import ceil_div
from dagir.ir.graph import Parameter, Value
from dagir.ir.types import DType
from dagir.layers import EinsumDense
from dagir.layers import activation as activations
from dagir_keras.reading.quantized.arithmetic import by_groups, dequantized, integer_product, shortened, unpacked
from dagir_keras.reading.quantized.base import GROUPS, Quantized
from dagir_keras.reading.quantized.einsum import Subscripts

_OF_GROUPS = ("bias", "quantized_kernel", "kernel_scale", "kernel_zero")


class Projection(Quantized):
    """activation(x @ kernel + bias): what both layers share. Subclasses say how a product is taken."""

    order: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "int8": ("kernel", "bias", "kernel_scale"),
        "int4": ("kernel", "bias", "kernel_scale", "kernel_zero", GROUPS),
        "float8": (
            *("kernel", "bias", "inputs_scale", "inputs_amax_history", "kernel_scale", "kernel_amax_history"),
            *("outputs_grad_scale", "outputs_grad_amax_history"),
        ),
        "gptq": (*_OF_GROUPS, GROUPS),
        "awq": (*_OF_GROUPS, "awq_scales", GROUPS),
    }
    kernel: Parameter
    kernel_scale: Parameter
    kernel_zero: Parameter
    bias: Parameter | None
    activation: Any
    _kernel_shape: tuple[int, ...]
    _columns: int  # of the kernel as a matrix

    # ---- weights

    def _make_weights(
        self, kernel: tuple[int, ...], rows: int, columns: int, scales: tuple[int, ...], bias: Any
    ) -> None:
        """kernel, bias: their shapes. rows, columns: of the kernel as a matrix. scales: the shape of those of int8."""
        self._kernel_shape, self._columns = kernel, columns
        mode, block = self.scheme.mode, self.scheme.block
        groups = 1 if block is None else ceil_div(rows, block)
        assert isinstance(groups, int)
        self.bias = None
        if bias is None:
            self.absent.add("bias")
        else:
            self._add("bias", bias, trainable=True)
        if mode == "int8":
            self._add("kernel", kernel, DType.INT8)
            self._add("kernel_scale", scales)
        elif mode == "int4":
            self._add("kernel", (rows, (columns + 1) // 2), DType.INT8)
            self._add("kernel_scale", (columns,) if block is None else (groups, columns))
            if block is None:
                self.absent |= {"kernel_zero", GROUPS}
            else:
                self._add("kernel_zero", (groups, columns), DType.INT8)
        elif mode == "float8":
            self._add("kernel", kernel, trainable=True)
            self._add("inputs_scale", (), DType.FLOAT32)
            self._add("kernel_scale", (), DType.FLOAT32)
        else:
            self._make_groups(rows, columns, groups)
        if self.adapter is not None:
            rank = self.adapter[0]
            self._add("lora_kernel_a", (*kernel[:-1], rank), DType.FLOAT32, trainable=True)
            self._add("lora_kernel_b", (rank, kernel[-1]), DType.FLOAT32, trainable=True)

    def _make_groups(self, rows: int, columns: int, groups: int) -> None:
        """Those of GPTQ and AWQ, whose kernel is transposed."""
        packed = (columns + 1) // 2 if self.scheme.bits == 4 else columns
        self._add("quantized_kernel", (packed, rows), DType.UINT8)
        self._add("kernel_scale", (columns, groups))
        self._add("kernel_zero", (columns, groups), DType.UINT8)
        self._add(GROUPS, (rows,), DType.FLOAT32)
        if self.scheme.mode == "awq":
            self._add("awq_scales", (rows,))

    # ---- the call

    def _product(self, x: Value, kernel: Value) -> Value:
        """The product of floats; the kernel has its own shape."""
        raise NotImplementedError

    def _from_codes(self, x: Value) -> Value:
        """The product of the codes of x and of the kernel, in floats again."""
        raise NotImplementedError

    def call(self, inputs: Value, training: bool | None = None) -> Value:
        """x: f[*d, i] -> f[*d, units], or by the subscripts."""
        y = self._without_bias(inputs)
        if self.adapter is not None:
            rank, alpha = self.adapter
            found = vars(self)
            narrow = self._product(inputs, ops.cast(found["lora_kernel_a"].value, self.dtype))
            y = y + (alpha / rank) * ops.matmul(narrow, ops.cast(found["lora_kernel_b"].value, self.dtype))
        if self.bias is not None:
            bias = self.bias.value
            y = y + (ops.cast(ops.cast(bias, DType.BFLOAT16), self.dtype) if self.scheme.short_bias else bias)
        return self.activation(y)

    def _without_bias(self, x: Value) -> Value:
        mode = self.scheme.mode
        if mode == "float8":
            found = vars(self)
            kernel = shortened(self.kernel.value, self.kernel_scale)
            return self._product(shortened(x, found["inputs_scale"]), kernel)
        if mode in ("gptq", "awq"):
            return self._product(x, self._grouped_kernel())
        if mode == "int4" and self.scheme.block is not None:
            zero, scale = self.kernel_zero.value, self.kernel_scale.value
            kernel = dequantized(self._codes(), scale, zero, self.scheme.block)
            return self._product(x, ops.reshape(kernel, self._kernel_shape))
        return self._from_codes(x) if self.scheme.inputs is not None else self._weights_only(x)

    def _weights_only(self, x: Value) -> Value:
        """Of codes with one scale for each column, which the product is divided by."""
        raise NotImplementedError

    def _codes(self) -> Value:
        """The codes of the kernel: of its shape, or of 4 bits as a matrix."""
        kernel = self.kernel.value
        return kernel if self.scheme.mode == "int8" else unpacked(kernel, self._columns, axis=-1, signed=True)

    def _grouped_kernel(self) -> Value:
        found = vars(self)
        codes = found["quantized_kernel"].value
        if self.scheme.bits == 4:
            codes = unpacked(codes, self._columns, axis=0, signed=False)
        groups = ops.cast(found[GROUPS].value, DType.INT32)
        kernel = ops.transpose(by_groups(codes, self.kernel_scale.value, self.kernel_zero.value, groups))
        if self.scheme.mode == "awq":
            kernel = kernel / ops.expand_dims(found["awq_scales"].value, -1)
        return ops.reshape(kernel, self._kernel_shape)


class QuantizedDense(Projection):
    """A Dense layer after `quantize`.  keras.layers.Dense."""

    supports_masking = True

    def __init__(
        self, units: int, scheme: Mapping[str, Any], activation: Any = None, use_bias: bool = True, **kwargs: Any
    ) -> None:
        super().__init__(scheme, **kwargs)
        self.units, self.use_bias, self.activation = units, bool(use_bias), activations.get(activation)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """The weights of the scheme, for a kernel [i, units] and a bias [units]."""
        size = input_shape[-1] if input_shape else None
        if size is None:
            raise ShapeError(f"Dense layer {self.name!r} needs an input with a last axis of a known size")
        units = (self.units,)
        self._make_weights((size, self.units), size, self.units, units, units if self.use_bias else None)

    def _product(self, x: Value, kernel: Value) -> Value:
        return ops.matmul(x, kernel)

    def _from_codes(self, x: Value) -> Value:
        assert self.scheme.inputs is not None
        codes, scale = self.scheme.inputs.codes(x, -1)
        sums = ops.cast(integer_product(codes, self._codes()), self.dtype)
        return sums / (self.kernel_scale.value * scale)

    def _weights_only(self, x: Value) -> Value:
        return ops.matmul(x, ops.cast(self._codes(), self.dtype)) / self.kernel_scale.value


class QuantizedEinsumDense(Projection, EinsumDense):
    """An EinsumDense layer after `quantize`.  keras.layers.EinsumDense."""

    def __init__(
        self,
        equation: str,
        output_shape: Any,
        scheme: Mapping[str, Any],
        activation: Any = None,
        bias_axes: str | None = None,
        adapter: tuple[int, float] | None = None,
        **kwargs: Any,
    ) -> None:
        Projection.__init__(
            self,
            scheme,
            adapter,
            equation=equation,
            output_shape=output_shape,
            activation=activation,
            bias_axes=bias_axes,
            **kwargs,
        )

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """The weights of the scheme, for a kernel by its subscripts."""
        shape, _, _, full = self._parsed.sizes(input_shape, self.partial_output_shape)
        self._subscripts = Subscripts.of(self._parsed, len(input_shape))
        kernel = tuple(shape)
        sizes = list(zip(self._subscripts.kernel, kernel, strict=True))
        unknown = [letter for letter, size in sizes if size is None]
        if unknown:
            raise ShapeError(f"axis {unknown[0]!r} of the kernel of {self.name!r} has no known size")
        columns = prod(size for letter, size in sizes if letter in self._subscripts.y)
        rows = prod(kernel) // columns
        if self.scheme.mode in ("gptq", "awq"):
            rows, columns = _by_largest(kernel, self.name)
        bias = None if self.bias_axes is None else self._bias_shape(full, len(full) - len(self._parsed.y))
        self._make_weights(kernel, rows, columns, self._subscripts.scale_shape(kernel), bias)

    def _product(self, x: Value, kernel: Value) -> Value:
        return ops.einsum(self.equation, x, kernel)

    def _from_codes(self, x: Value) -> Value:
        assert self.scheme.inputs is not None
        codes, scale = self.scheme.inputs.codes(x, self._subscripts.reduced)
        scale = self._subscripts.aligned(scale)
        if self.scheme.mode == "int4":  # Keras makes floats of the kernel here, not of the sums
            return self._product(ops.cast(codes, self.dtype), self._float_kernel()) / scale
        sums = ops.cast(self._subscripts.integer_product(codes, self.kernel.value), self.dtype)
        return sums / (scale * self.kernel_scale.value)

    def _weights_only(self, x: Value) -> Value:
        if self.scheme.mode == "int4":
            return self._product(x, self._float_kernel())
        return self._product(x, ops.cast(self.kernel.value, self.dtype)) / self.kernel_scale.value

    def _float_kernel(self) -> Value:
        kernel = ops.cast(self._codes(), self.dtype) / self.kernel_scale.value
        return ops.reshape(kernel, self._kernel_shape)


def _by_largest(kernel: tuple[int, ...], name: str) -> tuple[int, int]:
    """The rows and columns that Keras takes a kernel of rank 2 or 3 for: split behind or before its largest axis."""
    if len(kernel) == 2:
        return kernel[0], kernel[1]
    if len(kernel) != 3:
        raise ShapeError(f"the kernel of {name!r} has rank {len(kernel)}, and Keras quantizes ranks 2 and 3 by groups")
    if kernel.index(max(kernel)) == 0:
        return kernel[0], kernel[1] * kernel[2]
    return kernel[0] * kernel[1], kernel[2]
