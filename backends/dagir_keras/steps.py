"""The steps of the Keras lowering: one small dataclass for each way in which Keras runs a node.

`planner` chooses the step of a node, and the loop of `builder` runs it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras

from dagir.ir.dim_binding import SizeSource
from dagir.ir.graph import Graph, Node, Op, Value
from dagir.ir.nest import flatten, flatten_like, map_structure, pack
from dagir.layers.arguments import signature
from dagir.modeling.signature import Signature
from dagir.support.location import LayerCall
from dagir_keras.layer_mapping import initialized_with_zeros, misstates_dtype
from dagir_keras.names import as_keras_has
from dagir_keras.op_layers import OpLayer, without_mask
from dagir_keras.registry import Registry
from dagir_keras.results import results_of
from dagir_keras.sizes import solve_sizes, with_numbers


@dataclass(frozen=True, eq=False)
class Step(ABC):
    """Runs one node.

    reads: the values whose tensors `run` is given, in this order; None for an absent operand. tracks: the Keras layers,
    models and variables that the step uses, for the Keras layer around it to track.
    """

    reads: tuple[Value | None, ...]
    tracks: tuple[Any, ...]

    @abstractmethod
    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The results of the node."""


@dataclass(frozen=True, eq=False)
class RuleStep(Step):
    """Computes an op with keras.ops, by its rule."""

    node: Node
    rule: Callable[..., Any]

    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """What the rule returns. Raises BackendError where that is not what the op infers."""
        return results_of(self.node, self.node.op, self.rule, operands)


@dataclass(frozen=True, eq=False)
class SizedRuleStep(RuleStep):
    """Computes an op whose shape has sizes that are known at run time only.

    The first `count` operands are those of the op. sizes: for each name the operand whose shape tells the size.
    """

    count: int
    sizes: Mapping[str, tuple[int, SizeSource]]

    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """What the rule returns for the op with these sizes."""
        op = with_numbers(self.node.op, solve_sizes(self.sizes, operands))
        return results_of(self.node, op, self.rule, operands[: self.count])


@dataclass(frozen=True, eq=False)
class OpLayerStep(Step):
    """Computes an op with a layer of Keras, whose variables are the weights that the op reads."""

    layer: keras.layers.Layer
    found: OpLayer
    registry: Registry

    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """What the layer returns."""
        given = [None if x is None else without_mask(x) for x in operands]
        with initialized_with_zeros(self.layer):
            self._build(given[0])
            results = self.found.run(self.layer, given)
        self.registry.variables.update(zip(self.found.weights, self.layer.weights, strict=True))
        return results if isinstance(results, (tuple, list)) else (results,)

    def _build(self, x: Any) -> None:
        """Make the weights, if Keras does not know a size of x that the graph knows, as of what it reshapes."""
        shape = None if self.found.reads[0] is None else self.found.reads[0].type.shape
        if shape is None or self.layer.built or not self.found.weights or None not in x.shape[1:]:
            return
        self.layer.build((None, *(size if isinstance(size, int) else None for size in shape[1:])))


@dataclass(frozen=True, eq=False)
class GrownStep(Step):
    """Broadcasts, or reshapes, to sizes that are known at run time only: values that have these sizes tell them."""

    op: Op
    grow: Callable[..., Any]

    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """The value in its new shape."""
        return (self.grow(*operands),)


@dataclass(frozen=True, eq=False)
class NativeStep(Step):
    """Calls a layer of Keras itself as the user called the layer of dagir.

    values: those of the operands, in the arguments of the call. graph: its outputs are those of the results. training:
    the argument of that name, or None.
    """

    layer: keras.layers.Layer
    call: LayerCall
    graph: Graph
    registry: Registry
    training: Any
    values: tuple[Value, ...]

    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """What the layer returns."""
        values: dict[Value, Any] = dict(zip(self.values, operands, strict=True))

        def read(leaf: Any) -> Any:
            if not isinstance(leaf, Value):
                return leaf
            return values[leaf] if leaf in values else self.registry.leaf(leaf)

        args, kwargs = map_structure(read, list(self.call.args)), map_structure(read, self.call.kwargs)
        kwargs.pop("training", None)  # in a trace it is None, which to Keras would mean inference
        if self.training is not None and "training" in signature(self.layer.call).parameters:
            kwargs["training"] = self.training
        with initialized_with_zeros(self.layer):
            returned = flatten_like(self.call.outputs, self.layer(*args, **kwargs))
        if misstates_dtype(self.call.layer):
            returned = [keras.ops.cast(returned[0], str(self.graph.outputs[0].dtype))]
        results = dict(zip(reversed(flatten(self.call.outputs)), reversed(returned), strict=True))
        return [results[value] for value in self.graph.outputs]


@dataclass(frozen=True, eq=False)
class ModelStep(Step):
    """Calls the Keras model of a nested model, with inputs and outputs in the structures of its signature."""

    model: keras.Model
    signature: Signature
    training: Any

    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """What the model returns."""
        options = {} if self.training is None else {"training": self.training}
        outputs = self.model(pack(self.signature.input_structure, operands), **options)
        return flatten_like(as_keras_has(self.signature.output_structure), outputs)


@dataclass(frozen=True, eq=False)
class TracedStep(Step):
    """Calls a TracedLayer: a layer that Keras does not have, or an op that Keras can run within a layer only."""

    layer: keras.layers.Layer

    def run(self, operands: Sequence[Any]) -> Sequence[Any]:
        """What the graph of the layer yields."""
        return self.layer.run(operands)
