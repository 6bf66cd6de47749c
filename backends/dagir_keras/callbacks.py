"""Callbacks of `fit`: a user's own find the weights that have been learned so far in the dagir model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras

_OF_BATCHES = ("on_train_batch_end", "on_batch_end")


class _FreshWeights(keras.callbacks.Callback):
    """Copies the weights into the dagir model before other callbacks look at it."""

    def __init__(self, pull: Callable[[], None], each_batch: bool) -> None:
        super().__init__()
        self._pull, self._each_batch = pull, each_batch

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Copy, where a callback looks at batches."""
        if self._each_batch:
            self._pull()

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        """Copy."""
        self._pull()

    def on_test_begin(self, logs: Any = None) -> None:
        """Copy: validation comes before the end of the epoch."""
        self._pull()


def with_fresh_weights(callbacks: Any, pull: Callable[[], None]) -> Any:
    """The callbacks as `fit` takes them, and before them one that copies the weights, where any is a user's own."""
    listed = callbacks.callbacks if isinstance(callbacks, keras.callbacks.CallbackList) else callbacks or []
    given = list(listed) if isinstance(listed, (list, tuple)) else [listed]
    own = [each for each in given if not type(each).__module__.startswith("keras.") or _calls_back(each)]
    if not own:
        return callbacks
    fresh = _FreshWeights(pull, any(_looks_at_batches(each) for each in own))
    if isinstance(callbacks, keras.callbacks.CallbackList):
        fresh.set_model(callbacks.model)
        callbacks.callbacks.insert(0, fresh)
        return callbacks
    return [fresh, *given]


def _calls_back(callback: Any) -> bool:
    """Whether it is Keras's LambdaCallback, which calls a user's functions."""
    return isinstance(callback, keras.callbacks.LambdaCallback)


def _looks_at_batches(callback: Any) -> bool:
    if _calls_back(callback):
        return True
    return any(getattr(type(callback), name) is not getattr(keras.callbacks.Callback, name) for name in _OF_BATCHES)
