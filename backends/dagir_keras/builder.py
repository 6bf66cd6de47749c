"""The Keras lowering. It keeps a KerasTensor for each value, or a tensor while a layer runs.

`functional` lowers a graph to a keras.Model. A Program is prepared once: `planner` looks up the rule of each node, or
makes its Keras layer, and gives the step that runs the node. The loop walks the steps in order. It runs on
KerasTensors, which builds a functional model, or within a TracedLayer on tensors.
"""

from __future__ import annotations

from collections.abc import Sequence
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
from dagir.passes import Outline
from dagir.runtime.backend import at_node
from dagir.support.location import LayerCall
from dagir_keras.arguments import with_arguments
from dagir_keras.layer_mapping import computes_in, is_native
from dagir_keras.names import distinguish
from dagir_keras.planner import Planner, becomes_native
from dagir_keras.registry import Registry


def functional(graph: Graph, signature: Signature, name: str, registry: Registry) -> keras.Model:
    """The functional Keras model of a graph, inputs and outputs in the structures of the signature."""
    inputs = [_input(label, value) for (label, _), value in zip(signature.inputs, graph.inputs, strict=True)]
    outputs = Program(graph, registry)(inputs)
    distinguish(outputs)
    return keras.Model(pack(signature.input_structure, inputs), pack(signature.output_structure, outputs), name=name)


class Program:
    """A graph, prepared for Keras: a step for each node.

    within: the layer call that the graph is of. inside_layer: it runs within a Keras layer, which owns the variables.
    tracked: the Keras layers, models and variables that its steps use.
    """

    def __init__(
        self, graph: Graph, registry: Registry, *, within: LayerCall | None = None, inside_layer: bool = False
    ) -> None:
        self.registry = registry
        self.graph = Outline(native=is_native, within=within)(with_arguments(graph, is_native, within))
        self.results = self.graph.outputs[: len(graph.outputs)]
        _note_owners(self.graph, registry)
        derived = frozenset() if inside_layer else derived_values(self.graph)
        planner = Planner(registry, self.graph.inputs, derived, inside_layer)
        self.steps = [(node, planner.step(node)) for node in self.graph.nodes if not derived.issuperset(node.outputs)]
        fixed = [] if inside_layer else [value for value in self.results if value in derived or _is_leaf(value)]
        self.fixed = {value: planner.fixed_step(value) for value in fixed if value not in self.graph.inputs}
        self.tracked = [item for _, step in self.steps for item in step.tracks]
        if inside_layer:
            weights = [value.source for value in self.graph.outputs if isinstance(value.source, Parameter)]
            self.tracked += [registry.tracked(weight) for weight in weights]

    def __call__(self, tensors: Sequence[Any]) -> list[Any]:
        """Run on one tensor per input of the graph. Raises what a rule raises, with the node named."""
        values = dict(zip(self.graph.inputs, tensors, strict=True))
        values = {value: tensor for value, tensor in values.items() if not _is_leaf(value)}  # a mask may be a constant

        def read(value: Value) -> Any:
            return values[value] if value in values else self.registry.leaf(value)

        for node, step in self.steps:
            operands = [None if value is None else read(value) for value in step.reads]
            try:
                results = step.run(operands)
            except DagirError as error:
                raise at_node(error, node) from None
            _refuse_narrowed(node, results)
            values.update(zip(node.outputs, results, strict=True))
        values.update({value: step.run(tensors[:1])[0] for value, step in self.fixed.items()})
        return [_as_tensor(read(value)) for value in self.results]


def derived_values(graph: Graph) -> frozenset[Value]:
    """The values computed from weights alone: each layer that reads one computes it, for weights change in training."""
    derived: set[Value] = set()
    for node in graph.nodes:
        read = [value for value in node.inputs if value is not None]
        from_weights = [isinstance(value.source, Parameter) or value in derived for value in read]
        constant = [isinstance(value.source, Constant) for value in read]
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
