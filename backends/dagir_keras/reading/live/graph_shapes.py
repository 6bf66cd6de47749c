"""The shape of a tensor in a graph that TensorFlow traces, as a user's line reads it: a size that is not known is a
tensor there.

TensorFlow has None in its place, which equals no number: `if x.shape[1] == 3` would take its other branch without a
word, where Keras, which calls the layer on tensors of known sizes, takes the first.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, TypeAlias

from dagir_keras.reading.tensorflow import live_functions

Replace: TypeAlias = Callable[[Any, str, Callable[[Any], Any]], None]
Graphing: TypeAlias = Callable[[], bool]

_CALLS_FOR_THE_USER = "tensorflow.python.autograph.impl.api"  # a call in a line that autograph has rewritten
_NOT_THE_USERS = ("keras.", "tensorflow.", "dagir_keras.", "optree.")


def install(replace: Replace, graphing: Graphing) -> None:
    """Put them in their places, where TensorFlow is loaded. graphing: whether this thread traces a graph."""
    tensorflow = live_functions.loaded()
    if tensorflow is not None:
        replace(tensorflow.Tensor, "shape", lambda old: property(partial(_shape, old.fget, graphing)))
        replace(tensorflow.Tensor, "get_shape", lambda old: lambda tensor: _shape(old, graphing, tensor))


def _shape(old: Callable[[Any], Any], graphing: Graphing, tensor: Any) -> Any:
    found = old(tensor)
    if not graphing() or found.is_fully_defined() or found.rank is None or not _is_read_by_the_user():
        return found
    return _shape_class()(tensor, found)


def _is_read_by_the_user() -> bool:
    """Whether the first frame outside this module is of no framework."""
    frame: Any = sys._getframe(1)
    while frame is not None and _module(frame) in (__name__, _CALLS_FOR_THE_USER):
        frame = frame.f_back
    return frame is not None and not _module(frame).startswith(_NOT_THE_USERS)


def _module(frame: Any) -> str:
    return str(frame.f_globals.get("__name__"))


@cache
def _shape_class() -> type:
    tensorflow = live_functions.loaded()

    class TracedShape(tensorflow.TensorShape):  # type: ignore[name-defined]  # the module is known when it runs
        """A partly known shape; `tensor` tells the rest."""

        def __init__(self, tensor: Any, shape: Any) -> None:
            super().__init__(shape)
            self._tensor = tensor

        def __getitem__(self, key: Any) -> Any:
            found = super().__getitem__(key)
            if isinstance(key, slice):
                places = range(self.rank)[key]
                return found if found.is_fully_defined() else [self[place] for place in places]
            return tensorflow.shape(self._tensor)[key] if found is None else found

        def __iter__(self) -> Iterator[Any]:
            return (self[place] for place in range(self.rank))

        def as_list(self) -> list[Any]:
            """The sizes."""
            return list(self)

    return TracedShape
