"""Python's operators on values and parameters. `dagir.ops` installs what they do, so the graph knows no op."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from types import EllipsisType
from typing import TYPE_CHECKING, Any, NoReturn, TypeAlias

from dagir.errors import ArgumentError
from dagir.ir.dims import Dim
from dagir.support import frameworks
from dagir.support.late_binding import LateBound

if TYPE_CHECKING:
    from dagir.ir.graph import Operand, Value

    Position: TypeAlias = Dim | Value | slice | EllipsisType | Sequence[int] | None

join_tensorflow: LateBound[[], None] = LateBound("join_tensorflow")
_functions: dict[str, Callable[..., Value]] = {}


def install(**functions: Callable[..., Value]) -> None:
    """Say which function each operator calls: add, subtract, ..., getitem."""
    _functions.update(functions)


class Arithmetic:
    """Operators that build nodes. `==` stays identity, as for every node of the graph: use ops.equal."""

    __slots__ = ()

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **kwargs: Any) -> Value:
        """NumPy calls this for `array + value`. Its functions on values are refused: they would not be in the graph."""
        name = {"true_divide": "divide"}.get(ufunc.__name__, ufunc.__name__)
        if method == "__call__" and len(inputs) == 2 and not kwargs and name in _functions:
            return _functions[name](*inputs)
        raise ArgumentError(
            f"numpy.{ufunc.__name__} cannot compute with a value of the graph, which holds no numbers yet",
            remedy="use the function of the same name in dagir.ops",
        )

    def __tf_tensor__(self, *_: object, **__: object) -> NoReturn:
        """TensorFlow calls this to have a tensor of its own. At a TypeError it asks its dispatchers."""
        join_tensorflow()
        raise frameworks.as_tensor(str(getattr(self, "name", "value")))

    def __add__(self, other: Operand) -> Value:
        return _functions["add"](self, other)

    def __radd__(self, other: Operand) -> Value:
        return _functions["add"](other, self)

    def __sub__(self, other: Operand) -> Value:
        return _functions["subtract"](self, other)

    def __rsub__(self, other: Operand) -> Value:
        return _functions["subtract"](other, self)

    def __mul__(self, other: Operand) -> Value:
        return _functions["multiply"](self, other)

    def __rmul__(self, other: Operand) -> Value:
        return _functions["multiply"](other, self)

    def __truediv__(self, other: Operand) -> Value:
        return _functions["divide"](self, other)

    def __rtruediv__(self, other: Operand) -> Value:
        return _functions["divide"](other, self)

    def __floordiv__(self, other: Operand) -> Value:
        return _functions["floor_divide"](self, other)

    def __rfloordiv__(self, other: Operand) -> Value:
        return _functions["floor_divide"](other, self)

    def __mod__(self, other: Operand) -> Value:
        return _functions["mod"](self, other)

    def __rmod__(self, other: Operand) -> Value:
        return _functions["mod"](other, self)

    def __pow__(self, other: Operand) -> Value:
        return _functions["power"](self, other)

    def __rpow__(self, other: Operand) -> Value:
        return _functions["power"](other, self)

    def __matmul__(self, other: Operand) -> Value:
        return _functions["matmul"](self, other)

    def __rmatmul__(self, other: Operand) -> Value:
        return _functions["matmul"](other, self)

    def __neg__(self) -> Value:
        return _functions["negative"](self)

    def __abs__(self) -> Value:
        return _functions["absolute"](self)

    def __invert__(self) -> Value:
        return _functions["logical_not"](self)

    def __and__(self, other: Operand) -> Value:
        return _functions["logical_and"](self, other)

    def __or__(self, other: Operand) -> Value:
        return _functions["logical_or"](self, other)

    def __lt__(self, other: Operand) -> Value:
        return _functions["less"](self, other)

    def __le__(self, other: Operand) -> Value:
        return _functions["less_equal"](self, other)

    def __gt__(self, other: Operand) -> Value:
        return _functions["greater"](self, other)

    def __ge__(self, other: Operand) -> Value:
        return _functions["greater_equal"](self, other)

    def __getitem__(self, index: Position | tuple[object, ...]) -> Value:
        return _functions["getitem"](self, index)
