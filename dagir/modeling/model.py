"""Model: inputs and outputs over a graph, itself a layer."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from os import PathLike
from typing import Any, Self, Unpack

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Parameter, Value, Values
from dagir.ir.naming import auto_name
from dagir.ir.nest import flatten, flatten_sorted, map_structure, pack
from dagir.ir.verifier import check
from dagir.layers import services as layer_services
from dagir.layers.argument_types import Mask, ModelOptions
from dagir.layers.base import Layer
from dagir.layers.internals import set_own_trainable
from dagir.modeling import services
from dagir.modeling.input_sizes import as_many_axes, takes_anew
from dagir.modeling.keras_order import layers_in_keras_order
from dagir.modeling.retracing import replay
from dagir.modeling.signature import Signature, signature_of
from dagir.modeling.subclassing import trace
from dagir.modeling.training import Trainable
from dagir.ops.call import call as call_graph
from dagir.support.did_you_mean import did_you_mean
from dagir.support.frameworks import framework_of, kind, remedy_for
from dagir.support.location import current_scope


class _NoGraph(ArgumentError, AttributeError):
    """Raised for the graph of a model that does not have one yet."""


class _Graph:
    """The class attribute `Model.graph`: raises an error until an instance has its own graph."""

    def __get__(self, model: Model | None, owner: type[Model]) -> Graph:
        if model is None:
            raise AttributeError("graph")
        raise _NoGraph(f"model {model.name!r} has no graph yet", remedy="call it on an Input first")


class Model(Trainable, Layer):
    """A network: `inputs` to `outputs`, each one Value, a list or a dict of them.  keras.Model.

    The graph is what the outputs need; a model can be called as a layer. Raises InvalidGraph.
    A subclass with layers and a `call` of its own is a model too: its first call on a Value gives it its graph.
    trainable: whether its weights train.

    >>> x = dagir.Input((3,), name="x")
    >>> dagir.Model(x, layers.Dense(2, name="head")(x), name="net")
    <Model net: x -> head>
    """

    supports_masking = True
    is_graph = True  # its layers see the masks that layers see while a model is built
    graph = _Graph()

    def __init__(
        self,
        inputs: Values | None = None,
        outputs: Values | None = None,
        name: str | None = None,
        trainable: bool = True,
        **kwargs: Unpack[ModelOptions],
    ) -> None:
        if name is None and type(self) is Model:
            name = _functional_name()
        super().__init__(trainable=True, name=name, **kwargs)
        if inputs is None and outputs is None and self._is_subclassed():
            self._trainable = bool(trainable)
            return
        if inputs is None or outputs is None:
            raise ArgumentError("Model takes inputs= and outputs=", remedy="dagir.Model(inputs=x, outputs=y)")
        self.set_graph(inputs, outputs)
        if not trainable:
            self.trainable = False

    @classmethod
    def from_graph(
        cls,
        inputs: Any,
        outputs: Any,
        graph: Graph | None = None,
        *,
        name: str,
        trainable: bool = True,
        unused_inputs: bool = False,
    ) -> Self:
        """A model over values that are there, without the constructor of a subclass. Raises what `set_graph` raises.

        trainable: of the model itself; the layers inside keep theirs.
        """
        model = cls.__new__(cls)
        Layer.__init__(model, name=name)
        model.set_graph(inputs, outputs, graph, unused_inputs=unused_inputs)
        set_own_trainable(model, trainable)
        return model

    @property
    def has_graph(self) -> bool:
        """Whether the model has its graph: a subclassed one gets it by its first call, a Sequential by its input."""
        return "graph" in vars(self)

    def set_graph(
        self, inputs: Values, outputs: Values, graph: Graph | None = None, *, unused_inputs: bool = False
    ) -> None:
        """Give the model its graph: `graph`, or what `outputs` need. Raises InvalidGraph, ArgumentError.

        unused_inputs: whether inputs that no output needs are accepted.
        """
        for what, structure in (("inputs", inputs), ("outputs", outputs)):
            for leaf in flatten(structure):
                if not isinstance(leaf, Value):
                    remedy = remedy_for(leaf) if framework_of(leaf) else None
                    if isinstance(leaf, Layer):
                        remedy = f"call it on a value: {leaf.name}(x)"
                    raise ArgumentError(
                        f"{what} of model {self.name!r} hold {shown_text(leaf)}, no Value", remedy=remedy
                    )
        self._input_structure, self._output_structure = inputs, outputs
        graph = graph or Graph(flatten(inputs), flatten(outputs), self.name)
        self.__dict__["graph"] = check(graph, unused_inputs=unused_inputs)
        self.__dict__.pop("_loose_weights", None)
        for layer in self.layers:
            self._track(layer)
        self.built = True

    @cached_property
    def _loose_weights(self) -> Sequence[Parameter]:
        """The weights that nodes outside of layers read, as those of a graph of another framework."""
        nodes = self.graph.nodes if self.has_graph else ()
        read = [value for node in nodes if node.scope is None for value in node.inputs if value is not None]
        read += self.graph.outputs if self.has_graph else ()
        return list(dict.fromkeys(value.source for value in read if isinstance(value.source, Parameter)))

    def _own_weights(self) -> Sequence[Parameter]:
        if not self._loose_weights:
            return self._weights
        inner = {weight for layer in self._sublayers for weight in layer.weights}
        return list(dict.fromkeys([*self._weights, *(each for each in self._loose_weights if each not in inner)]))

    # ---- looking

    @property
    def inputs(self) -> list[Value]:
        """The input values."""
        return list(self.graph.inputs)

    @property
    def outputs(self) -> list[Value]:
        """The output values."""
        return list(self.graph.outputs)

    @property
    def input(self) -> Any:
        """The inputs in the structure in which they were given."""
        return self._input_structure

    @property
    def output(self) -> Any:
        """The outputs in the structure in which they were given."""
        return self._output_structure

    @property
    def input_shape(self) -> Any:
        """The shapes of the inputs, None for sizes without a number, in the structure of the inputs."""
        return map_structure(lambda value: value.shape, self._input_structure)

    @property
    def output_shape(self) -> Any:
        """The shapes of the outputs, None for sizes without a number, in the structure of the outputs."""
        return map_structure(lambda value: value.shape, self._output_structure)

    @property
    def input_names(self) -> list[str]:
        """The names of the inputs: those of their Input calls, or the keys of the dict."""
        return [name for name, _ in self.signature.inputs]

    @property
    def output_names(self) -> list[str]:
        """The names of the outputs: the dict's keys, or the layers that made them, made unique."""
        return [name for name, _ in self.signature.outputs]

    @cached_property
    def signature(self) -> Signature:
        """Names and types of inputs and outputs."""
        return signature_of(self.graph, self._input_structure, self._output_structure)

    @cached_property
    def layers(self) -> list[Layer]:
        """Every layer once, in Keras's order: by depth from the outputs."""
        order = flatten_sorted(self._output_structure)
        return [layer for layer in layers_in_keras_order(self.graph, order) if isinstance(layer, Layer)]

    def get_layer(self, name: str | None = None, index: int | None = None) -> Layer:
        """A layer by its name or its place. Raises ArgumentError with the nearest names."""
        if index is not None:
            if not -len(self.layers) <= index < len(self.layers):
                raise ArgumentError(f"model {self.name!r} has {len(self.layers)} layers, no layer {index}")
            return self.layers[index]
        for layer in self.layers:
            if layer.name == name:
                return layer
        names = [layer.name for layer in self.layers]
        remedy = did_you_mean(name, names, instead=names[:8])
        raise ArgumentError(f"model {self.name!r} has no layer {name!r}", remedy=remedy)

    def summary(
        self,
        line_length: int | None = None,
        positions: Sequence[float] | None = None,
        print_fn: Callable[[str], object] | None = None,
        expand_nested: bool = False,
        show_trainable: bool = False,
        layer_range: Sequence[str] | None = None,
    ) -> None:
        """Print a table of the layers, their connections, and the numbers of weights.

        positions: where the columns end, as shares of the line or in characters. print_fn: takes each line in place of
        stdout. layer_range: the first and the last layer to show, by name or pattern. Raises ArgumentError.
        """
        services.print_summary(self, line_length, positions, print_fn, expand_nested, show_trainable, layer_range)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, str]:
        """What a notebook shows: a picture, or the table of the summary where there is none or the model is big."""
        drawn = services.notebook_svg(self)
        shown = {"text/html": services.summary_html(self)} if drawn is None else {"image/svg+xml": drawn}
        return {"text/plain": repr(self), **shown}

    # ---- as a layer

    def build(self, input_shape: object) -> None:
        """Nothing: the layers inside are built."""

    def check_dtype(self, inputs: object) -> None:
        """The graph's own inputs decide."""

    def call(self, inputs: Values, training: bool | None = None, mask: Mask = None) -> Value | Any:
        """The outputs for other inputs, in the structure of this model's outputs."""
        given = list(map(as_many_axes, self.arrange_inputs(inputs), self.graph.inputs))
        masked = any(value.mask is not None for value in (*given, *self.graph.outputs))
        # masks go into the layers and come out of them, so the layers are called again
        if masked or takes_anew(self.graph, given, any_size=self._takes_any_size()):
            return pack(self._output_structure, replay(self.graph, given))
        return pack(self._output_structure, call_graph(self.graph, given))

    def _takes_any_size(self) -> bool:
        """Whether the layers decide which sizes of inputs they take, and not the inputs of the graph."""
        return False

    def compute_mask(self, inputs: object, mask: object = None) -> None:
        """None: the layers inside are called again, and set the masks of the outputs."""

    def _is_subclassed(self) -> bool:
        return type(self).call is not Model.call

    def _trace(self, args: tuple[Any, ...], kwargs: dict[str, object]) -> object:
        if not self._is_subclassed():
            return super()._trace(args, kwargs)
        found = trace(self, args, kwargs, Model)
        if found is self:
            return Model.call(self, args[0])
        scope = current_scope.get()
        token = current_scope.set(scope.parent if scope is not None else None)  # a model beside this one, not in it
        try:
            return found(args[0])
        finally:
            current_scope.reset(token)

    def arrange_inputs(self, inputs: object) -> list[Value]:
        """What the model is called on, in the order of its inputs. Raises ArgumentError."""
        if isinstance(inputs, Mapping):
            missing = [name for name in self.input_names if name not in inputs]
            if missing:
                raise self._without(missing[0], [name for name in inputs if name not in self.input_names])
            return [inputs[name] for name in self.input_names]
        values = flatten(inputs)
        if len(values) != len(self.graph.inputs):
            raise ArgumentError(
                f"model {self.name!r} takes {len(self.graph.inputs)} inputs, got {len(values)}",
                remedy=f"its inputs are: {', '.join(self.input_names)}",
            )
        return values

    def _without(self, missing: str, unknown: Sequence[str]) -> ArgumentError:
        """The error for a dict in which an input is missing, perhaps because its key is misspelled."""
        remedy = f"its inputs are: {', '.join(self.input_names)}"
        if not unknown:
            return ArgumentError(f"model {self.name!r} needs input {missing!r}", remedy=remedy)
        remedies = filter(None, (did_you_mean(unknown[0], self.input_names, 1), remedy))
        return ArgumentError(
            f"model {self.name!r} has no input {unknown[0]!r}, and needs {missing!r}", remedy=" ".join(remedies)
        )

    def save(self, path: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the model, its weights included, to a .dagir file. Raises FileError. Read it with dagir.load."""
        services.save(self, path, overwrite=overwrite)

    def save_weights(self, path: str | PathLike[str], overwrite: bool = True) -> None:
        """Write the weights alone to a .safetensors file. Raises FileError."""
        services.save_weights(self, path, overwrite=overwrite)

    def load_weights(self, path: str | PathLike[str]) -> None:
        """Read weights that save_weights wrote, by name or in order, or that Keras wrote, by structure.

        Of Keras: .weights.h5, .h5, .hdf5, .keras, and .weights.json beside its shards. Raises FileError before anything
        is changed.
        """
        services.load_weights(self, path)

    def to_json(self, **options: object) -> str:
        """The architecture as JSON text, for dagir.model_from_json. options: json.dumps's. Raises ArgumentError."""
        return services.to_json(self, **options)

    def get_config(self) -> dict[str, Any]:
        """The layers' configurations and their connections as plain data. Raises ArgumentError."""
        return super().get_config() if self._is_subclassed() else services.architecture(self)

    @classmethod
    def from_config(cls, config: dict[str, Any], custom_objects: Mapping[str, type[Layer]] | None = None) -> Any:
        """The model that get_config describes, with new weights. custom_objects: classes of custom layers by name."""
        return services.from_architecture(config, custom_objects) if "layers" in config else cls(**config)

    def __deepcopy__(self, memo: dict[int, object]) -> Any:
        """A separate model with copied weights; shared ones stay shared. A Lambda becomes its graph, as in a file."""
        if self._is_document():
            return services.copied_model(self, memo)
        make, parts = layer_services.reduced_layer(self)
        return make(*copy.deepcopy(parts, memo))

    def __reduce__(self) -> tuple[object, ...]:
        """For copy and pickle: the document of a .dagir file, and the arrays."""
        return services.reduced_model(self) if self._is_document() else super().__reduce__()

    def _is_document(self) -> bool:
        return self.has_graph and not self._is_subclassed()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.name}: {', '.join(self.input_names)} -> {', '.join(self.output_names)}>"


def shown_text(thing: object) -> str:
    """What is not a Value or a layer, for errors: of another framework's object its kind alone."""
    return kind(thing) if framework_of(thing) else repr(thing)


def _functional_name() -> str:
    return auto_name("functional")
