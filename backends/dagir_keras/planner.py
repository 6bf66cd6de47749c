"""The planner: the one place that chooses how Keras runs a node."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from dagir import ops
from dagir.errors import UnsupportedOp
from dagir.ir.dim_binding import size_sources
from dagir.ir.graph import Graph, Node, Parameter, Value
from dagir.ir.nest import flatten
from dagir.ir.rewriter import copy_node
from dagir.layers import Layer
from dagir.layers.checking import training_of
from dagir.modeling.model import Model
from dagir.ops import Call
from dagir.passes.outline import arguments
from dagir.support.location import LayerCall
from dagir_keras import conv, grids, pool, quantization, regions, sampling
from dagir_keras.arguments import are_among
from dagir_keras.engine import ON_TENSORFLOW, TITLE
from dagir_keras.growing import Witnesses, grown
from dagir_keras.layer_mapping import computes_in, is_native
from dagir_keras.names import layer_name
from dagir_keras.op_layers import weights_of
from dagir_keras.plain_layers import op_layer
from dagir_keras.registry import Registry
from dagir_keras.rules import rules
from dagir_keras.sizes import sizes_to_compute, sizes_told_outside, sources_among
from dagir_keras.steps import GrownStep, ModelStep, NativeStep, OpLayerStep, RuleStep, SizedRuleStep, Step, TracedStep
from dagir_keras.trace import Trace

_NO_OPERATIONS = (
    *(ops.LSTM, ops.GRU, ops.SimpleRNN, ops.DynamicQuantizeLSTM, ops.Bidirectional, ops.If, ops.Loop, ops.Scan),
    *(ops.Lookup, ops.ConvTranspose),
    *(ops.NonZero, ops.Range, ops.Unique, ops.NonMaxSuppression, ops.KnowSizes, ops.EqualSizes),
)
"""Ops that Keras has no operation for, which it could save. Its ConvTranspose mixes up its arguments when it is run."""

_NEED_LAYERS = tuple(family.needs_layer for family in (conv, grids, pool, quantization, regions, sampling))
"""Whether the rule of a node can run only within a layer."""


@dataclass(frozen=True)
class Planner:
    """Chooses the step of each node of a graph.

    inputs: those of the graph. inside_layer: the steps run within a Keras layer, which owns the variables. derived:
    the values that are computed from weights of layers alone, as `derived_values` gives them; none inside a layer.
    known: the values of the functional model so far. made: those that tell sizes which the data decide.
    """

    registry: Registry
    inputs: tuple[Value, ...]
    derived: frozenset[Value]
    inside_layer: bool
    known: Witnesses = field(default_factory=Witnesses)
    made: list[Value] = field(default_factory=list)

    def step(self, node: Node) -> Step:
        """The step of a node. Raises UnsupportedOp where Keras has no rule for the op."""
        step = self._step(node)
        if not ON_TENSORFLOW and any(getattr(node.op, field) for field in node.op.size_fields):
            raise UnsupportedOp(
                f"Keras on {TITLE} takes no {node.op.op_name} in a model: its shapes would hang on the data",
                remedy="set KERAS_BACKEND=tensorflow, or use the numpy or onnx backend",
            )
        if node.op.size_fields:
            self.made.extend(node.outputs)
        return step

    def _step(self, node: Node) -> Step:
        call = node.scope
        if isinstance(node.op, Call) and call is not None:
            if not self.inside_layer:
                self.known.add(node.outputs)
            return self._call_step(node, node.op.graph, call)
        names = sizes_to_compute(node.op)
        if not self.inside_layer:
            step = self._functional_step(node, names)
            self.known.add(node.outputs)
            if step is not None:
                return step
        tracks = tuple([self.registry.tracked(weight) for weight in weights_of(node)]) if self.inside_layer else ()
        rule = rules[type(node.op)]
        if not names:
            return RuleStep(node.inputs, tracks, node, rule)
        sources = sources_among(names, (*self.inputs, *self.made))
        sized = _size_values(sources)
        count = len(node.inputs)
        places = {name: (count + sized.index(value), source) for name, (value, source) in sources.items()}
        return SizedRuleStep((*node.inputs, *sized), tracks, node, rule, count, places)

    def _functional_step(self, node: Node, names: set[str]) -> Step | None:
        """The step of an op in a functional model; None where its rule computes it with keras.ops alone."""
        if self._reads_derived(node) or any(weight in self.registry.owners for weight in weights_of(node)):
            return self._wrapped_step(node, names)  # a layer around the layer whose weight it reads
        in_layer = any(needs(node) for needs in _NEED_LAYERS)
        found = None if in_layer and isinstance(node.op, ops.Conv) else op_layer(node)
        if found is not None and self.registry.belong_to(found):
            layer = self.registry.op_layer(found, str(node.outputs[0].dtype), layer_name(node))
            return OpLayerStep(found.reads, (), layer, found, self.registry)
        growing = grown(node, self.known) if names and not in_layer else None
        if growing is not None:
            return GrownStep(growing[0], (), node.op, growing[1])
        if names or in_layer or isinstance(node.op, _NO_OPERATIONS):
            return self._wrapped_step(node, names)
        return None

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
            weights = [] if self.inside_layer else [v for v in arguments(call) if isinstance(v.source, Parameter)]
            values = (*graph.inputs[: len(node.inputs)], *weights)
            reads, training = (*node.inputs, *weights), training_of(call)
            return NativeStep(reads, (keras_layer,), keras_layer, call, graph, self.registry, training, values)
        return self._traced_call(node, graph, call)

    def _traced_call(self, node: Node, graph: Graph, call: LayerCall) -> TracedStep:
        """A layer that runs the graph of the call, in which the derived values that it reads are computed anew.

        It reads more values where sizes that it computes with are those of no operand: the axis may be a product.
        """
        count = len(node.inputs)
        places = [place for place, value in enumerate(node.inputs) if value not in self.derived]
        telling = self._telling(sizes_told_outside(graph))
        if len(places) < count or telling:
            shapes = [Value(value.type) for value in telling]
            inputs = [*(graph.inputs[place] for place in places), *shapes, *graph.inputs[count:]]
            graph = Graph(inputs, graph.outputs, graph.name)
        layer = call.layer if isinstance(call.layer, Layer) else None
        trace = Trace.of(graph, len(places) + len(telling), call)
        reads = [*(node.inputs[place] for place in places), *telling]
        return self._traced_step(reads, trace, layer, call.layer.name)

    def _telling(self, names: set[str]) -> tuple[Value, ...]:
        """The values whose shapes tell these sizes, as far as there are any."""
        values = (*self.inputs, *self.made)
        known = size_sources([value.type.shape for value in values])
        return tuple(dict.fromkeys(values[known[name].place] for name in sorted(names & known.keys())))

    def _wrapped_step(self, node: Node, names: set[str]) -> TracedStep:
        """A layer around one op, which reads weights of layers, or sizes, which are numbers within a layer only."""
        bare = {weight.value: Value(weight.type) for weight in weights_of(node) if weight not in self.registry.owners}
        if bare:
            node = copy_node(node, tuple([None if value is None else bare.get(value, value) for value in node.inputs]))
        operands = [value for value in node.inputs if value is not None and value not in self.derived]
        operands = [value for value in operands if value.node is not None or value.is_input]
        reads = list(dict.fromkeys([*operands, *_size_values(sources_among(names, (*self.inputs, *self.made)))]))
        graph = Graph(reads, node.outputs, node.op.op_name)
        weights = {value: weight for weight, value in bare.items()}
        trace = Trace.of(graph, len(reads), None)
        return self._traced_step([weights.get(value, value) for value in reads], trace, None, None)

    def fixed_step(self, value: Value) -> TracedStep:
        """A layer that yields a weight of another layer, or what is computed from such weights alone."""
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
