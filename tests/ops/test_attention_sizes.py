"""Attention on ONNX: heads that serve several of the query's at every rank, and sizes known at run time only."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from dagir import ops
from dagir.errors import ShapeError
from dagir.testing import OpCase, assert_close

OPSETS = (18, 23, 24)
SERVED = {  # q, k, v
    "all of a batch by one": ((3, 5, 4), (1, 7, 4), (1, 7, 6)),
    "pairs of a batch": ((6, 5, 4), (3, 7, 4), (3, 7, 2)),
    "all heads by one": ((2, 3, 5, 4), (2, 1, 7, 4), (2, 1, 7, 6)),
    "none": ((3, 5, 4), (3, 7, 4), (3, 7, 6)),
}
BESIDE = {"nothing": None, "rows": (5, 1), "scores": (5, 7), "heads": (-1, 5, 7), "columns of heads": (-1, 1, 7)}


def drawn(*shape, dtype="float32"):
    rng = np.random.default_rng(sum(shape))
    return rng.random(shape) < 0.6 if dtype == "bool" else rng.uniform(-2, 2, shape).astype(dtype)


def assert_agree(graph, feeds, lowered):
    (wanted,) = dagir.lower(graph, "numpy", precision="float64")(feeds)
    for name, run in lowered.items():
        assert_close(run(feeds)[0], wanted, name)


def at_opsets(graph):
    return {f"opset {opset}": dagir.lower(graph, "onnx", opset=opset) for opset in OPSETS}


@pytest.mark.parametrize("mask", BESIDE)
@pytest.mark.parametrize("bias", BESIDE)
@pytest.mark.parametrize("name", SERVED)
def test_fewer_heads(name, bias, mask):
    q, k, v = SERVED[name]
    heads = q[-3]

    def beside(which, dtype):
        return None if which is None else drawn(*(heads if size < 0 else size for size in which), dtype=dtype)

    extra = beside(BESIDE[bias], "float32"), beside(BESIDE[mask], "bool")
    for causal, window in ((False, None), (True, None), (False, 2)):
        case = OpCase(ops.Attention(0.3, causal, window), (drawn(*q), drawn(*k), drawn(*v), *extra))
        graph, feeds = case.graph()
        assert_agree(graph, feeds, at_opsets(graph))


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rank", [2, 3, 4, 5])
def test_no_size_is_known(rank, causal):
    """Each axis of each operand has a name of its own."""
    case = OpCase(ops.Attention(0.3, causal), (drawn(*(2,) * rank), drawn(*(2,) * rank), drawn(*(2,) * rank)))
    graph, _ = case.graph(tuple((place, axis) for place in range(3) for axis in range(rank)))
    lowered = at_opsets(graph)
    for lead, t, s, d, c in ((1, 3, 4, 2, 5), (2, 5, 1, 3, 1), (3, 1, 7, 1, 2)):
        sizes = tuple(lead + axis for axis in range(rank - 2))
        assert_agree(graph, [drawn(*sizes, t, d), drawn(*sizes, s, d), drawn(*sizes, s, c)], lowered)


@pytest.mark.parametrize("known", [0, 1])
def test_heads_whose_number_is_known_on_one_side_alone_are_equal(known):
    case = OpCase(ops.Attention(0.3), (drawn(2, 1, 5, 4), drawn(2, 1, 7, 4), drawn(2, 1, 7, 6)))
    graph, feeds = case.graph(((1 - known, 1),))
    lowered = at_opsets(graph)
    assert_agree(graph, feeds, lowered)
    feeds[1 - known] = np.repeat(feeds[1 - known], 2, axis=1)
    for run in lowered.values():
        with pytest.raises(ShapeError, match="had to be equal at run time"):
            run(feeds)


@pytest.mark.parametrize("opset", OPSETS)
def test_bands_of_sizes_known_on_one_side_alone(opset):
    for named in ((), (0,), (1,), (0, 1)):
        graph, _ = OpCase(ops.Band(1, 2), (drawn(3, 5),)).graph(tuple((0, axis) for axis in named))
        run = dagir.lower(graph, "onnx", opset=opset)
        for rows, columns in ((3, 5), (7, 1), (2, 9)):
            array = drawn(rows if 0 in named else 3, columns if 1 in named else 5)
            (wanted,) = dagir.lower(graph, "numpy")([array])
            np.testing.assert_array_equal(run([array])[0], wanted)
