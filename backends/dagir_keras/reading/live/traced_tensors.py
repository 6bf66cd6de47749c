"""The arguments of a Keras layer's call while it is traced: tensors with their values, and sizes of axes.

A size that is known at run time only is a `Size`. For Keras it is a scalar tensor, as it is in a compiled function.
Sums and products of sizes are sizes; where Python needs a number, it raises an error.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import keras
import numpy as np

from dagir.ir.dims import Dim, SymbolicDim, max_dim, min_dim, provably_equal
from dagir.ir.graph import Value
from dagir.ir.types import Array
from dagir.ops import cast, convert_to_tensor
from dagir_keras.reading.live.attributes import DTypeName, TensorShape
from dagir_keras.reading.live.branches import Comparison, Question, answer
from dagir_keras.reading.live.operators import COMPARISONS, FUNCTIONS, of_tensors, reflected
from dagir_keras.reading.problems import OutsideTable, Untraceable
from dagir_keras.reading.tensorflow.live_functions import called_from

_KERAS = "keras.src."
_OF_SHAPE = ("keras.src.ops.core", "shape")  # the function that gives sizes to a call


class NotOfTensorFlow(OutsideTable, TypeError):
    """Raised where TensorFlow asks a traced tensor for its own: at a TypeError, TensorFlow asks its dispatchers."""


class Traced(keras.KerasTensor):
    """A tensor of Keras that stands for a value of the graph."""

    is_size = False
    __array_priority__ = 100  # NumPy's arrays leave arithmetic to it, as to TensorFlow's tensors
    __hash__ = object.__hash__

    def __init__(self, value: Value, sizes: Array | None = None) -> None:
        super().__init__(value.shape, dtype=str(value.dtype))
        self._value = value
        self.sizes = sizes  # its elements, where they are sizes of axes

    @property
    def value(self) -> Value:
        """The value that it stands for."""
        return self._value

    @property
    def shape(self) -> tuple[Any, ...]:
        """The sizes. Keras's own code gets None where a traced call gets a Size."""
        asking = sys._getframe(1)
        where = asking.f_globals.get("__name__", "")
        if where.startswith(_KERAS) and (where, asking.f_code.co_name) != _OF_SHAPE:
            static: tuple[Any, ...] = self._shape
            return static
        return TensorShape(map(as_size, self._value.type.shape))

    @property
    def dtype(self) -> DTypeName:
        """Its name, with the attributes that a dtype of the backend has."""
        return DTypeName(self._dtype)

    def get_shape(self) -> TensorShape:
        """The sizes, as TensorFlow's tensors give them."""
        return TensorShape(map(as_size, self._value.type.shape))

    def set_shape(self, shape: Any) -> None:
        """What TensorFlow is told of its shape, which is known here."""

    def __eq__(self, other: object) -> Any:
        return _equal(self, other) if _is_numeric(other) else NotImplemented

    def __ne__(self, other: object) -> Any:
        return _unequal(self, other) if _is_numeric(other) else NotImplemented

    def __invert__(self) -> Any:
        return keras.ops.logical_not(self) if self.dtype == "bool" else keras.ops.bitwise_not(self)

    def _lacks(self, needed: str) -> Untraceable:
        return Untraceable(
            f"it needs {needed} of a tensor, which holds none before run time",
            "compute with keras.ops, choose with keras.ops.where or keras.ops.cond",
        )

    def __bool__(self) -> bool:
        refusal = self._lacks("a truth value (bool, if, and, or, not, min, max)")
        if self._value.ndim:
            raise refusal
        return answer(Question(cast(self._value, "bool"), refusal))

    def __int__(self) -> int:
        raise self._lacks("a number (int)")

    def __index__(self) -> int:
        raise self._lacks("a number (range, a list, a NumPy array)")

    def __float__(self) -> float:
        raise self._lacks("a number (float)")

    def __array__(self, *_: Any, **__: Any) -> NoReturn:
        raise self._lacks("an array (NumPy)")

    def __iter__(self) -> Any:
        size = self._value.type.shape[0] if self._value.ndim else None
        if isinstance(size, int):
            return iter(keras.ops.unstack(self, axis=0))
        raise Untraceable(
            f"it goes through the rows of a tensor {self._value.type}, whose number is known at run time only",
            "give the axis a fixed size, or compute with keras.ops on the whole tensor",
        )

    def __tf_tensor__(self, *_: Any, **__: Any) -> NoReturn:
        called = called_from("tensorflow", sys._getframe(1))
        raise NotOfTensorFlow(
            f"it calls a function of TensorFlow ({called}) on a tensor that holds no numbers before run time",
            "use the function of the same name in keras.ops, and keras.ops.shape(x) for sizes",
        )

    def __jax_array__(self) -> NoReturn:
        raise _foreign("JAX")

    @classmethod
    def __torch_function__(cls, function: Any, _: Any, args: Any = (), kwargs: Any = None) -> Any:
        """What stands for the operators of PyTorch's tensors, whose class cannot be patched, with this on the right."""
        name = _OF_TORCH.get(getattr(function, "__name__", ""))
        if name is None or kwargs or len(args) != 2:
            raise _foreign("PyTorch")
        return of_tensors(name)(*args)


_OF_TORCH = {name.strip("_"): name for name in FUNCTIONS}
_OF_TORCH |= {f"__{short}__": name for short, name in _OF_TORCH.items()}
_OF_TORCH |= {"div": "__truediv__", "remainder": "__mod__"}


def _foreign(framework: str) -> Untraceable:
    return Untraceable(
        f"it calls a function of {framework} on a tensor that holds no numbers before run time",
        "use the function of the same name in keras.ops, and keras.ops.shape(x) for sizes",
    )


_equal, _unequal = of_tensors("__eq__"), of_tensors("__ne__")


def _install_operators() -> None:
    """Give traced tensors the operators of the backend's tensors, where KerasTensor has those of keras.ops."""
    for name in FUNCTIONS.keys() - {"__eq__", "__ne__"}:
        operator = of_tensors(name)
        setattr(Traced, name, lambda self, other, operator=operator: operator(self, other))
        if name not in COMPARISONS:
            setattr(Traced, reflected(name), lambda self, other, operator=operator: operator(other, self))


_install_operators()


class Size(Traced):
    """The size of an axis that is known at run time only, or what was computed from such sizes."""

    is_size = True
    __array_ufunc__ = None  # NumPy's ints leave arithmetic to it

    def __init__(self, dim: SymbolicDim) -> None:
        keras.KerasTensor.__init__(self, (), dtype="int32")
        self.dim, self.sizes = dim, None
        self.never_negative = min_dim(dim, 0) == 0
        self._measured: Value | None = None

    @property
    def value(self) -> Value:
        """The size as an integer of the graph."""
        if self._measured is None:
            self._measured = convert_to_tensor(self.dim)
        return self._measured

    @property
    def shape(self) -> tuple[Any, ...]:
        """That of a scalar."""
        return TensorShape(())

    def _lacks(self, needed: str) -> Untraceable:
        return Untraceable(
            f"it needs {needed} of the size {self.dim}, which is known at run time only",
            "give the input a fixed size there, or compute with keras.ops, which take sizes from keras.ops.shape(x)",
        )

    def __hash__(self) -> int:
        return hash(self.dim)

    def __eq__(self, other: object) -> Any:
        if not is_size(other):
            return super().__eq__(other)
        same = self._is_known_to_be(dim_of(other))
        return self._asked("==", super().__eq__(other), other) if same is None else same

    def __ne__(self, other: object) -> Any:
        if not is_size(other):
            return super().__ne__(other)
        same = self._is_known_to_be(dim_of(other))
        return self._asked("!=", super().__ne__(other), other) if same is None else not same

    def __lt__(self, other: Any) -> Any:
        return self._ordered("<", super().__lt__(other), other)

    def __le__(self, other: Any) -> Any:
        return self._ordered("<=", super().__le__(other), other)

    def __gt__(self, other: Any) -> Any:
        return self._ordered(">", super().__gt__(other), other)

    def __ge__(self, other: Any) -> Any:
        return self._ordered(">=", super().__ge__(other), other)

    def __bool__(self) -> bool:
        found: bool = bool(self != 0)
        return found

    def _is_known_to_be(self, other: Dim) -> bool | None:
        """Whether it is the same size; None where only the run tells."""
        below = self.never_negative and isinstance(other, int) and other < 0
        return False if below else provably_equal(self.dim, other)

    def _ordered(self, relation: str, compared: Any, other: Any) -> Any:
        """A comparison: True or False where it is known, else a boolean of the graph."""
        if not is_size(other):
            return compared
        known = _known_order(relation, self.dim, dim_of(other))
        return self._asked(relation, compared, other) if known is None else known

    def _asked(self, relation: str, compared: Any, other: object) -> Any:
        """A boolean of the graph, of which Python may want True or False."""
        refusal = self._lacks(f"to know whether it is {relation} {dim_of(other)}")
        comparison = Comparison(relation, self.dim - dim_of(other), self.never_negative and other == 0)
        return _Asked(Question(compared.value, refusal, comparison))

    def __pos__(self) -> Any:
        return self

    def __neg__(self) -> Any:
        return as_size(-self.dim)

    def __add__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: a + b, super().__add__)

    def __radd__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: b + a, super().__radd__)

    def __sub__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: a - b, super().__sub__)

    def __rsub__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: b - a, super().__rsub__)

    def __mul__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: a * b, super().__mul__)

    def __rmul__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: b * a, super().__rmul__)

    def __floordiv__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: a // b, super().__floordiv__)

    def __rfloordiv__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: b // a, super().__rfloordiv__)

    def __mod__(self, other: Any) -> Any:
        made = self._computed(other, lambda a, b: a - (a // b) * b, super().__mod__)
        if isinstance(made, Size) and isinstance(other, int) and other > 0:
            made.never_negative = True
        return made

    def __rmod__(self, other: Any) -> Any:
        return self._computed(other, lambda a, b: b - (b // a) * a, super().__rmod__)

    def __divmod__(self, other: Any) -> Any:
        return self // other, self % other

    def _computed(self, other: Any, on_sizes: Callable[[Any, Any], Dim], otherwise: Callable[[Any], Any]) -> Any:
        return as_size(on_sizes(self.dim, dim_of(other))) if is_size(other) else otherwise(other)


class _Asked(Traced):
    """Whether a size is another one, or below or above it."""

    def __init__(self, question: Question) -> None:
        super().__init__(question.condition)
        self._question = question

    def __bool__(self) -> bool:
        return answer(self._question)


def _known_order(relation: str, left: Dim, right: Dim) -> bool | None:
    """Whether the relation holds for all sizes, or for none; None where only the run tells."""
    if relation in (">", ">="):
        return _known_order({">": "<", ">=": "<="}[relation], right, left)
    if relation == "<":
        reverse = _known_order("<=", right, left)
        return None if reverse is None else not reverse
    if max_dim(left, right) == right:
        return True
    return False if max_dim(right + 1, left) == left else None


def _is_numeric(thing: Any) -> bool:
    return isinstance(thing, (int, float, np.ndarray, np.generic, keras.KerasTensor)) or keras.ops.is_tensor(thing)


def as_size(dim: Any) -> Any:
    """A Size for a size that is known at run time only; anything else as it is."""
    return Size(dim) if isinstance(dim, SymbolicDim) else dim


def is_size(thing: Any) -> bool:
    """Whether it is a size: a Size, or an int."""
    return isinstance(thing, (Size, int, np.integer)) and not isinstance(thing, bool)


def dim_of(size: Any) -> Any:
    """The size as it is in a shape of dagir; anything else as it is."""
    if isinstance(size, Size):
        return size.dim
    return int(size) if isinstance(size, np.integer) else size
