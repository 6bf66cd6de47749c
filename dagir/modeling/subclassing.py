"""Subclassed models: the user's `call` is traced into a graph, for inputs like those of its first call."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.dims import Dim, SymbolicDim
from dagir.ir.graph import Value
from dagir.ir.nest import flatten, map_structure
from dagir.ir.types import Equations, Size
from dagir.layers.core import Input
from dagir.ops.call import bind_sizes
from dagir.support.location import current_scope

if TYPE_CHECKING:
    from dagir.modeling.model import Model


def trace(model: Model, args: tuple[object, ...], kwargs: dict[str, object], make: Callable[..., Model]) -> Model:
    """The model whose graph is `model.call` for arguments like these: `model` itself the first time.

    Called on other ranks, sizes, dtypes or structures, or with another `training`, `call` runs again: that gives a
    separate model over the same layers. Raises ArgumentError for calls that one graph cannot represent.
    """
    _check(model, args, kwargs)
    training = kwargs.get("training")
    traces: list[tuple[Any, Model]] = vars(model).setdefault("_traces", [])
    for known, found in traces:
        if known == training and _fits(found, args[0]):
            return found
    inputs, outputs = _run(model, args[0], {} if training is None else {"training": training})
    if not traces:
        found = model
        found.set_graph(inputs, outputs)
    else:
        found = make(inputs, outputs, name=f"{model.name}_call_{len(traces) + 1}", trainable=model.trainable)
    traces.append((training, found))
    return found


def _check(model: Model, args: tuple[object, ...], kwargs: dict[str, object]) -> None:
    leaves = flatten(args[0]) if args else []
    if (
        len(args) != 1
        or not leaves
        or not all(isinstance(leaf, Value) for leaf in leaves)
        or kwargs.keys() - {"training"}
    ):
        raise ArgumentError(
            f"model {model.name!r} is called on one value, or on one list or dict of values",
            remedy="let call take one structure of inputs, or subclass dagir.Layer, which takes any arguments",
        )
    masked = next((leaf for leaf in leaves if leaf.mask is not None), None)
    if masked is not None and "mask" in type(model).call.__code__.co_varnames:
        raise ArgumentError(
            f"model {model.name!r} takes mask= in its call, and {masked.name!r} carries one",
            remedy="subclass dagir.Layer in place of dagir.Model where call computes with masks",
        )


def _run(model: Model, given: Any, options: dict[str, Any]) -> tuple[Any, Any]:
    names = iter([f"{model.name}_input{f'_{i}' if i else ''}" for i in range(len(flatten(given)))])

    def fresh(value: Value) -> Value:
        sizes = [_size(size) for size in value.type.shape]
        return Input(batch_shape=sizes, dtype=value.dtype, name=next(names))

    token = current_scope.set(None)  # the graph belongs to the model, even if the call is inside another layer
    try:
        inputs = map_structure(fresh, given)
        return inputs, model.call(inputs, **options)
    finally:
        current_scope.reset(token)


def _size(size: Dim) -> Size:
    if isinstance(size, SymbolicDim):
        return str(size) if str(size).isidentifier() else None
    return size


def _fits(model: Model, given: object) -> bool:
    if map_structure(lambda _: 0, given) != map_structure(lambda _: 0, model.input):
        return False
    try:
        inputs = [value.type for value in model.graph.inputs]
        bind_sizes(Equations(), model.name, inputs, [leaf.type for leaf in flatten(given)])
    except (ShapeError, DTypeError):
        return False
    return True
