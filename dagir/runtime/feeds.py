"""Arrays for the inputs of a model: put in order, checked against the declared types; named sizes get their numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from numpy.lib.array_utils import byte_bounds

from dagir.errors import DagirError, FeedError
from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import evaluate
from dagir.ir.types import Array, DType, TensorType
from dagir.support.did_you_mean import did_you_mean

Feed: TypeAlias = npt.ArrayLike | Mapping[str, npt.ArrayLike]  # arrays in order, or by name
Inputs: TypeAlias = Sequence[tuple[str, TensorType]]
_ORDER = "biuf"  # each kind of number fits into the kinds after it


def arrange(inputs: Inputs, feeds: tuple[object, ...], *, cast: bool = False) -> list[Array]:
    """The arguments of a call as arrays, in the order of `inputs`. cast: to the declared dtypes. Raises FeedError.

    feeds: one array, a list, a dict by name, or one array per input. Arrays must have the declared dtype; Python
    numbers and lists take it where it holds them.
    """
    given = feeds[0] if len(feeds) == 1 else list(feeds)
    if isinstance(given, Mapping):
        parts: Sequence[Any] = _by_name(inputs, given)
    elif isinstance(given, (list, tuple)) and not _is_one(inputs, feeds):
        parts = given
    else:
        parts = [given]
    if len(parts) != len(inputs):
        needed = "1 input is" if len(inputs) == 1 else f"{len(inputs)} inputs are"
        got: int | str = len(parts) if isinstance(given, (list, tuple)) else "one"
        raise FeedError(f"{needed} needed, got {got or 'none'}", remedy=_listed(inputs))
    return [_array(part, name, type, cast) for part, (name, type) in zip(parts, inputs, strict=True)]


def _is_one(inputs: Inputs, feeds: tuple[Any, ...]) -> bool:
    """Whether a list or tuple is one input: numbers, or rows of numbers."""
    if len(inputs) != 1 or len(feeds) != 1:
        return False
    parts, rank = feeds[0], inputs[0][1].rank
    if not parts:
        return rank == 1
    if len(parts) == 1:
        return not hasattr(parts[0], "__array__") or getattr(parts[0], "ndim", rank) == rank - 1
    return not all(getattr(part, "ndim", None) == rank for part in parts)


def _by_name(inputs: Inputs, given: Mapping[str, object]) -> list[object]:
    names = [name for name, _ in inputs]
    for name in given:
        if name not in names:
            remedies = filter(None, (did_you_mean(name, names, 1), _listed(inputs)))
            raise FeedError(f"there is no input {name!r}", remedy=" ".join(remedies))
    for name, type in inputs:
        if name not in given:
            raise FeedError(f"input {name!r} is missing", facts=[("declared", str(type))], remedy=_listed(inputs))
    return [given[name] for name in names]


def _listed(inputs: Inputs) -> str:
    return "the inputs are: " + ", ".join(f"{name} {type}" for name, type in inputs)


def _array(given: object, name: str, type: TensorType, cast: bool) -> Array:
    if isinstance(given, np.ma.MaskedArray):
        raise FeedError(f"input {name!r} takes {type}, got a masked array", remedy="fill it: x.filled(0)")
    try:
        array: Array = np.asarray(given)
    except (ValueError, TypeError):
        raise FeedError(f"input {name!r} takes {type}, got rows of different lengths") from None
    except Exception as error:  # __array__ of any object may raise anything
        raise FeedError(f"input {name!r} takes {type}, got {_shown(given)}, of which no array is made") from error
    if type.dtype is DType.STRING:
        try:
            array = as_strings(array)
        except UnicodeDecodeError:
            raise FeedError(f"input {name!r} takes text, got bytes that are no UTF-8") from None
    if array.dtype != type.dtype.numpy:
        array = _as_declared(given, array, name, type, cast)
    if array.ndim != type.rank:
        remedy = "add the batch axis: x[None]" if _lacks_first_axis(array, type) else None
        raise FeedError(f"input {name!r} takes {type}, got an array of shape {array.shape}", remedy=remedy)
    return array


def _lacks_first_axis(array: Array, type: TensorType) -> bool:
    """Whether an array has the sizes of a type without the first one."""
    return array.ndim == type.rank - 1 and all(
        size == known for size, known in zip(array.shape, type.shape[1:], strict=True) if isinstance(known, int)
    )


def _shown(given: object) -> str:
    try:
        return f"{given!r}"[:60]
    except Exception:  # it has a repr of its own
        return f"a {given.__class__.__name__}"


def _as_declared(given: object, array: Array, name: str, type: TensorType, cast: bool) -> Array:
    numbers = array.dtype.kind in _ORDER
    text = type.dtype is DType.STRING
    if numbers and cast and not text:
        return array.astype(type.dtype.numpy)
    plain = isinstance(given, (list, tuple, bool, int, float))
    if plain and numbers and not text and _holds(type.dtype, array):
        return array.astype(type.dtype.numpy)
    what = f"an array of {array.dtype}" if numbers or isinstance(given, np.ndarray) else _shown(given)
    remedy = f"convert it: x.astype({str(type.dtype)!r})" if numbers else "give an array of numbers"
    if text:
        remedy = "give an array of text: np.array(['a', 'b'])"
    raise FeedError(f"input {name!r} takes {type.dtype}, got {what}", remedy=remedy)


def _holds(dtype: DType, array: Array) -> bool:
    """Whether a dtype can hold the numbers of the user: 1.5 is not an integer, and 300 is not a uint8."""
    if dtype.is_float:
        return True
    if dtype is DType.BOOL or array.dtype.kind == "f":
        return bool(array.size == 0)
    return bool((array.astype(dtype.numpy) == array).all())


def bind(inputs: Inputs, arrays: Sequence[Array]) -> dict[str, int]:
    """The number of each named size in these arrays. Raises FeedError if two axes contradict."""
    sources = size_sources([type.shape for _, type in inputs])
    sizes: dict[str, int] = {}
    for symbol, source in sources.items():
        (name, type), array = inputs[source.place], arrays[source.place]
        sizes[symbol] = source.solve(array.shape[source.axis])
        if sizes[symbol] < 0:
            raise _wrong_size(name, type, array, source.axis, f"{type.shape[source.axis]}, at least {source.offset}")
    for (name, type), array in zip(inputs, arrays, strict=True):
        for axis, (size, actual) in enumerate(zip(type.shape, array.shape, strict=True)):
            if size == actual or (wanted := evaluate(size, sizes)) == actual:
                continue
            place = sources[str(size)].place if str(size) in sources else None
            where = f" in input {inputs[place][0]!r}" if place is not None else ""
            raise _wrong_size(
                name, type, array, axis, str(size) + ("" if size == wanted else f", which is {wanted}{where}")
            )
    return sizes


def _wrong_size(name: str, type: TensorType, array: Array, axis: int, wanted: str) -> DagirError:
    facts = [("declared", str(type)), ("given", f"{array.dtype}{list(array.shape)}")]
    remedy = None
    if isinstance(type.shape[axis], int) and axis == 0:
        free = ", ".join(["None", *map(str, type.shape[1:])])
        remedy = (
            f"the model is built for that batch; to_onnx(model, path, input_shapes={{{name!r}: ({free})}}) frees it"
        )
    remedy = remedy or _turned(type, array)
    what = f"axis {axis} of input {name!r} must have size {wanted}; got {array.shape[axis]}"
    return FeedError(what, facts=facts, remedy=remedy)


def _turned(type: TensorType, array: Array) -> str | None:
    """A remedy where the array fits with its channels at the other end; None where it does not."""
    inner = range(1, array.ndim)
    for axes in ((0, *inner[1:], 1), (0, inner[-1], *inner[:-1])) if array.ndim > 2 else ():
        pairs = zip(type.shape, (array.shape[axis] for axis in axes), strict=True)
        if all(size == has or not isinstance(size, int) for size, has in pairs):
            return f"move the channels: x.transpose{axes}"
    return None


def apart(outputs: Sequence[Array], arrays: Sequence[Array]) -> list[Array]:
    """The outputs. An output that shares memory with an input or with another output is copied."""
    lying = sorted((*byte_bounds(array), place) for place, array in enumerate((*arrays, *outputs)) if array.size)
    found, end, last = list(outputs), -1, 0
    for low, high, place in lying:
        if low < end:
            for each in (last, place):
                if each >= len(arrays):
                    found[each - len(arrays)] = outputs[each - len(arrays)].copy()
        if high > end:
            end, last = high, place
    return found


def refuse_nan(inputs: Inputs, arrays: Sequence[Array], who: str) -> None:
    """Raise FeedError for an input that holds NaN. who: what would make numbers of it, in words with a verb."""
    for (name, _), array in zip(inputs, arrays, strict=True):
        if array.dtype.kind not in "iub" and bool(np.isnan(array).any()):
            raise FeedError(
                f"input {name!r} holds {int(np.isnan(array).sum())} NaN, and {who}",
                remedy="feed numbers, or use the numpy backend, where NaN stays NaN",
            )


def as_strings(array: Array) -> Array:
    """An array of text, in whichever of NumPy's dtypes, or of UTF-8, as StringDType; any other as it is."""
    if array.dtype.kind not in "OSU":
        return array
    texts = [part.decode() if isinstance(part, bytes) else part for part in array.reshape(-1).tolist()]
    if not all(isinstance(text, str) for text in texts):
        return array
    return np.asarray(texts, DType.STRING.numpy).reshape(array.shape)
