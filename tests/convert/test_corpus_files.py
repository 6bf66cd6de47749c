"""Thirty files of the corpus that tools/old_keras_corpus.py writes: each computes what its writer computed.

WRITER__NAME.npz holds the writer's own answers: in0 ... in the order of `names`, out0 ... Each file is of a kind that
one version of Keras means in its own way: masks, numbers of calls, weights written once, interpolations, encodings.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

import dagir
from dagir.ir.nest import flatten_sorted

FILES = Path(__file__).parent / "corpus_files"
NAMES = sorted(path.name for path in FILES.iterdir() if path.suffix != ".npz")
RUNS = {"float64": ("numpy", {"precision": "float64"}), "float32": ("numpy", {}), "onnx": ("onnx", {})}


def answers(name):
    """The inputs by name, and the outputs."""
    with np.load(FILES / f"{name.split('.')[0]}.npz") as found:
        inputs = {str(each): found[f"in{place}"] for place, each in enumerate(found["names"])}
        return inputs, [found[f"out{place}"] for place in range(sum(key.startswith("out") for key in found))]


def test_there_are_thirty():
    assert len(NAMES) == 30


@pytest.mark.parametrize("name", NAMES)
def test_a_file_computes_what_its_writer_computed(name):
    model = dagir.from_keras(FILES / name)
    inputs, wanted = answers(name)
    values = model.graph.inputs
    own = [value.name for value in values]
    given = [inputs[each] for each in own] if set(own) == set(inputs) else list(inputs.values())
    feeds = [feed.astype(str(value.dtype)) for feed, value in zip(given, values, strict=True)]
    for run, (backend, options) in RUNS.items():
        found = flatten_sorted(dagir.lower(model, backend, **options)(*feeds))
        assert len(found) == len(wanted), run
        for got, want in zip(found, wanted, strict=True):
            assert got.shape == want.shape, run
            scale = np.abs(want).max(initial=0) or 1
            np.testing.assert_allclose(got, want, rtol=0, atol=1e-5 * scale, err_msg=run)
