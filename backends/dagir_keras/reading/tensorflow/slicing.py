"""Parts of tensors: x[...], tf.slice and tf.strided_slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir.ops.data_parts import Part
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.data_sizes import cut_by_data, whole
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import (
    Tensor,
    dims,
    entries,
    integer,
    is_tensor,
    shape_of,
    sized,
    tensor,
    value,
)


def index(x: Tensor, keys: Sequence[Any]) -> Tensor:
    """x[keys], of ints, sizes, slices, None, Ellipsis, and scalar tensors of integers."""
    if any(isinstance(key, Part) for key in keys):
        cut, keys = cut_by_data(value(x), keys)
        return index(cut, keys)
    known = entries(x)
    if known is not None and not any(_is_named(key) for key in keys):
        return sized(np.asarray(known[tuple(keys)], object), x.dtype)
    given, left = _one_of_unknown(value(x), list(keys))
    return given[tuple(left)]


def _one_of_unknown(given: Value, keys: list[Any]) -> tuple[Value, list[Any]]:
    """The value after x[:1] and x[-1:] along axes of unknown size, and the keys that are left.

    The result has the size 1, which broadcasts; an axis without elements, of which TensorFlow takes none, is an error.
    """
    used = sum(key is not None and key is not Ellipsis for key in keys)
    axis = 0
    for place, key in enumerate(keys):
        if key is Ellipsis:
            axis += given.ndim - used
        elif key is not None:
            is_first, is_last = key in (slice(0, 1), slice(None, 1), slice(0, 1, 1)), key == slice(-1, None)
            if (is_first or is_last) and axis < given.ndim and isinstance(given.type.shape[axis], SymbolicDim):
                one = given[(*(slice(None),) * axis, 0 if is_first else -1)]
                given, keys[place] = ops.expand_dims(one, axis), slice(None)
            axis += 1
    return given, keys


def _is_named(key: Any) -> bool:
    parts = (key.start, key.stop, key.step) if isinstance(key, slice) else (key,)
    return any(isinstance(part, (SymbolicDim, Value)) for part in parts)


def _bound(data: Any) -> Dim | None:
    """The bound of a slice."""
    if data is None:
        return None
    return dims(data, "slice", computed=False)[0]


def _key(part: Any) -> Any:
    """A key as a file has it: slices are dicts, or objects of Keras's newer format."""
    if isinstance(part, dict):
        if part.get("class_name") == "__ellipsis__":
            return Ellipsis
        part = part.get("config", part)
        return slice(*(_bound(part.get(key)) for key in ("start", "stop", "step")))
    if isinstance(part, slice):
        return slice(*(_bound(bound) for bound in (part.start, part.stop, part.step)))
    if part is None or part is Ellipsis:
        return part
    if part == "Ellipsis" if isinstance(part, str) else False:
        return Ellipsis
    return _position(part)


def _position(part: Any) -> Any:
    given = tensor(part)
    if given.dtype is DType.BOOL:
        raise Refused("it indexes by a mask, and has a result whose shape the data decide", "multiply by the mask")
    if given.ndim:
        raise Refused("it indexes by a tensor that is no scalar", "use tf.gather")
    known = entries(given)
    if known is None:
        return value(given)
    found = known.reshape(-1)[0]
    return found if isinstance(found, SymbolicDim) else int(found)


@function("__operators__.getitem")
def getitem(tensor: Any, slice_spec: Any, var: Any = None) -> Tensor:
    """x[...] of Python."""
    keys = slice_spec if isinstance(slice_spec, (list, tuple)) else [slice_spec]
    if is_tensor(slice_spec) and slice_spec.ndim:
        keys = [slice_spec]
    return index(_tensor(tensor), [_key(part) for part in keys])


_tensor = tensor


@raw("StridedSlice")
def strided_slice(
    input: Tensor,
    begin: Tensor,
    end: Tensor,
    strides: Tensor,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
) -> Tensor:
    """x[begin:end:strides], where bits of the masks say what a place is: no begin, no end, a new axis, an index."""
    steps = _each(strides, integer(shape_of(strides), "number of strides"))
    firsts, lasts = _each(begin, len(steps)), _each(end, len(steps))
    keys: list[Any] = []
    for place, step in enumerate(steps):
        bit = 1 << place
        if ellipsis_mask & bit:
            keys.append(Ellipsis)
        elif new_axis_mask & bit:
            keys.append(None)
        elif shrink_axis_mask & bit:
            keys.append(firsts[place])
        else:
            first = None if begin_mask & bit else firsts[place]
            last = None if end_mask & bit else lasts[place]
            if any(isinstance(part, Value) for part in (first, last, step)):
                keys.append(Part(first, last, step))
            else:
                keys.append(slice(first, last, None if step == 1 else step))
    return index(input, keys)


def _each(data: Tensor, count: int) -> list[Any]:
    """The numbers of a vector: sizes where they are known, else scalars of the graph."""
    known = entries(data)
    if known is not None:
        return [part if isinstance(part, SymbolicDim) else int(part) for part in known.flat]
    given = value(data)
    return [given[place] for place in range(count)]


@function("strided_slice", "compat.v1.strided_slice")
def _strided_slice(
    input_: Any,
    begin: Any,
    end: Any,
    strides: Any = None,
    begin_mask: int = 0,
    end_mask: int = 0,
    ellipsis_mask: int = 0,
    new_axis_mask: int = 0,
    shrink_axis_mask: int = 0,
    var: Any = None,
) -> Tensor:
    starts = tensor(begin)
    steps = tensor(strides if strides is not None else [1] * (starts.shape[0] or 0))
    masks = (begin_mask, end_mask, ellipsis_mask, new_axis_mask, shrink_axis_mask)
    return strided_slice(tensor(input_), starts, tensor(end), steps, *masks)


@raw("Slice")
@function("slice", "compat.v1.slice")
def slice_(input_: Any, begin: Any, size: Any) -> Tensor:
    """The window that starts at `begin` and has `size`; -1 goes to the end."""
    given, starts = tensor(input_), tensor(begin)
    if entries(tensor(size)) is None:
        return _between(given, starts, tensor(size))
    lengths = dims(size, "size")
    if entries(starts) is None:
        return _window(value(given), value(starts), lengths)
    firsts = dims(starts, "begin")
    keys = [
        slice(first, None if type(length) is int and length == -1 else first + length)
        for first, length in zip(firsts, lengths, strict=True)
    ]
    return index(given, [slice(None) if key == slice(0, None) else key for key in keys])


def _window(given: Value, starts: Value, lengths: Sequence[Dim]) -> Tensor:
    if any(type(length) is int and length == -1 for length in lengths):
        return _between(given, starts, sized(np.asarray(lengths, object), DType.INT64))
    return ops.slice(given, starts, lengths)


def _between(given: Tensor, starts: Tensor, lengths: Tensor) -> Tensor:
    """A window whose bounds the data decide; a size below 0 goes to the end."""
    rank = len(shape_of(given))
    keys: list[Any] = []
    for first, length in zip(_each(starts, rank), _each(lengths, rank), strict=True):
        if type(length) is int and length == -1:
            keys.append(Part(first, None))
        else:
            last = whole(first) + whole(length)
            keys.append(Part(first, last if type(length) is int else ops.where(whole(length) < 0, _FAR, last)))
    return index(given, keys)


_FAR = np.int64(2**62)


@function("keras.backend.slice")
def _slice_of_keras(x: Any, start: Any, size: Any) -> Tensor:
    return slice_(x, start, size)


@function("image.central_crop")
def _central_crop(image: Any, central_fraction: Any) -> Tensor:
    """The middle part of height and width."""
    given, part = value(tensor(image)), float(central_fraction)
    if part == 1:
        return given
    first = given.ndim - 3
    keys: list[Any] = [slice(None)] * given.ndim
    for axis in (first, first + 1):
        size = given.type.shape[axis]
        if not isinstance(size, int):
            raise Refused("it crops an image of unknown size to a part of it")
        start = int((size - size * part) / 2)
        keys[axis] = slice(start, size - start)
    return index(given, keys)


@function("image.crop_to_bounding_box", "compat.v1.image.crop_to_bounding_box")
def crop_to_box(image: Any, offset_height: Any, offset_width: Any, target_height: Any, target_width: Any) -> Tensor:
    """The window of height and width."""
    given = value(tensor(image))
    keys: list[Any] = [slice(None)] * given.ndim
    for axis, start, size in (
        (given.ndim - 3, integer(offset_height, "offset"), integer(target_height, "target_height")),
        (given.ndim - 2, integer(offset_width, "offset"), integer(target_width, "target_width")),
    ):
        keys[axis] = slice(start, start + size)
    return index(given, keys)
