"""Random numbers for noise: windows, at random places, into one block that is drawn once.

Drawing costs more than all that is done with a number. A window at a random place of a long block is as good here: the
noise of two nodes is correlated only if both get the very same place. The numbers are uniform, with mean 0 and
variance 1 within the block.
"""

from __future__ import annotations

import numpy as np

from dagir.ir.types import Array

_LENGTH = (1 << 17) - 1  # prime, so that no axis of an array is in step with the block
_CHUNK = 1 << 15  # numbers, so that what is read and written at a time stays in a cache


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

    def _window(self, block: Array, size: int) -> Array:
        place = int(self._rng.integers(_LENGTH))
        return block[place : place + size]
