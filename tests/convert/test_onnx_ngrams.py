"""TfIdfVectorizer on whole numbers: runs of tokens counted in rows, judged by onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from convert.drawn_nodes import assert_read_right, feeds_of, model_of, runtime_answers
from dagir.errors import UnsupportedOp

RUNS = {1: [[2], [0], [5]], 2: [[2, 0], [0, 0], [5, 2]], 3: [[0, 2, 0], [2, 0, 0]]}


def attributes(lengths, order=None, mode="TF", skips=0, weights=None):
    """Of the node that counts these runs; lengths: from, to."""
    starts = np.cumsum([0, *(np.size(runs) for runs in RUNS.values())])[:-1]
    total = sum(map(len, RUNS.values()))
    found = {
        "pool_int64s": [token for runs in RUNS.values() for run in runs for token in run],
        "ngram_counts": starts.tolist(),
        "ngram_indexes": list(range(total) if order is None else order),
        "min_gram_length": lengths[0],
        "max_gram_length": lengths[1],
        "max_skip_count": skips,
        "mode": mode,
    }
    return found if weights is None else {**found, "weights": weights}


@settings(deadline=None)
@given(
    rows=st.sampled_from([(9,), (3, 9), (2, 2), (2, 1)]),
    dtype=st.sampled_from(["int32", "int64"]),
    lengths=st.sampled_from([(1, 1), (1, 2), (2, 2), (1, 3), (2, 3)]),
    order=st.permutations(range(8)) | st.none(),
    mode=st.sampled_from(["TF", "IDF", "TFIDF"]),
    skips=st.integers(0, 3),
    weighted=st.booleans(),
    seed=st.integers(0, 99),
)
def test_counts_are_those_of_onnxruntime(rows, dtype, lengths, order, mode, skips, weighted, seed):
    x = np.random.default_rng(seed).choice([0, 2, 5, -1], rows).astype(dtype)
    weights = [0.5, 2.0, 1.5, 3.0, -1.0, 0.25, 4.0, 1.0] if weighted and order is None else None
    node = attributes(lengths, order, mode, skips, weights)
    model = model_of("TfIdfVectorizer", [x], ["float32"], 13, free=[(0, axis) for axis in range(x.ndim)], **node)
    assert_read_right(model, feeds_of([x]), runtime_answers(model, feeds_of([x])), ("numpy", "onnx"))


def test_keras_counts_them_too():
    x = np.random.default_rng(3).choice([0, 2, 5], (4, 9))
    model = model_of("TfIdfVectorizer", [x], ["float32"], 13, **attributes((1, 3), mode="TFIDF", skips=2))
    assert_read_right(model, feeds_of([x]), runtime_answers(model, feeds_of([x])), ("keras",))


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"ngram_indexes": [0, 1, 2, 3, 4, 5, 6, 6]}, "two runs of tokens in one column"),
        ({"pool_int64s": [2, 0, 2, 2, 0, 0, 0, 5, 2, 0, 2, 0, 2, 0, 0]}, "lists a run of tokens twice"),
        (
            {"ngram_indexes": [1, 0, 2, 3, 4, 5, 6, 7], "weights": [1.0, 2.0] * 4, "mode": "IDF"},
            "which have another order",
        ),
        ({"pool_strings": ["a"]}, "computes on text"),
    ],
)
def test_what_is_read_in_two_ways_is_refused(change, reason):
    x = np.zeros((2, 4), "int64")
    model = model_of("TfIdfVectorizer", [x], ["float32"], 13, **{**attributes((1, 3)), **change})
    with pytest.raises(UnsupportedOp, match=reason):
        dagir.from_onnx(model)
