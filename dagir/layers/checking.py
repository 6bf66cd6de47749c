"""Checks of a layer's arguments against its annotations, and of the values that it is called on."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import cache
from numbers import Real
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, DagirError, UnsupportedOp
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.operands import as_value
from dagir.layers.arguments import signature
from dagir.layers.plain import are_plain, plain, plain_arguments
from dagir.layers.training_names import check_training_names
from dagir.layers.weights import Weighted
from dagir.support.frameworks import eager_array, framework_of, kind, refuse_foreign, remedy_for
from dagir.support.location import LayerCall

_BOOL, _INT, _NUMBER, _TEXT = "a bool", "an int", "a number", "a string"
_ONE = "call it on each, or on what layers.Concatenate()(values) makes of them"
_EXACT = {_BOOL: bool, _INT: int, _NUMBER: float, _TEXT: str}
_KINDS = {"bool": _BOOL, "int": _INT, "float": _NUMBER, "str": _TEXT}


def is_own(cls: type) -> bool:
    """Whether a class is defined in dagir: only then its annotations are checked."""
    return cls.__module__.startswith("dagir.")


def checked(init: Callable[..., None]) -> Callable[..., None]:
    """Wrap an __init__: it raises ArgumentError for an argument that does not fit its annotation."""

    @functools.wraps(init)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> None:
        cls = type(self)
        odd = not are_plain((*args, *kwargs.values()))
        if odd:
            args, kwargs = plain_arguments(init, args, kwargs)
        if not is_own(cls) or cls.__init__ is not wrapper:  # or an inner call by a subclass
            return init(self, *args, **kwargs)
        if odd:
            self._init_arguments.update({name: plain(name, each) for name, each in self._init_arguments.items()})
        check_training_names(cls, self._init_arguments)
        try:
            init(self, *args, **kwargs)
        except (DagirError, KeyboardInterrupt):
            raise
        except Exception as error:
            _check_kinds(cls, self._init_arguments)
            raise ArgumentError(f"{cls.__name__} refuses its arguments: {error}") from error
        return _check_kinds(cls, self._init_arguments)

    return wrapper


_building: ContextVar[Any] = ContextVar("dagir_building", default=None)


def building(build: Callable[..., object]) -> Callable[..., Any]:
    """Wrap a `build`, which another layer's `build` may call, as Keras users do: it runs once, and paths are nested."""

    @functools.wraps(build)
    def wrapper(self: Any, *args: Any, **kwargs: Any) -> Any:
        if type(self).build is not wrapper:  # an inner call to the `build` of a base class
            return build(self, *args, **kwargs)
        outer = _building.get()
        if outer is not None and not self.built:
            self._path = f"{outer._path}/{self.name}"
        token = _building.set(self)
        try:
            found = build(self, *args, **kwargs)
        finally:
            _building.reset(token)
        if self._build_shapes is None and args:
            self._build_shapes = {"input_shape": args[0]}
        self.built = True
        return found

    return wrapper


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Inside the `with` block, what is built is not part of the layer that is being built."""
    token = _building.set(None)
    try:
        yield
    finally:
        _building.reset(token)


def _check_kinds(cls: type, arguments: Mapping[str, object]) -> None:
    for name, (wanted, optional) in _kinds(cls).items():
        value = arguments.get(name)
        if name not in arguments or (value is None and optional) or _is(wanted, value):
            continue
        raise ArgumentError(f"{cls.__name__} takes {wanted} for {name}, got {value!r}")


@cache
def _kinds(cls: type) -> dict[str, tuple[str, bool]]:
    """The type of each annotated argument of a constructor, and whether it may be None."""
    found = {name: str(parameter.annotation) for name, parameter in signature(cls).parameters.items()}
    plain = {name: annotation.removesuffix(" | None") for name, annotation in found.items()}
    return {name: (_KINDS[kind], kind != found[name]) for name, kind in plain.items() if kind in _KINDS}


def _is(wanted: str, value: object) -> bool:
    if type(value) is _EXACT[wanted]:
        return True
    if wanted is _BOOL:
        return isinstance(value, (bool, np.bool_)) or (isinstance(value, int) and value in (0, 1))
    if wanted is _TEXT:
        return isinstance(value, str)
    kinds: Any = (int, np.integer) if wanted is _INT else (Real, np.floating)
    return isinstance(value, kinds) and not isinstance(value, bool)


# ---- the call


def check_inputs(cls: type, name: str, args: tuple[object, ...], kwargs: Mapping[str, object]) -> None:
    """Raise ArgumentError unless a layer is called on values of the graph: on one value if its `call` takes one."""
    leaves = flatten([args, kwargs])
    if not any(isinstance(leaf, Value) for leaf in leaves):
        raise _not_values(name, args, leaves)
    if not is_own(cls) or not args:
        refuse_foreign(leaves, f"layer {name!r} was called on")
        return
    if _takes_one(cls) and not isinstance(args[0], Value):
        count = len(args[0]) if isinstance(args[0], (list, tuple, dict)) else 0
        what = f"a {type(args[0]).__name__} of {count}" if count else kind(args[0])
        raise ArgumentError(f"layer {name!r} takes one value, got {what}", remedy=_ONE)
    for leaf in flatten(args[0]):
        if not isinstance(leaf, Value):
            remedy = (
                remedy_for(leaf) if framework_of(leaf) else "to compute with an array, use dagir.ops: ops.add(x, array)"
            )
            raise ArgumentError(f"layer {name!r} takes values of the graph, got {kind(leaf)}", remedy=remedy)


def constants_in(arguments: Any) -> Any:
    """The arguments, with constants in place of the eager tensors of TensorFlow: tf.zeros((2, 3)) in a call."""
    return map_structure(lambda leaf: leaf if eager_array(leaf) is None else as_value(leaf), arguments)


@cache
def _takes_one(cls: Any) -> bool:
    parameters = list(signature(cls.call).parameters.values())
    return len(parameters) > 1 and parameters[1].annotation in ("Value", Value)


def _not_values(name: str, args: tuple[object, ...], leaves: Sequence[object]) -> DagirError:
    found = next((leaf for leaf in leaves if framework_of(leaf) is not None), None)
    if found is not None:
        given, remedy = kind(found), remedy_for(found)
    else:
        given, remedy = ", ".join(map(_given, args)) or "nothing", remedy_for(None)
        if any(isinstance(leaf, Weighted) for leaf in leaves):
            remedy = "call the inner layer first: outer(inner(x))"
    return ArgumentError(f"layer {name!r} was called on {given}; a layer takes values of the graph", remedy=remedy)


def _given(thing: object) -> str:
    if isinstance(thing, (list, tuple, dict)) and not thing:
        return f"an empty {type(thing).__name__}"
    return "None" if thing is None else type(thing).__name__


def check_call(layer: Any, args: tuple[object, ...], kwargs: Mapping[str, Any]) -> None:
    """Raise ArgumentError where `call` of a layer does not take these arguments."""
    call = signature(type(layer).call)
    try:
        call.bind(layer, *args, **{key: value for key, value in kwargs.items() if key != "training"})
    except TypeError as error:
        taken = ", ".join(name for name in call.parameters if name != "self")
        raise ArgumentError(
            f"layer {layer.name!r} is called with arguments that its call does not take: {error}",
            remedy=f"{type(layer).__name__}.call takes: {taken}",
        ) from None


def refuse_training(layer: object, call: LayerCall) -> None:
    """Raise UnsupportedOp if this call or an enclosing one has training=True, and that would change the result."""
    if not training_of(call):
        return
    found = _differing(layer)
    if found is not None:
        inner, effect = found
        raise UnsupportedOp(
            f"layer {inner.name!r} is called with training=True: {effect} at inference too",
            remedy="leave training out: Keras trains with it while fit runs, and no backend has it at inference",
        )


def training_of(call: LayerCall | None) -> bool | None:
    """The argument `training` of a call, else of the nearest enclosing call that has one, else None."""
    while call is not None:
        given = call.kwargs.get("training")
        if given is None and len(call.args) > 1 and hasattr(call.layer, "call"):
            given = _bound(call).get("training")
        if isinstance(given, (bool, int, np.bool_)):
            return bool(given)
        call = call.parent
    return None


def _bound(call: LayerCall) -> Mapping[str, object]:
    try:
        return signature(type(call.layer).call).bind_partial(call.layer, *call.args).arguments  # type: ignore[attr-defined]
    except TypeError:
        return {}


_RATES = ("rate", "stddev", "dropout", "recurrent_dropout")


def _differing(layer: Any) -> tuple[Any, str] | None:
    """The first layer, this one or one inside it, whose output differs in training, and how it differs."""
    pending = [layer]
    while pending:
        each = pending.pop()
        if not is_own(type(each)):
            continue  # its call is traced, and the layers that it calls are checked then
        if each.training_effect:
            return each, each.training_effect
        rates = [getattr(each, name, None) for name in _RATES]
        if any(isinstance(rate, (int, float)) and rate > 0 for rate in rates):
            return each, "its output would be random"
        pending.extend(each._sublayers)
    return None
