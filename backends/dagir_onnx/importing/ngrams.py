"""TfIdfVectorizer: how often runs of tokens stand in a row, by comparing the row with each run that the node lists."""

from __future__ import annotations

from collections.abc import Iterator
from functools import reduce
from itertools import count, pairwise

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import Array, DType
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.refusals import TEXT, Refused
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant


@rule("TfIdfVectorizer")
def _tf_idf(call: NodeCall) -> Value:
    """x: int[n] or int[batch, n] -> f32[columns] or f32[batch, columns]."""
    x = call.input(0)
    if call.attribute("pool_strings") or x.dtype is DType.STRING:
        raise Refused(*TEXT)
    rows = ops.cast(x if x.ndim == 2 else ops.expand_dims(x, 0), DType.INT64)
    found = _weighted(call, _in_columns(call, [*_counts(call, rows)]))
    return found if x.ndim == 2 else ops.squeeze(found, 0)


def _counts(call: NodeCall, rows: Value) -> Iterator[tuple[Value, Array]]:
    """For each length of runs: f32[batch, runs], and the column of each run."""
    pool, columns = np.asarray(call.attribute("pool_int64s"), np.int64), call.attribute("ngram_indexes")
    least, most = call.attribute("min_gram_length"), call.attribute("max_gram_length")
    starts, before = [*call.attribute("ngram_counts"), len(pool)], 0
    for length, (start, end) in enumerate(pairwise(starts), 1):
        runs = pool[start:end].reshape(-1, length)
        place, before = before, before + len(runs)
        if not least <= length <= most or not len(runs):
            continue
        if len(np.unique(runs, axis=0)) != len(runs):
            raise call.refused("it lists a run of tokens twice")
        skips = range(1, 2 if length == 1 else call.attribute("max_skip_count") + 2)
        counted = [_counted(rows, runs, step) for step in skips]
        yield reduce(ops.add, counted), np.asarray(columns[place:before], np.int64)


def _counted(rows: Value, runs: Array, step: int) -> Value:
    """How often each run stands in each row, where a token is `step` behind the one before it.

    A row is made longer by a token that no run has, so that there are as many windows as tokens, even in a short row.
    """
    span = (runs.shape[1] - 1) * step
    filler = next(number for number in count() if number not in runs)
    longer = ops.pad(rows, ((0, 0), (0, span)), constant_values=filler) if span else rows
    hits = []
    for place, tokens in enumerate(runs.T):
        window = longer[:, place * step : (place * step - span) or None]
        hits.append(ops.equal(ops.expand_dims(window, 2), constant(tokens)))
    return ops.sum(ops.cast(reduce(ops.logical_and, hits), DType.FLOAT32), 1)


def _in_columns(call: NodeCall, counts: list[tuple[Value, Array]]) -> Value:
    """The counts in the columns that the node gives them; 0 in those of no run."""
    if not counts:
        raise call.refused("it lists no run of a length that it counts")
    width = max(call.attribute("ngram_indexes")) + 1
    columns = np.concatenate([places for _, places in counts])
    if len(np.unique(columns)) != len(columns):
        raise call.refused("it counts two runs of tokens in one column")
    given = ops.pad(ops.concatenate([each for each, _ in counts], 1), ((0, 0), (0, 1)))
    order = np.full(width, len(columns), np.int64)
    order[columns] = np.arange(len(columns))
    return ops.take(given, constant(order), 1)


def _weighted(call: NodeCall, counts: Value) -> Value:
    """By the mode: the counts, the weight of what is there, or both multiplied."""
    mode, given = call.attribute("mode"), call.attribute("weights")
    if mode not in ("TF", "IDF", "TFIDF"):
        raise call.refused(f"its mode is {mode!r}, and is TF, IDF or TFIDF by ONNX")
    if mode == "IDF":
        counts = ops.minimum(counts, 1.0)
    if mode == "TF" or not given:
        return counts
    weights, columns = np.asarray(given, np.float32), np.asarray(call.attribute("ngram_indexes"))
    if len(weights) != len(columns) or sorted(columns) != list(range(len(columns))):
        raise call.refused("its weights are not one for each column")
    if (weights[columns] != weights).any():
        raise call.refused(
            "its weights are of the runs by ONNX, and of the columns in onnxruntime, which have another order",
            "write the runs in the order of their columns",
        )
    return ops.multiply(counts, constant(weights))
