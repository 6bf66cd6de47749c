"""The types of values: DType, Shape, TensorType, and broadcasting."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache, cached_property
from typing import Any, TypeAlias

import ml_dtypes
import numpy as np

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir import dims
from dagir.ir.dim_bounds import at_most_one
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.nest import Rows

Shape: TypeAlias = tuple[Dim, ...]
Array: TypeAlias = np.ndarray[Any, np.dtype[Any]]
Numbers: TypeAlias = "float | np.generic | Array | Rows[Numbers]"  # what becomes a constant
Axes: TypeAlias = int | Sequence[int] | None  # None: all of them
Sizes: TypeAlias = int | Sequence[int]  # one for all axes, or one for each
Size: TypeAlias = Dim | str | None  # of an axis as a user writes it: a number, a name, or None for a fresh name
Config: TypeAlias = dict[str, object]  # plain data by name, as JSON has it


class DType(StrEnum):
    """The dtype of an element. A member equals its own name: `DType.FLOAT32 == "float32"`.

    >>> dagir.DType.FLOAT32 == "float32", dagir.DType.FLOAT32.is_float
    (True, True)
    """

    FLOAT16 = "float16"
    BFLOAT16 = "bfloat16"
    FLOAT32 = "float32"
    FLOAT64 = "float64"
    INT8 = "int8"
    INT16 = "int16"
    INT32 = "int32"
    INT64 = "int64"
    UINT8 = "uint8"
    UINT16 = "uint16"
    UINT32 = "uint32"
    UINT64 = "uint64"
    BOOL = "bool"
    STRING = "string"
    FLOAT8_E4M3FN = "float8_e4m3fn"
    FLOAT8_E4M3FNUZ = "float8_e4m3fnuz"
    FLOAT8_E5M2 = "float8_e5m2"
    FLOAT8_E5M2FNUZ = "float8_e5m2fnuz"
    FLOAT8_E8M0FNU = "float8_e8m0fnu"
    FLOAT4_E2M1FN = "float4_e2m1fn"
    INT4 = "int4"
    UINT4 = "uint4"
    INT2 = "int2"
    UINT2 = "uint2"

    @cached_property
    def numpy(self) -> np.dtype[Any]:
        """The NumPy dtype. Raises DTypeError for a code that the installed ml_dtypes does not have."""
        if self is DType.STRING:
            return np.dtypes.StringDType()
        if not self.is_code and self is not DType.BFLOAT16:
            return np.dtype(self.value)
        found = getattr(ml_dtypes, self.value, None)
        if found is None:
            raise DTypeError(
                f"the installed ml_dtypes {ml_dtypes.__version__} has no {self.value}",
                remedy="install a newer ml_dtypes",
            )
        kind: np.dtype[Any] = np.dtype(found)
        return kind

    @cached_property
    def is_code(self) -> bool:
        """Whether elements of this dtype are only stored: codes of 8 bits and less, which a cast or a scale decodes."""
        return self.value.startswith(("float8", "float4")) or self.value in ("int4", "uint4", "int2", "uint2")

    @cached_property
    def is_float(self) -> bool:
        """Whether this is a floating-point dtype to compute in."""
        return "float" in self.value and not self.is_code

    @cached_property
    def is_integer(self) -> bool:
        """Whether this is an integer dtype to compute in (bool is not)."""
        return "int" in self.value and not self.is_code

    @cached_property
    def bounds(self) -> tuple[float, float]:
        """The least and the largest finite number."""
        if "float" in self.value:
            info = ml_dtypes.finfo(self.numpy)
            return float(info.min), float(info.max)
        ends = ml_dtypes.iinfo(self.numpy)
        return int(ends.min), int(ends.max)

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The words by which ops accept dtypes: any, number, signed, float, integer, bool, string."""
        if self.is_code:
            return frozenset({"any"})
        kinds = {"any", str(self) if self in (DType.BOOL, DType.STRING) else "number"}
        if self.is_float:
            kinds |= {"float", "signed"}
        elif self.is_integer:
            kinds |= {"integer"} | (set() if self.value.startswith("u") else {"signed"})
        return frozenset(kinds)

    @cached_property
    def eps(self) -> float:
        """The distance from 1 to the next float."""
        return float(ml_dtypes.finfo(self.numpy).eps)

    @cached_property
    def tiny(self) -> float:
        """The smallest normal float."""
        return float(ml_dtypes.finfo(self.numpy).smallest_normal)

    @classmethod
    def of(cls, value: object) -> DType:
        """The DType for a name, a NumPy dtype or a DType. Raises ArgumentError that lists the names."""
        if isinstance(value, cls):
            return value
        if isinstance(value, np.dtypes.StringDType):
            return cls.STRING
        try:
            return cls(value if isinstance(value, str) else _name_of(np.dtype(value)))  # type: ignore[call-overload]
        except (ValueError, TypeError):
            known = ", ".join(cls)
            raise ArgumentError(f"{value!r} is not a dtype", remedy=f"use one of {known}") from None


@cache
def _name_of(dtype: np.dtype[Any]) -> str:
    """The name of a dtype, which NumPy computes each time that it is asked for."""
    return dtype.name


DTypeLike: TypeAlias = DType | str | type | np.dtype[Any]  # what DType.of reads


@dataclass(frozen=True, slots=True)
class TensorType:
    """A dtype and a shape; what is known of a value before it is computed.

    >>> print(dagir.TensorType(dagir.DType.FLOAT32, (2, 3)))
    float32[2, 3]
    >>> dagir.Input(("time", 3)).type.shape
    (batch, time, 3)
    """

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        """The number of axes."""
        return len(self.shape)

    def with_shape(self, shape: Shape) -> TensorType:
        """The same dtype with another shape."""
        return TensorType(self.dtype, shape)

    def with_dtype(self, dtype: DType) -> TensorType:
        """The same shape with another dtype."""
        return TensorType(dtype, self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}[{', '.join(map(str, self.shape))}]"


def type_of(array: Array) -> TensorType:
    """The type of a NumPy array."""
    return TensorType(DType.of(array.dtype), tuple(array.shape))


@dataclass(frozen=True, slots=True)
class Equation:
    """Two sizes that must be equal. It is checked at run time, because build time could not decide it."""

    left: Dim
    right: Dim

    def __str__(self) -> str:
        return f"{self.left} == {self.right}"


@dataclass(frozen=True, slots=True)
class Inferred:
    """What a shape rule finds: the types of the outputs, and the equations that it leaves to be checked at run time.

    Reads as the types alone: by iteration, by index and by length.
    """

    types: tuple[TensorType, ...]
    equations: tuple[Equation, ...] = ()

    @classmethod
    def of(cls, result: Iterable[TensorType]) -> Inferred:
        """The result of a shape rule, which gives the types alone where it leaves no equations."""
        return result if isinstance(result, cls) else cls(tuple(result))

    def __iter__(self) -> Iterator[TensorType]:
        return iter(self.types)

    def __getitem__(self, index: int) -> TensorType:
        return self.types[index]

    def __len__(self) -> int:
        return len(self.types)


class Equations:
    """Decides for one shape rule which sizes are equal, and collects what build time cannot decide.

    equations = Equations()
    shape = equations.broadcast(x1.shape, x2.shape)
    return equations.inferred(x1.with_shape(shape))
    """

    __slots__ = ("found",)

    def __init__(self) -> None:
        self.found: list[Equation] = []

    def inferred(self, *types: TensorType) -> Inferred:
        """The types, with the equations that were collected."""
        return Inferred(types, tuple(self.found))

    def taken(self) -> tuple[Equation, ...]:
        """The equations collected so far, which are then no longer here."""
        taken, self.found = tuple(self.found), []
        return taken

    def equate(self, left: Dim, right: Dim) -> Dim | None:
        """The one size that both must be; None if they differ for certain. What is undecided is collected."""
        if left == right:
            return left
        if dims.provably_equal(left, right) is False:
            return None
        self.found.append(Equation(left, right))
        return left if isinstance(left, int) else right

    def broadcast(self, *shapes: Shape) -> Shape:
        """The shape that NumPy's broadcasting gives. Raises ShapeError with the offending axes marked."""
        first = shapes[0]
        if all(shape is first or shape == first for shape in shapes):
            return first
        rank = max(map(len, shapes))
        result: list[Dim] = []
        for axis in range(-rank, 0):
            sizes = [(index, shape[axis]) for index, shape in enumerate(shapes) if len(shape) >= -axis]
            result.append(self._broadcast_axis(axis, sizes, shapes))
        return tuple(result)

    def _broadcast_axis(self, axis: int, sizes: Sequence[tuple[int, Dim]], shapes: Sequence[Shape]) -> Dim:
        merged: Dim = 1
        owner = -1
        for index, size in sizes:
            if size == 1:
                continue
            agreed = size if merged == 1 else self._agreed(merged, size)
            if agreed is None:
                raise ShapeError(
                    f"shapes do not broadcast: {merged} against {size} on axis {axis}",
                    marks={owner: [len(shapes[owner]) + axis], index: [len(shapes[index]) + axis]},
                    remedy="make the two sizes equal, or one of them 1",
                )
            merged, owner = agreed, index
        return merged

    def _agreed(self, left: Dim, right: Dim) -> Dim | None:
        """The size that broadcasting gives. Of `x[:1]` against another it is the other one, where x is not empty."""
        small = [isinstance(size, SymbolicDim) and at_most_one(size) for size in (left, right)]
        if small[0] is not small[1]:
            first, other = (left, right) if small[0] else (right, left)
            if dims.min_dim(1, other) != first:  # else both are empty where one is
                self.found.append(Equation(first, 1))
            return other
        return self.equate(left, right)


def fixed(size: Dim) -> int:
    """A size that is known to be a number where it is read. Raises ShapeError for a named one."""
    if isinstance(size, SymbolicDim):
        raise ShapeError(f"the size {size} is known at run time only", remedy="give the input a fixed size")
    return int(size)


def fixed_shape(shape: Shape) -> tuple[int, ...]:
    """The same of each size."""
    return tuple(map(fixed, shape))


def normalize_axis(axis: int, rank: int, what: str = "axis") -> int:
    """`axis` counted from the front. Raises ArgumentError that gives the valid range."""
    if isinstance(axis, bool) or not isinstance(axis, (int, np.integer)):
        raise ArgumentError(f"{what} must be an int, got {axis!r}")
    if not -rank <= axis < rank:
        valid = f"from {-rank} to {rank - 1}" if rank else "none: the value is a scalar"
        raise ArgumentError(f"{what} {axis} is out of range for rank {rank}", remedy=f"valid axes: {valid}")
    return int(axis) % rank


def normalize_axes(axes: int | Sequence[int] | None, rank: int) -> tuple[int, ...]:
    """Axes counted from the front, in order; None is all of them. Raises ArgumentError."""
    if axes is None:
        return tuple(range(rank))
    listed: list[Any] = list(axes) if isinstance(axes, (list, tuple, range, np.ndarray)) else [axes]
    found = sorted(normalize_axis(axis, rank) for axis in listed)
    if len(set(found)) != len(found):
        raise ArgumentError(f"axes {tuple(listed)} name an axis twice")
    return tuple(found)


def shape_from_user(shape: Sequence[object], name: str) -> Shape:
    """Read a shape as a user writes it: ints, names, expressions, None for a fresh name. Raises ArgumentError."""
    if isinstance(shape, (str, int)) or not isinstance(shape, Iterable):
        raise ArgumentError(f"a shape is a tuple, got {shape!r}", remedy=f"write ({shape!r},)")
    return tuple(_dim_from_user(size, f"{name}_dim{axis}") for axis, size in enumerate(shape))


def _dim_from_user(size: object, fresh: str) -> Dim:
    if size is None:
        return dims.symbol(fresh if fresh.isidentifier() else "dim" + "".join(c if c.isalnum() else "_" for c in fresh))
    if isinstance(size, SymbolicDim):
        return size
    if isinstance(size, str):
        return dims.parse(size)
    if isinstance(size, (int, np.integer)) and not isinstance(size, bool) and size >= 0:
        return int(size)
    raise ArgumentError(f"{size!r} is not a size", remedy="use an int of at least 0, a name such as 'time', or None")
