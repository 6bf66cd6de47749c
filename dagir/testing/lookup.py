"""Strategies for tables."""

from __future__ import annotations

from typing import Any

import numpy as np
from hypothesis import strategies as st

from dagir import ops
from dagir.ir.types import DType
from dagir.testing.cases import OpCase, shapes, strategy_for


@strategy_for(ops.Lookup)
@st.composite
def lookup(draw: st.DrawFn) -> OpCase:
    """Integers and strings as keys and as values; keys that are in the table, and some that are not."""
    words, numbers = st.text("abΩ ", max_size=4), st.integers(-9, 2**40)
    kinds: list[st.SearchStrategy[Any]] = [words, numbers]
    keys = draw(st.sampled_from(kinds))
    known = draw(st.lists(keys, min_size=1, max_size=6, unique=True))
    values = draw(st.sampled_from(kinds))
    table = draw(st.lists(values, min_size=len(known), max_size=len(known)))
    shape = draw(shapes(1, 3))
    size = int(np.prod(shape))
    x = draw(st.lists(st.sampled_from(known) | keys, min_size=size, max_size=size))
    dtype = DType.STRING.numpy if isinstance(known[0], str) else np.int64
    array = np.asarray(x, dtype).reshape(shape)
    return OpCase(ops.Lookup(tuple(known), tuple(table), draw(values)), (array,))
