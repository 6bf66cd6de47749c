"""Registry: one Keras object for each layer, model, weight and traced graph of dagir, made at the first request.

The lowering of one executable has one registry, so that what is shared in dagir is shared in Keras.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from typing import Any, TypeAlias

import keras

from dagir.ir.graph import Constant, Graph, Parameter, Value
from dagir.ir.types import DType
from dagir.layers import Layer
from dagir.modeling.model import Model
from dagir_keras.layer_mapping import copied_layers, initialized_with_zeros, make_layer
from dagir_keras.names import scope_name
from dagir_keras.op_layers import Key, OpLayer
from dagir_keras.trace import Trace
from dagir_keras.uses import Uses
from dagir_keras.weight import TableOfOneRow, Weight, first_index

LowerModel: TypeAlias = Callable[[Model, "Registry"], keras.Model]
LowerTrace: TypeAlias = Callable[[Trace, "Registry", str | None], keras.layers.Layer]


class Registry:
    """What was made of each object of dagir.

    lower_model, lower_trace: make the Keras model of a nested model and the TracedLayer of a trace. They are given,
    because both lower a graph, and for that need a registry.

    layers: Keras layers by the dtype in which they compute; there is more than one where values of several dtypes
    share a layer without weights. owners: for a weight of a native layer, that layer and its dtype. unnamed: the Keras
    layers to which no layer of the user gave the name.
    """

    def __init__(self, lower_model: LowerModel, lower_trace: LowerTrace) -> None:
        self._lower_model, self._lower_trace = lower_model, lower_trace
        self.layers: dict[Layer, dict[DType, keras.layers.Layer]] = {}
        self.models: dict[Model, keras.Model] = {}
        self.variables: dict[Parameter, keras.Variable] = {}
        self.owners: dict[Parameter, tuple[Layer, DType]] = {}
        self.unnamed: list[keras.layers.Layer] = []
        self._uses: Uses | None = None
        self._weights: dict[Parameter, Weight | TableOfOneRow] = {}
        self._indices: dict[int, tuple[Any, Any]] = {}  # by the id of a KerasTensor, which it holds
        self._op_layers: dict[Key, keras.layers.Layer] = {}
        self._traced: list[tuple[Layer | None, Trace, keras.layers.Layer]] = []

    def uses(self, graph: Graph) -> Uses:
        """What reads each weight of the outermost graph, which is the first one that is lowered."""
        if self._uses is None:
            self._uses = Uses.of(graph)
        return self._uses

    def layer(self, layer: Layer, dtype: DType) -> keras.layers.Layer:
        """The Keras layer of a layer, computing in this dtype."""
        by_dtype = self.layers.setdefault(layer, {})
        if dtype not in by_dtype:
            name = f"{layer.name}_{dtype}" if by_dtype else None
            by_dtype[dtype] = make_layer(layer, dtype, self._layer_or_model, name)
            self._note_renamed(by_dtype[dtype], name or layer.name)
            for inner, keras_inner in copied_layers(layer, by_dtype[dtype]):
                self.layers[inner] = {dtype: keras_inner}
        return by_dtype[dtype]

    def _layer_or_model(self, layer: Layer, dtype: DType) -> keras.layers.Layer:
        return self.model(layer) if isinstance(layer, Model) else self.layer(layer, dtype)

    def model(self, model: Model) -> keras.Model:
        """The Keras model of a nested model."""
        if model not in self.models:
            self.models[model] = self._lower_model(model, self)
            self._note_renamed(self.models[model], model.name)
            if not model.trainable:  # setting it to True would thaw what is frozen inside
                freeze(self.models[model])
        return self.models[model]

    def _note_renamed(self, keras_layer: keras.layers.Layer, wanted: str | None) -> None:
        """Two names that Keras does not take may become the same one."""
        if keras_layer.name != wanted:
            self.unnamed.append(keras_layer)

    def belong_to(self, found: OpLayer) -> bool:
        """Whether nothing but ops that the same layer computes reads the weights of an op."""
        assert self._uses is not None
        return all(self._uses.only_by(found.key, weight) for weight in found.weights)

    def op_layer(self, found: OpLayer, dtype: str, name: str) -> keras.layers.Layer:
        """The Keras layer of an op: the same one for the same op on the same weights."""
        if found.weights and found.key in self._op_layers:
            return self._op_layers[found.key]
        made = found.make(dtype)
        made.name = name
        if found.weights and not found.weights[0].trainable:
            made.trainable = False
        self.unnamed.append(made)
        self._op_layers[found.key] = made
        return made

    def weight(self, parameter: Parameter, given: Any) -> Any:
        """The KerasTensor of a weight that no layer holds. given: a KerasTensor of the model."""
        if parameter not in self._weights:
            self._weights[parameter] = self._bare(parameter, given)
        held = self._weights[parameter]
        tensor = held(self._first_index(given) if isinstance(held, TableOfOneRow) else given)
        self.variables[parameter] = self._weights[parameter].value
        return tensor

    def _first_index(self, given: Any) -> Any:
        """One index for all tables of one row that are read in a model."""
        if id(given) not in self._indices:
            self._indices[id(given)] = given, first_index(given)
        return self._indices[id(given)][1]

    def _bare(self, parameter: Parameter, given: Any) -> Weight | TableOfOneRow:
        name, dtype = scope_name(parameter.name.replace("/", "_")), str(parameter.dtype)
        if parameter not in self.variables and parameter.dtype.is_float and parameter.shape and given.dtype != "string":
            table = TableOfOneRow(parameter.shape, name, dtype, parameter.trainable)
            self.unnamed.append(table.layer)
            return table
        layer = Weight(parameter.shape, name=name, dtype=dtype, trainable=parameter.trainable)
        self.unnamed.append(layer)
        if parameter in self.variables:
            layer.share(self.variables[parameter])
        return layer

    def traced_layer(self, trace: Trace, layer: Layer | None, name: str | None) -> keras.layers.Layer:
        """The TracedLayer of a trace: the same one for all calls of a layer that trace the same graph."""
        earlier = [(other, traced) for owner, other, traced in self._traced if owner is layer and layer is not None]
        for other, traced in earlier:
            if other.is_like(trace):
                return traced
        wanted = f"{name}_call_{len(earlier) + 1}" if earlier else name
        traced = self._lower_trace(trace, self, None if wanted is None else scope_name(wanted))
        self._note_renamed(traced, wanted)
        if layer is not None and not layer.trainable:
            traced.trainable = False
        self._traced.append((layer, trace, traced))
        return traced

    def variable(self, parameter: Parameter) -> keras.Variable:
        """The Keras variable of a weight: that of the native layer which owns it, else one of its own."""
        owner = self.owners.get(parameter)
        if owner is not None:
            return self._variable_of(parameter, *owner)
        if parameter not in self.variables:
            self.variables[parameter] = keras.Variable(
                parameter.array,
                dtype=str(parameter.dtype),
                trainable=parameter.trainable,
                name=parameter.name.rsplit("/", 1)[-1],
            )
        return self.variables[parameter]

    def _variable_of(self, parameter: Parameter, owner: Layer, dtype: DType) -> keras.Variable:
        keras_layer = self.layer(owner, dtype)
        if not keras_layer.built and owner._build_shapes is not None:
            with initialized_with_zeros(keras_layer):
                _build(keras_layer, owner._build_shapes)
        place = next(i for i, weight in enumerate(owner.weights) if weight is parameter)
        return keras_layer.weights[place]

    def tracked(self, parameter: Parameter) -> Any:
        """What a Keras layer must track to own a weight: its variable, or the native layer that has the variable."""
        owner = self.owners.get(parameter)
        return self.variable(parameter) if owner is None else self.layer(*owner)

    def leaf(self, value: Value) -> Any:
        """The variable of a parameter, the tensor of a constant."""
        source = value.source
        if isinstance(source, Parameter):
            return self.variable(source)
        assert isinstance(source, Constant)
        return keras.ops.convert_to_tensor(source.array, dtype=str(value.dtype))

    def layer_pairs(self) -> list[tuple[Layer, keras.layers.Layer]]:
        """Every layer beside each Keras layer that was made of it."""
        return [(layer, made) for layer, by_dtype in self.layers.items() for made in by_dtype.values()]

    def weight_pairs(self) -> list[tuple[Parameter, keras.Variable]]:
        """Every weight beside its Keras variable."""
        pairs = dict(self.variables)
        for layer, keras_layer in self.layer_pairs():
            pairs.update(zip(layer.weights, keras_layer.weights, strict=True))
        return list(pairs.items())


def freeze(keras_layer: keras.layers.Layer) -> None:
    """Let no weight of a Keras layer train, nor one of the layers inside.

    Keras does nothing where the flag of a layer is False already, also to layers that it made inside since: those of
    an attention, which come with its `build`, would go on training. So the flag changes twice.
    """
    keras_layer.trainable = True
    keras_layer.trainable = False


def _build(keras_layer: keras.layers.Layer, shapes: dict[str, Any]) -> None:
    """Build a Keras layer for the shapes of arguments by their names; a `build` of one argument gets the first."""
    wanted = [name for name in inspect.signature(keras_layer.build).parameters if name in shapes]
    if len(wanted) > 1:
        keras_layer.build(**{name: shapes[name] for name in wanted})
    else:
        keras_layer.build(next(iter(shapes.values())))
