"""A method of a Keras layer as a whole, by the graph that TensorFlow makes of it, which is read op by op.

TensorFlow's functions, tf.function, autograph and tf.while_loop are then what TensorFlow makes of them. Sizes that are
unknown stay so. Layers inside are ops of that graph. Nothing here imports TensorFlow: Keras on it has.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np

from dagir.errors import DagirError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Parameter, Value
from dagir.ir.nest import flatten, map_structure, pack
from dagir.ir.types import DType
from dagir_keras.reading.live.introspection import foreign_variables, is_keras_class
from dagir_keras.reading.live.keras_internals import calling, layers_inside, mask_of, set_mask
from dagir_keras.reading.live.keras_patches import graphing
from dagir_keras.reading.live.reader import Reader
from dagir_keras.reading.live.tensorflow_functions import own_variable
from dagir_keras.reading.problems import Problem, Problems, Refused
from dagir_keras.reading.tensorflow.concrete import HeldVariable, read_concrete
from dagir_keras.reading.tensorflow.results import as_values
from dagir_keras.reading.tensorflow.tensors import Sizes, sized

_MOST_NAMED = 8  # refused ops that one message names


class Ungraphed(Exception):
    """Raised where TensorFlow cannot trace the method either; the other attempt has the better reason."""


def can_graph() -> bool:
    """Whether Keras runs on TensorFlow."""
    return keras.backend.backend() == "tensorflow" and "tensorflow" in sys.modules


def graphed(
    reader: Reader, source: Any, method: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Any:
    """The values that a method of a Keras layer gives for values. Raises Refused with all refused ops, Ungraphed."""
    call = _Call(source, method, list(args), dict(kwargs))
    concrete = call.concrete()
    problems = Problems()
    outputs = read_concrete(concrete, call.operands(), problems, _held(reader, source))
    if problems.count:
        raise _refusal(problems.found)
    try:
        return call.results([_size_or_value(each) for each in outputs])
    except DagirError as error:
        raise Refused(error.summary, error.remedy) from None


@dataclass
class _Call:
    """One call, as a function of flat tensors: the values among its arguments, then the masks that they carry."""

    source: Any
    method: Callable[..., Any]
    args: list[Any]
    kwargs: dict[str, Any]
    structure: Any = None  # what the method returned
    tensors: list[Any] = field(default_factory=list)  # its leaves that are tensors, then their masks
    masked: list[int] = field(default_factory=list)  # which of them have a mask

    def _leaves(self) -> list[Any]:
        return [leaf for leaf in flatten([self.args, self.kwargs]) if isinstance(leaf, (Value, SymbolicDim))]

    def _masks(self) -> list[Value | None]:
        return [leaf.carried_mask if isinstance(leaf, Value) else None for leaf in self._leaves()]

    def operands(self) -> list[Any]:
        """What the function is of, as the reader of graphs takes it."""
        leaves = [leaf if isinstance(leaf, Value) else sized(_scalar(leaf), DType.INT32) for leaf in self._leaves()]
        return [*leaves, *(mask for mask in self._masks() if mask is not None)]

    def concrete(self) -> Any:
        """The graph that TensorFlow makes; with autograph only where Python needs it. Raises Refused, Ungraphed."""
        tensorflow = sys.modules["tensorflow"]
        specs = [tensorflow.TensorSpec(*_shape_and_dtype(each)) for each in self.operands()]
        try:
            return self._traced(tensorflow, specs)
        except Ungraphed as error:
            if not isinstance(error.__cause__, tensorflow.errors.OperatorNotAllowedInGraphError):
                raise
        with _by_autograph(tensorflow, self.source):
            autograph = tensorflow.__internal__.autograph
            self.method = autograph.tf_convert(self.method, autograph.control_status_ctx())
            return self._traced(tensorflow, specs)

    def _traced(self, tensorflow: Any, specs: Sequence[Any]) -> Any:
        function = tensorflow.function(self._run, autograph=False)
        try:
            with graphing(), _traced_anew(type(function)):
                return function.get_concrete_function(*specs)
        except (Refused, DagirError):
            raise
        except Exception as error:  # whatever a user's call raises
            refused = _refused_behind(error)
            if refused is not None:
                raise refused from None
            raise Ungraphed(str(error)) from error

    def _run(self, *tensors: Any) -> Any:
        given = iter(tensors)
        args, kwargs = map_structure(lambda leaf: next(given) if _is_symbol(leaf) else leaf, [self.args, self.kwargs])
        for tensor, mask in zip(tensors, self._masks(), strict=False):
            if mask is not None:
                set_mask(tensor, next(given))
        with calling(self.source, training=False):
            self.structure = self.method(*args, **kwargs)
        found = [_as_tensor(leaf) for leaf in flatten(self.structure)]
        self.tensors = [tensor for tensor in found if tensor is not None]
        masks = [mask_of(tensor) for tensor in self.tensors]
        self.masked = [place for place, mask in enumerate(masks) if mask is not None]
        return [*self.tensors, *(masks[place] for place in self.masked)]

    def results(self, outputs: Sequence[Any]) -> Any:
        """The structure that the method returned, of values; what was no tensor in it stays as it is."""
        count = len(self.tensors)
        for place, mask in zip(self.masked, outputs[count:], strict=True):
            value = outputs[place]
            if isinstance(value, Value) and isinstance(mask, Value) and value.mask is None:
                value.attach_mask(mask)
        made = iter(outputs[:count])
        return pack(
            self.structure,
            [leaf if _as_tensor(leaf, convert=False) is None else next(made) for leaf in flatten(self.structure)],
        )


def _refused_behind(error: BaseException | None) -> Refused | None:
    """The refusal that autograph or Keras wrapped in an error of its own."""
    for _ in range(20):
        if error is None or isinstance(error, Refused):
            return error
        error = error.__cause__ or error.__context__
    return None


def _is_symbol(leaf: Any) -> bool:
    return isinstance(leaf, (Value, SymbolicDim))


def _scalar(dim: SymbolicDim) -> Any:
    found = np.empty((), object)
    found[()] = dim
    return found


def _shape_and_dtype(operand: Any) -> tuple[Any, str]:
    shape = operand.shape
    return tuple(size if isinstance(size, int) else None for size in shape), str(operand.dtype)


def _as_tensor(leaf: Any, convert: bool = True) -> Any:
    """A leaf of what a call returns as a tensor; None where it is none. Raises Refused for a sparse or a ragged one."""
    tensorflow = sys.modules["tensorflow"]
    if isinstance(leaf, (tensorflow.RaggedTensor, tensorflow.SparseTensor, tensorflow.IndexedSlices)):
        raise Refused(f"it returns a {type(leaf).__name__}, and tensors of dagir are dense", "return its to_tensor()")
    if isinstance(leaf, tensorflow.TensorArray):
        raise Refused("it returns a TensorArray", "return its stack()")
    if not keras.ops.is_tensor(leaf) and not isinstance(leaf, (keras.Variable, tensorflow.Variable)):
        return None
    return tensorflow.convert_to_tensor(leaf) if convert else leaf


def _size_or_value(output: Any) -> Any:
    """What a graph gives as a value; the size of an axis stays one."""
    if isinstance(output, Sizes) and output.ndim == 0 and isinstance(output.array.item(), SymbolicDim):
        return output.array.item()
    (found,) = as_values([output])
    return found


def _held(reader: Reader, source: Any) -> list[HeldVariable]:
    """The variables that the layer holds, each with how its weight is found."""

    def held(variable: Any, inner: Any) -> HeldVariable:
        def make() -> Parameter:
            return reader.parameter(variable)

        return HeldVariable(inner, make)

    own = [held(variable, getattr(variable, "_value", None)) for variable in source.variables]
    return [*own, *(held(own_variable(variable), variable) for variable in foreign_variables(source))]


@contextmanager
def _traced_anew(kind: Any) -> Iterator[None]:
    """Within it, each tf.function that a call calls is traced again.

    What it remembers may be from when Keras built the layer: weights were then what initializers draw, and nothing was
    assigned.
    """
    old = kind.__call__
    made: list[Any] = []

    def call(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self) is kind and all(self is not each for each in made):  # one of a SavedModel has no Python
            self = self._clone(None)
            made.append(self)
        return old(self, *args, **kwargs)

    kind.__call__ = call
    try:
        yield
    finally:
        kind.__call__ = old


@contextmanager
def _by_autograph(tensorflow: Any, source: Any) -> Iterator[None]:
    """Within it, the calls of the user's layers inside a layer are converted too, which Keras's own code calls."""
    autograph = tensorflow.__internal__.autograph
    logger = logging.getLogger("tensorflow")
    level = logger.level
    inner = [each for each in layers_inside(source) if not is_keras_class(type(each)) and "call" not in vars(each)]
    for each in inner:
        vars(each)["call"] = autograph.tf_convert(each.call, autograph.control_status_ctx())
    logger.setLevel(logging.ERROR)  # it warns of lambdas that it runs as they are
    try:
        yield
    finally:
        logger.setLevel(level)
        for each in inner:
            del vars(each)["call"]


def _refusal(found: Sequence[Problem]) -> Refused:
    """One refusal of all ops: each reason with the names of its ops."""
    by_reason: dict[str, list[str]] = {}
    for problem in found:
        names = by_reason.setdefault(problem.reason, [])
        if problem.path not in names:
            names.append(problem.path)
    listed = [
        f"{reason} ({', '.join(names[:3])}{f' and {len(names) - 3} more' if len(names) > 3 else ''})"
        for reason, names in by_reason.items()
    ]
    rest = listed[_MOST_NAMED:]
    text = "; ".join(listed[:_MOST_NAMED]) + (f"; and {len(rest)} more" if rest else "")
    if rest:
        kinds = dict.fromkeys(problem.kind for problem in found if problem.reason in list(by_reason)[_MOST_NAMED:])
        text += f": {', '.join(kinds)}"
    remedies = dict.fromkeys(problem.remedy for problem in found if problem.remedy)
    return Refused(f"in the graph that TensorFlow makes of its call: {text}", "; ".join(remedies) or None)
