"""Arguments of layers as plain Python numbers: NumPy's are accepted, as in Keras, but never stored in a
configuration."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from dagir.layers.arguments import signature

_ODD = (np.generic, np.ndarray, type, list, tuple)
_COUNTS = frozenset(  # arguments of ints: an array of them becomes a tuple
    (
        *("axes", "axis", "batch_shape", "cropping", "dilation_rate", "dims", "kernel_size", "noise_shape"),
        *("output_padding", "output_shape", "output_size", "padding", "pool_size", "shape", "shared_axes", "size"),
        *("strides", "target_shape"),
    )
)


def are_plain(args: Iterable[object]) -> bool:
    """A quick check: whether all of these arguments are plain already."""
    return not any(map(_is_odd, args))


def plain_arguments(
    init: object, args: tuple[object, ...], kwargs: Mapping[str, object]
) -> tuple[tuple[object, ...], dict[str, object]]:
    """The arguments of a constructor with Python numbers instead of NumPy's; arrays that are data stay arrays."""
    names = list(signature(init).parameters)[1 : len(args) + 1]
    names += [""] * (len(args) - len(names))
    return tuple(map(plain, names, args)), {name: plain(name, value) for name, value in kwargs.items()}


def plain(name: str, value: Any) -> Any:
    """One argument as a plain Python value; the class of an activation layer becomes an instance."""
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray):
        return _listed(value.tolist()) if name in _COUNTS and value.dtype.kind in "iu" else value
    if type(value) in (list, tuple) and any(map(_is_odd, value)):
        return type(value)(plain(name, part) for part in value)
    if isinstance(value, type) and name.endswith("activation") and value.__module__.startswith("dagir.layers."):
        return value()
    return value


def _is_odd(value: object) -> bool:
    return isinstance(value, _ODD)


def _listed(numbers: object) -> object:
    return tuple(map(_listed, numbers)) if isinstance(numbers, list) else numbers
