"""Functions that move elements: reshaping, joining, cutting, repeating, padding."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value
from dagir.ir.types import Array, DType, normalize_axis
from dagir.ops.data_parts import all_parts, without_open_size
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.data_sizes import (
    cropped,
    grown_by_data,
    mirrored,
    parts_of_data,
    rolled,
)
from dagir_keras.reading.tensorflow.registry import function, raw
from dagir_keras.reading.tensorflow.tensors import (
    Sizes,
    Tensor,
    constant_of,
    dims,
    entries,
    integer,
    ints,
    like,
    number,
    product,
    shape_of,
    sized,
    stacked,
    tensor,
    value,
)


@raw("Reshape")
@function("reshape", "compat.v1.reshape", "keras.backend.reshape")
def reshape(tensor: Any, shape: Any) -> Tensor:
    """The same elements in another shape; one size may be -1."""
    given, wanted = _tensor(tensor), _tensor(shape)
    if entries(wanted) is None and 0 not in shape_of(wanted):
        wanted = without_open_size(value(given).type.shape, value(wanted))
    target = dims(wanted, "shape")
    numbers = [size for size in target if isinstance(size, int)]
    if isinstance(given, Sizes) and len(numbers) == len(target):
        return sized(given.array.reshape(numbers), given.dtype)
    return ops.reshape(value(given), target)


_tensor = tensor


def _without(sizes: Sequence[Dim], axes: Sequence[int]) -> list[Dim]:
    return [size for axis, size in enumerate(sizes) if axis not in axes]


@raw("ExpandDims")
@function("expand_dims", "compat.v1.expand_dims", "keras.backend.expand_dims")
def expand_dims(input: Any, axis: Any = None, dim: Any = None) -> Tensor:
    """A new axis of size 1."""
    given = tensor(input)
    place = integer(axis if axis is not None else dim if dim is not None else -1, "axis")
    if isinstance(given, Sizes):
        return sized(np.expand_dims(given.array, place), given.dtype)
    return ops.expand_dims(value(given), place)


@raw("Squeeze")
def squeeze_raw(input: Tensor, squeeze_dims: Any = ()) -> Tensor:
    return squeeze(input, list(squeeze_dims) or None)


@function("squeeze", "compat.v1.squeeze", "keras.backend.squeeze")
def squeeze(input: Any, axis: Any = None, squeeze_dims: Any = None) -> Tensor:
    """Without axes of size 1: those given, or all."""
    given = tensor(input)
    axes = axis if axis is not None else squeeze_dims
    if axes is not None:
        axes = [normalize_axis(each, given.ndim) for each in ints(axes, "axis")] or None
    elif any(isinstance(size, SymbolicDim) for size in shape_of(given)):
        raise Refused("it drops all axes of size 1, and not all sizes are known", "say which axes: tf.squeeze(x, axis)")
    if isinstance(given, Sizes):
        return sized(np.squeeze(given.array, None if axes is None else tuple(axes)), given.dtype)
    return ops.squeeze(value(given), axes)


@raw("Transpose")
@function("transpose", "compat.v1.transpose")
def transpose(a: Any, perm: Any = None, conjugate: Any = False) -> Tensor:
    """Axes permuted, or reversed."""
    return ops.transpose(value(tensor(a)), None if perm is None else ints(perm, "perm"))


@function("linalg.matrix_transpose", "linalg.adjoint", "compat.v1.matrix_transpose")
def matrix_transpose(a: Any, conjugate: Any = False) -> Tensor:
    """The last two axes exchanged."""
    given = value(tensor(a))
    return ops.swapaxes(given, -1, -2)


@raw("Pack")
def pack(*values: Tensor, axis: int = 0) -> Tensor:
    return stacked(values, axis)


@function("stack", "compat.v1.stack", "keras.backend.stack", "parallel_stack")
def stack(values: Any, axis: Any = 0) -> Tensor:
    """Tensors joined along a new axis."""
    return stacked(_alike(values), integer(axis, "axis"))


def _alike(values: Any) -> list[Tensor]:
    """A list of tensors, or one tensor as the list of its parts; numbers take the dtype of the first tensor."""
    if isinstance(values, (Value, Sizes)):
        return unstack(values)
    first = next((each for each in values if isinstance(each, (Value, Sizes))), None)
    if first is None:
        first = next((found for each in values if isinstance(found := tensor(each), (Value, Sizes))), None)
    return [tensor(each, like=first) for each in values]


@raw("Unpack")
def unpack(value: Tensor, num: int | None = None, axis: int = 0) -> tuple[Tensor, ...]:
    return tuple(unstack(value, num, axis))


@function("unstack", "compat.v1.unstack")
def unstack(value: Any, num: Any = None, axis: Any = 0) -> list[Tensor]:
    """The parts of an axis of known size."""
    given, place = tensor(value), integer(axis, "axis")
    if isinstance(given, Sizes):
        return [sized(part, given.dtype) for part in np.moveaxis(given.array, place, 0)]
    return list(ops.unstack(given, None if num is None else integer(num, "num"), place))


@raw("ConcatV2")
def concat_raw(*operands: Tensor) -> Tensor:
    return joined(operands[:-1], integer(operands[-1], "axis"))


@raw("Concat")
def concat_of_1(*operands: Tensor) -> Tensor:
    return joined(operands[1:], integer(operands[0], "axis"))


def joined(parts: Sequence[Tensor], axis: int) -> Tensor:
    """tf.concat. Sizes stay sizes."""
    known = [entries(part) for part in parts]
    if all(part is not None for part in known) and parts[0].dtype.is_integer:
        return sized(np.concatenate([part for part in known if part is not None], axis), parts[0].dtype)
    return value(parts[0]) if len(parts) == 1 else ops.concatenate([value(part) for part in parts], axis)


@function("concat", "compat.v1.concat")
def concat(values: Any, axis: Any = 0) -> Tensor:
    """Tensors joined along an axis."""
    listed = values if isinstance(values, (list, tuple)) else [values]
    return joined(_alike(listed), integer(axis, "axis"))


@raw("Split")
def split_raw(axis: Tensor, value: Tensor, num_split: int = 1) -> tuple[Tensor, ...]:
    return tuple(split(value, num_split, axis))


@raw("SplitV")
def split_at(value: Tensor, size_splits: Tensor, axis: Tensor, num_split: int = 0) -> tuple[Tensor, ...]:
    return tuple(split(value, size_splits, axis))


@function("split", "compat.v1.split")
def split(value: Any, num_or_size_splits: Any, axis: Any = 0, num: Any = None) -> list[Tensor]:
    """Equal parts, or parts of these sizes, one of which may be -1."""
    given, place = tensor(value), integer(axis, "axis")
    if (known := entries(given)) is not None:
        return _parts_of_sizes(known, given.dtype, num_or_size_splits, place)
    given = _value(given)
    if shape_of(tensor(num_or_size_splits)) and entries(tensor(num_or_size_splits)) is None:
        return parts_of_data(given, _value(num_or_size_splits), place)
    if isinstance(num_or_size_splits, int) or not shape_of(tensor(num_or_size_splits)):
        return list(ops.split(given, integer(num_or_size_splits, "num_or_size_splits"), place))
    sizes: list[Dim] = list(ints(num_or_size_splits, "num_or_size_splits"))
    whole = given.type.shape[place]
    if -1 in sizes:
        sizes[sizes.index(-1)] = whole - sum(sizes) - 1
    total = sum(sizes)
    if isinstance(whole, int) and (total != whole or any(isinstance(size, int) and size < 0 for size in sizes)):
        raise Refused(f"its parts have {total} elements in all, and the axis {whole}")
    if isinstance(whole, int):
        numbers = [size for size in sizes if isinstance(size, int)]
        return list(ops.split(given, list(accumulate(numbers))[:-1], place))
    return list(all_parts(given, sizes, place % given.ndim))


def _parts_of_sizes(known: Array, dtype: DType, parts: Any, axis: int) -> list[Tensor]:
    """The same of a tensor of sizes."""
    counts = list(ints(parts, "num_or_size_splits"))
    whole = known.shape[axis]
    if isinstance(parts, int) or not shape_of(tensor(parts)):
        counts = [whole // counts[0]] * counts[0]
    elif -1 in counts:
        counts[counts.index(-1)] = whole - sum(counts) - 1
    if sum(counts) != whole or min(counts, default=0) < 0:
        raise Refused(f"its parts have {sum(counts)} elements in all, and the axis {whole}")
    return [sized(part, dtype) for part in np.split(known, np.cumsum(counts)[:-1].tolist(), axis)]


def _value(data: Any) -> Value:
    return value(tensor(data))


@raw("Tile")
@function("tile", "compat.v1.tile")
def tile(input: Any, multiples: Any) -> Tensor:
    """The tensor repeated along each axis."""
    given, counts = tensor(input), dims(multiples, "multiples")
    if all(type(count) is int and count == 1 for count in counts):
        return given
    return ops.tile(value(given), counts)


@raw("BroadcastTo")
@function("broadcast_to", "compat.v1.broadcast_to")
def broadcast_to(input: Any, shape: Any) -> Tensor:
    """The tensor repeated along axes of size 1."""
    given, target = _value(input), list(dims(shape, "shape"))
    own = given.type.shape
    for place, size in enumerate(target):  # -1 keeps a size
        if type(size) is int and size == -1:
            target[place] = own[place - len(target)]
    if entries(tensor(shape)) is None:
        given, target = grown_by_data(given, target)
    return ops.broadcast_to(given, target)


@function("repeat")
def repeat(input: Any, repeats: Any, axis: Any = None) -> Tensor:
    """Each element repeated."""
    given = _value(input)
    counts = dims(repeats, "repeats")
    if len(counts) == 1:
        return ops.repeat(given, counts[0], None if axis is None else integer(axis, "axis"))
    return ops.repeat(given, ints(repeats, "repeats"), None if axis is None else integer(axis, "axis"))


@raw("ReverseV2")
@function("reverse", "compat.v1.reverse", "compat.v1.reverse_v2")
def reverse(tensor: Any, axis: Any) -> Tensor:
    """Elements in reverse order along the axes."""
    return ops.flip(_value(tensor), ints(axis, "axis"))


@raw("Roll")
@function("roll", "compat.v1.manip.roll")
def roll(input: Any, shift: Any, axis: Any) -> Tensor:
    """Elements moved along axes, from the end to the beginning."""
    if entries(tensor(shift)) is None:
        return rolled(_value(input), _value(shift), ints(axis, "axis"))
    return ops.roll(_value(input), ints(shift, "shift"), ints(axis, "axis"))


_MODES = {"CONSTANT": "constant", "REFLECT": "reflect", "SYMMETRIC": "symmetric"}


@raw("Pad", "PadV2")
def pad_raw(input: Tensor, paddings: Tensor, constant_values: Tensor | None = None) -> Tensor:
    return pad(input, paddings, "CONSTANT", 0 if constant_values is None else constant_values)


@raw("MirrorPad")
def mirror_pad(input: Tensor, paddings: Tensor, mode: Any = "REFLECT") -> Tensor:
    return pad(input, paddings, mode)


@function("pad", "compat.v1.pad")
def pad(tensor: Any, paddings: Any, mode: Any = "CONSTANT", constant_values: Any = 0) -> Tensor:
    """The tensor grown at both ends of its axes."""
    given, sizes = _value(tensor), dims(paddings, "paddings")
    pairs = [(sizes[2 * axis], sizes[2 * axis + 1]) for axis in range(len(sizes) // 2)]
    how = _MODES.get(str(mode).upper())
    if how is None:
        raise Refused(f"it pads in the mode {mode!r}, which TensorFlow has not")
    if not any(type(size) is not int or size for size in sizes):
        return given
    if how != "constant" and any(isinstance(size, SymbolicDim) for size in sizes):
        return mirrored(given, pairs, how)
    if how == "constant" and _is_computed(constant_values):
        inside = ops.pad(ops.ones(given.type.shape, "int32"), pairs)
        return ops.where(ops.greater(inside, 0), ops.pad(given, pairs), _value(constant_values))
    filling = number(constant_values, "constant_values") if how == "constant" else None
    return ops.pad(given, pairs, how, filling)


def _is_computed(number: Any) -> bool:
    return isinstance(number, Value) and constant_of(number) is None


@function("meshgrid")
def meshgrid(*args: Any, indexing: str = "xy") -> list[Tensor]:
    return list(ops.meshgrid(*[_value(each) for each in args], indexing=indexing))


@raw("InvertPermutation")
@function("math.invert_permutation")
def _invert_permutation(x: Any) -> Tensor:
    return ops.cast(ops.argsort(_value(x)), _value(x).dtype)


@raw("DepthToSpace")
@function("nn.depth_to_space", "compat.v1.depth_to_space", "compat.v1.nn.depth_to_space")
def depth_to_space(input: Any, block_size: Any, data_format: Any = "NHWC") -> Tensor:
    """Blocks of channels become blocks of pixels."""
    return ops.depth_to_space(_value(input), integer(block_size, "block_size"), layout(data_format))


@raw("SpaceToDepth")
@function("nn.space_to_depth", "compat.v1.space_to_depth", "compat.v1.nn.space_to_depth")
def space_to_depth(input: Any, block_size: Any, data_format: Any = "NHWC") -> Tensor:
    """Blocks of pixels become channels."""
    return ops.space_to_depth(_value(input), integer(block_size, "block_size"), layout(data_format))


def layout(data_format: Any) -> str:
    """channels_last or channels_first, for TensorFlow's words."""
    if data_format is None:
        return "channels_last"
    known = {"NHWC": "channels_last", "NWC": "channels_last", "NDHWC": "channels_last", "NC": "channels_last"}
    known |= {"NCHW": "channels_first", "NCW": "channels_first", "NCDHW": "channels_first"}
    known |= {"channels_last": "channels_last", "channels_first": "channels_first"}
    if data_format not in known:
        raise Refused(f"it has the data format {str(data_format)[:20]!r}")
    return known[data_format]


@raw("SpaceToBatchND")
@function("space_to_batch_nd", "compat.v1.space_to_batch_nd", "space_to_batch")
def space_to_batch(input: Any, block_shape: Any, paddings: Any) -> Tensor:
    """Blocks of pixels become parts of the batch; for convolutions with dilation."""
    given, blocks = _value(input), ints(block_shape, "block_shape")
    flat = dims(paddings, "paddings")
    pairs = [(0, 0), *zip(flat[::2], flat[1::2], strict=True), *[(0, 0)] * (given.ndim - 1 - len(blocks))]
    given = value(pad(given, [list(pair) for pair in pairs]))
    batch, spatial, rest = _apart(given, len(blocks))
    parts = [part for size, block in zip(spatial, blocks, strict=True) for part in (size // block, block)]
    count = len(blocks)
    split_up = ops.reshape(given, [batch, *parts, *rest])
    order = [2 * i + 2 for i in range(count)] + [0] + [2 * i + 1 for i in range(count)]
    moved = ops.transpose(split_up, [*order, *range(2 * count + 1, split_up.ndim)])
    return ops.reshape(moved, [batch * product(blocks), *parts[::2], *rest])


@raw("BatchToSpaceND")
@function("compat.v1.batch_to_space_nd", "batch_to_space")
def batch_to_space(input: Any, block_shape: Any, crops: Any) -> Tensor:
    """Parts of the batch become blocks of pixels again."""
    given, blocks = _value(input), ints(block_shape, "block_shape")
    batch, spatial, rest = _apart(given, len(blocks))
    count, outer = len(blocks), batch // product(blocks)
    split_up = ops.reshape(given, [*blocks, outer, *spatial, *rest])
    order = [count, *(part for i in range(count) for part in (count + 1 + i, i))]
    moved = ops.transpose(split_up, [*order, *range(2 * count + 1, split_up.ndim)])
    whole = ops.reshape(moved, [outer, *(size * block for size, block in zip(spatial, blocks, strict=True)), *rest])
    if entries(tensor(crops)) is None:
        return cropped(whole, value(tensor(crops)))
    flat = dims(crops, "crops")
    ends = [size - high for size, high in zip(whole.type.shape[1:], flat[1::2], strict=False)]
    return whole[(slice(None), *(slice(low, end) for low, end in zip(flat[::2], ends, strict=True)))]


def _apart(given: Value, count: int) -> tuple[Dim, list[Dim], list[Dim]]:
    batch, *sizes = given.type.shape
    return batch, sizes[:count], sizes[count:]


def filled(sizes: Any, what: Any) -> Tensor:
    """tf.fill."""
    target = dims(sizes, "dims")
    given = tensor(what)
    known, numbers = entries(given), [size for size in target if isinstance(size, int)]
    if known is not None and len(numbers) == len(target) and product(target) in range(4097):
        return sized(np.full(numbers, known.reshape(())), given.dtype)
    return ops.full(target, value(given), given.dtype)


def of_kind(other: Tensor, number: int) -> Tensor:
    """A number everywhere, in the shape of another tensor."""
    return filled(shape_of(other), like(number, other))
