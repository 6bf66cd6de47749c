"""TracedLayer: the Keras layer that runs a graph. A custom layer of dagir becomes one, and an op that reads weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Self

import keras

from dagir.errors import DagirError
from dagir.ir.nest import flatten
from dagir.modeling.model import Model
from dagir.ops.call import parameters_of
from dagir.serialization import describe_graph, restore_graph
from dagir_keras.builder import Program, functional
from dagir_keras.registry import Registry
from dagir_keras.trace import Trace


@keras.saving.register_keras_serializable(package="dagir")
class TracedLayer(keras.layers.Layer):
    """Runs a Trace on a list of tensors; owns the variables and Keras layers that the graph needs."""

    def __init__(self, trace: Trace, registry: Registry, name: str | None = None) -> None:
        super().__init__(name=name)
        self.autocast = False  # the graph has its dtypes
        self.supports_masking = True
        self.refusal: DagirError | None = None
        self._trace = trace
        self._program = Program(trace.results, registry, within=trace.within, inside_layer=True)
        self._mask_program = None
        if any(mask is not None for mask in trace.masks):
            self._mask_program = Program(trace.result_masks, registry, within=trace.within, inside_layer=True)
        programs = [self._program, *([self._mask_program] if self._mask_program else [])]
        self._registry = registry
        tracked = {id(item): item for program in programs for item in program.tracked}.values()
        # the names of these attributes are in saved .keras files
        self.tracked = [item for item in tracked if not isinstance(item, keras.Variable)]
        for place, item in enumerate(item for item in tracked if isinstance(item, keras.Variable)):
            setattr(self, f"variable_{place}", item)

    def build(self, shapes: Any) -> None:
        """Do nothing: the Program has the weights."""

    def compute_output_spec(self, tensors: Any, mask: Any = None) -> Any:
        """The KerasTensors of the outputs. Keras calls a product with a number sparse, which no tensor of dagir is."""
        return super().compute_output_spec([_dense(tensor) for tensor in tensors], mask=mask)

    def call(self, tensors: Any, mask: Any = None) -> Any:
        """The outputs of the graph for a list of tensors: one tensor, or a list."""
        masks = self._masks_of_operands(mask)
        for owner, operand_mask in zip(self._trace.owners, masks, strict=True):
            if operand_mask is not None:  # layers inside read it, and Keras infers shapes with tensors that have none
                tensors[owner]._keras_mask = operand_mask
        try:
            outputs = self._program([*tensors, *masks])
        except DagirError as error:
            self.refusal = error
            raise
        return outputs[0] if len(outputs) == 1 else outputs

    def run(self, tensors: Sequence[Any]) -> list[Any]:
        """The outputs for tensors. Raises a DagirError as it was raised inside, without the text that Keras adds."""
        try:
            return flatten(self(list(map(_dense, tensors))))
        except Exception:
            refusal, self.refusal = self.refusal, None
            if refusal is None:
                raise
            raise refusal from refusal.__cause__

    def compute_mask(self, inputs: Any, previous_mask: Any) -> Any:
        """The masks that the layer's outputs have in dagir; the masks of the inputs are not passed on by themselves."""
        outputs: Sequence[Any] = []
        if self._mask_program is not None:
            outputs = self._mask_program([*inputs, *self._masks_of_operands(previous_mask)])
        first = len(self._trace.masks)
        masks = [None if place is None else outputs[place - first] for place in self._trace.masks]
        return masks[0] if len(masks) == 1 else masks

    def _masks_of_operands(self, masks: Any) -> list[Any]:
        return [None if masks is None else masks[owner] for owner in self._trace.owners]

    def get_config(self) -> dict[str, Any]:
        """The graph as plain data; Keras saves the weights. Raises FileError for ops that dagir does not define."""
        trace = self._trace
        return {
            "name": self.name,
            "trainable": self.trainable,
            "graph": describe_graph(trace.graph, trace.within),
            "owners": list(trace.owners),
            "masks": list(trace.masks),
            "tracked": [_described(item) for item in self.tracked],
            "weights": self._order(),
        }

    def _order(self) -> list[int]:
        """For each variable, in Keras's order, its place among the weights of the graph: dagir reads files by it."""
        weights = parameters_of(self._trace.graph)
        places = {id(self._registry.variable(weight)): place for place, weight in enumerate(weights)}
        return [places[id(variable)] for variable in self.weights]

    @classmethod
    def from_config(cls, config: dict[str, Any]) -> Self:
        """The layer of a file. Raises FileError where the graph is damaged."""
        graph, within = restore_graph(config["graph"], f"layer {config['name']!r}")
        trace = Trace(graph, tuple(config["owners"]), tuple(config["masks"]), within)
        layer = cls(trace, new_registry(), config["name"])
        if not config["trainable"]:
            layer.trainable = False
        return layer


def _described(item: Any) -> dict[str, Any]:
    """The class and the configuration of a layer inside, which name the places of its weights in a file."""
    if isinstance(item, TracedLayer):  # its graph is part of the one around it
        return {"class_name": "TracedLayer", "config": {"tracked": [_described(inner) for inner in item.tracked]}}
    record = keras.saving.serialize_keras_object(item)
    return {key: record[key] for key in ("class_name", "config")}


def _dense(tensor: Any) -> Any:
    """The tensor: Keras takes a tensor times an array for sparse, and no tensor of dagir is."""
    symbolic = isinstance(tensor, keras.KerasTensor) and tensor.sparse
    return keras.ops.convert_to_tensor(tensor, sparse=False) if symbolic else tensor


def new_registry() -> Registry:
    """An empty registry."""
    return Registry(_lower_model, TracedLayer)


def _lower_model(model: Model, registry: Registry) -> keras.Model:
    return functional(model.graph, model.signature, model.name, registry)
