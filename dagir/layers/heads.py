"""Attention of several heads: MultiHeadAttention, GroupQueryAttention."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from typing import Any, Unpack

from dagir import ops
from dagir.errors import ArgumentError
from dagir.ir.graph import Structure, Value
from dagir.layers.argument_types import (
    ActivationLike,
    BuildShape,
    Constraint,
    InitializerLike,
    NameAndDType,
    Regularizer,
)
from dagir.layers.attention import both, rate
from dagir.layers.base import Layer
from dagir.layers.einsum_dense import EinsumDense

__all__ = [
    "GroupQueryAttention",
    "MultiHeadAttention",
]


class HeadAttention(Layer):
    """The common part of multi-head attention: the masks, and the result from the projections."""

    supports_masking = True
    dropout: float
    sliding_window: int | None

    def _check(self, dropout: float, sliding_window: int | None, flash_attention: object) -> None:
        name = type(self).__name__
        self.dropout, self.sliding_window = rate(dropout), sliding_window
        if sliding_window is not None and (not _is_int(sliding_window) or sliding_window < 1):
            raise ArgumentError(f"{name} takes a positive int or None for sliding_window, got {sliding_window!r}")
        if flash_attention and self.dropout:
            raise ArgumentError(f"{name} takes no dropout with flash_attention, as in Keras")

    def get_config(self) -> dict[str, Any]:
        """Without flash_attention: it chooses a kernel of Keras on other backends than TensorFlow."""
        config = super().get_config()
        config.pop("flash_attention", None)
        return config

    def _project(
        self, name: str, equation: str, shape: Sequence[int | None], bias: str, activation: ActivationLike | None = None
    ) -> Layer:
        """An EinsumDense with this layer's arguments. Its weights are made at its first call."""
        given: dict[str, Any] = vars(self)["_init_arguments"]
        kinds = ("initializer", "regularizer", "constraint")
        common = {f"{w}_{kind}": given[f"{w}_{kind}"] for w in ("kernel", "bias") for kind in kinds}
        axes = bias if given["use_bias"] else None
        return EinsumDense(equation, shape, activation, axes, name=name, dtype=self.dtype, **common)

    def _kept(
        self, masks: tuple[Value | None, Value | None, Value | None], attention_mask: Value | None
    ) -> Value | None:
        """bool [n, t, s]: the masks of query, value and key, and the attention mask, combined with `and`."""
        found = None
        for mask, axis in zip(masks, (-1, -2, -2), strict=True):
            if mask is not None:
                found = both(found, ops.expand_dims(ops.cast(mask, "bool"), axis))
        return both(None if attention_mask is None else ops.cast(attention_mask, "bool"), found)

    def _attend(self, q: Value, k: Value, v: Value, scale: float, kept: Value | None, causal: bool) -> Value:
        """With the Attention op. f[n, t, heads, d] each -> f[n, t, heads, c]; a row that is all masked gives the
        mean."""
        q, k, v = (ops.transpose(x, (0, 2, 1, 3)) for x in (q, k, v))
        y = ops.attention(q, k, v, None, _expanded(kept, 4, -3), scale, causal, self.sliding_window)
        return ops.transpose(y, (0, 2, 1, 3))

    def _band(self, scores: Value, causal: bool) -> Value | None:
        if not causal and self.sliding_window is None:
            return None
        reach = None if self.sliding_window is None else self.sliding_window - 1
        return ops.expand_dims(ops.band(scores, reach, 0 if causal else reach), 0)


class MultiHeadAttention(HeadAttention):
    """Attention of `num_heads` projections of query, value and key, projected back.  keras.layers.MultiHeadAttention.

    attention_axes: the axes attended over, all between batch and features unless given. use_gate: the result times
    the sigmoid of one more projection of the query. A row without any score that counts gives the mean of the values;
    where Keras computes the scores separately (dropout, return_attention_scores, inputs of other ranks than 3) it
    gives 0. As in Keras, the call removes the masks of its inputs: layers that are called on the same values later
    find none.
    key_dim, value_dim: features of a head. output_shape: features of the result, the query's by default.

    >>> x = dagir.Input(("time", 16))
    >>> layers.MultiHeadAttention(num_heads=2, key_dim=8)(x, x)
    <Value multi_head_attention/attention_output float32[batch, time, 16]>
    """

    def __init__(
        self,
        num_heads: int,
        key_dim: int,
        value_dim: int | None = None,
        dropout: float = 0.0,
        use_bias: bool = True,
        output_shape: int | Sequence[int] | None = None,
        attention_axes: int | Sequence[int] | None = None,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._check(dropout, sliding_window, flash_attention)
        for name, number in (("num_heads", num_heads), ("key_dim", key_dim), ("value_dim", value_dim)):
            if not (name == "value_dim" and number is None) and not (_is_int(number) and (number or 0) > 0):
                raise ArgumentError(f"MultiHeadAttention takes a positive int for {name}, got {number!r}")
        self.num_heads, self.key_dim, self.value_dim = num_heads, key_dim, value_dim or key_dim
        self.use_bias, self.use_gate, self.seed = use_bias, use_gate, seed
        self._sizes_out = None if not output_shape else _ints("output_shape", output_shape)
        self.attention_axes = None if attention_axes is None else _ints("attention_axes", attention_axes)

    def build(self, query_shape: BuildShape, value_shape: BuildShape, key_shape: BuildShape | None = None) -> None:  # type: ignore[override]
        """The projections: query, key, gate, value and attention_output, each with a kernel and a bias."""
        rank = len(query_shape)
        heads, width = self.num_heads, self.value_dim
        self.query_dense = self._projection("query", rank, [heads, self.key_dim])
        self.key_dense = self._projection("key", len(key_shape or value_shape), [heads, self.key_dim])
        if self.use_gate:
            self.gate_dense = self._projection("gate", rank, [heads, width], "sigmoid")
        self.value_dense = self._projection("value", len(value_shape), [heads, width])
        self.output_dense = self._projection("attention_output", rank, self._sizes_out or [query_shape[-1]], bound=2)

    def _projection(
        self,
        name: str,
        rank: int,
        sizes: Sequence[int | None],
        activation: ActivationLike | None = None,
        bound: int = 1,
    ) -> Layer:
        letters = "abcdefghijklmnopqrstuvwxyz"
        free, inner = letters[: rank - 1], letters[rank - 1 : rank - 1 + bound]
        outer = letters[rank - 1 + bound :][: len(sizes)]
        shape = [*[None] * (rank - 2), *sizes]
        return self._project(name, f"{free}{inner},{inner}{outer}->{free}{outer}", shape, outer, activation)

    def call(
        self,
        query: Value,
        value: Value,
        key: Value | None = None,
        query_mask: Value | None = None,
        value_mask: Value | None = None,
        key_mask: Value | None = None,
        attention_mask: Value | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Value | Any:
        """query: f[n, *t, d], value and key: f[n, *s, d'] -> f[n, *t, d or output_shape], and the scores if asked."""
        source = value if key is None else key
        kept = self._kept((query.carried_mask, value_mask, key_mask), attention_mask)  # whatever query_mask is
        gate = self.gate_dense(query) if self.use_gate else None
        q, k, v = self.query_dense(query), self.key_dense(source), self.value_dense(value)
        if return_attention_scores or self.dropout or q.ndim != 4:
            y, scores = self._scored(q, k, v, kept, use_causal_mask)
        else:
            y, scores = self._attend(q, k, v, 1 / sqrt(self.key_dim), kept, use_causal_mask), None
        y = self.output_dense(y if gate is None else y * gate)
        return (y, scores) if return_attention_scores else y

    def _attach_masks(self, args: tuple[object, ...], kwargs: dict[str, object], outputs: Structure) -> None:
        """The output gets the mask of the query. Query, value and key lose theirs for layers that are called later."""
        super()._attach_masks(args, kwargs, outputs)
        for each in (*args[:3], *(kwargs.get(name) for name in ("query", "value", "key"))):
            if isinstance(each, Value):
                each.take_mask()

    def _scored(self, q: Value, k: Value, v: Value, kept: Value | None, causal: bool) -> tuple[Value, Value]:
        """With the scores as a separate value f[n, *others, heads, *t, *s], over the attention axes."""
        axes = tuple(range(1, q.ndim - 2))
        if self.attention_axes is not None:
            axes = tuple(axis if axis >= 0 else q.ndim - 1 + axis for axis in self.attention_axes)
        if (causal or self.sliding_window is not None) and (len(axes) != 1 or q.ndim != 4):
            raise ArgumentError(
                "MultiHeadAttention takes a causal mask or a sliding window for inputs of rank 3 alone",
                remedy="give an attention_mask",
            )
        product, combined = _equations(q.ndim, axes)
        scores = ops.einsum(product, k, q * (1 / sqrt(self.key_dim)))
        kept = both(kept, self._band(scores, causal))
        scores = _softmax(scores, _expanded(kept, scores.ndim, -2 * len(axes) - 1), len(axes))
        return ops.einsum(combined, scores, v), scores


def _equations(rank: int, axes: Sequence[int]) -> tuple[str, str]:
    """ "key,query->scores" and "scores,value->result" for projections [n, *d, heads, features], attended over axes."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    target = letters[:rank]
    others = iter(letters[rank:])
    source = "".join(next(others) if i in axes else letter for i, letter in enumerate(target))
    batch = "".join(letter for i, letter in enumerate(target[:-1]) if i not in axes)
    scores = batch + "".join(target[i] for i in axes) + "".join(source[i] for i in axes)
    return f"{source},{target}->{scores}", f"{scores},{source}->{target}"


class GroupQueryAttention(HeadAttention):
    """MultiHeadAttention in which several heads of the query share a head of key and value.

    keras.layers.GroupQueryAttention.
    head_dim: features of a head. num_query_heads, num_key_value_heads: the first is a multiple of the second.
    use_gate: as for MultiHeadAttention.

    >>> x = dagir.Input(("time", 16))
    >>> layers.GroupQueryAttention(head_dim=8, num_query_heads=4, num_key_value_heads=2)(x, x)
    <Value group_query_attention/attention_output float32[batch, time, 16]>
    """

    def __init__(
        self,
        head_dim: int,
        num_query_heads: int,
        num_key_value_heads: int,
        dropout: float = 0.0,
        use_bias: bool = True,
        sliding_window: int | None = None,
        flash_attention: bool | None = None,
        kernel_initializer: InitializerLike = "glorot_uniform",
        bias_initializer: InitializerLike = "zeros",
        kernel_regularizer: Regularizer | None = None,
        bias_regularizer: Regularizer | None = None,
        activity_regularizer: Regularizer | None = None,
        kernel_constraint: Constraint | None = None,
        bias_constraint: Constraint | None = None,
        use_gate: bool = False,
        seed: int | None = None,
        **kwargs: Unpack[NameAndDType],
    ) -> None:
        super().__init__(activity_regularizer=activity_regularizer, **kwargs)
        self._check(dropout, sliding_window, flash_attention)
        heads = (("num_query_heads", num_query_heads), ("num_key_value_heads", num_key_value_heads))
        for name, number in (("head_dim", head_dim), *heads):
            if not _is_int(number) or number < 1:
                raise ArgumentError(f"GroupQueryAttention takes a positive int for {name}, got {number!r}")
        if num_query_heads % num_key_value_heads:
            raise ArgumentError(
                f"{num_query_heads} query heads do not split over {num_key_value_heads} heads of key and value",
                remedy="choose num_query_heads as a multiple of num_key_value_heads",
            )
        self.head_dim, self.num_query_heads, self.num_key_value_heads = head_dim, num_query_heads, num_key_value_heads
        self.use_bias, self.use_gate, self.seed = use_bias, use_gate, seed

    def build(self, query_shape: BuildShape, value_shape: BuildShape, key_shape: BuildShape | None = None) -> None:  # type: ignore[override]
        """The projections: query, key, gate, value and attention_output, each with a kernel and a bias."""
        query, shared = [None, self.num_query_heads, self.head_dim], [None, self.num_key_value_heads, self.head_dim]
        self.query_dense = self._project("query", "bqm,muh->bquh", query, "uh")
        self.key_dense = self._project("key", "bkm,mvh->bkvh", shared, "vh")
        if self.use_gate:
            self.gate_dense = self._project("gate", "bqm,muh->bquh", query, "uh", "sigmoid")
        self.value_dense = self._project("value", "bkm,mvh->bkvh", shared, "vh")
        self.output_dense = self._project("attention_output", "bquh,uhm->bqm", [None, query_shape[-1]], "m")

    def call(
        self,
        query: Value,
        value: Value,
        key: Value | None = None,
        query_mask: Value | None = None,
        value_mask: Value | None = None,
        key_mask: Value | None = None,
        attention_mask: Value | None = None,
        return_attention_scores: bool = False,
        training: bool | None = None,
        use_causal_mask: bool = False,
    ) -> Value | Any:
        """query: f[n, t, d], value and key: f[n, s, d] -> f[n, t, d], and the scores f[n, heads, t, s] if asked."""
        source = value if key is None else key
        kept = self._kept((query_mask, value_mask, key_mask), attention_mask)
        gate = self.gate_dense(query) if self.use_gate else None
        q, k, v = self.query_dense(query), self.key_dense(source), self.value_dense(value)
        if return_attention_scores or self.dropout:
            y, scores = self._scored(q, k, v, kept, use_causal_mask)
        else:
            y, scores = self._attend(q, k, v, 1 / sqrt(self.head_dim), kept, use_causal_mask), None
        y = self.output_dense(y if gate is None else y * gate)
        return (y, scores) if return_attention_scores else y

    def _scored(self, q: Value, k: Value, v: Value, kept: Value | None, causal: bool) -> tuple[Value, Value]:
        """With the scores as a separate value f[n, heads, t, s]."""
        shared, groups = self.num_key_value_heads, self.num_query_heads // self.num_key_value_heads
        order = [head for head in range(shared) for _ in range(groups)]
        k, v = (x if groups == 1 else ops.take(x, order, axis=2) for x in (k, v))
        scores = ops.einsum("bquh,bkuh->buqk", q * (1 / sqrt(self.head_dim)), k)
        kept = both(kept, self._band(scores, causal))
        scores = _softmax(scores, _expanded(kept, 4, -3), 1)
        return ops.einsum("buqk,bkuh->bquh", scores, v), scores


def _softmax(scores: Value, kept: Value | None, axes: int) -> Value:
    """Softmax over the last axes; 0 where a score does not count, also in a row without any that counts."""
    over = tuple(range(-axes, 0))
    if kept is None:
        return ops.softmax(scores, over)
    low = -3e4 if scores.dtype == "float16" else -1e9  # keras.layers.Softmax's numbers
    return ops.where(kept, ops.softmax(ops.where(kept, scores, low), over), 0.0)


def _expanded(mask: Value | None, rank: int, axis: int) -> Value | None:
    """The mask with axes of size 1 put in at `axis` up to a rank."""
    while mask is not None and mask.ndim < rank:
        mask = ops.expand_dims(mask, axis)
    return mask


def _is_int(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool)


def _ints(name: str, value: object) -> tuple[int, ...]:
    listed = (value,) if _is_int(value) else value
    if not isinstance(listed, (list, tuple)) or not all(map(_is_int, listed)):
        raise ArgumentError(f"MultiHeadAttention takes an int or a list of ints for {name}, got {value!r}")
    return tuple(listed)
