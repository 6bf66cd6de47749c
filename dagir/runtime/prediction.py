"""The implementation of Model.predict: the outputs for arrays of any length, or for a stream of batches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, FeedError
from dagir.ir.nest import flatten, pack
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.backend import backend
from dagir.runtime.fastest import Choice, lower_to_fastest
from dagir.runtime.feeds import arrange
from dagir.runtime.lowering import lower
from dagir.runtime.prediction_progress import progress
from dagir.support.did_you_mean import did_you_mean

_PARTS = (1, 2, 3)  # x; x and y; x, y and weights of the samples


def predict(
    model: Model,
    x: object,
    batch_size: int | None,
    steps: int | None,
    name: str | None,
    options: dict[str, object],
    kept: list[_Kept],
    verbose: str | int = 0,
) -> Any:
    """The outputs for x, `batch_size` rows at a time, `steps` batches or all. Raises FeedError, ArgumentError.

    name: of the backend, None for the fastest that is installed and takes the model. kept: what the last call ran.
    """
    stream = _stream(x)
    if stream is not None and batch_size is not None:
        raise ArgumentError(
            "predict was given a stream of batches and a batch_size",
            remedy="leave batch_size out: the stream has its own",
        )
    count = None if steps is None else _positive("steps", steps)
    size = _positive("batch_size", 32 if batch_size is None else batch_size)
    choice = _chosen(model, name, options, kept)
    executable = choice.executable
    if stream is None:
        arrays = arrange(model.signature.inputs, (x,), cast=True)
        executable.bind(arrays)
        starts = range(0, max(len(arrays[0]), 1), size)[:count]
        batches: Iterable[list[Array]] = ([array[start : start + size] for array in arrays] for start in starts)
        total: int | None = len(starts)
    else:
        batches = islice((arrange(model.signature.inputs, (each,), cast=True) for each in stream), count)
        total = count
    with progress(verbose, str(choice), total) as tell:
        parts = []
        for batch in batches:
            parts.append(flatten(executable(batch)))
            tell(len(batch[0]) if batch[0].ndim else 1)
    if not parts:
        raise FeedError("predict was given a stream without batches")
    joined = [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]
    return pack(model.signature.output_structure, joined)


def _chosen(model: Model, name: str | None, options: dict[str, object], kept: list[_Kept]) -> Choice:
    """What runs the model: that of the last call, where the backend, its options and the weights are the same."""
    if name is None and options:
        option = sorted(options)[0]
        meant = did_you_mean(option, ("batch_size", "verbose", "steps", "backend"))
        which = "options are a backend's: say which, as backend='onnx'"
        remedy = f"{meant} Other {which}" if meant else which
        raise ArgumentError(f"predict was given the option {option!r} and no backend", remedy=remedy)
    now = _Kept(name and backend(name), options, [weight.array for weight in model.graph.parameters])
    for last in kept:
        if last.choice is not None and last.stands_for(now):
            return last.choice
    now.choice = lower_to_fastest(model) if name is None else Choice(name, lower(model, name, **options))
    kept[:] = [now]
    return now.choice


@dataclass
class _Kept:
    """What was run, and for what: with the same weights it may run again."""

    backend: object
    options: dict[str, object]
    weights: list[Array]
    choice: Choice | None = None

    def stands_for(self, other: _Kept) -> bool:
        return (
            self.backend is other.backend
            and self.options == other.options
            and len(self.weights) == len(other.weights)
            and all(one is another for one, another in zip(self.weights, other.weights, strict=True))
        )


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


def _positive(name: str, given: object) -> int:
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool) and given > 0:
        return int(given)
    raise ArgumentError(f"predict takes a positive int for {name}, got {given!r}")
