"""Embedding and ReversibleEmbedding with quantized tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from dagir import ops
from dagir.ir.dims import ceil_div
from dagir.ir.graph import Parameter, Structure, Value
from dagir.ir.types import DType
from dagir.layers import Embedding
from dagir.layers.argument_types import Mask
from dagir.layers.core import as_ids, refuse_text
from dagir_keras.reading.quantized.arithmetic import dequantized, integer_product, unpacked
from dagir_keras.reading.quantized.base import GROUPS, Quantized


class QuantizedEmbedding(Quantized, Embedding):
    """An Embedding after `quantize`.  keras.layers.Embedding."""

    order: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "int8": ("embeddings", "embeddings_scale"),
        "int4": ("embeddings", "embeddings_scale", "embeddings_zero", GROUPS),
    }
    embeddings: Parameter
    embeddings_scale: Parameter
    embeddings_zero: Parameter

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        scheme: Mapping[str, Any],
        mask_zero: bool = False,
        adapter: tuple[int, float] | None = None,
        **kwargs: Any,
    ) -> None:
        sizes = {"input_dim": input_dim, "output_dim": output_dim}
        Quantized.__init__(self, scheme, adapter, **sizes, mask_zero=mask_zero, **kwargs)

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """embeddings int8 [input_dim, output_dim], of 4 bits packed along the last axis, and their scales."""
        if self.scheme.mode == "int8":
            self._add("embeddings", (self.input_dim, self.output_dim), DType.INT8)
        else:
            self._add("embeddings", (self.input_dim, (self.output_dim + 1) // 2), DType.INT8)
        block = self.scheme.block if self.scheme.mode == "int4" else None
        if block is None:
            self._add("embeddings_scale", (self.input_dim,))
            self.absent |= {"embeddings_zero", GROUPS}
        else:
            shape = (self.input_dim, ceil_div(self.output_dim, block))
            self._add("embeddings_scale", shape)
            self._add("embeddings_zero", shape, DType.INT8)
        if self.adapter is not None:
            rank = self.adapter[0]
            self._add("lora_embeddings_a", (self.input_dim, rank), DType.FLOAT32, trainable=True)
            self._add("lora_embeddings_b", (rank, self.output_dim), DType.FLOAT32, trainable=True)

    def check_dtype(self, inputs: object) -> None:
        """Only numbers are ids."""
        refuse_text("Embedding", inputs)

    def call(self, inputs: Value) -> Value:
        """ids: int[*s] -> f[*s, output_dim]."""
        ids = as_ids(inputs)
        codes, scale = ops.take(self._codes(), ids, axis=0), ops.take(self.embeddings_scale.value, ids, axis=0)
        if self.embeddings_scale.value.type.rank == 1:
            rows = ops.cast(codes, self.dtype) / ops.expand_dims(scale, -1)
        else:
            rows = self._by_blocks(codes, scale, ops.take(self.embeddings_zero.value, ids, axis=0))
        if self.adapter is None:
            return rows
        rank, alpha = self.adapter
        first, second = (ops.cast(vars(self)[f"lora_embeddings_{each}"].value, self.dtype) for each in "ab")
        return rows + (alpha / rank) * ops.matmul(ops.take(first, ids, axis=0), second)

    def _codes(self) -> Value:
        """The codes int8 [input_dim, output_dim]."""
        table = self.embeddings.value
        return table if self.scheme.mode == "int8" else unpacked(table, self.output_dim, axis=-1, signed=True)

    def _by_blocks(self, codes: Value, scale: Value, zero: Value) -> Value:
        assert self.scheme.block is not None
        block = np.arange(self.output_dim) // self.scheme.block
        scales, zeros = ops.take(scale, block, axis=-1), ops.take(zero, block, axis=-1)
        return (ops.cast(codes, self.dtype) - ops.cast(zeros, self.dtype)) * scales


class QuantizedReversibleEmbedding(QuantizedEmbedding):
    """A ReversibleEmbedding after `quantize`.  keras.layers.ReversibleEmbedding."""

    order: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "int8": (*QuantizedEmbedding.order["int8"], "reverse_embeddings", "reverse_embeddings_scale"),
        "int4": (
            *QuantizedEmbedding.order["int4"],
            *("reverse_embeddings", "reverse_embeddings_scale", "reverse_embeddings_zero"),
        ),
    }
    reverse_embeddings: Parameter
    reverse_embeddings_scale: Parameter
    reverse_embeddings_zero: Parameter

    def __init__(
        self,
        input_dim: int,
        output_dim: int,
        scheme: Mapping[str, Any],
        tie_weights: bool = True,
        logit_soft_cap: float | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(input_dim, output_dim, scheme, **kwargs)
        self.tie_weights, self.logit_soft_cap = bool(tie_weights), logit_soft_cap

    def build(self, input_shape: tuple[int | None, ...]) -> None:
        """Those of an Embedding, and unless tied, reverse_embeddings int8 [output_dim, input_dim], packed by rows."""
        super().build(input_shape)
        if self.tie_weights:
            self.absent |= {"reverse_embeddings", "reverse_embeddings_scale", "reverse_embeddings_zero"}
            return
        short, block = self.scheme.mode == "int4", self.scheme.block
        rows = (self.output_dim + 1) // 2 if short else self.output_dim
        self._add("reverse_embeddings", (rows, self.input_dim), DType.INT8)
        if not short or block is None:
            self._add("reverse_embeddings_scale", (self.input_dim,))
            self.absent.add("reverse_embeddings_zero")
            return
        shape = (ceil_div(self.output_dim, block), self.input_dim)
        self._add("reverse_embeddings_scale", shape)
        self._add("reverse_embeddings_zero", shape)  # floats, which hold whole numbers

    def check_dtype(self, inputs: object) -> None:
        """Nothing: `call` checks ids or features, by its direction."""

    def call(self, inputs: Value, reverse: bool = False) -> Value:
        """ids: int[*s] -> f[*s, output_dim]; with reverse, x: f[*s, output_dim] -> f[*s, input_dim]."""
        if not reverse:
            refuse_text("ReversibleEmbedding", inputs)
            found = super().call(inputs)
            found.attach_mask(Embedding.compute_mask(self, inputs))
            return found
        logits = self._logits(inputs)
        if self.logit_soft_cap is None:
            return logits
        return ops.tanh(logits / self.logit_soft_cap) * self.logit_soft_cap

    def compute_mask(self, inputs: Structure, mask: Mask = None) -> None:
        """None: `call` knows the direction, and sets the mask itself."""

    def _logits(self, x: Value) -> Value:
        scale, codes = self._reverse_scale(), self._reverse_codes()
        quantizer = self.scheme.inputs
        given, factor = (x, None) if quantizer is None else quantizer.codes(x, -1)
        if scale.type.rank == 2:  # Keras makes floats of the codes first
            found = ops.matmul(ops.cast(given, self.dtype), self._reverse_table(codes, scale))
            return found if factor is None else found / factor
        if factor is None:
            return ops.matmul(given, ops.cast(codes, self.dtype)) / scale
        return ops.cast(integer_product(given, codes), self.dtype) / (factor * scale)

    def _reverse_scale(self) -> Value:
        if not self.tie_weights:
            return self.reverse_embeddings_scale.value
        scale = self.embeddings_scale.value
        return ops.transpose(scale) if scale.type.rank == 2 else scale

    def _reverse_codes(self) -> Value:
        if self.tie_weights:
            return ops.transpose(self._codes())
        table = self.reverse_embeddings.value
        return table if self.scheme.mode == "int8" else unpacked(table, self.output_dim, axis=0, signed=True)

    def _reverse_table(self, codes: Value, scale: Value) -> Value:
        assert self.scheme.block is not None
        tied = self.tie_weights
        zero = ops.transpose(self.embeddings_zero.value) if tied else self.reverse_embeddings_zero.value
        return dequantized(codes, scale, ops.cast(zero, DType.INT8), self.scheme.block)
