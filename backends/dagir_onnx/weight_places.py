"""Where the numbers of weights stand in initializers: each weight is filled with the places of its numbers, in turn.

A kernel is stored with its axes in another order, the gates of a recurrence in another order, some biases one after
another. What the lowering does with numbers it does with places too, so that the initializers tell it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod

import numpy as np

from dagir.ir.graph import Parameter
from dagir.ir.types import Array, DType
from dagir_onnx.emitter import Tensor

_BITS = 20  # of a place at a time: float32 has whole numbers of so many bits
_EXACT = (DType.FLOAT32, DType.FLOAT64, DType.INT32, DType.INT64)


def numbers_of(
    weights: Sequence[Parameter], lower: Callable[[], Mapping[str, Tensor]], numbers: Callable[[str], Array | None]
) -> list[Array | None]:
    """The array of each weight, from the initializers that have its numbers; None where they have not all of it.

    weights: of a model; afterwards they hold places, and are to be assigned. lower: gives the initializers that the
    model becomes, some of which are computed only once. numbers: of one by its name, None where there is none.
    """
    starts = np.cumsum([1, *(prod(weight.shape) for weight in weights)])  # 0 is no place
    flat = [np.zeros(prod(weight.shape), weight.dtype.numpy) for weight in weights]
    known = [np.zeros(array.size, bool) for array in flat]
    for name, places in _places(weights, lower, starts):
        array = numbers(name)
        if array is None or array.shape != places.shape:
            continue
        owners = np.unique(np.searchsorted(starts, places.reshape(-1), side="right") - 1)
        for owner in owners[owners >= 0]:  # zeros lie beside the biases of recurrent layers
            local = places.reshape(-1) - starts[owner]
            here = (local >= 0) & (local < flat[owner].size)
            flat[owner][local[here]] = array.reshape(-1)[here]
            known[owner][local[here]] = True
    return [
        array.reshape(weight.shape) if whole.all() else None
        for weight, array, whole in zip(weights, flat, known, strict=True)
    ]


def _places(
    weights: Sequence[Parameter], lower: Callable[[], Mapping[str, Tensor]], starts: Array
) -> Iterator[tuple[str, Array]]:
    """The initializers that hold numbers of weights as they are, and the place of each number."""
    total = int(starts[-1])
    found: dict[str, Array] = {}
    for shift in range(0, total.bit_length() + _BITS, _BITS):  # in the last round all is 0: constants are not
        for weight, start in zip(weights, starts, strict=False):
            if weight.dtype in _EXACT:
                places = np.arange(start, start + prod(weight.shape)) >> shift & ((1 << _BITS) - 1)
                weight.assign(places.reshape(weight.shape))
        for name, tensor in lower().items():
            if tensor.type.dtype in _EXACT:
                part = tensor.array
                whole = part.astype(np.int64)
                found[name] = found.get(name, 0) + (np.where(whole == part, whole, -total) << shift)
    for name, places in found.items():
        if places.size and places.min() >= 0 and 0 < places.max() < total:
            yield name, places


__all__ = ["numbers_of"]
