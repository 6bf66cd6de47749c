"""Trace: the graph that a TracedLayer runs, with the masks of its operands and results."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from dagir.ir.graph import Graph
from dagir.ir.rewriter import structurally_equal
from dagir.support.location import LayerCall


@dataclass(frozen=True)
class Trace:
    """A graph as a TracedLayer runs it.

    graph: its inputs are the operands, then the masks of operands; its outputs are the results, then the masks of
    results. owners: for each mask among the inputs, the place of its operand. masks: for each result, the place of its
    mask among the outputs, or None. within: the layer call that the nodes of the graph belong to.
    """

    graph: Graph
    owners: tuple[int, ...]
    masks: tuple[int | None, ...]
    within: LayerCall | None = None

    @classmethod
    def of(cls, graph: Graph, operands: int, within: LayerCall | None) -> Self:
        """The trace of a graph: the first `operands` inputs are operands, the others are masks of them."""
        read = graph.inputs[:operands]
        owners = {value.mask: place for place, value in reversed([*enumerate(read)]) if value.mask is not None}
        masks = list(dict.fromkeys(value.mask for value in graph.outputs if value.mask is not None))
        places = {mask: len(graph.outputs) + i for i, mask in enumerate(masks)}
        whole = Graph([*read, *owners], [*graph.outputs, *masks], graph.name)
        place_of_mask = tuple(None if value.mask is None else places[value.mask] for value in graph.outputs)
        return cls(whole, tuple(owners.values()), place_of_mask, within)

    def is_like(self, other: Trace) -> bool:
        """Whether the other trace computes the same from the same weights."""
        return (self.owners, self.masks) == (other.owners, other.masks) and structurally_equal(self.graph, other.graph)

    @property
    def results(self) -> Graph:
        """The graph without the masks of results."""
        return Graph(self.graph.inputs, self.graph.outputs[: len(self.masks)], self.graph.name)

    @property
    def result_masks(self) -> Graph:
        """The graph of the masks of results alone."""
        return Graph(self.graph.inputs, self.graph.outputs[len(self.masks) :], self.graph.name)
