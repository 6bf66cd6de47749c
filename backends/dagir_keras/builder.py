"""The loop: walk the nodes in order, look up the rule or the layer, keep the tensor.

A Program is prepared once, which makes the Keras layers and variables, and run on KerasTensors (a functional model)
or on tensors (inside a layer).
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import keras

from dagir.errors import BackendError, DagirError
from dagir.ir.dims import SymbolicDim
from dagir.ir.graph import Constant, Graph, Node, Parameter, Value
from dagir.ir.nest import flatten, flatten_like, map_structure, pack
from dagir.ir.types import DType
from dagir.layers import Layer
from dagir.layers.arguments import signature
from dagir.layers.checking import training_of
from dagir.modeling.model import Model
from dagir.modeling.signature import Signature
from dagir.ops import Call
from dagir.passes import Outline
from dagir.runtime.backend import at_node
from dagir.support.location import LayerCall
from dagir_keras.arguments import are_among, with_arguments
from dagir_keras.conv import needs_layer
from dagir_keras.layer_mapping import building, computes_in, held_by, is_native, make_layer
from dagir_keras.names import distinguish
from dagir_keras.rules import rules
from dagir_keras.sizes import sizes_to_compute, sources_among, with_sizes

if TYPE_CHECKING:
    from dagir_keras.traced import Trace, TracedLayer

Step: TypeAlias = Callable[[list[Any]], Sequence[Any]]


class Registry:
    """What is shared: one Keras layer for each dagir layer, one model for each model, one variable for each weight.

    layers: by the dtype in which they compute, of which there is more than one where a layer without weights is shared
    by values of several. owners: of weights, the layer that has them and its dtype.
    """

    def __init__(self) -> None:
        self.layers: dict[Layer, dict[DType, keras.layers.Layer]] = {}
        self.models: dict[Model, keras.Model] = {}
        self.variables: dict[Parameter, keras.Variable] = {}
        self.owners: dict[Parameter, tuple[Layer, DType]] = {}
        self.traced: list[tuple[Layer | None, TracedLayer]] = []

    def layer(self, layer: Layer, dtype: DType) -> keras.layers.Layer:
        """The Keras layer of a layer, computing in this dtype, made at the first call."""
        known = self.layers.setdefault(layer, {})
        if dtype not in known:
            known[dtype] = make_layer(layer, dtype, self._held, f"{layer.name}_{dtype}" if known else None)
            for inner, made in held_by(layer, known[dtype]):
                self.layers[inner] = {dtype: made}
        return known[dtype]

    def _held(self, layer: Layer, dtype: DType) -> keras.layers.Layer:
        return self.model(layer) if isinstance(layer, Model) else self.layer(layer, dtype)

    def made(self) -> list[tuple[Layer, keras.layers.Layer]]:
        """Every layer beside each Keras layer that was made of it."""
        return [(layer, made) for layer, known in self.layers.items() for made in known.values()]

    def model(self, model: Model) -> keras.Model:
        """The Keras model of a nested model, made at the first call."""
        if model not in self.models:
            self.models[model] = functional(model.graph, model.signature, model.name, self)
            if not model.trainable:  # setting it to True would thaw what is frozen inside
                self.models[model].trainable = False
        return self.models[model]

    def variable(self, parameter: Parameter) -> keras.Variable:
        """The Keras variable of a weight: the one of the native layer that owns it, else one of its own."""
        owner = self.owners.get(parameter)
        if owner is not None:
            return self._owned(parameter, *owner)
        if parameter not in self.variables:
            self.variables[parameter] = keras.Variable(
                parameter.array,
                dtype=str(parameter.dtype),
                trainable=parameter.trainable,
                name=parameter.name.rsplit("/", 1)[-1],
            )
        return self.variables[parameter]

    def _owned(self, parameter: Parameter, owner: Layer, dtype: DType) -> keras.Variable:
        made = self.layer(owner, dtype)
        if not made.built and owner._build_shapes is not None:
            with building(made):
                _build(made, owner._build_shapes)
        place = next(i for i, weight in enumerate(owner.weights) if weight is parameter)
        return made.weights[place]

    def weights(self) -> list[tuple[Parameter, keras.Variable]]:
        """Every weight beside its Keras variable."""
        pairs = dict(self.variables)
        for layer, made in self.made():
            pairs.update(zip(layer.weights, made.weights, strict=True))
        return list(pairs.items())

    def trace(self, trace: Trace, layer: Layer | None, name: str | None) -> TracedLayer:
        """The Keras layer of a custom layer's call: one for all calls that trace the same graph."""
        from dagir_keras.traced import TracedLayer

        known = [made for other, made in self.traced if other is layer and layer is not None]
        for made in known:
            if made._trace.is_like(trace):
                return made
        made = TracedLayer(trace, self, name=f"{name}_call_{len(known) + 1}" if known else name)
        if layer is not None and not layer.trainable:
            made.trainable = False
        self.traced.append((layer, made))
        return made


class Program:
    """A graph, prepared for Keras: a step for each node. inside: it runs within a Keras layer, which owns variables."""

    def __init__(
        self, graph: Graph, registry: Registry, *, within: LayerCall | None = None, inside: bool = False
    ) -> None:
        self.registry, self.within, self.inside = registry, within, inside
        self.tracked: list[Any] = []
        self.size_sources: dict[Node, tuple[Value, ...]] = {}
        self.outputs = len(graph.outputs)
        self.graph = Outline(native=is_native, within=within)(with_arguments(graph, is_native, within))
        for node in self.graph.nodes:
            self._note_owner(node)
        self.derived = set() if inside else _derived(self.graph)
        dynamic = [node for node in self.graph.nodes if not self.derived.issuperset(node.outputs)]
        self.steps = [(node, self._prepare(node)) for node in dynamic]
        self.fixed = {} if inside else self._fixed_outputs()
        for value in self.graph.outputs if inside else ():
            if isinstance(value.source, Parameter):
                self._track(value.source)

    def __call__(self, tensors: Sequence[Any]) -> list[Any]:
        """Run on one tensor per input of the graph."""
        values: dict[Value | None, Any] = {None: None, **dict(zip(self.graph.inputs, tensors, strict=True))}
        for node, step in self.steps:
            reads = (*node.inputs, *self.size_sources.get(node, ()))
            operands = [None if value in self.derived else self._read(value, values) for value in reads]
            try:
                results = step(operands)
            except DagirError as error:
                raise at_node(error, node) from None
            _refuse_narrowed(node, results)
            values.update(zip(node.outputs, results, strict=True))
        found = {value: layer.run(tensors[:1])[0] for value, layer in self.fixed.items()}
        return [
            found[value] if value in found else self._result(value, values)
            for value in self.graph.outputs[: self.outputs]
        ]

    def _fixed_outputs(self) -> dict[Value, TracedLayer]:
        """For each output that hangs on no input a layer that gives it: a Keras model yields what layers made."""
        from dagir_keras.traced import Trace

        read = self.graph.inputs[:1]
        fixed = [
            v
            for v in self.graph.outputs[: self.outputs]
            if v in self.derived or isinstance(v.source, (Constant, Parameter))
        ]
        graphs = {value: Graph(read, [value], "fixed") for value in fixed if value not in self.graph.inputs}
        return {v: self.registry.trace(Trace.of(graph, len(read), None), None, None) for v, graph in graphs.items()}

    def _result(self, value: Value, values: dict[Value | None, Any]) -> Any:
        found = self._read(value, values)
        return keras.ops.convert_to_tensor(found) if isinstance(found, keras.Variable) else found

    def _read(self, value: Value | None, values: dict[Value | None, Any]) -> Any:
        source = value.source if value is not None else None
        if isinstance(source, Constant):
            return keras.ops.convert_to_tensor(source.array, dtype=str(source.value.dtype))
        if isinstance(source, Parameter):
            return self.registry.variable(source)
        return values[value]

    def _prepare(self, node: Node) -> Step:
        scope = node.scope
        if isinstance(node.op, Call) and scope is not None:
            if not self.derived.isdisjoint(node.inputs):
                return self._traced_step(scope.layer.name, node, node.op.graph, scope)
            whole = _is_whole(scope, node.op.graph)
            if isinstance(scope.layer, Model) and (whole or node.op.graph is scope.layer.graph):
                return self._model_step(scope.layer, training_of(scope))
            if isinstance(scope.layer, Layer) and self._becomes_native(scope, node.op.graph):
                return self._native_step(scope, scope.layer, node.op.graph)
            return self._traced_step(scope.layer.name, node, node.op.graph, scope)
        parameters = [v.source for v in node.inputs if v is not None and isinstance(v.source, Parameter)]
        names = sizes_to_compute(node.op)
        owning = parameters or names or needs_layer(node) or not self.derived.isdisjoint(node.inputs)
        if owning and not self.inside:
            return self._owning_step(node, names)
        for parameter in parameters:
            self._track(parameter)
        rule = rules[type(node.op)]
        if names:
            return self._sized_step(node, rule, names)
        return lambda operands: _as_tuple(rule(node.op, *operands))

    def _track(self, parameter: Parameter) -> None:
        owner = self.registry.owners.get(parameter)
        self.tracked.append(self.registry.variable(parameter) if owner is None else self.registry.layer(*owner))

    def _note_owner(self, node: Node) -> None:
        """A weight of a native layer may be read elsewhere too: it stays one variable, the layer's."""
        call = node.scope
        if isinstance(node.op, Call) and call is not None and self._becomes_native(call, node.op.graph):
            assert isinstance(call.layer, Layer)
            self.registry.owners.update(dict.fromkeys(call.layer.weights, (call.layer, computes_in(call))))

    def _becomes_native(self, call: LayerCall, graph: Graph) -> bool:
        native = isinstance(call.layer, Layer) and not isinstance(call.layer, Model) and is_native(call)
        return native and _is_whole(call, graph) and are_among(call, graph.inputs)

    def _owning_step(self, node: Node, names: set[str]) -> Step:
        """A layer around one op: it has weights, or reads sizes, which are numbers within a layer only."""
        given = (v for v in node.inputs if v is not None and v not in self.derived)
        reads = dict.fromkeys(v for v in given if v.node is not None or v.is_input)
        self.size_sources[node] = tuple(dict.fromkeys(v for v, _ in sources_among(names, self.graph.inputs).values()))
        graph = Graph(dict.fromkeys([*reads, *self.size_sources[node]]), node.outputs, node.op.op_name)
        step = self._traced_step(None, node, graph, None)
        read = (*node.inputs, *self.size_sources[node])
        places = [read.index(value) for value in graph.inputs]
        return lambda operands: step([operands[place] for place in places])

    def _sized_step(self, node: Node, rule: Callable[..., Any], names: set[str]) -> Step:
        sources = sources_among(names, self.graph.inputs)
        self.size_sources[node] = tuple(dict.fromkeys(value for value, _ in sources.values()))
        count = len(node.inputs)
        places = {name: (count + self.size_sources[node].index(v), source) for name, (v, source) in sources.items()}
        run = with_sizes(node.op, rule, places, count)
        return lambda operands: _as_tuple(run(operands))

    def _model_step(self, model: Model, training: Any) -> Step:
        made = self.registry.model(model)
        self.tracked.append(made)
        inputs, outputs = model.signature.input_structure, model.signature.output_structure
        options = {} if training is None else {"training": training}
        return lambda operands: flatten_like(outputs, made(pack(inputs, operands), **options))

    def _native_step(self, call: LayerCall, layer: Layer, graph: Graph) -> Step:
        made, training = self.registry.layer(layer, computes_in(call)), training_of(call)
        self.tracked.append(made)

        def step(operands: list[Any]) -> Sequence[Any]:
            known: dict[Value | None, Any] = dict(zip(graph.inputs, operands, strict=False))

            def read(leaf: Any) -> Any:
                return self._read(leaf, known) if isinstance(leaf, Value) else leaf

            args, kwargs = map_structure(read, list(call.args)), map_structure(read, call.kwargs)
            kwargs.pop("training", None)  # None is what a trace has; to Keras it would mean inference
            if training is not None and "training" in signature(made.call).parameters:
                kwargs["training"] = training
            with building(made):
                outputs = flatten_like(call.outputs, made(*args, **kwargs))
            first = dict(zip(reversed(flatten(call.outputs)), reversed(outputs), strict=True))
            return [first[value] for value in graph.outputs]

        return step

    def _traced_step(self, name: str | None, node: Node, graph: Graph, call: LayerCall | None) -> Step:
        from dagir_keras.traced import Trace

        operands = len(graph.inputs) if call is None else len(node.inputs)
        kept = list(range(operands))
        if call is not None and not self.derived.isdisjoint(node.inputs):
            kept = [place for place in kept if node.inputs[place] not in self.derived]
            read = [*(graph.inputs[place] for place in kept), *graph.inputs[operands:]]
            graph, operands = Graph(read, graph.outputs, graph.name), len(kept)
        layer = call.layer if call is not None and isinstance(call.layer, Layer) else None
        made = self.registry.trace(Trace.of(graph, operands, call), layer, name)
        self.tracked.append(made)
        return lambda operands: made.run([operands[place] for place in kept])


def _build(made: keras.layers.Layer, shapes: dict[str, Any]) -> None:
    """Build a Keras layer for the shapes of arguments by their names; a `build` of one argument gets the first."""
    wanted = [name for name in inspect.signature(made.build).parameters if name in shapes]
    if len(wanted) > 1:
        made.build(**{name: shapes[name] for name in wanted})
    else:
        made.build(next(iter(shapes.values())))


def _derived(graph: Graph) -> set[Value]:
    """What is computed from weights alone: it must be computed where it is read, for weights change in training."""
    derived: set[Value] = set()
    for node in graph.nodes:
        read = [value for value in node.inputs if value is not None]
        from_weights = [isinstance(value.source, Parameter) or value in derived for value in read]
        constant = [isinstance(value.source, Constant) for value in read]
        if any(from_weights) and all(a or b for a, b in zip(from_weights, constant, strict=True)):
            derived.update(node.outputs)
    return derived


def _is_whole(call: LayerCall, graph: Graph) -> bool:
    """Whether the Call reads and yields what the layer call did: else it was cut, and is no whole layer."""
    return list(graph.outputs) == list(dict.fromkeys(flatten(call.outputs)))


def functional(graph: Graph, signature: Signature, name: str, registry: Registry) -> keras.Model:
    """The functional Keras model of a graph, inputs and outputs in the structures of the signature."""
    inputs = [_input(label, value) for (label, _), value in zip(signature.inputs, graph.inputs, strict=True)]
    outputs = Program(graph, registry)(inputs)
    distinguish(outputs)
    return keras.Model(pack(signature.input_structure, inputs), pack(signature.output_structure, outputs), name=name)


def _input(name: str, value: Value) -> Any:
    shape = tuple(None if isinstance(size, SymbolicDim) else size for size in value.type.shape)
    return keras.Input(batch_shape=shape, dtype=str(value.dtype), name=name.replace("/", "_"))


def _as_tuple(found: Any) -> tuple[Any, ...]:
    return found if isinstance(found, tuple) else (found,)


def _refuse_narrowed(node: Node, results: Sequence[Any]) -> None:
    """Raise BackendError where Keras computes with uint32 in place of uint64, as many of its functions do."""
    for value, result in zip(node.outputs, results, strict=False):
        if value.dtype is DType.UINT64 and keras.backend.standardize_dtype(result.dtype) != "uint64":
            error = BackendError(
                f"Keras computes {node.op.op_name} of uint64 with 32 bits", remedy="cast to int64 first, or use numpy"
            )
            raise at_node(error, node)
