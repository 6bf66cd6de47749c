"""Inputs of other sizes than those that a model was built with, as Keras takes them where a model is called."""

from __future__ import annotations

from collections.abc import Sequence

from dagir.ir.dim_binding import size_sources
from dagir.ir.dims import substitute
from dagir.ir.graph import Graph, Value
from dagir.ops.shape import expand_dims, squeeze


def as_many_axes(given: Value, wanted: Value) -> Value:
    """The input with a last axis of size 1 put in or taken out, where the model has one axis more or less."""
    if not isinstance(given, Value) or given.ndim == wanted.ndim:
        return given
    if given.ndim == wanted.ndim + 1 and given.type.shape[-1] == 1:
        made = squeeze(given, -1)
    elif given.ndim == wanted.ndim - 1 and wanted.type.shape[-1] == 1:
        made = expand_dims(given, -1)
    else:
        return given
    if given.mask is not None:
        made.attach_mask(given.mask)
    return made


def takes_anew(graph: Graph, given: Sequence[Value], any_size: bool) -> bool:
    """Whether the layers must be called anew for these inputs: their sizes do not fit those of the graph.

    any_size: of any axis, as in a Sequential; else of the batch, which may be 1 for one input and another for the next.
    """
    wanted = [value.type for value in graph.inputs]
    types = [value.type for value in given if isinstance(value, Value)]
    if [(type.rank, type.dtype) for type in types] != [(type.rank, type.dtype) for type in wanted]:
        return False
    sources = size_sources([type.shape for type in wanted])
    sizes = {name: source.solve(types[source.place].shape[source.axis]) for name, source in sources.items()}
    apart = {
        axis
        for inner, outer in zip(wanted, types, strict=True)
        for axis, (size, actual) in enumerate(zip(inner.shape, outer.shape, strict=True))
        if substitute(size, sizes) != actual
    }
    return bool(apart) and (any_size or apart == {0})
