"""Random numbers for noise: windows, at random places, into one block that is drawn once.

Drawing costs more than all that is done with a number. A window at a random place of a long block is as good here: the
noise of two nodes is correlated only if both get the very same place. The numbers are uniform, with mean 0 and
variance 1 within the block.
"""

from __future__ import annotations

import numpy as np

from dagir.ir.types import Array
from dagir.support.threads import for_each

_LENGTH = (1 << 17) - 1  # prime, so that no axis of an array is in step with the block
WIDEST = _CHUNK = 1 << 15  # numbers, so that what is read and written at a time stays in a cache


class Blocks:
    """Numbers of mean 0 and variance 1, from a seeded generator."""

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        numbers = rng.random(_LENGTH) - 0.5
        numbers -= numbers.mean()
        numbers /= numbers.std()
        self._wide = np.concatenate([numbers, numbers])  # so that each window is in one piece
        self._narrow = self._wide.astype(np.float32)
        self._room = np.empty(_CHUNK, np.float32), np.empty(_CHUNK)

    def numbers(self, *shape: int) -> Array:
        """An array of float32 numbers."""
        size = int(np.prod(shape))
        if size <= _LENGTH:
            return self._window(self._narrow, size).reshape(shape)
        parts = [self._window(self._narrow, min(_LENGTH, size - start)) for start in range(0, size, _LENGTH)]
        return np.concatenate(parts).reshape(shape)

    def add(self, target: Array, sizes: Array) -> None:
        """Add to each element of a contiguous target a number times its size. Both float32, or both float64."""
        flat, of = target.reshape(-1), np.ascontiguousarray(sizes).reshape(-1)
        block, room = (self._narrow, self._room[0]) if target.dtype == np.float32 else (self._wide, self._room[1])
        for start in range(0, flat.size, _CHUNK):
            part = flat[start : start + _CHUNK]
            product = np.multiply(
                of[start : start + _CHUNK], self._window(block, part.size), out=room[: part.size], dtype=target.dtype
            )
            part += product

    def blur(self, targets: Array, array: Array, size: float, along: Array | None = None) -> None:
        """Add to several contiguous float32 targets a number times `size` times an array, to each of its elements.

        targets: (samples, *shape of the array). along: (samples, width), added to the numbers, the same one at each
        place of the last axis, which is at most `WIDEST` long.
        """
        flat, of = targets.reshape(len(targets), -1), array.reshape(-1)
        width = 1 if along is None else along.shape[1]
        chunk = _CHUNK // width * width
        starts = range(0, of.size, chunk)
        places = self._rng.integers(_LENGTH, size=(len(targets), len(starts)))

        def work(number: int) -> None:
            part = slice(starts[number], starts[number] + chunk)
            sizes = (of[part] * size).astype(np.float32)
            room = np.empty_like(sizes)
            for each, place in enumerate(places[:, number]):
                window = self._narrow[place : place + sizes.size]
                if along is None:
                    np.multiply(window, sizes, out=room)
                else:
                    np.add(window.reshape(-1, width), along[each], out=room.reshape(-1, width))
                    room *= sizes
                target = flat[each, part]
                target += room

        for_each(work, range(len(starts)), targets.nbytes)

    def _window(self, block: Array, size: int) -> Array:
        place = int(self._rng.integers(_LENGTH))
        return block[place : place + size]
