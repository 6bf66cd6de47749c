"""Vocabularies: IntegerLookup and StringLookup."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, ClassVar, TypeAlias, Unpack

import numpy as np

from dagir import ops
from dagir.errors import ArgumentError, DTypeError
from dagir.ir.graph import Value
from dagir.ir.operands import as_value
from dagir.ir.types import Array, DType, DTypeLike
from dagir.layers.argument_types import LookupOptions, StringLookupOptions, UnnamedOptions
from dagir.layers.base import Layer
from dagir.layers.categorical import check_summed_rank, checked_mode, encode, refuse_sparse
from dagir.support import limits

__all__ = [
    "IntegerLookup",
    "StringLookup",
]

_MODES = ("int", "one_hot", "multi_hot", "count", "tf_idf")


Term: TypeAlias = int | str


class _Lookup(Layer):
    """The place of each term in a vocabulary: first the mask token, if any, then unknown terms, then the terms."""

    term: ClassVar[type]
    term_dtype: ClassVar[DType]
    counts_in: DType | None = None  # the dtype of what is one_hot, multi_hot, count; None: that of the layer
    set_by_readers: ClassVar[Mapping[str, Callable[[Any], Any]]] = {"counts_in": DType.of}

    def _configure(
        self,
        max_tokens: int | None,
        num_oov_indices: int,
        mask_token: Term | None,
        oov_token: Term,
        vocabulary: Sequence[Term] | Array | None,
        idf_weights: Sequence[float] | Array | None,
        invert: bool,
        output_mode: str,
        pad_to_max_tokens: bool,
    ) -> None:
        name = type(self).__name__
        self.output_mode = checked_mode(name, output_mode, _MODES)
        self.max_tokens, self.pad_to_max_tokens = max_tokens, bool(pad_to_max_tokens)
        self.num_oov_indices, self.mask_token, self.oov_token = num_oov_indices, mask_token, oov_token
        self.invert = bool(invert)
        if isinstance(num_oov_indices, bool) or not isinstance(num_oov_indices, int) or num_oov_indices < 0:
            raise ArgumentError(f"{name} takes an int of at least 0 for num_oov_indices, got {num_oov_indices!r}")
        if self.invert and self.output_mode != "int":
            raise ArgumentError(f"{name} inverts with output_mode 'int' only, got {output_mode!r}")
        if self.pad_to_max_tokens and max_tokens is None:
            raise ArgumentError(f"{name} needs max_tokens for pad_to_max_tokens")
        if (self.output_mode == "tf_idf") != (idf_weights is not None) and vocabulary is not None:
            raise ArgumentError(f"{name} takes idf_weights with output_mode 'tf_idf', and only with it")
        self.idf_weights: list[float] | None = None
        self.tokens: list[Term] | None = None
        if vocabulary is not None:
            self.set_vocabulary(vocabulary, idf_weights)

    def set_vocabulary(
        self, vocabulary: Sequence[Term] | Array, idf_weights: Sequence[float] | Array | None = None
    ) -> None:
        """Set the terms, with or without the mask token and the tokens for unknown terms before them.

        idf_weights: one for each term, for tf_idf. A path is refused. Raises ArgumentError.
        """
        name = type(self).__name__
        if isinstance(vocabulary, (str, bytes)):
            raise ArgumentError(
                f"{name} reads no vocabulary from a file or URL, got {vocabulary!r}", remedy="give the list of terms"
            )
        terms = [term.item() if isinstance(term, np.generic) else term for term in vocabulary]
        if not terms or not all(type(term) is self.term for term in terms):
            raise ArgumentError(f"{name} takes a list of {self.term.__name__} for vocabulary, got {terms[:5]!r}")
        special = ([self.mask_token] if self._has_mask else []) + [self.oov_token] * self.num_oov_indices
        start = len(special)
        found_special = bool(special) and terms[:start] == special
        self.tokens = terms[start:] if found_special else terms
        self._check_tokens(start)
        if idf_weights is not None:
            self._set_idf(np.asarray(idf_weights, np.float64), len(terms), 0 if found_special else start)

    @property
    def _has_mask(self) -> bool:
        return self.mask_token is not None and self.output_mode == "int"

    def _check_tokens(self, start: int) -> None:
        assert self.tokens is not None
        name = type(self).__name__
        if len(set(self.tokens)) != len(self.tokens):
            twice = next(term for term in self.tokens if self.tokens.count(term) > 1)
            raise ArgumentError(f"the vocabulary of {name} holds {twice!r} twice")
        reserved = [self.mask_token] + ([self.oov_token] if self.invert else [])
        for token in reserved:
            if token is not None and token in self.tokens:
                raise ArgumentError(f"{token!r} is reserved, and stands amid the vocabulary of {name}")
        if self.max_tokens is not None and start + len(self.tokens) > self.max_tokens:
            raise ArgumentError(f"{name} has {start + len(self.tokens)} tokens, above max_tokens={self.max_tokens}")

    def _set_idf(self, weights: Array, terms: int, before: int) -> None:
        """Unknown terms get the average weight; padding up to max_tokens gets 0."""
        if weights.shape != (terms,):
            raise ArgumentError(f"idf_weights needs one number for each of {terms} terms, got {list(weights.shape)}")
        limits.spend("elements", self.depth, f"idf_weights of {self.depth:,} terms")
        after = self.depth - before - terms if self.pad_to_max_tokens else 0
        self.idf_weights = [*[float(np.average(weights))] * before, *weights.tolist(), *[0.0] * after]

    @property
    def depth(self) -> int:
        """The number of places; max_tokens if they are padded to it."""
        if self.pad_to_max_tokens and self.max_tokens is not None:
            return self.max_tokens
        return self.vocabulary_size()

    def vocabulary_size(self) -> int:
        """The number of terms, with the mask token and the places for unknown terms."""
        return self._start + len(self.tokens or [])

    @property
    def _start(self) -> int:
        return int(self._has_mask) + self.num_oov_indices

    def get_vocabulary(self, include_special_tokens: bool = True) -> list[Any]:
        """The term at each place."""
        special = ([self.mask_token] if self._has_mask else []) + [self.oov_token] * self.num_oov_indices
        return [*(special if include_special_tokens else []), *(self.tokens or [])]

    def check_dtype(self, inputs: object) -> None:
        """Terms, or places where it is inverted."""
        if not isinstance(inputs, Value):
            return
        wanted = DType.INT64 if self.invert else self.term_dtype
        if (inputs.dtype is DType.STRING) is not (wanted is DType.STRING):
            raise DTypeError(f"{type(self).__name__} layer {self.name!r} takes {wanted}, got {inputs.dtype}")

    def call(self, inputs: Value) -> Value:
        """terms: int[*s] or string[*s] -> int64[*s]; the reverse where inverted; other modes as CategoryEncoding."""
        if self.tokens is None:
            raise ArgumentError(
                f"layer {self.name!r} has no vocabulary", remedy="give vocabulary=, or call adapt(data)"
            )
        check_summed_rank(self, inputs, self.output_mode)
        x = inputs if inputs.dtype is DType.STRING else ops.cast(inputs, DType.INT64)
        places = range(self._start, self._start + len(self.tokens))
        if self.invert:
            mask = {} if self.mask_token is None or not self._has_mask else {0: self.mask_token}
            table = {**mask, **dict(zip(places, self.tokens, strict=True))}
            return ops.lookup(x, tuple(table), tuple(table.values()), self.oov_token)
        found = self._places(x, dict(zip(self.tokens, places, strict=True)))
        if self.output_mode == "int":
            return found
        weighed = self.output_mode == "tf_idf"
        dtype = self.dtype if weighed or self.counts_in is None else self.counts_in
        hot = encode(found, "count" if weighed else self.output_mode, self.depth, dtype)
        return hot if self.output_mode != "tf_idf" else hot * as_value(np.asarray(self.idf_weights, self.dtype.numpy))

    def _places(self, x: Value, table: dict[Term, int]) -> Value:
        """The place of each term; the mask token is at 0 or nowhere. Raises ArgumentError instead of hashing."""
        if self.mask_token is not None:
            table = {**table, self.mask_token: 0 if self._has_mask else -1}
        unknown = int(self._has_mask)
        if self.num_oov_indices == 1:
            return ops.lookup(x, tuple(table), tuple(table.values()), unknown)
        if self.num_oov_indices == 0:  # an error, as in Keras: the row does not exist
            size = max(self.vocabulary_size(), 1)
            rows = as_value(np.arange(size + 1, dtype=np.int64) - 1)
            return ops.take(rows, ops.lookup(x, tuple(table), tuple(v + 1 for v in table.values()), size + 1), axis=0)
        if self.term_dtype is DType.STRING or getattr(self, "oov_method", "floormod") != "floormod":
            raise ArgumentError(
                f"{type(self).__name__} hashes what is not known to {self.num_oov_indices} places, which is refused",
                remedy="use num_oov_indices=1",
            )
        found = ops.lookup(x, tuple(table), tuple(table.values()), -2)
        return ops.where(ops.equal(found, -2), ops.mod(x, self.num_oov_indices) + unknown, found)

    def adapt(self, data: Iterable[Any]) -> None:
        """Learn the terms of an array, or of an iterable of batches, the most frequent first. Raises ArgumentError."""
        if self.tokens is not None and not getattr(self, "_adapted", False):
            raise ArgumentError(f"layer {self.name!r} was given its vocabulary")
        if self.output_mode == "tf_idf":
            raise ArgumentError("adapt for output_mode 'tf_idf' is refused", remedy="give vocabulary= and idf_weights=")
        counts: dict[Term, int] = {}
        for batch in [data] if hasattr(data, "shape") or isinstance(data, (list, tuple)) else data:
            for term in np.asarray(batch).reshape(-1).tolist():
                counts[term] = counts.get(term, 0) + 1
        ordered = sorted(counts, key=lambda term: (counts[term], term), reverse=True)
        kept = [term for term in ordered if term not in (self.mask_token, self.oov_token)]
        self._adapted = True
        self.set_vocabulary(kept[: None if self.max_tokens is None else self.max_tokens - self._start])

    def get_config(self) -> dict[str, Any]:
        """The arguments, and the vocabulary that was learnt."""
        config = {key: value for key, value in super().get_config().items() if key not in ("dtype", "trainable")}
        return {**config, "vocabulary": config["vocabulary"] if self.tokens is None else list(self.tokens)} | (
            {} if self.idf_weights is None else self._idf_config()
        )

    def _idf_config(self) -> dict[str, object]:
        """The vocabulary with the special tokens before it: only then each place has its own weight."""
        assert self.idf_weights is not None
        terms = self.get_vocabulary()
        return {"vocabulary": terms, "idf_weights": self.idf_weights[: len(terms)]}


class IntegerLookup(_Lookup):
    """The place of each integer in a vocabulary.  keras.layers.IntegerLookup.

    vocabulary_dtype: int64 alone. oov_method: "floormod" alone, where num_oov_indices is above 1. salt: of
    hashing, which is refused.

    >>> layers.IntegerLookup(vocabulary=[7, 9])(dagir.Input(("time",), dtype="int64"))
    <Value integer_lookup int64[batch, time]>
    """

    term, term_dtype = int, DType.INT64

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: int | None = None,
        oov_token: int = -1,
        vocabulary: Sequence[int] | Array | None = None,
        vocabulary_dtype: DTypeLike = "int64",
        idf_weights: Sequence[float] | Array | None = None,
        invert: bool = False,
        output_mode: str = "int",
        sparse: bool = False,
        pad_to_max_tokens: bool = False,
        oov_method: str = "floormod",
        salt: int | Sequence[int] | None = None,
        name: str | None = None,
        **kwargs: Unpack[LookupOptions],
    ) -> None:
        kwargs.pop("vocabulary_size", None)
        options: UnnamedOptions = kwargs
        super().__init__(name=name, **options)
        if vocabulary_dtype != "int64":
            raise ArgumentError(f"IntegerLookup takes vocabulary_dtype 'int64' only, got {vocabulary_dtype!r}")
        refuse_sparse("IntegerLookup", sparse)
        self.oov_method = oov_method
        self._configure(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            pad_to_max_tokens,
        )


class StringLookup(_Lookup):
    """The place of each string in a vocabulary.  keras.layers.StringLookup.

    encoding: utf-8 alone. salt: of hashing, which is refused: num_oov_indices is 0 or 1.

    >>> layers.StringLookup(vocabulary=["red", "blue"])(dagir.Input(("time",), dtype="string"))
    <Value string_lookup int64[batch, time]>
    """

    term, term_dtype = str, DType.STRING

    def __init__(
        self,
        max_tokens: int | None = None,
        num_oov_indices: int = 1,
        mask_token: str | None = None,
        oov_token: str = "[UNK]",
        vocabulary: Sequence[str] | Array | None = None,
        idf_weights: Sequence[float] | Array | None = None,
        invert: bool = False,
        output_mode: str = "int",
        pad_to_max_tokens: bool = False,
        sparse: bool = False,
        encoding: str = "utf-8",
        name: str | None = None,
        salt: int | Sequence[int] | None = None,
        **kwargs: Unpack[StringLookupOptions],
    ) -> None:
        kwargs.pop("vocabulary_size", None)
        kwargs.pop("oov_method", None)
        options: UnnamedOptions = kwargs
        super().__init__(name=name, **options)
        refuse_sparse("StringLookup", sparse)
        if encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            raise ArgumentError(f"StringLookup takes encoding 'utf-8' only, got {encoding!r}")
        self._configure(
            max_tokens,
            num_oov_indices,
            mask_token,
            oov_token,
            vocabulary,
            idf_weights,
            invert,
            output_mode,
            pad_to_max_tokens,
        )
