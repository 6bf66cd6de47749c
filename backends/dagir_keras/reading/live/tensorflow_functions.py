"""Functions of TensorFlow on traced tensors, by keras.ops.

TensorFlow calls a dispatcher where an argument of one of its functions is no tensor of its own. A function is known by
identity. Nothing here imports TensorFlow: a call that uses its functions has imported it.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from typing import Any

from keras import ops

from dagir_keras.reading.live.traced_tensors import Traced
from dagir_keras.reading.problems import Untraceable

Function = Callable[..., Any]


def band_part(input: Any, num_lower: Any, num_upper: Any, name: str | None = None) -> Any:
    """tf.linalg.band_part: x[..., i, j] where i - j <= num_lower, j - i <= num_upper, else 0; below 0: no bound."""
    rows, columns = (ops.arange(size) for size in ops.shape(input)[-2:])
    below = ops.expand_dims(rows, 1) - ops.expand_dims(columns, 0)
    kept = ops.logical_and(_within(below, num_lower), _within(-below, num_upper))
    return ops.where(kept, input, ops.zeros_like(input))


def _within(distance: Any, bound: Any) -> Any:
    bound = ops.cast(bound, "int32")
    return ops.logical_or(ops.less(bound, 0), ops.less_equal(distance, bound))


def gather(
    params: Any,
    indices: Any,
    validate_indices: Any = None,
    axis: Any = None,
    batch_dims: int = 0,
    name: str | None = None,
) -> Any:
    """tf.gather: the slices of an axis; batch_dims: the leading axes that params and indices share."""
    rank, shared = len(params.shape), batch_dims % (len(indices.shape) + 1)
    at = shared if axis is None else int(axis) % rank
    if not shared:
        return ops.take(params, indices, axis=at)
    if at != shared:
        raise Untraceable(f"tf.gather takes batch_dims with the axis after them, got {shared} and axis {at}", None)
    lengths, sizes, rest = (ops.shape(indices), ops.shape(params), rank - shared - 1)
    flat = ops.reshape(indices, (*lengths[:shared], -1, *[1] * rest))
    wide = ops.broadcast_to(flat, (*ops.shape(flat)[: shared + 1], *sizes[shared + 1 :])) if rest else flat
    found = ops.take_along_axis(params, wide, axis=shared)
    return ops.reshape(found, (*lengths, *sizes[shared + 1 :]))


def gather_nd(
    params: Any, indices: Any, batch_dims: int = 0, name: str | None = None, bad_indices_policy: str = ""
) -> Any:
    """tf.gather_nd: params[indices[..., 0], indices[..., 1], ...]."""
    if batch_dims:
        raise Untraceable(f"tf.gather_nd is not taken with batch_dims, got {batch_dims}", "use tf.gather")
    depth, sizes = int(indices.shape[-1]), ops.shape(params)
    place: Any = 0
    for axis in range(depth):
        place = place * sizes[axis] + indices[..., axis]
    return ops.take(ops.reshape(params, (-1, *sizes[depth:])), place, axis=0)


def resize(
    images: Any,
    size: Any,
    method: str = "bilinear",
    align_corners: bool = False,
    preserve_aspect_ratio: bool = False,
    name: str | None = None,
) -> Any:
    """tf.compat.v1.image.resize of images [n, h, w, c], bilinear: between the pixels at i * scale."""
    if method != "bilinear" or preserve_aspect_ratio or len(images.shape) != 4:
        raise Untraceable("tf.compat.v1.image.resize is taken for batches of images, method='bilinear'", None)
    rows = _interpolated(ops.cast(images, "float32"), 1, size[0], align_corners)
    return _interpolated(rows, 2, size[1], align_corners)


def _interpolated(x: Any, axis: int, target: Any, align_corners: bool) -> Any:
    source, one = ops.shape(x)[axis], 1 if align_corners else 0
    steps = ops.maximum(ops.cast(target - one, "float32"), 1.0)
    place = ops.cast(ops.arange(target), "float32") * (ops.cast(source - one, "float32") / steps)
    first = ops.floor(place)
    share = ops.reshape(place - first, [-1 if each == axis else 1 for each in range(4)])
    low = ops.cast(first, "int32")
    high = ops.minimum(low + 1, source - 1)
    before, after = ops.take(x, low, axis=axis), ops.take(x, high, axis=axis)
    return before + (after - before) * share


_FUNCTIONS: Mapping[str, Function] = {
    "linalg.band_part": band_part,
    "gather": gather,
    "gather_nd": gather_nd,
    "compat.v1.image.resize": resize,
}


def install_dispatcher() -> None:
    """Let TensorFlow, where it is loaded, give calls on traced tensors to the functions above, once for all."""
    if "tensorflow" in sys.modules:
        _dispatcher()


@cache
def _dispatcher() -> Any:
    tf = sys.modules["tensorflow"]
    known = {id(function): (function, ours) for function, ours in _by_identity(tf)}

    class Dispatcher(tf.__internal__.dispatch.GlobalOpDispatcher):  # type: ignore[name-defined]
        """Takes the calls of known functions that have a traced tensor among their arguments."""

        def handle(self, op: Any, args: Any, kwargs: Any) -> Any:
            _, ours = known.get(id(op), (None, None))
            if ours is None or not any(isinstance(part, Traced) for part in (*args, *kwargs.values())):
                return self.NOT_SUPPORTED
            return ours(*args, **kwargs)

    made = Dispatcher()
    made.register()
    return made


def _by_identity(tf: Any) -> Iterator[tuple[Function, Function]]:
    for path, ours in _FUNCTIONS.items():
        found = tf
        for name in path.split("."):
            found = getattr(found, name)
        yield found, ours
