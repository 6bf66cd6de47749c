"""Running sums and products."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.types import normalize_axis
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import Tensor, integer, tensor, value


def _running(cumulate: Callable[..., Value], first: int, x: Any, axis: Any, exclusive: bool, reverse: bool) -> Tensor:
    """exclusive: each element without itself, which begins with `first`. reverse: from the end."""
    given = value(tensor(x))
    place = normalize_axis(integer(axis, "axis"), given.ndim)
    turned = ops.flip(given, place) if reverse else given
    if exclusive:
        lead = (slice(None),) * place
        rest = turned[(*lead, slice(None, -1))]
        begin = ops.full_like(turned[(*lead, slice(None, 1))], first)
        turned = ops.concatenate([begin, rest], place)
    found = cumulate(turned, place)
    return ops.flip(found, place) if reverse else found


def _rule(cumulate: Callable[..., Value], first: int) -> Callable[..., Tensor]:
    def rule(x: Any, axis: Any = 0, exclusive: bool = False, reverse: bool = False) -> Tensor:
        return _running(cumulate, first, x, axis, bool(exclusive), bool(reverse))

    return rule


raw("Cumsum")(function("math.cumsum", "keras.backend.cumsum")(_rule(ops.cumsum, 0)))
raw("Cumprod")(function("math.cumprod", "keras.backend.cumprod")(_rule(ops.cumprod, 1)))
