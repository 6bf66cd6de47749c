"""The Keras lowering. It keeps a KerasTensor for each value, or a tensor while a layer runs.

`functional` lowers a graph to a keras.Model. A Program is prepared once: `planner` looks up the rule of each node, or
makes its Keras layer, and gives the step that runs the node. The loop walks the steps in order. It runs on
KerasTensors, which builds a functional model, or within a TracedLayer on tensors.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import keras

from dagir.errors import BackendError, DagirError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.nest import pack
from dagir.ir.types import DType
from dagir.layers import Layer
from dagir.modeling.signature import Signature
from dagir.ops import Call
from dagir.passes import ChannelsLast, CheckSizes, Outline
from dagir.runtime.backend import at_node
from dagir.support.location import LayerCall
from dagir_keras.arguments import with_arguments
from dagir_keras.biases import Biases
from dagir_keras.growing import as_output, in_order_of_need
from dagir_keras.layer_mapping import computes_in, is_native
from dagir_keras.names import as_keras_has, distinguish, root_scope_name
from dagir_keras.planner import Planner, becomes_native
from dagir_keras.registry import Registry


def functional(graph: Graph, signature: Signature, name: str, registry: Registry) -> keras.Model:
    """The functional Keras model of a graph, inputs and outputs in the structures of the signature."""
    graph = CheckSizes()(ChannelsLast()(graph))
    registry.uses(graph)
    inputs = [_input(label, value) for (label, _), value in zip(signature.inputs, graph.inputs, strict=True)]
    outputs = Program(graph, registry)(inputs)
    distinguish(outputs, registry.unnamed)
    ends = pack(signature.input_structure, inputs), pack(as_keras_has(signature.output_structure), outputs)
    return keras.Model(*ends, name=root_scope_name(name))


class Program:
    """A graph, prepared for Keras: a step for each node.

    within: the layer call that the graph is of. inside_layer: it runs within a Keras layer, which owns the variables.
    tracked: the Keras layers, models and variables that its steps use.
    """

    def __init__(
        self, graph: Graph, registry: Registry, *, within: LayerCall | None = None, inside_layer: bool = False
    ) -> None:
        self.registry, self.inside_layer = registry, inside_layer
        uses = registry.uses(graph)

        def native(call: LayerCall) -> bool:
            return is_native(call) and not uses.are_split(call)

        outline = Outline(native=native, within=within, split=uses.are_split)
        outlined = outline(with_arguments(graph, native, within))
        self.graph = outlined if inside_layer else Biases()(outlined)
        self.results = self.graph.outputs[: len(graph.outputs)]
        _note_owners(self.graph, registry)
        derived = frozenset() if inside_layer else derived_values(self.graph, registry.owners)
        planner = Planner(registry, self.graph.inputs, derived, inside_layer)
        planner.known.add(self.graph.inputs)
        nodes = [node for node in in_order_of_need(self.graph) if not derived.issuperset(node.outputs)]
        self.steps = [(node, planner.step(node)) for node in nodes]
        fixed = [] if inside_layer else [v for v in self.results if v in derived or v.source in registry.owners]
        self.fixed = {value: planner.fixed_step(value) for value in fixed}
        self.tracked = [item for _, step in self.steps for item in step.tracks]
        if inside_layer:
            weights = [value.source for value in self.graph.outputs if isinstance(value.source, Parameter)]
            self.tracked += [registry.tracked(weight) for weight in weights]

    def __call__(self, tensors: Sequence[Any]) -> list[Any]:
        """Run on one tensor per input of the graph. Raises what a rule raises, with the node named."""
        values = dict(zip(self.graph.inputs, tensors, strict=True))
        values = {value: tensor for value, tensor in values.items() if not _is_leaf(value)}  # a mask may be a constant

        def read(value: Value) -> Any:
            if value not in values and isinstance(value.source, Parameter) and not self.inside_layer:
                values[value] = self.registry.weight(value.source, tensors[0])
            return values[value] if value in values else self.registry.leaf(value)

        for node, step in self.steps:
            operands = [None if value is None else read(value) for value in step.reads]
            try:
                results = step.run(operands)
            except DagirError as error:
                raise at_node(error, node) from error.__cause__
            _refuse_narrowed(node, results)
            values.update(zip(node.outputs, results, strict=True))
        values.update({value: step.run(tensors[:1])[0] for value, step in self.fixed.items()})
        results = [_as_tensor(read(value)) for value in self.results]
        return results if self.inside_layer else [_of_the_model(result, tensors[0]) for result in results]


def derived_values(graph: Graph, owned: Collection[Parameter]) -> frozenset[Value]:
    """The values computed from weights of layers alone: each layer that reads one computes it, as weights change."""
    derived: set[Value] = set()
    for node in graph.nodes:
        read = [value for value in node.inputs if value is not None]
        from_weights = [value.source in owned or value in derived for value in read]
        constant = [_is_leaf(value) for value in read]
        if any(from_weights) and all(a or b for a, b in zip(from_weights, constant, strict=True)):
            derived.update(node.outputs)
    return frozenset(derived)


def _note_owners(graph: Graph, registry: Registry) -> None:
    """Note which native layer owns a weight: where other nodes read it too, it stays the variable of the layer."""
    for node in graph.nodes:
        call = node.scope
        if isinstance(node.op, Call) and call is not None and becomes_native(call, node.op.graph):
            assert isinstance(call.layer, Layer)
            registry.owners.update(dict.fromkeys(call.layer.weights, (call.layer, computes_in(call))))


def _input(name: str, value: Value) -> Any:
    shape = tuple(None if isinstance(size, SymbolicDim) else size for size in value.type.shape)
    return keras.Input(batch_shape=shape, dtype=str(value.dtype), name=name.replace("/", "_"))


def _is_leaf(value: Value) -> bool:
    return isinstance(value.source, (Constant, Parameter))


def _of_the_model(result: Any, given: Any) -> Any:
    """A result as a KerasTensor: Keras takes only what was computed from the inputs as an output."""
    return result if isinstance(result, keras.KerasTensor) else as_output(result, given)


def _as_tensor(result: Any) -> Any:
    return keras.ops.convert_to_tensor(result) if isinstance(result, keras.Variable) else result


def _refuse_narrowed(node: Node, results: Sequence[Any]) -> None:
    """Raise BackendError where Keras computes with uint32 in place of uint64, as many of its functions do."""
    for value, result in zip(node.outputs, results, strict=False):
        if value.dtype is DType.UINT64 and keras.backend.standardize_dtype(result.dtype) != "uint64":
            error = BackendError(
                f"Keras computes {node.op.op_name} of uint64 with 32 bits", remedy="cast to int64 first, or use numpy"
            )
            raise at_node(error, node)
