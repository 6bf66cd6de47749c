"""The implementation of Model.predict: the outputs for arrays of any length, or for a stream of batches."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, FeedError
from dagir.ir.nest import flatten, pack
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.feeds import arrange
from dagir.runtime.lowering import lower

_PARTS = (1, 2, 3)  # x; x and y; x, y and weights of the samples


def predict(
    model: Model,
    x: object,
    batch_size: int | None,
    steps: int | None,
    backend: str,
    options: dict[str, object],
    verbose: str | int = 0,
) -> Any:
    """The outputs for x, `batch_size` rows at a time, `steps` batches or all. Raises FeedError, ArgumentError."""
    stream = _stream(x)
    if stream is not None and batch_size is not None:
        raise ArgumentError(
            "predict was given a stream of batches and a batch_size",
            remedy="leave batch_size out: the stream has its own",
        )
    count = None if steps is None else _positive("steps", steps)
    size = _positive("batch_size", 32 if batch_size is None else batch_size)
    executable = lower(model, backend, **options)
    if stream is None:
        arrays = arrange(model.signature.inputs, (x,), cast=True)
        executable.bind(arrays)
        starts = range(0, max(len(arrays[0]), 1), size)[:count]
        batches: Iterable[list[Array]] = ([array[start : start + size] for array in arrays] for start in starts)
        total: int | None = len(starts)
    else:
        batches = islice((arrange(model.signature.inputs, (each,), cast=True) for each in stream), count)
        total = count
    with _progress(verbose, backend, total) as tell:
        parts = []
        for batch in batches:
            parts.append(flatten(executable(batch)))
            tell()
    if not parts:
        raise FeedError("predict was given a stream without batches")
    joined = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    return pack(model.signature.output_structure, joined)


def _stream(x: object) -> Iterator[Any] | None:
    """The inputs of each batch that a generator, a data set or a loader yields; None for arrays.

    As in Keras, a tuple is (x,), (x, y) or (x, y, weights).
    """
    if isinstance(x, (Mapping, Sequence, np.ndarray)) or hasattr(x, "__array__") or hasattr(x, "shape"):
        return None
    if isinstance(x, Iterable):
        return map(_inputs_of, x)
    if hasattr(x, "__getitem__") and hasattr(x, "__len__"):  # as keras.utils.PyDataset has them
        return (_inputs_of(x[place]) for place in range(len(x)))
    return None


def _inputs_of(batch: Any) -> Any:
    given = batch[0] if isinstance(batch, tuple) and len(batch) in _PARTS else batch
    if isinstance(given, Mapping):
        return {name: np.asarray(part) for name, part in given.items()}
    return [np.asarray(part) for part in given] if isinstance(given, (list, tuple)) else np.asarray(given)


@contextmanager
def _progress(verbose: str | int, backend: str, total: int | None) -> Iterator[Callable[[], None]]:
    """What counts a batch, and shows that on a terminal, where verbose is "auto" or 1."""
    if verbose not in ("auto", 1) or not sys.stderr.isatty():
        yield lambda: None
        return
    from rich.console import Console
    from rich.progress import Progress

    with Progress(console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(f"predicting on {backend}", total=total)
        yield lambda: bar.advance(task)


def _positive(name: str, given: object) -> int:
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool) and given > 0:
        return int(given)
    raise ArgumentError(f"predict takes a positive int for {name}, got {given!r}")
