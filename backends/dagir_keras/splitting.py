"""Values taken apart along an axis."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

from dagir import ops
from dagir_keras.rules import rules


@rules.rule(ops.Split)
def split(op: ops.Split, x: Any) -> Any:
    ends = list(accumulate(op.sizes))
    starts = [0, *ends[:-1]]
    keys = (slice(None),) * op.axis
    return tuple(x[(*keys, slice(start, end))] for start, end in zip(starts, ends, strict=True))
