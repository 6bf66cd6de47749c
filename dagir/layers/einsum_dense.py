"""EinsumDense: a dense layer of any number of axes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from dagir import initializers, ops
from dagir.errors import ArgumentError, ShapeError
from dagir.ir.graph import Value
from dagir.layers import activation as activations
from dagir.layers.argument_types import ActivationLike, Constraint, InitializerLike, LayerOptions, Regularizer
from dagir.layers.arguments import not_taken
from dagir.layers.base import Layer

__all__ = [
    "EinsumDense",
]

_FORMS = (r"([a-zA-Z]+),([a-zA-Z]+)->([a-zA-Z]+)", r"0([a-zA-Z]+),([a-zA-Z]+)->0([a-zA-Z]+)",
          r"([a-zA-Z]{2,})0,([a-zA-Z]+)->([a-zA-Z]+)0")  # fmt: skip


@dataclass(frozen=True)
class Equation:
    """The subscripts of "x,kernel->y"; dots: "" or where "..." stands, "left" or "right"."""

    x: str
    kernel: str
    y: str
    dots: str

    @classmethod
    def parse(cls, text: str) -> Equation:
        """Raises ArgumentError where the text has none of Keras's three forms."""
        for form, dots in zip(_FORMS, ("", "left", "right"), strict=True):
            found = re.fullmatch(form, text.replace("...", "0")) if isinstance(text, str) else None
            if found:
                return cls(found[1], found[2], found[3], dots)
        raise ArgumentError(
            f"EinsumDense does not take the equation {text!r}",
            remedy="write x,kernel->y, ...x,kernel->...y or x...,kernel->y..., each part letters",
        )

    def sizes(
        self, shape: Sequence[object], output: Sequence[object]
    ) -> tuple[list[Any], list[int], list[int], list[Any]]:
        """The shape of the kernel, its input and output axes, and the full output shape, as in Keras.

        shape: of x. output: the shape of y without its first axis and without what the dots stand for.
        """
        elided = len(shape) - len(self.x)
        if elided < 0 or (elided and not self.dots):
            raise ShapeError(f"the subscripts {self.x!r} of EinsumDense do not fit a value of rank {len(shape)}")
        first = elided if self.dots == "left" else 0
        if self.dots == "left" and elided:
            full = [*shape[:elided], *output]
        else:
            full = [shape[0], *output, *shape[len(shape) - elided :]]
        if len(full) != len(self.y) + elided:
            raise ShapeError(
                f"output_shape {list(output)} does not fit the subscripts {self.y!r} of EinsumDense",
                remedy="give every axis of the output but the first, and none for '...'",
            )
        inputs = {letter: shape[first + i] for i, letter in enumerate(self.x)}
        outputs = {letter: full[first + i] for i, letter in enumerate(self.y)}
        self._check(inputs, outputs)
        kernel = [outputs[letter] if letter in outputs else inputs.get(letter) for letter in self.kernel]
        input_axes = [i for i, letter in enumerate(self.kernel) if letter not in outputs]
        output_axes = [i for i, letter in enumerate(self.kernel) if letter in outputs]
        return kernel, input_axes, output_axes, full

    def _check(self, inputs: dict[str, object], outputs: dict[str, object]) -> None:
        for letter in self.x:
            wanted = outputs.get(letter)
            if wanted is not None and wanted != inputs[letter]:
                raise ShapeError(
                    f"axis {letter!r} of EinsumDense is {inputs[letter]} in x and {wanted} in output_shape"
                )
        for part, known in ((self.y, {*self.x, *self.kernel}), (self.kernel, {*inputs, *outputs})):
            missing = sorted(set(part) - known)
            if missing:
                raise ArgumentError(f"the subscript {missing[0]!r} of EinsumDense stands on one side only")


class EinsumDense(Layer):
    """activation(einsum(equation, x, kernel) + bias).  keras.layers.EinsumDense.

    output_shape: of the result without its first axis; None for axes that x has. bias_axes: the subscripts of the
    result that the bias has.
    gptq_unpacked_column_size: of quantized layers, refused.

    >>> layers.EinsumDense("abc,cd->abd", output_shape=(None, 8), bias_axes="d")(dagir.Input(("time", 16)))
    <Value einsum_dense float32[batch, time, 8]>
    """

    def __init__(
        self,
        equation: str,
        output_shape: int | Sequence[int | None],
        activation: ActivationLike | None = None,
        bias_axes: str | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        lora_rank: None = None,
        lora_alpha: None = None,
        gptq_unpacked_column_size: None = None,
        quantization_config: None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        not_taken(
            self,
            lora_rank=lora_rank,
            lora_alpha=lora_alpha,
            gptq_unpacked_column_size=gptq_unpacked_column_size,
            quantization_config=quantization_config,
        )
        self._parsed = Equation.parse(equation)
        self.equation, self.bias_axes = equation, bias_axes
        sizes = output_shape if isinstance(output_shape, (list, tuple)) else [output_shape or 0]
        for size in sizes:
            if size is not None and (isinstance(size, bool) or not isinstance(size, int) or size < 1):
                raise ArgumentError(f"EinsumDense takes positive ints and None for output_shape, got {output_shape!r}")
        self.partial_output_shape = tuple(sizes)
        unknown = sorted(set(bias_axes or "") - set(self._parsed.y))
        if unknown:
            raise ArgumentError(
                f"bias_axes {bias_axes!r} has {unknown[0]!r}, which the output {self._parsed.y!r} lacks"
            )
        self.activation = activations.get(activation)
        self.kernel_initializer, self.bias_initializer = kernel_initializer, bias_initializer

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """kernel, by its subscripts; bias, with axes of size 1 between those of bias_axes."""
        shape, input_axes, output_axes, full = self._parsed.sizes(input_shape, self.partial_output_shape)
        initializer = initializers.with_axes(self.kernel_initializer, input_axes, output_axes)
        self.kernel = self.add_weight(shape, initializer, name="kernel")
        self.bias = None
        if self.bias_axes is not None:
            sizes = self._bias_shape(full, len(full) - len(self._parsed.y))
            self.bias = self.add_weight(sizes, self.bias_initializer, name="bias")

    def _bias_shape(self, full: list[Any], elided: int) -> list[Any]:
        letters, wanted = self._parsed.y, self.bias_axes or ""
        first = elided if self._parsed.dots == "left" else 0
        start = min((letters.index(letter) for letter in wanted), default=len(letters))
        sizes = [full[first + i] if letters[i] in wanted else 1 for i in range(start, len(letters))]
        return sizes + [1] * (elided if self._parsed.dots == "right" else 0)

    def call(self, inputs: Value, training: bool | None = None) -> Value:
        """x: f by the subscripts of x -> f by those of the result."""
        y = ops.einsum(self.equation, inputs, self.kernel)
        return self.activation(y if self.bias is None else y + self.bias.value)
