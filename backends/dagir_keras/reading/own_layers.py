"""Reads the Keras layers that dagir defines: a weight, and a graph in a layer. The graph is taken as it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from dagir.errors import FileError
from dagir.ir.graph import Graph, Parameter, Value
from dagir.ir.nest import map_structure
from dagir.ir.operands import as_value
from dagir.ir.types import DType, TensorType
from dagir.layers import Layer
from dagir.layers.internals import calls_of
from dagir.modeling.retracing import Replay
from dagir.ops.call import parameters_of
from dagir.serialization import restore_graph
from dagir.serialization.reading import shown
from dagir.support.location import LayerCall, current_scope
from dagir_keras.reading.problems import Refused

TRACED, WEIGHT = "dagir>TracedLayer", "dagir>Weight"
OWN_LAYERS = {TRACED: "dagir_keras.traced", WEIGHT: "dagir_keras.weight"}
"""The names under which Keras knows the layers that dagir defines, and the modules of their classes."""


def is_own(record: Mapping[str, Any]) -> bool:
    """Whether a record is of a Keras layer that dagir defines, by the name under which Keras knows it."""
    return record.get("registered_name") in OWN_LAYERS


class OwnLayer(Layer):
    """Holds the weights of a Keras layer that dagir defines, in Keras's order. `run` stands for its calls."""

    def __init__(self, name: str, weights: Sequence[Parameter]) -> None:
        super().__init__(name=name)
        self._weights = list(weights)
        self.built = True

    @property
    def weights(self) -> list[Parameter]:
        """The weights in Keras's order, which need not be that of layers of dagir."""
        return list(self._weights)

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The values that a call gives."""
        raise NotImplementedError(f"{type(self).__name__} has no calls")


class OwnWeight(OwnLayer):
    """A weight that no layer holds: its value, whatever the Keras layer is called on."""

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The value of the weight."""
        return self._weights[0].value


class OwnGraph(OwnLayer):
    """A graph, of a layer call or of one op, with the masks of its operands and results.

    owners, masks: as in dagir_keras.trace.Trace. within: the layer call that the graph is of.
    """

    def __init__(
        self,
        name: str,
        weights: Sequence[Parameter],
        graph: Graph,
        owners: Sequence[int],
        masks: Sequence[int | None],
        within: LayerCall | None,
    ) -> None:
        super().__init__(name, weights)
        self.graph, self.owners, self.masks, self.within = graph, owners, masks, within

    def run(self, *args: Any, **kwargs: Any) -> Any:
        """The nodes of the graph again, on these operands; those of a layer are in a call of the layer."""
        operands, given = [as_value(operand) for operand in args[0]], kwargs.get("mask")  # Keras writes constants whole
        count = len(self.graph.inputs) - len(self.owners)
        if len(operands) != count:
            raise Refused(f"it takes {count} values, and is called on {len(operands)}")
        masks = [self._mask_of(owner, operands, given) for owner in self.owners]
        outputs = self._again([*operands, *masks])
        results = outputs[: len(self.masks)]
        for value, place in zip(results, self.masks, strict=True):
            if place is not None and value.mask is None:
                value.attach_mask(outputs[place])
        return results[0] if len(results) == 1 else results

    def _mask_of(self, owner: int, operands: Sequence[Value], given: Any) -> Value:
        of_call = given[owner] if isinstance(given, (list, tuple)) else None
        mask = operands[owner].mask if of_call is None else of_call
        if not isinstance(mask, Value):
            raise Refused(f"it reads the mask of operand {owner}, which has none")
        return mask

    def _again(self, inputs: Sequence[Value]) -> list[Value]:
        replay, first = Replay(within=self.within), self.within
        if first is None:
            return replay.run(self.graph, inputs)
        replay.values.update(zip(self.graph.inputs, inputs, strict=True))
        call = LayerCall(first.layer, current_scope.get(), first.location)
        call.args, call.kwargs = replay.moved(first.args), replay.moved(first.kwargs)
        token = current_scope.set(call)
        try:
            outputs = replay.run(self.graph, inputs)
        finally:
            current_scope.reset(token)
        call.outputs = map_structure(lambda leaf: replay.values.get(leaf, leaf), first.outputs)
        if isinstance(first.layer, Layer):
            calls_of(first.layer).append(call)
        return outputs


def own_layer(record: Mapping[str, Any]) -> OwnLayer:
    """The layer of a record. Raises FileError where its configuration is damaged, Refused for an older dagir's."""
    config, name = record["config"], str(record["config"].get("name"))
    if record["registered_name"] == WEIGHT:
        return OwnWeight(name, [_weight(name, config)])
    graph, within = restore_graph(config.get("graph"), f"layer {name!r}")
    places = config.get("weights")
    if places is None:
        raise Refused("an older dagir wrote it", "import dagir, load the file with Keras, and save it again")
    weights = parameters_of(graph)
    if sorted(_ints(places, name)) != list(range(len(weights))):
        raise FileError(f"layer {name!r} has {len(weights)} weights, and lists {shown(places)}")
    owners, masks = _ints(config.get("owners"), name), config.get("masks")
    inputs, outputs = len(graph.inputs), len(graph.outputs)
    known = isinstance(masks, list) and all(m is None or (type(m) is int and len(masks) <= m < outputs) for m in masks)
    if not known or len(masks) > outputs or any(not 0 <= owner < inputs - len(owners) for owner in owners):
        raise FileError(f"layer {name!r} lists masks that its graph does not have")
    made = OwnGraph(name, [weights[place] for place in places], graph, owners, masks, within)
    if config.get("trainable") is False:
        made.trainable = False
        if within is not None and isinstance(within.layer, Layer):
            within.layer.trainable = False
    return made


def _ints(data: Any, name: str) -> list[int]:
    if not isinstance(data, list) or not all(type(part) is int for part in data):
        raise FileError(f"layer {name!r} lists {shown(data)} in place of numbers")
    return data


def _weight(name: str, config: Mapping[str, Any]) -> Parameter:
    dtype, shape = config.get("dtype"), _ints(config.get("weight_shape"), name)
    dtype = dtype["config"].get("name") if isinstance(dtype, dict) and isinstance(dtype.get("config"), dict) else dtype
    if not isinstance(dtype, str) or any(size < 0 for size in shape):
        raise FileError(f"layer {name!r} is a weight of dtype {shown(dtype)} and shape {shown(shape)}")
    return Parameter(name, TensorType(DType.of(dtype), tuple(shape)), trainable=config.get("trainable") is not False)
