"""The planner: the one place that chooses how Keras runs a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.nest import flatten
from dagir.layers import Layer
from dagir.layers.checking import training_of
from dagir.modeling.model import Model
from dagir.ops import Call
from dagir.support.location import LayerCall
from dagir_keras.arguments import are_among
from dagir_keras.conv import needs_layer
from dagir_keras.layer_mapping import computes_in, is_native
from dagir_keras.registry import Registry
from dagir_keras.rules import rules
from dagir_keras.sizes import sizes_to_compute, sources_among
from dagir_keras.steps import ModelStep, NativeStep, RuleStep, SizedRuleStep, Step, TracedStep
from dagir_keras.trace import Trace


@dataclass(frozen=True)
class Planner:
    """Chooses the step of each node of a graph.

    inputs: those of the graph. inside_layer: the steps run within a Keras layer, which owns the variables. derived:
    the values that are computed from weights alone, as `derived_values` gives them; none inside a layer.
    """

    registry: Registry
    inputs: tuple[Value, ...]
    derived: frozenset[Value]
    inside_layer: bool

    def step(self, node: Node) -> Step:
        """The step of a node. Raises UnsupportedOp where Keras has no rule for the op."""
        call = node.scope
        if isinstance(node.op, Call) and call is not None:
            return self._call_step(node, node.op.graph, call)
        weights = [v.source for v in node.inputs if v is not None and isinstance(v.source, Parameter)]
        names = sizes_to_compute(node.op)
        only_within_a_layer = weights or names or needs_layer(node) or self._reads_derived(node)
        if only_within_a_layer and not self.inside_layer:
            return self._wrapped_step(node, names)
        tracks = tuple([self.registry.tracked(weight) for weight in weights])
        rule = rules[type(node.op)]
        if not names:
            return RuleStep(node.inputs, tracks, node.op, rule)
        sources = sources_among(names, self.inputs)
        sized = _size_values(sources)
        count = len(node.inputs)
        places = {name: (count + sized.index(value), source) for name, (value, source) in sources.items()}
        return SizedRuleStep((*node.inputs, *sized), tracks, node.op, rule, count, places)

    def _call_step(self, node: Node, graph: Graph, call: LayerCall) -> Step:
        """The step of a layer call: a layer or model of Keras where the call is whole, else a TracedLayer."""
        layer = call.layer
        if self._reads_derived(node):
            return self._traced_call(node, graph, call)
        if isinstance(layer, Model) and (_is_whole(call, graph) or graph is layer.graph):
            model = self.registry.model(layer)
            return ModelStep(node.inputs, (model,), model, layer.signature, training_of(call))
        if isinstance(layer, Layer) and becomes_native(call, graph):
            keras_layer = self.registry.layer(layer, computes_in(call))
            return NativeStep(node.inputs, (keras_layer,), keras_layer, call, graph, self.registry, training_of(call))
        return self._traced_call(node, graph, call)

    def _traced_call(self, node: Node, graph: Graph, call: LayerCall) -> TracedStep:
        """A layer that runs the graph of the call, in which the derived values that it reads are computed anew."""
        count = len(node.inputs)
        places = [place for place, value in enumerate(node.inputs) if value not in self.derived]
        if len(places) < count:
            inputs = [*(graph.inputs[place] for place in places), *graph.inputs[count:]]
            graph = Graph(inputs, graph.outputs, graph.name)
        layer = call.layer if isinstance(call.layer, Layer) else None
        trace = Trace.of(graph, len(places), call)
        return self._traced_step([node.inputs[place] for place in places], trace, layer, call.layer.name)

    def _wrapped_step(self, node: Node, names: set[str]) -> TracedStep:
        """A layer around one op, which reads weights, or sizes, which are numbers within a layer only."""
        operands = [value for value in node.inputs if value is not None and value not in self.derived]
        operands = [value for value in operands if value.node is not None or value.is_input]
        reads = list(dict.fromkeys([*operands, *_size_values(sources_among(names, self.inputs))]))
        graph = Graph(reads, node.outputs, node.op.op_name)
        return self._traced_step(reads, Trace.of(graph, len(reads), None), None, None)

    def fixed_step(self, value: Value) -> TracedStep:
        """A layer that yields a value which depends on no input: Keras takes only what layers computed as outputs."""
        reads = self.inputs[:1]
        return self._traced_step(reads, Trace.of(Graph(reads, [value], "fixed"), len(reads), None), None, None)

    def _traced_step(
        self, reads: Sequence[Value | None], trace: Trace, layer: Layer | None, name: str | None
    ) -> TracedStep:
        traced: Any = self.registry.traced_layer(trace, layer, name)
        return TracedStep(tuple(reads), (traced,), traced)

    def _reads_derived(self, node: Node) -> bool:
        return not self.derived.isdisjoint(node.inputs)


def becomes_native(call: LayerCall, graph: Graph) -> bool:
    """Whether a Call becomes a layer of Keras itself: it must be whole, and read all that the layer was called on."""
    if not isinstance(call.layer, Layer) or isinstance(call.layer, Model):
        return False
    return is_native(call) and _is_whole(call, graph) and are_among(call, graph.inputs)


def _is_whole(call: LayerCall, graph: Graph) -> bool:
    """Whether the graph yields all that the layer call returned; else the model was cut inside the layer."""
    return list(graph.outputs) == list(dict.fromkeys(flatten(call.outputs)))


def _size_values(sources: dict[str, tuple[Value, Any]]) -> tuple[Value, ...]:
    """The values whose shapes tell the sizes, each once."""
    return tuple(dict.fromkeys(value for value, _ in sources.values()))
