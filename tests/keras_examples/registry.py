"""The table of examples, how one is built, and what it is fed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import Any

import keras
import numpy as np

Sizes = tuple[int, ...]


@dataclass(frozen=True)
class Example:
    """build: the Keras model. sizes: for each of two runs, what the free axes of an input are in turn."""

    build: Callable[[], keras.Model]
    sizes: tuple[Sizes, Sizes]
    ids: int
    refused: str | None

    def feeds(self, made: keras.Model, run: int) -> list[Any]:
        """An array for each input, at the batch and the sizes of a run."""
        rng = np.random.default_rng(run)
        return [self._drawn(rng, tensor, run) for tensor in made.inputs]

    def _drawn(self, rng: np.random.Generator, tensor: Any, run: int) -> Any:
        free = cycle(self.sizes[run])
        batch = run + 2 if tensor.shape[0] is None else tensor.shape[0]
        shape = [batch, *(next(free) if size is None else size for size in tensor.shape[1:])]
        if "int" in tensor.dtype:
            return rng.integers(0, self.ids, shape).astype(tensor.dtype)
        return rng.normal(size=shape).astype(tensor.dtype)


EXAMPLES: dict[str, Example] = {}


def example(
    sizes: Sequence[Sizes] = ((5,), (8,)), ids: int = 7, refused: str | None = None
) -> Callable[[Callable[[], keras.Model]], Callable[[], keras.Model]]:
    """Put a function that builds a model into the table. ids: how many. refused: what the message of a refusal says."""

    def put(build: Callable[[], keras.Model]) -> Callable[[], keras.Model]:
        EXAMPLES[build.__name__] = Example(build, (sizes[0], sizes[1]), ids, refused)
        return build

    return put


def image(*channels: int, size: int | None = None) -> Any:
    """An input of images, of any size unless one is given."""
    return keras.Input((size, size, *(channels or (3,))), name="image")
