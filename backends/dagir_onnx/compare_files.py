"""Two .onnx files compared as they are, each node by its own name.

There is no float64 oracle here: onnxruntime has no float64 kernels for many operators. The first file gives the budget:
it is run again with inputs and weights disturbed by half a unit in the last place, as rounding does (backward error).
The second file may differ from the first by the budget of these answers.
"""

from __future__ import annotations

import contextlib
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from math import prod
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from onnx import ValueInfoProto

from dagir.equivalence.comparison import Finding
from dagir.equivalence.inputs import Limits, Plan, draw, index_limits, size_plans
from dagir.equivalence.oracle import Expected
from dagir.equivalence.progress import Meter, Progress
from dagir.equivalence.report import Case, Report
from dagir.equivalence.rows import row_of
from dagir.errors import BackendError, DagirError, FeedError, FileError, UnsafeFile
from dagir.ir.dims import symbol
from dagir.ir.graph import Graph, Value
from dagir.ir.types import Array, DType, TensorType
from dagir_onnx import untrusted_proto
from dagir_onnx.dtypes import FROM_ONNX
from dagir_onnx.file_search import FileSearch, Pair
from dagir_onnx.file_side import Side, disturbed, judge
from dagir_onnx.importing import read_model
from dagir_onnx.name_matching import Entry, check_given, match
from dagir_onnx.saturation import reason, saturating_nodes

JUDGEMENT = "no float64 oracle: judged by how far the first file's answers move when its inputs and weights are rounded"
_MOST = 1 << 26  # elements of inputs, in all
_CARRY_IDS = {"Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Where", "Clip", "Min", "Max", "Mod", "Add"}


def compare_files(
    first: Path,
    second: Path,
    *,
    samples: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
    names: Mapping[str, str] = MappingProxyType({}),
    tell: Callable[[str], None] = lambda line: None,
) -> Report:
    """Compare two files on drawn inputs. names: of the first's inputs and outputs, by those of the second.

    Others are matched by name, else by position and type, of which `tell` is told. Raises FileError, and ArgumentError
    where inputs or outputs do not fit.
    """
    start = time.perf_counter()
    left, right = Side(first), Side(second)
    inputs, outputs = _match_names(left, right, names, tell)
    graph, limits = _as_graph(left)
    findings: dict[str, list[Finding]] = {}
    cases, runs, found = [], [], None
    plans, meter = size_plans(graph)[:3], Meter(progress)
    meter.expect(len(plans))
    for number, plan in enumerate(plans):
        meter.begin(f"{plan.kind} inputs")
        rng = np.random.default_rng([seed, number])
        feeds, expected = _accepted(left, graph, limits, plan, samples, rng)
        others = {inputs[name]: array for name, array in feeds.items()}
        for name, array in zip(left.outputs, right.run(others, [outputs[name] for name in left.outputs]), strict=True):
            findings.setdefault(name, []).append(judge(array, expected[name]))
        cases.append(Case(tuple(tuple(array.shape) for array in feeds.values())))
        runs.append((feeds, others))
        if found is None and any(not results[-1].ok for results in findings.values()):
            ends = tuple(Pair(outputs[name], name) for name in left.outputs)
            with contextlib.suppress(DagirError):  # onnxruntime may not show each tensor; the two differ all the same
                found = FileSearch(left, right, feeds, others, samples, rng, ends).first()
        meter.tick()
    types = {info.name: _type(info) for info in left.proto.graph.output}
    rows = [row_of(second.name, name, types[name], results) for name, results in findings.items()]
    told = "" if all(row.ok for row in rows) else _saturated(left, right, outputs, runs, samples, seed)
    seconds, explained = time.perf_counter() - start, {second.name: told} if told else {}
    return Report(tuple(rows), tuple(cases), seed, samples, seconds, found, JUDGEMENT, explained=explained)


def _accepted(
    side: Side, graph: Graph, limits: Limits, plan: Plan, samples: int, rng: np.random.Generator
) -> tuple[dict[str, Array], dict[str, Expected]]:
    """Inputs of the first sizes that the file takes, and its answers. Raises what refuses the first sizes."""
    refusal: DagirError | None = None
    for sizes in (*plan.tried, *plan.instead):
        arrays = draw(graph, sizes, rng, plan.kind, limits)
        feeds = {info.name: array for info, array in zip(side.inputs, arrays, strict=True)}
        try:
            return feeds, disturbed(side, feeds, side.outputs, samples, rng)
        except UnsafeFile:
            raise
        except (FileError, BackendError, FeedError) as error:
            refusal = refusal or error
    assert refusal is not None
    raise refusal


def _saturated(
    left: Side,
    right: Side,
    outputs: Mapping[str, str],
    runs: Sequence[tuple[Mapping[str, Array], Mapping[str, Array]]],
    samples: int,
    seed: int,
) -> str:
    """Why two files differ that agree where no sum of codes saturates; empty if they differ then too."""
    nodes = [*saturating_nodes(left.proto, left.path), *saturating_nodes(right.proto, right.path)]
    if not nodes:
        return ""
    left, right = Side(left.path, left.proto, exact=True), Side(right.path, right.proto, exact=True)
    for number, (feeds, others) in enumerate(runs):
        expected = disturbed(left, feeds, left.outputs, samples, np.random.default_rng([seed, number, 1]))
        found = right.run(others, [outputs[name] for name in left.outputs])
        if not all(judge(array, expected[name]).ok for name, array in zip(left.outputs, found, strict=True)):
            return ""
    return reason(max(nodes, key=lambda node: node.share), len(nodes))


def _match_names(
    left: Side, right: Side, given: Mapping[str, str], tell: Callable[[str], None]
) -> tuple[dict[str, str], dict[str, str]]:
    """The names in the second file of the inputs and outputs of the first. Raises ArgumentError."""
    one, two = ({"inputs": side.inputs, "outputs": list(side.proto.graph.output)} for side in (left, right))
    first, second = ([info.name for infos in each.values() for info in infos] for each in (one, two))
    check_given(right.path, given, second, first, model=str(left.path))
    matched = []
    for what, infos in one.items():
        wanted = [(info.name, _type(info)) for info in infos]
        matched.append(match(right.path, what, wanted, list(map(_entry, two[what])), given, of=str(left.path)))
        for name, other in matched[-1].items():
            if name != other and given.get(other) != name:
                told = f"{what[:-1]} {name!r} of {left.path.name} is {other!r} in {right.path.name}"
                tell(f"{told}, by position and type")
    return matched[0], matched[1]


def _entry(info: ValueInfoProto) -> Entry:
    tensor = info.type.tensor_type
    sizes = [untrusted_proto.fixed_size(size) for size in tensor.shape.dim] if tensor.HasField("shape") else None
    return Entry(info.name, tensor.elem_type, sizes)


def _as_graph(side: Side) -> tuple[Graph, Limits]:
    """A graph with the same inputs, for drawing, and limits for inputs that index something.

    That of the file where dagir reads it, as it tells which sizes are possible; else one of the inputs alone.
    """
    _check_inputs(side)
    with contextlib.suppress(DagirError), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what the file declares is not judged here
        graph = read_model(side.path, None).graph
        declared = [FROM_ONNX[info.type.tensor_type.elem_type] for info in side.inputs]
        if [value.dtype for value in graph.inputs] == declared:
            return graph, index_limits(graph)
    values = {info.name: Value(_type(info), name=info.name) for info in side.inputs}
    return Graph(values.values(), list(values.values()), "interface"), _limits_in_file(side, values)


def _limits_in_file(side: Side, values: Mapping[str, Value]) -> Limits:
    """The sizes of the weights that inputs index."""
    shapes = {tensor.name: tuple(tensor.dims) for tensor in side.proto.graph.initializer}
    origin = {name: name for name in values}
    limits: Limits = {}
    for node in side.proto.graph.node:
        sources = [origin[name] for name in node.input if name in origin]
        if sources and node.output and node.op_type in _CARRY_IDS:
            origin[node.output[0]] = sources[0]
        if node.op_type == "Gather" and len(node.input) == 2 and node.input[1] in origin and node.input[0] in shapes:
            axis, shape = next((entry.i for entry in node.attribute if entry.name == "axis"), 0), shapes[node.input[0]]
            if -len(shape) <= axis < len(shape) and shape[axis] > 0:
                limits.setdefault(values[origin[node.input[1]]], []).append(shape[axis])
    return limits


def _check_inputs(side: Side) -> None:
    """Raise FileError for inputs whose arrays cannot be drawn."""
    total = 0
    for info in side.inputs:
        tensor = info.type.tensor_type
        if tensor.elem_type not in FROM_ONNX:
            raise FileError(f"{side.path}: the input {info.name!r} is no tensor of a dtype that dagir knows")
        known = (untrusted_proto.fixed_size(size) for size in tensor.shape.dim)
        total += prod(1 if size is None else size for size in known)
    if total > _MOST or any(len(info.type.tensor_type.shape.dim) > 32 for info in side.inputs):
        raise UnsafeFile(f"{side.path}: its inputs hold {total:,} elements, more than can be drawn and compared")


def _type(info: Any) -> TensorType:
    tensor = info.type.tensor_type
    shape = []
    for axis, size in enumerate(tensor.shape.dim):
        name = size.dim_param if size.dim_param.isidentifier() else f"{info.name}_{axis}".replace("/", "_")
        name = name if name.isidentifier() else f"size_{axis}"
        known = untrusted_proto.fixed_size(size)
        shape.append(symbol("batch" if axis == 0 else name) if known is None else known)
    return TensorType(FROM_ONNX.get(tensor.elem_type, DType.FLOAT32), tuple(shape))
