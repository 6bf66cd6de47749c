"""The implementation of Model.predict: the outputs for arrays of any length, in batches."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.nest import flatten, pack
from dagir.modeling.model import Model
from dagir.runtime.feeds import arrange
from dagir.runtime.lowering import lower


def predict(
    model: Model, x: object, batch_size: int, steps: int | None, backend: str, options: dict[str, object]
) -> Any:
    """The outputs for x, `batch_size` rows at a time, `steps` batches or all. Raises FeedError, ArgumentError."""
    size = _positive("batch_size", batch_size)
    executable = lower(model, backend, **options)
    arrays = arrange(model.signature.inputs, (x,), cast=True)
    executable.bind(arrays)
    starts = range(0, max(len(arrays[0]), 1), size)
    if steps is not None:
        starts = starts[: _positive("steps", steps)]
    parts = [flatten(executable([array[start : start + size] for array in arrays])) for start in starts]
    joined = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    return pack(model.signature.output_structure, joined)


def _positive(name: str, given: object) -> int:
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool) and given > 0:
        return int(given)
    raise ArgumentError(f"predict takes a positive int for {name}, got {given!r}")
