"""Functions of TensorFlow in a traced call: by the table that files of Keras 2 are read with.

While a call is traced, the public modules of TensorFlow have functions in place of theirs, which give the calls that
have a traced tensor or a weight among their arguments to the tracer. A function that the call holds itself, as in
`from tensorflow import matmul`, asks TensorFlow's dispatchers where a tensor is none of its own: one of them is here.
What the table has not is refused by OutsideTable, from whose place the whole call may be read by its FuncGraph.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial, wraps
from typing import Any
from weakref import WeakValueDictionary

import keras

from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.operands import as_value
from dagir.ir.types import DType
from dagir_keras.reading.live import tensorflow_checks, tensorflow_control
from dagir_keras.reading.live.introspection import array_of_tensor
from dagir_keras.reading.live.operators import COMPARISONS, FUNCTIONS, reflected
from dagir_keras.reading.live.traced_tensors import Size, Traced, as_size
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow import live_functions
from dagir_keras.reading.tensorflow.tensors import Sizes, entries, value

Function = Callable[..., Any]
Replace = Callable[[Any, str, Callable[[Any], Any]], None]
Current = Callable[[], Any]

_NOT_THE_USERS = ("keras.", "tensorflow.", "dagir_keras.", "optree.")
_DRAWS = (
    *("random.categorical", "random.gamma", "random.normal", "random.poisson", "random.shuffle", "random.uniform"),
    *("random.truncated_normal", "nn.dropout", "nn.experimental.general_dropout", "image.random_", "compat.v1.random_"),
)


def run(name: str, function: Function, args: Sequence[Any], kwargs: Mapping[str, Any], leaf: Function) -> Any:
    """What a function gives in a traced call. leaf: a weight or a traced tensor as a value. Raises OutsideTable."""

    def given(part: Any) -> Any:
        return _given(part, leaf)

    if tensorflow_checks.is_check(name):
        return tensorflow_checks.run(name, function, map_structure(given, list(args)), _mapped(given, kwargs))
    if tensorflow_control.is_control(name):
        return tensorflow_control.run(name, function, args, kwargs, given, from_table)
    found = live_functions.call(name, function, map_structure(given, list(args)), _mapped(given, kwargs))
    return map_structure(from_table, found)


def _mapped(given: Function, kwargs: Mapping[str, Any]) -> dict[str, Any]:
    return {key: map_structure(given, part) for key, part in kwargs.items()}


def _given(part: Any, leaf: Function) -> Any:
    """What a call handles, as the table takes it."""
    if isinstance(part, Size):
        return part.dim
    if isinstance(part, Traced) and part.sizes is not None:
        return Sizes(part.sizes, DType.of(part.value.dtype))
    if isinstance(part, slice):
        return slice(*(_given(each, leaf) for each in (part.start, part.stop, part.step)))
    if isinstance(part, (keras.KerasTensor, keras.Variable)) or is_variable(part):
        return leaf(part)
    return live_functions.plain(part)


def from_table(found: Any) -> Any:
    """What the table gives, as a call handles it: sizes stay sizes, and known ones are numbers of Python."""
    if isinstance(found, Sizes):
        return Traced(value(found), found.array) if found.ndim else as_size(found.array.item())
    if not isinstance(found, Value):
        return as_size(found)
    known = entries(found) if found.dtype in (DType.INT32, DType.INT64) else None
    if known is None:
        return Traced(found)
    return Traced(found, known) if known.ndim or found.dtype is DType.INT64 else known.item()


def is_variable(thing: object) -> bool:
    """Whether it is a variable of TensorFlow itself, not one of Keras."""
    tensorflow = live_functions.loaded()
    return tensorflow is not None and isinstance(thing, tensorflow.Variable)


class OwnVariable:
    """A variable of TensorFlow that is no weight of Keras, with the attributes of one."""

    def __init__(self, variable: Any) -> None:
        self.value = variable
        self.path, self.trainable = str(variable.name).removesuffix(":0"), bool(variable.trainable)
        self.dtype, self.shape = variable.dtype.name, tuple(variable.shape)

    def __array__(self, *_: Any, **__: Any) -> Any:
        return self.value.numpy()


_own: WeakValueDictionary[int, OwnVariable] = WeakValueDictionary()  # they hold the variables whose ids these are


def own_variable(variable: Any) -> OwnVariable:
    """What stands for a variable of TensorFlow, the same each time while anything holds it."""
    return _own.setdefault(id(variable), OwnVariable(variable))


# ---- the functions in TensorFlow's public modules


def install(replace: Replace, current: Current) -> None:
    """Put the functions in their places, where TensorFlow is loaded. current: the tracer of the present call, or None.

    replace: how a place gets another function, until the last traced call has ended.
    """
    if live_functions.loaded() is None:
        return
    _dispatcher(current)
    for module, key, name in live_functions.places_of_functions(tensorflow_checks.NAMES):
        replace(module, key, partial(_instead, current, name))
    tensorflow = live_functions.loaded()
    variable, compiled = tensorflow.Variable, type(tensorflow.function(len))
    replace(tensorflow, "is_tensor", lambda old: lambda x: isinstance(x, Traced) or old(x))
    replace(compiled, "__call__", lambda old: _in_python(old, current))
    for name in _OF_A_VARIABLE:
        replace(variable, name, partial(_of_a_variable, current, name))
    replace(keras.Variable, "value", lambda old: property(_in_a_call(old.fget, current)))


def _instead(current: Current, name: str, old: Function) -> Function:
    draws = name.startswith(_DRAWS)
    control = tensorflow_control.is_control(name)

    @wraps(old)
    def function(*args: Any, **kwargs: Any) -> Any:
        tracer = current()
        if tracer is None:
            return old(*args, **kwargs)
        users = _of_the_user()
        if users and draws:
            raise Refused(
                f"its call draws random numbers at inference (tf.{name}), and a graph gives the same answer each time",
                "draw under `if training:` only; or take the noise as an input of the model",
            )
        if not (users and control) and not _holds_traced(args, kwargs, weights=users):
            return old(*args, **kwargs)
        return tracer.of_tensorflow(name, old, args, kwargs)

    function.original_of_tensorflow = old  # type: ignore[attr-defined]
    return function


def _holds_traced(*things: Any, weights: bool = True) -> bool:
    """Whether there are traced tensors, or weights, in the arguments."""
    leaves = flatten(list(things))
    if any(isinstance(leaf, Traced) for leaf in leaves):
        return True
    return weights and any(isinstance(leaf, keras.Variable) or is_variable(leaf) for leaf in leaves)


_SAME = ("value", "read_value")  # methods that give the tensor itself
_OF_A_VARIABLE = (
    *(*FUNCTIONS, *(reflected(name) for name in FUNCTIONS if name not in COMPARISONS)),
    *("__neg__", "__abs__", "__getitem__", *_SAME),
)


def _of_a_variable(current: Current, name: str, old: Function) -> Function:
    """An operator or a method of a variable of TensorFlow, which in a traced call is a weight of the graph."""

    @wraps(old)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = current()
        if tracer is None or not _of_the_user():
            return old(self, *args, **kwargs)
        weight = tracer.weight(own_variable(self))
        return weight if name in _SAME else getattr(weight, name)(*args, **kwargs)

    return method


def _in_a_call(old: Function, current: Current) -> Function:
    """`value` of a weight of Keras, which is a variable of TensorFlow, or a tensor of its numbers in another dtype."""

    @wraps(old)
    def value(self: Any) -> Any:
        tracer = current()
        return old(self) if tracer is None or not _of_the_user() else tracer.weight(self)

    return value


def on_constants(current: Current, old: Function) -> Function:
    """The call of a layer: in a traced call, one on numbers alone is part of the graph too: a first state of zeros."""

    @wraps(old)
    def __call__(self: Any, *args: Any, **kwargs: Any) -> Any:  # noqa: N807  # Keras looks at its name
        if current() is not None and not _holds_traced(args, kwargs, weights=False):
            args, kwargs = map_structure(_constant, args), map_structure(_constant, kwargs)
        return old(self, *args, **kwargs)

    return __call__


def _constant(leaf: Any) -> Any:
    known = isinstance(leaf, keras.Variable) or is_variable(leaf) or not keras.ops.is_tensor(leaf)
    return leaf if known else Traced(as_value(array_of_tensor(leaf)))


def _in_python(old: Function, current: Current) -> Function:
    """The call of a tf.function: in a traced call its Python runs, on traced tensors."""

    @wraps(old)
    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if current() is None or not _of_the_user():
            return old(self, *args, **kwargs)
        return self.python_function(*args, **kwargs)

    return call


def _of_the_user() -> bool:
    """Whether the function that called the present one was called by a line of the user's."""
    return not str(sys._getframe(2).f_globals.get("__name__")).startswith(_NOT_THE_USERS)


# ---- the functions that a call holds itself


@cache
def _dispatcher(current: Current) -> Any:
    tensorflow = live_functions.loaded()

    class Dispatcher(tensorflow.__internal__.dispatch.GlobalOpDispatcher):  # type: ignore[name-defined]
        """Takes the calls that have a traced tensor among their arguments."""

        def handle(self, op: Any, args: Any, kwargs: Any) -> Any:
            tracer, name = current(), live_functions.name_of(op)
            if tracer is None or name is None or not _holds_traced(args, kwargs):
                return self.NOT_SUPPORTED
            return tracer.of_tensorflow(name, op, args, kwargs)

    made = Dispatcher()
    made.register()
    return made
