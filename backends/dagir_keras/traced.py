"""TracedLayer: a Keras layer that runs a graph. What a custom layer of dagir becomes, and an op that holds a weight."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import keras

from dagir.errors import DagirError
from dagir.ir.graph import Graph, Value
from dagir.ir.nest import flatten
from dagir.ir.rewriter import structurally_equal
from dagir.serialization import describe_graph, restore_graph
from dagir.support.location import LayerCall
from dagir_keras.builder import Program, Registry


@dataclass(frozen=True)
class Trace:
    """What a TracedLayer runs.

    graph: inputs are the operands, then masks of operands; outputs are the results, then masks of results.
    owners: for each mask among the inputs the place of its operand. masks: for each result the place of its mask
    among the outputs, or None. within: the layer call whose nodes these are.
    """

    graph: Graph
    owners: tuple[int, ...]
    masks: tuple[int | None, ...]
    within: LayerCall | None = None

    @classmethod
    def of(cls, graph: Graph, operands: int, within: LayerCall | None) -> Self:
        """The trace of a Call's graph: `operands` inputs, the rest being their masks."""
        read = graph.inputs[:operands]
        owners = {value.mask: place for place, value in reversed([*enumerate(read)]) if value.mask is not None}
        made: list[Value] = list(dict.fromkeys(v.mask for v in graph.outputs if v.mask is not None))
        places = {mask: len(graph.outputs) + i for i, mask in enumerate(made)}
        masks = tuple(None if value.mask is None else places[value.mask] for value in graph.outputs)
        whole = Graph([*read, *owners], [*graph.outputs, *made], graph.name)
        return cls(whole, tuple(owners.values()), masks, within)

    def is_like(self, other: Trace) -> bool:
        """Whether the other computes the same from the same weights."""
        return (self.owners, self.masks) == (other.owners, other.masks) and structurally_equal(self.graph, other.graph)

    @property
    def results(self) -> Graph:
        """The graph without the masks of results."""
        return Graph(self.graph.inputs, self.graph.outputs[: len(self.masks)], self.graph.name)

    @property
    def result_masks(self) -> Graph:
        """The graph of the masks alone."""
        return Graph(self.graph.inputs, self.graph.outputs[len(self.masks) :], self.graph.name)


@keras.saving.register_keras_serializable(package="dagir")
class TracedLayer(keras.layers.Layer):
    """Runs a Trace on a list of tensors; the variables and Keras layers that this takes are this layer's."""

    def __init__(self, trace: Trace, registry: Registry, name: str | None = None) -> None:
        super().__init__(name=name)
        self.autocast = False  # the graph has its dtypes
        self.supports_masking = True
        self.refusal: DagirError | None = None
        self._trace = trace
        self._program = Program(trace.results, registry, within=trace.within, inside=True)
        self._mask_program = None
        if any(mask is not None for mask in trace.masks):
            self._mask_program = Program(trace.result_masks, registry, within=trace.within, inside=True)
        programs = [self._program, *([self._mask_program] if self._mask_program else [])]
        tracked = {id(item): item for program in programs for item in program.tracked}.values()
        self.tracked = [item for item in tracked if not isinstance(item, keras.Variable)]
        for place, item in enumerate(item for item in tracked if isinstance(item, keras.Variable)):
            setattr(self, f"variable_{place}", item)

    def build(self, shapes: Any) -> None:
        """Nothing: the Program holds the weights."""

    def call(self, tensors: Any, mask: Any = None) -> Any:
        """The outputs of the graph for a list of tensors: one tensor, or a list."""
        masks = self._masks_in(mask)
        for owner, found in zip(self._trace.owners, masks, strict=True):
            if found is not None:  # Keras's shape inference hands over bare tensors, and layers inside read this
                tensors[owner]._keras_mask = found
        try:
            outputs = self._program([*tensors, *masks])
        except DagirError as error:
            self.refusal = error
            raise
        return outputs[0] if len(outputs) == 1 else outputs

    def run(self, tensors: Sequence[Any]) -> list[Any]:
        """The outputs for tensors. Raises DagirError as it was, not in Keras's many words about it."""
        try:
            return flatten(self(list(tensors)))
        except Exception:
            refusal, self.refusal = self.refusal, None
            if refusal is None:
                raise
            raise refusal from None

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The masks that the layer's outputs carry in dagir, and no other: what comes in need not go out."""
        if self._mask_program is None:
            found: Sequence[Any] = []
        else:
            found = self._mask_program([*inputs, *self._masks_in(previous_mask)])
        first = len(self._trace.masks)
        masks = [None if place is None else found[place - first] for place in self._trace.masks]
        return masks[0] if len(masks) == 1 else masks

    def _masks_in(self, masks: Any) -> list[Any]:
        return [None if masks is None else masks[owner] for owner in self._trace.owners]

    def get_config(self) -> dict[str, Any]:
        """The graph as plain data; its weights are Keras's to save. Raises FileError for ops that are not dagir's."""
        trace = self._trace
        return {
            "name": self.name,
            "trainable": self.trainable,
            "graph": describe_graph(trace.graph, trace.within),
            "owners": list(trace.owners),
            "masks": list(trace.masks),
        }

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The layer of a file. Raises FileError where the graph is damaged."""
        graph, within = restore_graph(config["graph"], f"layer {config['name']!r}")
        made = cls(Trace(graph, tuple(config["owners"]), tuple(config["masks"]), within), Registry(), config["name"])
        if not config["trainable"]:
            made.trainable = False
        return made
