"""Functions of TensorFlow that are in memory: their graphs as data, and the variables that they captured."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.errors import ArgumentError, UnsupportedLayer
from dagir.ir.graph import Constant, Parameter, Value
from dagir.ir.nest import flatten, flatten_sorted, map_structure
from dagir.ir.traversal import values_behind
from dagir.ir.types import type_of
from dagir.layers.core import Input
from dagir.modeling.model import Model
from dagir_keras.reading.problems import Problems, Refused
from dagir_keras.reading.tensorflow import complex_numbers
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.graph_def import GraphNode, graph_of
from dagir_keras.reading.tensorflow.graph_reader import GraphReader
from dagir_keras.reading.tensorflow.held import Table, Text, Variable
from dagir_keras.reading.tensorflow.messages import decode
from dagir_keras.reading.tensorflow.results import as_values


def read_function(source: Any, inputs: Any, signature: str | None) -> Model:
    """The model of a tf.function, a concrete function or a tf.Module. Raises ArgumentError, UnsupportedLayer."""
    concrete = concrete_of(source, inputs, signature)
    given, _names = _inputs(concrete)
    problems = Problems(of_nodes=True)
    outputs = read_concrete(concrete, given, problems)
    title = str(getattr(concrete, "name", "function"))
    problems.require_none(_title(source, title))
    structure = _structured(concrete, as_values(outputs))
    needed = set(values_behind(flatten(structure)))
    return Model([value for value in given if value in needed], structure, name=_title(source, title))


def read_concrete(
    concrete: Any, given: Sequence[Any], problems: Problems, held: Sequence[HeldVariable] = ()
) -> list[Any]:
    """The outputs of a concrete function for tensors. held: variables whose weights are known, or made elsewhere."""
    graph = concrete.graph
    message = decode(graph.as_graph_def().SerializeToString(), "Graph", str(graph.name))
    arguments = [tensor.op.name for tensor in graph.inputs]
    outputs = [(tensor.op.name, tensor.value_index) for tensor in graph.outputs]
    resources = Captured(graph, held)
    captured = [resources.of(tensor) for tensor in concrete.captured_inputs]
    reader = GraphReader(problems, resources)
    return reader.call(graph_of(message, str(graph.name), arguments, outputs), [*given, *captured])


@dataclass(frozen=True)
class HeldVariable:
    """A variable, and the function that gives its weight."""

    variable: Any
    weight: Callable[[], Parameter]


class Captured:
    """What a function captured: variables by the identity of their handles, and constants."""

    def __init__(self, graph: Any, held: Sequence[HeldVariable] = ()) -> None:
        known = [*graph.variables, *(each.variable for each in held)]
        self._variables = {id(each.handle): each for each in known if hasattr(each, "handle")}
        self._held = {id(each.variable): each for each in held}
        self._weights: dict[int, Parameter] = {}

    def of(self, tensor: Any) -> Any:
        """A captured tensor."""
        found = self._variables.get(id(tensor))
        if found is not None:
            return Variable(self._parameter(found))
        if tensor.dtype.name == "string":
            return Text(np.asarray(tensor.numpy(), object))
        if tensor.dtype.name == "resource":
            return _Resource(tensor)
        if tensor.dtype.name == "variant":
            return tensor  # refused where an op reads it
        array = np.asarray(tensor)
        return complex_numbers.constant(array) if array.dtype.kind == "c" else Constant(array).value

    def _parameter(self, variable: Any) -> Parameter:
        if id(variable) in self._held:
            return self._held[id(variable)].weight()
        if id(variable) not in self._weights:
            array = np.asarray(variable)
            name = str(variable.name).removesuffix(":0")
            self._weights[id(variable)] = Parameter(
                name, type_of(array), array=array, trainable=bool(variable.trainable)
            )
        return self._weights[id(variable)]

    def variable(self, node: GraphNode) -> Variable:
        """A variable that the graph makes itself."""
        raise Refused("makes a variable at each call", "make variables once, outside of the function")

    def table(self, node: GraphNode) -> Any:
        """A table that the graph makes itself."""
        raise Refused("makes a lookup table at each call", "make tables once, outside of the function")


@dataclass(frozen=True)
class _Resource:
    """A resource in memory that is no variable: a lookup table, or what no op that is read can use."""

    handle: Any

    def entries(self, key: Any, content: Any) -> Table:
        """The entries of a table, which TensorFlow tells."""
        tensorflow = sys.modules["tensorflow"]
        kinds = {
            name: each if type(each) is int else str(each) for name, each in (("Tkeys", key), ("Tvalues", content))
        }
        try:
            keys, values = tensorflow.raw_ops.LookupTableExportV2(table_handle=self.handle, **kinds)
        except (tensorflow.errors.OpError, TypeError, ValueError) as error:
            raise Refused(f"looks up in what is no table: {str(error).splitlines()[0][:80]}") from None
        return Table(np.asarray(keys), np.asarray(values))

    def size(self) -> int:
        """The number of entries."""
        return int(sys.modules["tensorflow"].raw_ops.LookupTableSizeV2(table_handle=self.handle))


def concrete_of(source: Any, inputs: Any, signature: str | None) -> Any:
    """The concrete function of what the user gave. Raises ArgumentError."""
    signatures = getattr(source, "signatures", None)
    if signature is not None or (signatures and not callable(getattr(source, "get_concrete_function", None))):
        source = _named(source, signatures, signature)
    if hasattr(source, "captured_inputs") and hasattr(source, "graph"):
        return source
    if not hasattr(source, "get_concrete_function"):
        source = _callable_of(source)
    return source.get_concrete_function(*_specs(source, inputs))


def _named(source: Any, signatures: Any, name: str | None) -> Any:
    if signatures and (name or "serving_default") in signatures:
        return signatures[name or "serving_default"]
    found = getattr(source, name, None) if name else None
    if found is None:
        listed = ", ".join(sorted(signatures or ())) or "none"
        raise ArgumentError(f"there is no signature {name!r}", remedy=f"signatures: {listed}; or the name of a method")
    return found


def _callable_of(source: Any) -> Any:
    """The function of a tf.Module: its __call__, as a tf.function."""
    if not callable(source):
        raise ArgumentError(
            f"from_tensorflow takes a tf.function, a concrete function, a tf.Module or the folder of a SavedModel, "
            f"got {type(source).__name__}",
            remedy="name the method to read: signature='...'",
        )
    bound = source.__call__
    return bound if hasattr(bound, "get_concrete_function") else sys.modules["tensorflow"].function(source)


def _specs(function: Any, inputs: Any) -> list[Any]:
    """What to trace a function for."""
    if inputs is not None:
        listed = inputs if isinstance(inputs, (list, tuple)) else [inputs]
        return [_spec(each) for each in listed]
    if getattr(function, "input_signature", None) is not None:
        return []
    known: list[Any] = getattr(function, "_list_all_concrete_functions", list)()
    if len(known) == 1:
        args, _ = known[0].structured_input_signature
        return list(args)
    raise ArgumentError(
        "the function has no input signature, so its inputs are not known",
        remedy="give them: inputs=[tf.TensorSpec([None, 3])], or dagir Inputs",
    )


def _spec(given: Any) -> Any:
    tensorflow = sys.modules["tensorflow"]
    if isinstance(given, Value):
        return tensorflow.TensorSpec(given.shape, str(given.dtype), name=given.name)
    if isinstance(given, np.ndarray):
        return tensorflow.TensorSpec(given.shape, given.dtype)
    return given


def _inputs(concrete: Any) -> tuple[list[Value], list[str]]:
    """An Input for each tensor that the function takes, with the name and the sizes of its spec."""
    count = len(concrete.graph.inputs) - len(concrete.captured_inputs)
    tensors = concrete.graph.inputs[:count]
    names: list[str] = []
    made = []
    open_first = [t for t in tensors if t.shape.rank and t.shape[0] is None]
    for tensor in tensors:
        if tensor.shape.rank is None:
            raise ArgumentError(
                f"the input {tensor.op.name!r} has no known rank", remedy="trace the function with known ranks"
            )
        name = str(tensor.op.name)
        names.append(name)
        sizes = [_size(name, axis, size, len(open_first)) for axis, size in enumerate(tensor.shape.as_list())]
        dtype = input_dtype(name, tensor.dtype.name)
        made.append(Input(batch_shape=sizes, dtype=dtype, name=name))
    return made, names


def input_dtype(name: str, data: Any) -> str:
    """The dtype of an input. Raises UnsupportedLayer for one that dagir has not."""
    try:
        return "string" if data in ("string", 7) else str(dtype_of(data))
    except Refused as refused:
        raise UnsupportedLayer(f"the input {name!r} cannot be taken: {refused.reason}", remedy=refused.remedy) from None


def _size(name: str, axis: int, size: int | None, inputs: int) -> int | str:
    """A size, or its name. Only one input is known to have the batch: others may have another number of rows."""
    if size is not None:
        return size
    return "batch" if axis == 0 and inputs == 1 else f"{name}_{axis}"


def _structured(concrete: Any, values: Sequence[Value]) -> Any:
    """The values in the structure that the function returns."""
    structure = concrete.structured_outputs
    leaves = [leaf for leaf in flatten_sorted(structure) if leaf is not None]
    if len(leaves) != len(values):
        return list(values) if len(values) != 1 else values[0]
    by_leaf = {id(leaf): value for leaf, value in zip(leaves, values, strict=True)}
    made = map_structure(lambda leaf: None if leaf is None else by_leaf[id(leaf)], structure)
    return made if isinstance(made, (list, tuple, dict, Value)) else values[0]


def _title(source: Any, otherwise: str) -> str:
    name = getattr(source, "__name__", None) or getattr(source, "name", None)
    found = name if isinstance(name, str) else otherwise
    return "".join(each if each.isalnum() or each in "_-." else "_" for each in found) or "function"
