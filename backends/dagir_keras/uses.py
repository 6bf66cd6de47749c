"""What reads each weight of a graph: it decides whether a layer of Keras can hold the weight."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from typing import Self, TypeAlias

from dagir import layers
from dagir.ir.graph import Graph, Node, Parameter
from dagir.ir.nest import flatten
from dagir.layers import Layer
from dagir.ops.call import graphs_of
from dagir.passes import ChannelsLast
from dagir.support.location import LayerCall
from dagir_keras.biases import Biases
from dagir_keras.layer_mapping import is_native
from dagir_keras.op_layers import Key, op_layer, weights_of
from dagir_keras.reading.files.keras2 import layers as keras2_layers

_Reader: TypeAlias = "Key | Layer | None"  # a node with a layer of Keras; a layer; anything else

_OF_ONE_OP = (
    *(layers.Dense, layers.EinsumDense, layers.Embedding, layers.PReLU),
    *(layers.Conv1D, layers.Conv2D, layers.Conv3D),
)
"""Layers that do the same in training, and that are their ops: nothing is lost where these are lowered one by one."""


_WITH_FUNCTIONS = (*_OF_ONE_OP, layers.Activation, *keras2_layers.LAYERS.values())
"""Those, and further ones that are their ops: Keras may lack the layer, or a name for its activation."""


@dataclass(frozen=True)
class Uses:
    """readers: of each weight. split: the layers that share a weight with something else."""

    readers: dict[Parameter, set[_Reader]]
    split: frozenset[Layer]

    @classmethod
    def of(cls, graph: Graph) -> Self:
        """Those of a graph and of the graphs in it."""
        readers: dict[Parameter, set[_Reader]] = defaultdict(set)
        calls: dict[Layer, set[LayerCall]] = defaultdict(set)
        for each in map(_as_lowered, graphs_of(graph)):
            for node in each.nodes:
                call = node.scope.within(None) if node.scope is not None else None
                if call is not None and isinstance(call.layer, Layer):
                    calls[call.layer].add(call)
                for weight in weights_of(node):
                    readers[weight].add(_reader(node, call))
            for value in each.outputs:
                if isinstance(value.source, Parameter):
                    readers[value.source].add(None)
        shared = [reader for found in readers.values() if len(found) > 1 for reader in found]
        split = {layer for layer in shared if isinstance(layer, _OF_ONE_OP) and all(map(_is_plain, calls[layer]))}
        for found in readers.values():
            if found & split:
                found.add(None)
        return cls(readers, frozenset(split))

    def only_by(self, key: Key, weight: Parameter) -> bool:
        """Whether only ops of this key read a weight."""
        return self.readers.get(weight) == {key}

    def are_split(self, call: LayerCall) -> bool:
        """Whether the ops of a layer call are lowered one by one, as if no layer had made them."""
        if call.layer in self.split:
            return True
        return _is_split(call)


def _as_lowered(graph: Graph) -> Graph:
    return Biases()(ChannelsLast()(graph))


def _is_split(call: LayerCall) -> bool:
    """Whether Keras lacks the layer of a call, and has its ops."""
    lambdas = isinstance(call.layer, layers.Lambda)
    lacking = lambdas or (type(call.layer) in _WITH_FUNCTIONS and not is_native(call))
    return lacking and _has_no_mask(call)


def _reader(node: Node, call: LayerCall | None) -> _Reader:
    while call is not None and node.scope is not None and _is_split(call):
        call = node.scope.within(call)
    if call is not None:
        return call.layer if isinstance(call.layer, Layer) else None
    found = op_layer(node)
    return None if found is None else found.key


def _is_plain(call: LayerCall) -> bool:
    """Whether a call would become a layer of Keras, and has no mask: Keras's layers pass masks on, and ops do not."""
    return is_native(call) and _has_no_mask(call)


def _has_no_mask(call: LayerCall) -> bool:
    return all(value.mask is None for value in flatten(call.outputs))
