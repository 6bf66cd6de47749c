"""Attention and AdditiveAttention."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce
from typing import Any, Unpack

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Structure, Value
from dagir.layers.argument_types import BuildShape, LayerOptions
from dagir.layers.base import Layer

__all__ = [
    "AdditiveAttention",
    "Attention",
]


class Attention(Layer):
    """softmax(query @ key.T) @ value, on a list [query, value] or [query, value, key].  keras.layers.Attention.

    Masks are a list too. A score counts where the mask of the value is True; a row without any such score gives the
    mean of the value. Where the mask of the query is False the result is 0. score_mode "concat" takes the sum of
    tanh(query + key) for a score.
    use_scale: whether the scores are multiplied by a weight.

    >>> query, value = dagir.Input(("queries", 16)), dagir.Input(("time", 16))
    >>> layers.Attention()([query, value])
    <Value attention float32[batch, queries, 16]>
    """

    def __init__(
        self,
        use_scale: bool = False,
        score_mode: str = "dot",
        dropout: float = 0.0,
        seed: int | None = None,
        **kwargs: Unpack[LayerOptions],
    ) -> None:
        super().__init__(**kwargs)
        if score_mode not in ("dot", "concat"):
            raise ArgumentError(f"{type(self).__name__} got score_mode {score_mode!r}", remedy="use dot or concat")
        self.use_scale, self.score_mode, self.dropout, self.seed = use_scale, score_mode, rate(dropout), seed

    def build(self, input_shape: Sequence[BuildShape]) -> None:
        """scale [], where use_scale; concat_score_weight [], for concat."""
        self.scale = self.add_weight((), "ones", name="scale") if self.use_scale else None
        concat = self.score_mode == "concat"
        self.concat_score_weight = self.add_weight((), "ones", name="concat_score_weight") if concat else None

    def call(
        self,
        inputs: Sequence[Value],
        mask: Sequence[Value | None] | None = None,
        training: bool | None = None,
        return_attention_scores: bool = False,
        use_causal_mask: bool = False,
    ) -> Value | Any:
        """query: f[n, t, d], value: f[n, s, c], key: f[n, s, d]? -> f[n, t, c], and the weights f[n, t, s] if asked."""
        query, value, key = self._listed(inputs)
        masks = (mask[0], mask[1]) if mask else (None, None)
        query_mask, value_mask = (None if each is None else ops.cast(each, "bool") for each in masks)
        if value_mask is not None and value_mask.ndim == 2:
            value_mask = ops.expand_dims(value_mask, -2)
        alike = len({each.type.shape[:1] for each in (query, key, value)}) == 1  # the op does not broadcast batches
        if alike and not return_attention_scores and self.score_mode == "dot" and query.dtype != "float64":
            scaled = query if self.scale is None else query * self.scale.value
            y, weights = ops.attention(scaled, key, value, None, value_mask, 1.0, use_causal_mask), None
        else:
            weights = self._weigh(self._scores(query, key), value_mask, use_causal_mask)
            y = ops.matmul(weights, value)
        if query_mask is not None:
            y = ops.where(ops.expand_dims(query_mask, -1), y, 0)
        return (y, weights) if return_attention_scores else y

    def _listed(self, inputs: Sequence[Value]) -> tuple[Value, Value, Value]:
        if not isinstance(inputs, (list, tuple)) or not 2 <= len(inputs) <= 3:
            raise ArgumentError(f"{type(self).__name__} takes a list [query, value] or [query, value, key]")
        query, value, *rest = inputs
        return query, value, (rest[0] if rest else value)

    def _scores(self, query: Value, key: Value) -> Value:
        if self.score_mode == "dot":
            axes = (*range(key.ndim - 2), key.ndim - 1, key.ndim - 2)
            scores = ops.matmul(query, ops.transpose(key, axes))
            return scores if self.scale is None else scores * self.scale.value
        assert self.concat_score_weight is not None
        total = ops.expand_dims(query, -2) + ops.expand_dims(key, -3)
        total = total if self.scale is None else self.scale.value * total
        return self.concat_score_weight.value * ops.sum(ops.tanh(total), axis=-1)

    def _weigh(self, scores: Value, value_mask: Value | None, causal: bool) -> Value:
        kept = both(ops.expand_dims(ops.band(scores, above=0), 0) if causal else None, value_mask)
        if kept is not None:
            # Keras subtracts 1e9: only float64 still holds the score after that
            low = scores - 1e9 if scores.dtype == "float64" else -65504.0 if scores.dtype == "float16" else -1e9
            scores = ops.where(kept, scores, low)
        return ops.softmax(scores, -1)

    def compute_mask(self, inputs: Structure, mask: Sequence[Value | None] | None = None) -> Value | None:
        """That of the query."""
        return mask[0] if mask else None


class AdditiveAttention(Attention):
    """Attention whose score is the sum of scale * tanh(query + key), over d.  keras.layers.AdditiveAttention.

    use_scale: whether scale is a weight [d]; else it is 1.

    >>> query, value = dagir.Input(("queries", 16)), dagir.Input(("time", 16))
    >>> layers.AdditiveAttention()([query, value])
    <Value additive_attention float32[batch, queries, 16]>
    """

    def __init__(self, use_scale: bool = True, dropout: float = 0.0, **kwargs: Unpack[LayerOptions]) -> None:
        if "score_mode" in kwargs:
            raise ArgumentError("AdditiveAttention has one way to score, and takes no score_mode")
        super().__init__(use_scale=use_scale, dropout=dropout, **kwargs)
        self.score_mode = "additive"

    def build(self, input_shape: Sequence[BuildShape]) -> None:
        """scale [d], where use_scale."""
        shape = (input_shape[0][-1],)
        self.scale = self.add_weight(shape, "glorot_uniform", name="scale") if self.use_scale else None

    def _scores(self, query: Value, key: Value) -> Value:
        total = ops.tanh(ops.expand_dims(query, -2) + ops.expand_dims(key, -3))
        return ops.sum(total if self.scale is None else self.scale.value * total, axis=-1)


def both(*masks: Value | None) -> Value | None:
    """All of the masks that are there, together."""
    known = [mask for mask in masks if mask is not None]
    return reduce(ops.logical_and, known) if known else None


def rate(number: object) -> float:
    """`number` if it is a share. Raises ArgumentError."""
    if isinstance(number, bool) or not isinstance(number, (int, float)) or not 0 <= number <= 1:
        raise ArgumentError(f"attention takes a number from 0 to 1 for dropout, got {number!r}")
    return float(number)
