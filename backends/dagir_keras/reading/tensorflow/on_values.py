"""TensorFlow's functions on values of dagir, in a layer of a user's own: TensorFlow's dispatch, then the same rules."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import cache
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Parameter, Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.types import DType
from dagir_keras.reading.problems import OutsideTable, Refused
from dagir_keras.reading.tensorflow import live_functions
from dagir_keras.reading.tensorflow.tensors import Sizes, entries


class SizeTensor(Sizes):
    """What tf.shape gives of a value: its entries are numbers and sizes."""

    def __getitem__(self, key: Any) -> Any:
        found = self.array[key]
        return SizeTensor(found, self.dtype) if isinstance(found, np.ndarray) else found

    def __len__(self) -> int:
        return len(self.array)

    def __iter__(self) -> Iterator[Any]:
        return (self[place] for place in range(len(self)))


@cache
def join_dispatch() -> None:
    """Register the dispatcher, once. TensorFlow is imported: it has just asked a value for a tensor."""
    tensorflow = live_functions.loaded()

    class Dispatcher(tensorflow.__internal__.dispatch.GlobalOpDispatcher):  # type: ignore[name-defined]
        """Takes the calls of known functions that have values, weights or sizes of dagir among their arguments."""

        def handle(self, op: Any, args: Any, kwargs: Any) -> Any:
            name = live_functions.name_of(op)
            if name is None or not any(map(_is_ours, flatten([list(args), dict(kwargs)]))):
                return self.NOT_SUPPORTED
            if _is_called_by_keras():  # half of its function would compute with a value of dagir as its own tensor
                return self.NOT_SUPPORTED
            return _called(name, op, args, kwargs)

    Dispatcher().register()


def _is_called_by_keras() -> bool:
    """Whether a function of Keras called the function of TensorFlow."""
    frame: Any = sys._getframe(2)
    while frame is not None and _module(frame).startswith("tensorflow."):
        frame = frame.f_back
    return frame is not None and _module(frame).startswith("keras.")


def _module(frame: Any) -> str:
    return str(frame.f_globals.get("__name__"))


def _is_ours(leaf: object) -> bool:
    return isinstance(leaf, (Value, Parameter, Sizes, SymbolicDim))


def _called(name: str, op: Any, args: Any, kwargs: Any) -> Any:
    try:
        given, options = map_structure(_given, list(args)), map_structure(_given, dict(kwargs))
        return map_structure(_found, live_functions.call(name, op, given, options))
    except OutsideTable as refused:
        raise ArgumentError(refused.reason, remedy=refused.remedy) from None
    except Refused as refused:
        raise ArgumentError(f"tf.{name}: {refused.reason}", remedy=refused.remedy) from None


def _given(leaf: Any) -> Any:
    if isinstance(leaf, Parameter):
        return leaf.value
    return leaf if _is_ours(leaf) else live_functions.plain(leaf)


def _found(leaf: Any) -> Any:
    """Sizes as sizes: a number of Python, or a symbolic one."""
    known = leaf.array if isinstance(leaf, Sizes) else None
    if isinstance(leaf, Value) and leaf.dtype is DType.INT32:
        known = entries(leaf)
    if known is None:
        return leaf
    return SizeTensor(known, leaf.dtype) if known.ndim else known.item()
