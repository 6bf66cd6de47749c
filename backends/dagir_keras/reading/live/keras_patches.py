"""Patches of Keras while a call is traced: operations on traced tensors go to the tracer, and state does not change."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, partial, wraps
from types import FunctionType
from typing import Any, Protocol

import keras
import numpy as np

from dagir.errors import DagirError
from dagir.ir.nest import flatten
from dagir_keras.reading.live import control_flow, graph_shapes, tensorflow_functions
from dagir_keras.reading.live.keras_internals import defined_in, internal, of_module
from dagir_keras.reading.live.operators import COMPARISONS, FUNCTIONS, of_tensors, reflected
from dagir_keras.reading.live.traced_tensors import Traced
from dagir_keras.reading.problems import KerasChanged, Refused, of_chance

Variable = of_module("keras.src.backend.common.variables", "Variable")
_REFLECTED = {reflected(name): function for name, function in FUNCTIONS.items() if name not in COMPARISONS}
_ALONE = {"__neg__": keras.ops.negative, "__abs__": keras.ops.absolute}
_OF_CORE = ("cast", "convert_to_tensor", "scatter", "shape", "slice", "slice_update", "stop_gradient", "unstack")
_DRAWN = ("categorical", "dropout", "shuffle")  # PyTorch draws for a tensor without a seed of Keras


class Tracer(Protocol):
    """Who takes what a call does. refused: the first operation that it refused, and went on with a placeholder for."""

    refused: Refused | None

    def operation(self, operation: Any, spec: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The outputs of an operation or layer. spec: what Keras says of them."""

    def of_weights(self, operation: Any, args: Any, kwargs: Any) -> Any:
        """The outputs of an operation on weights alone; None where dagir has no such operation."""

    def function(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The output of a function of keras.ops with sizes, but without traced tensors, as arguments."""

    def of_tensorflow(self, name: str, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        """The output of a function of TensorFlow, by its public name."""

    def weight(self, variable: Any) -> Any:
        """A weight as a traced tensor."""


_OF_CHANCE = ("choice", "normal", "permutation", "rand", "randint", "randn", "random", "standard_normal", "uniform")
_tracer: ContextVar[Tracer | None] = ContextVar("_tracer", default=None)
_entered: ContextVar[str] = ContextVar("_entered", default="")  # the function of the backend whose keras.ops runs
_lock = threading.Lock()
_graphing: ContextVar[bool] = ContextVar("_graphing", default=False)
_at_work: list[Tracer | None] = []  # in all threads
_undo: list[Callable[[], None]] = []


@contextmanager
def _patched(tracer: Tracer | None) -> Iterator[None]:
    """Within it, Keras is patched, and in this thread operations go to the tracer, if there is one."""
    with _lock:
        if not _at_work:
            _installed_whole()
        _at_work.append(tracer)
    token = _tracer.set(tracer)
    try:
        yield
    finally:
        _tracer.reset(token)
        with _lock:
            _at_work.remove(tracer)
            if not _at_work:
                _undone()


@contextmanager
def tracing(tracer: Tracer) -> Iterator[None]:
    """Within it, and in this thread, operations on traced tensors go to the tracer."""
    with _patched(tracer):
        try:
            yield
        except (Refused, DagirError):
            raise
        except Exception:
            if tracer.refused is None:
                raise
            raise tracer.refused from None  # a placeholder may have another structure than what the call expects


@contextmanager
def graphing() -> Iterator[None]:
    """Within it, and in this thread, TensorFlow traces a call into a graph: no state changes, nothing is drawn."""
    token = _graphing.set(True)
    try:
        with _patched(None):
            yield
    finally:
        _graphing.reset(token)


def _stateless() -> bool:
    return _tracer.get() is not None or _graphing.get()


def check_keras() -> None:
    """Raise KerasChanged where this Keras lacks a place that is patched, before anything is read."""
    internal(keras.layers.Layer, "_flatten_layers")
    with _lock:
        if not _at_work:
            _installed_whole()
            _undone()


def _undone() -> None:
    while _undo:
        _undo.pop()()


def _installed_whole() -> None:
    """All patches, or none where this Keras lacks one of their places."""
    try:
        _install()
    except KerasChanged:
        _undone()
        raise


def _install() -> None:
    tensorflow_functions.install(_replace, _tracer.get)
    graph_shapes.install(_replace, _graphing.get)
    operation, backend = of_module("keras.src.ops.operation", "Operation"), of_module("keras.src.backend")
    core, random = (defined_in(backend, name) for name in ("core", "random"))
    families = tuple(defined_in(backend, name) for name in ("numpy", "nn", "math", "linalg", "image"))
    calling = sys.modules[defined_in(keras.layers.Layer, "symbolic_call").__module__]  # Operation's, in Keras 3.8
    _replace(calling, "Node", lambda node: _unless(lambda *_, **options: _holds(Traced, options), node))
    _replace(operation, "symbolic_call", _taken)
    _replace(keras.layers.Layer, "symbolic_call", _taken)
    _replace(keras.layers.Layer, "__call__", partial(tensorflow_functions.on_constants, _tracer.get))
    _replace(keras.layers.Layer, "add_loss", lambda old: _unless(lambda *_: _stateless(), old))
    _replace(keras.layers.Layer, "_maybe_build", _untraced)
    _replace(keras.DTypePolicy, "convert_input", _not_converted)
    _replace(of_module("keras.src.ops.core", "Cond"), "call", _decided)
    _replace(keras.random.SeedGenerator, "next", _not_drawn)
    _replace(Variable, "assign", _not_assigned)
    for name in _OF_CHANCE:
        _replace(np.random, name, _never_of_chance("np.random"))
    for name in _DRAWN:
        _replace(random, name, _not_drawn_for)
    _install_operators()
    for module in [module for name, module in sys.modules.items() if name.startswith("keras.src.ops.")]:
        if "any_symbolic_tensors" in vars(module):
            _replace(module, "any_symbolic_tensors", _or_weights)
    for name in control_flow.FUNCTIONS:
        _replace(core, name, _with_functions(name))
    for owner, name, function in _of_the_backend(backend, families):
        _replace(owner, name, partial(_instead, function))


def _install_operators() -> None:
    for cls in (Variable, _tensor_class()):
        with suppress(TypeError):  # methods of classes written in C cannot be replaced
            _replace(cls, "__getitem__", partial(_given_sizes, "__getitem__"))
            for name, function in FUNCTIONS.items():
                _replace(cls, name, _with_traced(function if cls is Variable else of_tensors(name)))
    for name, function in _REFLECTED.items():
        _replace(Variable, name, _with_traced(lambda left, right, function=function: function(right, left)))
    for name, function in _ALONE.items():
        _replace(Variable, name, _of_a_weight(function))


def _instead(function: Callable[..., Any], _: Any) -> Callable[..., Any]:
    return function


@cache
def _of_the_backend(backend: Any, families: tuple[Any, ...]) -> list[tuple[Any, str, Callable[..., Any]]]:
    """Functions of Keras's backend that keras.ops has too, by all their places, as functions on traced tensors."""
    found: dict[Any, Callable[..., Any]] = {}
    for module in (backend.core, *families):
        public = keras.ops.image if module is backend.image else keras.ops
        for name, old in vars(module).items():
            own = isinstance(old, FunctionType) and old.__module__ == module.__name__ and hasattr(public, name)
            if own and (module is not backend.core or name in _OF_CORE):
                found[old] = _given_traced(name, old, getattr(public, name))
    places = (backend, sys.modules[families[0].__name__.rpartition(".")[0]], backend.core, *families)
    return [
        (place, name, found[old])
        for place in places
        for name, old in vars(place).items()
        if isinstance(old, FunctionType) and old in found
    ]


def _given_traced(name: str, old: Callable[..., Any], public: Callable[..., Any]) -> Callable[..., Any]:
    """The function; of traced tensors it is that of keras.ops, which is back here where its sizes alone are traced."""

    @wraps(old)
    def function(*args: Any, **kwargs: Any) -> Any:
        tracer = _tracer.get()
        if tracer is None or not _holds((Traced, Variable), args, kwargs):
            return old(*args, **kwargs)
        if _entered.get() == name:
            return tracer.function(name, old, args, kwargs) if _holds(Traced, args, kwargs) else old(*args, **kwargs)
        token = _entered.set(name)
        try:
            return public(*args, **kwargs)
        finally:
            _entered.reset(token)

    return function


def _tensor_class() -> type:
    """The class of the backend's tensors that defines indexing."""
    found = type(keras.ops.convert_to_tensor(0.0))
    return next(cls for cls in found.__mro__ if "__getitem__" in vars(cls))


def _replace(owner: Any, name: str, around: Callable[[Any], Any]) -> None:
    old, own = defined_in(owner, name), name in vars(owner)
    setattr(owner, name, around(old))
    _undo.append(lambda: setattr(owner, name, old) if own else delattr(owner, name))


def _holds(kind: type | tuple[type, ...], *things: Any) -> bool:
    return any(isinstance(leaf, kind) for leaf in _leaves(things))


def _leaves(things: Any) -> Iterator[Any]:
    for leaf in flatten(list(things)):
        if isinstance(leaf, slice):
            yield from (leaf.start, leaf.stop, leaf.step)
        else:
            yield leaf


def _unless(when: Callable[..., bool], old: Callable[..., Any]) -> Callable[..., Any]:
    """The function; it does nothing where `when` is true for its arguments."""
    return lambda *args, **kwargs: None if when(*args, **kwargs) else old(*args, **kwargs)


def _taken(old: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(old)
    def symbolic_call(self: Any, *args: Any, **kwargs: Any) -> Any:
        tracer = _tracer.get()
        if tracer is None or not _holds((Traced, Variable), args, kwargs):
            return old(self, *args, **kwargs)
        if _holds(Traced, args, kwargs) or isinstance(self, keras.layers.Layer):
            return tracer.operation(self, partial(_untraced(old), self), args, kwargs)
        made = tracer.of_weights(self, args, kwargs)
        if made is not None:
            return made
        return _untraced(self.call)(*args, **kwargs)  # Keras computes a constant from the weights

    return symbolic_call


def _or_weights(old: Callable[..., bool]) -> Callable[..., bool]:
    """In a traced call weights count as symbolic tensors, so that operations on them become nodes."""

    @wraps(old)
    def any_symbolic_tensors(args: Any = None, kwargs: Any = None) -> bool:
        return old(args, kwargs) or (_tracer.get() is not None and _holds(Variable, args or (), kwargs or {}))

    return any_symbolic_tensors


def _untraced(old: Callable[..., Any]) -> Callable[..., Any]:
    """The function, run without tracing: Keras builds a layer in it, or infers shapes."""

    @wraps(old)
    def function(*args: Any, **kwargs: Any) -> Any:
        token = _tracer.set(None)
        try:
            return old(*args, **kwargs)
        finally:
            _tracer.reset(token)

    return function


def _given_sizes(name: str, old: Callable[..., Any]) -> Callable[..., Any]:
    kinds = (Traced, Variable) if name == "__getitem__" else Traced

    @wraps(old)
    def function(*args: Any, **kwargs: Any) -> Any:
        tracer = _tracer.get()
        if tracer is None or not _holds(kinds, args, kwargs):
            return old(*args, **kwargs)
        return tracer.function(name, old, args, kwargs)

    return function


def _with_functions(name: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """A function that runs functions: these may compute with traced tensors, whatever the arguments are."""

    def around(old: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(old)
        def function(*args: Any, **kwargs: Any) -> Any:
            tracer = _tracer.get()
            return old(*args, **kwargs) if tracer is None else tracer.function(name, old, args, kwargs)

        return function

    return around


def _with_traced(function: Callable[..., Any]) -> Callable[[Any], Any]:
    """An operator between a weight, or a tensor that holds numbers, and a traced tensor on its right."""

    def around(old: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(old)
        def operator(self: Any, other: Any) -> Any:
            of_a_weight = isinstance(self, Variable) and _tracer.get() is not None
            return function(self, other) if isinstance(other, Traced) or of_a_weight else old(self, other)

        return operator

    return around


def _of_a_weight(function: Callable[..., Any]) -> Callable[[Any], Any]:
    return lambda old: wraps(old)(lambda self: old(self) if _tracer.get() is None else function(self))


def _not_converted(old: Callable[..., Any]) -> Callable[..., Any]:
    """Traced tensors are not converted: dagir's layers cast their inputs, and ignore mixed precision."""
    return lambda self, x, *args, **kwargs: x if isinstance(x, Traced) else old(self, x, *args, **kwargs)


def _not_assigned(old: Callable[..., Any]) -> Callable[..., Any]:
    def assign(self: Any, value: Any) -> Any:
        if not _stateless():
            return old(self, value)
        raise Refused(
            f"its call assigns the weight {self.path!r} at inference, and a graph holds no state",
            "assign under `if training:` only, or take the state as an input and give the new one as an output",
        )

    return assign


def _decided(old: Callable[..., Any]) -> Callable[..., Any]:
    """In a traced call, a predicate that is known chooses: JAX would run both branches on tensors of its own."""

    @wraps(old)
    def call(self: Any, pred: Any, true_fn: Callable[[], Any], false_fn: Callable[[], Any]) -> Any:
        return old(self, pred, true_fn, false_fn) if _tracer.get() is None else (true_fn if pred else false_fn)()

    return call


def _not_drawn(old: Callable[..., Any]) -> Callable[..., Any]:
    def next(self: Any, *args: Any, **kwargs: Any) -> Any:
        if not _stateless():
            return old(self, *args, **kwargs)
        raise of_chance(f"keras.random.{_caller('keras.src.random.random') or 'SeedGenerator'}")

    return next


def _caller(module: str) -> str | None:
    """The function of a module that the present call comes from."""
    frame = sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__") != module:
        frame = frame.f_back
    return frame.f_code.co_name if frame.f_globals.get("__name__") == module else None


def _never_of_chance(module: str) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Functions that draw without a seed of Keras's, refused in a traced call: their numbers would become constants."""

    def around(old: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(old)
        def drawn(*args: Any, **kwargs: Any) -> Any:
            if not _stateless():
                return old(*args, **kwargs)
            raise of_chance(f"{module}.{old.__name__}")

        return drawn

    return around


def _not_drawn_for(old: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(old)
    def function(*args: Any, **kwargs: Any) -> Any:
        if _tracer.get() is None or not _holds(Traced, args, kwargs):
            return old(*args, **kwargs)
        raise of_chance(f"keras.random.{old.__name__}")

    return function
