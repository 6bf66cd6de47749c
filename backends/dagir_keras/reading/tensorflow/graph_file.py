"""A graph of a file while it is read: its variables, its tables and the weights that are its constants."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from dagir import ops
from dagir.errors import FileError, UnsupportedLayer
from dagir.ir.graph import Constant, Graph, Parameter, Value
from dagir.ir.naming import Namer
from dagir.ir.rewriter import rebuild
from dagir.ir.types import type_of
from dagir.modeling.model import Model
from dagir.serialization.reading import shown
from dagir_keras.reading.problems import Problems, Refused
from dagir_keras.reading.tensorflow.checkpoint import Checkpoint
from dagir_keras.reading.tensorflow.frames import with_loops
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, Output, graph_of
from dagir_keras.reading.tensorflow.graph_ends import Entrance, inputs_at, with_one_batch
from dagir_keras.reading.tensorflow.graph_reader import GraphReader
from dagir_keras.reading.tensorflow.held import Table, Variable
from dagir_keras.reading.tensorflow.messages import Message
from dagir_keras.reading.tensorflow.results import as_values
from dagir_keras.reading.tensorflow.saved_tables import read_table, tables_by_node
from dagir_keras.reading.tensorflow.saved_variables import Descriptions, variables_by_node
from dagir_keras.reading.tensorflow.switches import without_untaken


@contextmanager
def as_tensorflow_writes(path: str) -> Iterator[None]:
    """Within it, an unexpected error of the reader becomes a FileError: a part of the file is damaged."""
    try:
        yield
    except Refused as refused:
        raise UnsupportedLayer(f"{path}: {refused.reason}", remedy=refused.remedy) from None
    except RecursionError:
        raise FileError(f"{path}: its functions are nested too deep") from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
        lines = str(error).splitlines() or [""]
        text = f"{type(error).__name__}: {shown(lines[0][:80])}"
        raise FileError(f"{path}: is not what TensorFlow writes: {text}") from error


def main_graph(
    meta: Message, name: str = "main", arguments: Sequence[str] = (), outputs: Sequence[Output] = ()
) -> GraphFunction:
    """The graph of a file, between some of its nodes."""
    return graph_of(meta["graph"], name, arguments, outputs, runs_whole=False)


@dataclass
class GraphFile:
    """One file. where: its path, or its folder. is_frozen: whether constants of floats are its weights."""

    where: str
    meta: Message
    checkpoint: Checkpoint | None
    name: str
    is_frozen: bool = False
    variables_of: dict[str, Variable] = field(default_factory=dict)
    unique: Namer = field(default_factory=Namer)

    def model(
        self,
        entrances: Sequence[Entrance],
        outputs: Mapping[str, Output],
        given: Mapping[str, Any],
        one_batch: bool = False,
        kept: Collection[str] | None = None,
    ) -> Model:
        """The model between these inputs and outputs.

        given: shapes or arrays of the user, by name. kept: the inputs that stay even if no output needs them; all, by
        default.
        """
        graph = self._between(entrances, outputs)
        if kept is not None:
            needed = {name for node in graph.needed() for name, _ in node.inputs} | {name for name, _ in graph.outputs}
            entrances = [each for each in entrances if each.node in needed or each.name in kept]
            graph = self._between(entrances, outputs)
        self.graph = graph
        inputs = inputs_at(entrances, given, self.where, one_batch)
        problems = Problems(of_nodes=True)
        reader = GraphReader(problems, self, names=True)
        found = reader.call(graph, list(inputs.values()))
        problems.require_none(self.where)
        values = as_values(found)
        taken = [value for value in inputs.values() if value.is_input]
        if self.is_frozen:
            values = list(self._with_weights(Graph(taken, values, self.name), reader.constants).outputs)
        results = dict(zip(outputs, values, strict=True))
        return with_one_batch(Model.from_graph(taken, results, name=self.name, unused_inputs=True))

    def _between(self, entrances: Sequence[Entrance], outputs: Mapping[str, Output]) -> GraphFunction:
        nodes = [each.node for each in entrances]
        return without_untaken(with_loops(main_graph(self.meta, self.name, nodes, list(outputs.values()))))

    def _with_weights(self, graph: Graph, names: Mapping[Value, str]) -> Graph:
        """The graph with weights in place of its constants of floats, those of what is not trained apart."""
        averages = {v for node in graph.nodes if isinstance(node.op, ops.BatchNorm) for v in node.inputs[3:5]}
        made: dict[Value, Value] = {}
        read = dict.fromkeys(v for node in graph.nodes for v in node.inputs if v is not None and v in names)
        for value in read:
            source = value.source
            if isinstance(source, Constant) and source.array.ndim and source.array.size and value.dtype.is_float:
                name = self.unique(names[value])
                weight = Parameter(name, type_of(source.array), array=source.array, trainable=value not in averages)
                made[value] = weight.value
        return rebuild(graph, lambda node, operands: None, known=made)

    @cached_property
    def _keys(self) -> Mapping[str, str]:
        saved = () if self.checkpoint is None else self.checkpoint.keys()
        return {**self._descriptions.bound(self.graph, saved), **variables_by_node(self.graph)}

    @cached_property
    def _descriptions(self) -> Descriptions:
        return Descriptions(self.meta, self.where)

    def variable(self, node: GraphNode) -> Variable:
        """The variable of a node: its array is a view of the file."""
        if self.is_frozen:
            raise Refused(
                "is a variable, whose numbers are not in the graph",
                "freeze the graph: tf.compat.v1.graph_util.convert_variables_to_constants; or save a SavedModel",
            )
        if node.name not in self.variables_of:
            key = self._keys.get(node.name)
            if key is None or self.checkpoint is None or key not in self.checkpoint:
                raise Refused(f"is a variable that the checkpoint of {self.where} does not hold")
            array = self.checkpoint.array(key)
            told = self._descriptions.of(node, key)
            weight = Parameter(self.unique(told.name), type_of(array), array=array, trainable=told.trainable)
            self.variables_of[node.name] = Variable(weight)
        return self.variables_of[node.name]

    @cached_property
    def _tables(self) -> Mapping[str, Any]:
        return tables_by_node(self.graph)

    def table(self, node: GraphNode) -> Table:
        """The lookup table of a node, with the entries that the file gives it."""
        source = self._tables.get(node.name)
        if source is None:
            raise Refused("is a lookup table that nothing fills")
        return read_table(node, source, self.graph, self.meta, self.where)


__all__ = ["GraphFile", "as_tensorflow_writes", "main_graph"]
