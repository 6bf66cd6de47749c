"""What ops ask of their operands, and the bases of the ops of one and of two."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from dagir.errors import DTypeError
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.types import DType, Equations, Inferred, TensorType
from dagir.ops.partial import refuse_constant


class Unary(Op):
    """x: t[*s] -> t[*s], for floats; subclasses widen `accepts`."""

    elementwise = True
    accepts: ClassVar[str] = "float"

    def infer(self, x: TensorType) -> Types:
        """The type of x."""
        require(self.accepts, x)
        return (x,)


def require(accepts: str, *types: TensorType) -> None:
    """Raise DTypeError unless each dtype is of the kind: any, number, signed, float, integer, bool."""
    for index, type in enumerate(types):
        if accepts not in type.dtype.kinds:
            raise DTypeError(
                f"the op takes {accepts} values, operand {index} is {type.dtype}",
                remedy=f"cast it first: ops.cast(x, {'bool' if accepts == 'bool' else 'float32'!r})",
            )


def same_dtype(*types: TensorType) -> DType:
    """The one dtype of all operands. Raises DTypeError: dagir never casts in silence."""
    first = types[0].dtype
    for type in types:
        if type.dtype is not first:
            wider = next((dtype for dtype in (first, type.dtype) if dtype.is_float), first)
            raise DTypeError(
                f"operands have different dtypes: {first} and {type.dtype}",
                remedy=f"cast one of them: ops.cast(x, {str(wider)!r})",
            )
    return first


class Binary(Op):
    """x1, x2: t[*s1], t[*s2] -> t[*broadcast(s1, s2)]; dtypes must be equal."""

    elementwise = True
    operands = ("x1", "x2")
    accepts: ClassVar[str] = "number"
    result: ClassVar[DType | None] = None

    def infer(self, x1: TensorType, x2: TensorType) -> Types | Inferred:
        """The broadcast shape."""
        dtype = same_dtype(x1, x2)
        require(self.accepts, x1, x2)
        if x1.shape == x2.shape and self.result is None:
            return (x1,)
        equations = Equations()
        shape = equations.broadcast(x1.shape, x2.shape)
        return equations.inferred(TensorType(self.result or dtype, shape))


def unary(op: Op, x: Operand) -> Value:
    """Apply an op of one operand."""
    return apply(op, as_value(x))


def binary(op: Op, x1: Operand, x2: Operand) -> Value:
    """Apply an op of two operands; a Python number takes the dtype of the other."""
    if not isinstance(x1, Value):
        x1 = as_value(x1, like=None if isinstance(x1, Value) else reference(x2))
    if not isinstance(x2, Value):
        x2 = as_value(x2, like=x1)
    refuse_constant(op, x1, x2)
    return apply(op, x1, x2)


def reference(operand: object) -> Value | None:
    """The operand as a value, whose dtype a plain number takes; None if the operand is a number itself."""
    try:
        return as_value(operand) if not isinstance(operand, (bool, int, float)) else None
    except (TypeError, ValueError):
        return None


def require_held(name: str, x: TensorType, *bounds: float, what: str = "bound") -> None:
    """Raise DTypeError where integers cannot be one of the bounds, or other numbers, of an op of this name."""
    if not x.dtype.is_integer:
        return
    ends = np.iinfo(x.dtype.numpy)
    for bound in bounds:
        if not ends.min <= bound <= ends.max:
            raise DTypeError(
                f"{name} has the {what} {bound}, which is no {x.dtype}",
                remedy=f"take one from {ends.min} to {ends.max}, or cast the value first",
            )
