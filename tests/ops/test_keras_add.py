"""keras.ops.add misreads some operands as a bias; what dagir lowers to must not."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import pytest

import dagir
from dagir.ir.graph import Graph
from dagir.runtime.backend import backend


@pytest.mark.parametrize("known", [True, False])
@pytest.mark.parametrize(
    ("first", "second"),
    [
        ((3, 1, 3), (3, 1, 1)),
        ((1, 3), (3, 1)),
        ((2, 3), (1, 1, 3)),
        ((1, 3, 1), (3,)),
        ((2, 2, 3), (2, 1, 1)),
        ((2, 5, 3), (3,)),
        ((2, 5, 3), ()),
        ((2, 5, 3), (2, 5, 3)),
    ],
)
def test_add_broadcasts_as_numpy_does(first, second, known):
    arrays = [
        np.random.default_rng(i).uniform(-2, 2, shape).astype("float32") for i, shape in enumerate((first, second))
    ]
    names = [[size if known or size == 1 else f"s{size}" for size in shape] for shape in (first, second)]
    x1, x2 = (dagir.Input(batch_shape=sizes) for sizes in names)
    (found,) = backend("keras").lower(Graph([x1, x2], [x1 + x2]))(arrays)
    assert np.array_equal(found, arrays[0] + arrays[1])
