"""The NumPy backend: runs the graph as written."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph, Value
from dagir.ir.types import Array, DType
from dagir.ir.weight_snapshot import Snapshot
from dagir.modeling.model import Model
from dagir.modeling.subgraph import cut_out
from dagir.ops.call import parameters_of
from dagir.passes import DEPLOY, run
from dagir.runtime.backend import Around, Backend, Executable, Kept, graph_of, signature
from dagir.runtime.probes import Body, Points, body_of, holds_bodies, points_of
from dagir.serialization import save
from dagir.support.backend_names import NUMPY
from dagir_numpy.interpreter import evaluate, operands_of, runs_of_bodies
from dagir_numpy.rules import rules


class NumpyExecutable(Executable):
    """The interpreter over one graph. `.artifact` is the graph."""

    def __init__(self, model: Model | Graph, precision: DType | None, inside: Points | None = None) -> None:
        """inside: the points of the model, where they have names of their own."""
        graph = graph_of(model)
        super().__init__(graph, signature(model))
        self._given = inside
        self.artifact: Graph = graph
        self.precision = precision
        self._weights = Snapshot(parameters_of(graph))

    def trace(self, arrays: Sequence[Array], around: Around) -> list[Array]:
        """Run on arrays in the order of the inputs, with `around` called for each node in place of its rule."""
        return self._evaluated(self.artifact, arrays, around)

    @cached_property
    def _points(self) -> Points:
        return self._given or points_of(self.artifact)

    def points(self) -> Mapping[str, str]:
        """Every point, under its own name."""
        return {name: name for name in self._points.values}

    def observe(self, arrays: Sequence[Array], names: Sequence[str]) -> list[Array]:
        """The interpreter on a graph that yields the points."""
        inside = self._points
        graph = Graph(inside.graph.inputs, [inside.values[name] for name in names], "observed")
        return self._evaluated(graph, arrays)

    def part(self, model: Model, inputs: Mapping[str, str], output: str, sizes: Mapping[str, int]) -> Executable:
        """The interpreter at the same precision on what its own graph has between the points."""
        inside = self._points
        names = [name for name, _ in self.signature.inputs]
        values = {**dict(zip(names, inside.graph.inputs, strict=True)), **inside.values}
        cut = {values[point]: source for point, source in zip(inputs.values(), model.inputs, strict=True)}
        with self._weights.seen():
            return NumpyExecutable(cut_out(cut, values[output], sizes), self.precision)

    def body(self, point: str, body: Body, arrays: Sequence[Array]) -> Executable | None:
        """The interpreter on the body that its own graph has there."""
        node = self._points.values[point].node
        if node is None or not holds_bodies(node) or body.field not in node.op.graph_fields:
            return None
        own = body_of(node, body.field).points
        if len(own.graph.inputs) != len(body.points.graph.inputs):
            return None
        with self._weights.seen():
            return NumpyExecutable(own.graph, self.precision, own)

    def runs_of_bodies(self, value: Value, arrays: Sequence[Array]) -> Iterator[tuple[str, list[Array]]]:
        """Each run of a body of the node that makes a value: which body, and its inputs. In the order of the runs."""
        node = value.node
        assert node is not None
        with self._weights.seen():
            operands = operands_of(node, self.artifact, arrays, self.precision)
        fields = {getattr(node.op, field): field for field in node.op.graph_fields}
        for graph, given in runs_of_bodies(node, operands, self.bind(arrays), self.precision):
            yield fields[graph], list(given)

    def keep(self, folder: Path) -> Kept | None:
        """A .dagir file."""
        graph = self.artifact
        outputs = graph.outputs[0] if len(graph.outputs) == 1 else list(graph.outputs)
        with self._weights.seen():
            save(Model(list(graph.inputs), outputs, name="found"), folder / "found.dagir")
        options = "" if self.precision is None else f', precision="{self.precision}"'
        return Kept(f'dagir.lower(dagir.load("found.dagir"), "numpy"{options})(list(feeds.values()))')

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        return self._evaluated(self.artifact, arrays)

    def _evaluated(self, graph: Graph, arrays: Sequence[Array], around: Around | None = None) -> list[Array]:
        with self._weights.seen():
            return evaluate(graph, arrays, self.precision, around)


class NumpyBackend(Backend):
    """The reference: its rule for an op is the meaning of the op."""

    name = NUMPY
    rules = rules

    def lower(self, model: Model | Graph, *, precision: Any = None, **unknown: Any) -> NumpyExecutable:
        """precision: compute floats in this dtype ("float64" is the oracle) in place of their own."""
        if unknown:
            raise ArgumentError(f"the numpy backend has no option {sorted(unknown)[0]!r}", remedy="it has: precision")
        return NumpyExecutable(model, None if precision is None else DType.of(precision))

    def variants(self, model: Model | Graph) -> dict[str, Callable[[], Executable]]:
        """The model's own dtypes, as written and after every pass; and float64 after every pass."""
        return {
            NUMPY: lambda: NumpyExecutable(model, None),
            "numpy, optimized": lambda: Optimized(model, None),
            "numpy float64, optimized": lambda: Optimized(model, DType.FLOAT64),
        }


class Optimized(NumpyExecutable):
    """The interpreter on the graph that ONNX gets, with the model's own interface."""

    def __init__(self, model: Model | Graph, precision: DType | None) -> None:
        super().__init__(model, precision)
        self._graph = run(graph_of(model), DEPLOY)

    def points(self) -> Mapping[str, str]:
        """None: the graph as written is not what runs."""
        return {}

    def keep(self, folder: Path) -> Kept | None:
        """None: a file would hold the graph as written."""
        return None

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        found = self._evaluated(self._graph, arrays)
        outputs = zip(found, self.artifact.outputs, strict=True)
        return [np.asarray(array, value.dtype.numpy) for array, value in outputs]
