"""Points in a keras.Model: the outputs of its outermost layers, each for the value that the dagir layer returned."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from dagir.ir.graph import Graph, Value
from dagir.ir.nest import flatten, flatten_like, pack
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, Kept
from dagir.runtime.probes import points_of
from dagir.support.location import LayerCall
from dagir_keras.engine import to_numpy
from dagir_keras.saving import keep


def input_of(model: keras.Model) -> Any:
    """The input KerasTensors of a model, in its structure.

    A Sequential has no `input` until it is called within another model, and then it is that model's.
    """
    if not isinstance(model, keras.Sequential):
        return model.input
    return model.inputs[0] if len(model.inputs) == 1 else model.inputs


def layer_points(model: keras.Model, graph: Graph) -> dict[str, tuple[str, Any]]:
    """For each point that is the result of one call of one layer: the layer's name, and its KerasTensor."""
    where = points_of(graph).where
    found: dict[str, tuple[str, Any]] = {}
    for call in _outer_calls(graph):
        outputs = [value for value in flatten(call.outputs) if isinstance(value, Value)]
        if not outputs or outputs[0] not in where:
            continue
        try:
            layer = model.get_layer(call.layer.name)
            if isinstance(layer, keras.Model):  # its outputs belong to its own inputs, not to this call
                continue
            tensor = flatten_like(call.outputs, layer.output)[0]
        except (AttributeError, ValueError, TypeError):  # no such layer here, or called more than once
            continue
        if _fits(tensor.shape, outputs[0].shape):
            found[where[outputs[0]]] = (layer.name, tensor)
    return found


def _fits(known: Sequence[int | None], read: Sequence[int | None]) -> bool:
    """Whether a tensor can be the value that was read of it, which may be free where a first batch fixed a size."""
    return len(known) == len(read) and all(own is None or own == size for size, own in zip(known, read, strict=True))


def _outer_calls(graph: Graph) -> list[LayerCall]:
    calls: dict[LayerCall, None] = {}
    for node in graph.nodes:
        call = node.scope.within(None) if node.scope is not None else None
        if call is not None:
            calls.setdefault(call)
    names = [call.layer.name for call in calls]
    return [call for call in calls if names.count(call.layer.name) == 1]


def observe(model: keras.Model, tensors: Sequence[Any], structure: Any, arrays: Sequence[Array]) -> list[Array]:
    """The arrays of KerasTensors inside a functional model."""
    inside = keras.Model(
        input_of(model), [*tensors, *model.outputs]
    )  # with its outputs, for Keras needs every input to be used
    found = keras.tree.flatten(inside(pack(structure, arrays), training=False))
    return [to_numpy(array) for array in found[: len(tensors)]]


class KerasPart(Executable):
    """The layers between KerasTensors of another model, the same layers with the same weights."""

    def __init__(self, model: Model, artifact: keras.Model) -> None:
        super().__init__(model.graph, model.signature)
        self.artifact: keras.Model = artifact

    def keep(self, folder: Path) -> Kept:
        """A .keras file."""
        return keep(self.artifact, folder)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        found = keras.tree.flatten(self.artifact(list(arrays), training=False))
        return [to_numpy(array) for array in found]


class Watched:
    """Points of an executable with a keras.Model."""

    artifact: keras.Model
    watched_graph: Graph
    signature: Any
    _known: dict[str, tuple[str, Any]] | None = None

    def _tensors(self) -> dict[str, tuple[str, Any]]:
        if self._known is None:
            self._known = layer_points(self.artifact, self.watched_graph)
        return self._known

    def points(self) -> Mapping[str, str]:
        """The results of the outermost layers that are called once, by the layer's name."""
        return {name: layer for name, (layer, _) in self._tensors().items()}

    def observe(self, arrays: Sequence[Array], names: Sequence[str]) -> list[Array]:
        """A functional model over the same layers, with further outputs."""
        tensors = [self._tensors()[name][1] for name in names]
        return observe(self.artifact, tensors, self._input_structure(), arrays)

    def _input_structure(self) -> Any:
        return self.signature.input_structure

    def part(self, model: Model, inputs: Mapping[str, str], output: str, sizes: Mapping[str, int]) -> KerasPart:
        """A functional model over the layers between the tensors."""
        names = [name for name, _ in self.signature.inputs]
        tensors = dict(zip(names, flatten_like(self._input_structure(), input_of(self.artifact)), strict=True))
        tensors.update({name: tensor for name, (_, tensor) in self._tensors().items()})
        return KerasPart(model, keras.Model([tensors[point] for point in inputs.values()], tensors[output]))
