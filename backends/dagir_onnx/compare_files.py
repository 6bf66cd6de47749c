"""Two .onnx files compared as they are, each node by its own name.

There is no float64 oracle here: onnxruntime has no float64 kernels for many operators. The first file gives the budget:
it is run again with inputs and weights disturbed by half a unit in the last place, as rounding does (backward error).
The second file may differ from the first by the budget of these answers.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, numpy_helper

from dagir.equivalence.bisection import Divergence
from dagir.equivalence.budget import Spread
from dagir.equivalence.comparison import Finding, compare
from dagir.equivalence.inputs import Limits, draw, size_plans
from dagir.equivalence.oracle import Expected
from dagir.equivalence.progress import Meter, Progress
from dagir.equivalence.report import Case, Report, Row
from dagir.errors import ArgumentError, DagirError, FileError, UnsafeFile
from dagir.ir.dims import symbol
from dagir.ir.graph import Graph, Value
from dagir.ir.types import Array, DType, TensorType
from dagir_onnx import untrusted_proto
from dagir_onnx.dtypes import FROM_ONNX
from dagir_onnx.onnxruntime_late import onnxruntime
from dagir_onnx.points import Watch
from dagir_onnx.runtime_errors import file_refusal, refusals, refuse_fatal

JUDGEMENT = "no float64 oracle: judged by how far the first file's answers move when its inputs and weights are rounded"
_MOST = 1 << 26  # elements of inputs, in all
_CARRY_IDS = {"Cast", "Identity", "Reshape", "Unsqueeze", "Squeeze", "Where", "Clip", "Min", "Max", "Mod", "Add"}


class Side:
    """One file: its interface, its nodes, and runs with more outputs."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.proto: ModelProto = untrusted_proto.read_whole(path)
        weights = {tensor.name for tensor in self.proto.graph.initializer}
        self.inputs = [info for info in self.proto.graph.input if info.name not in weights]
        self.outputs = [info.name for info in self.proto.graph.output]
        self.output_types = {info.name: _type(info) for info in self.proto.graph.output}
        self.makers: dict[str, NodeProto] = {name: node for node in self.proto.graph.node for name in node.output}

    def run(self, feeds: Mapping[str, Array], tensors: Sequence[str], proto: ModelProto | None = None) -> list[Array]:
        """The arrays of tensors, of this file or of a disturbed copy. Raises FileError, BackendError."""
        refuse_fatal(self.proto, list(feeds.values()), self.path)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        watch = Watch(proto or self.proto, options, ["CPUExecutionProvider"], None, self._refused)
        try:
            return watch(feeds, tensors)
        except (ValueError, TypeError, MemoryError) as error:
            raise self._refused(error) from None
        except refusals() as error:
            raise self._refused(error) from None

    def _refused(self, error: Exception) -> DagirError:
        return file_refusal(error, self.proto, "cpu", self.path)

    def title(self, tensor: str) -> str:
        """The name in the file of the node that makes a tensor."""
        node = self.makers[tensor]
        return str(node.name or f"{node.op_type} of {tensor}")

    def layer(self, tensor: str) -> str:
        """The layer that the file names for that node, if it does."""
        node = self.makers[tensor]
        return next((entry.value for entry in node.metadata_props if entry.key == "dagir.layer"), "")


def compare_files(
    first: Path, second: Path, *, samples: int = 6, seed: int = 0, progress: Progress | None = None
) -> Report:
    """Compare two files on drawn inputs. Raises FileError, ArgumentError where inputs or outputs differ."""
    start = time.perf_counter()
    left, right = Side(first), Side(second)
    _check_interfaces(left, right)
    graph, limits = _as_graph(left)
    findings: dict[str, list[Finding]] = {}
    cases, found = [], None
    plans, meter = size_plans(graph)[:3], Meter(progress)
    meter.expect(len(plans))
    for number, plan in enumerate(plans):
        meter.begin(f"{plan.kind} inputs")
        rng = np.random.default_rng([seed, number])
        arrays = draw(graph, plan.tried[0], rng, plan.kind, limits)
        feeds = {info.name: array for info, array in zip(left.inputs, arrays, strict=True)}
        expected = _disturbed(left, feeds, left.outputs, samples, rng)
        for name, array in zip(left.outputs, right.run(feeds, left.outputs), strict=True):
            findings.setdefault(name, []).append(_judge(array, expected[name]))
        cases.append(Case(tuple(tuple(array.shape) for array in arrays)))
        if found is None and any(not results[-1].ok for results in findings.values()):
            found = _first_divergence(left, right, feeds, samples, rng)
        meter.tick()
    rows = [_row(second.name, name, left.output_types[name], results) for name, results in findings.items()]
    return Report(tuple(rows), tuple(cases), seed, samples, time.perf_counter() - start, found, judgement=JUDGEMENT)


def _check_interfaces(left: Side, right: Side) -> None:
    for what, one, other in (
        ("inputs", [info.name for info in left.inputs], [info.name for info in right.inputs]),
        ("outputs", left.outputs, right.outputs),
    ):
        if sorted(one) != sorted(other):
            facts = [(left.path.name, ", ".join(one)), (right.path.name, ", ".join(other))]
            raise ArgumentError(f"the {what} of {right.path} are not those of {left.path}", facts=facts)


def _as_graph(side: Side) -> tuple[Graph, Limits]:
    """A graph with the same inputs, for drawing, and limits for inputs that index a weight."""
    _check_inputs(side)
    values = {info.name: Value(_type(info), name=info.name) for info in side.inputs}
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
    return Graph(values.values(), list(values.values()), "interface"), limits


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


def _disturbed(
    side: Side, feeds: Mapping[str, Array], tensors: Sequence[str], samples: int, rng: np.random.Generator
) -> dict[str, Expected]:
    """The answers of a file, and how far they move when its inputs and weights are rounded otherwise."""
    answers = side.run(feeds, tensors)
    spreads = [
        Spread(array.astype(np.float64) if _is_float(array) else array, DType.of(array.dtype)) for array in answers
    ]
    for _ in range(samples):
        proto = ModelProto()
        proto.CopyFrom(side.proto)
        for tensor in proto.graph.initializer:
            array = untrusted_proto.array_of(tensor, side.path)
            if _is_float(array) and array.ndim:
                tensor.CopyFrom(numpy_helper.from_array(_rounded(array, rng), tensor.name))
        moved = {name: _rounded(array, rng) for name, array in feeds.items()}
        for spread, array in zip(spreads, side.run(moved, tensors, proto), strict=True):
            spread.add(array.astype(np.float64) if _is_float(array) else array)
    return {name: _expected(spread) for name, spread in zip(tensors, spreads, strict=True)}


def _is_float(array: Array) -> bool:
    """Whether numbers of the array are computed with: those of float8_e5m2, which NumPy calls floats, are codes."""
    return array.dtype.kind == "f" and array.dtype.itemsize > 1


def _rounded(array: Array, rng: np.random.Generator) -> Array:
    if not _is_float(array):
        return array
    eps = np.finfo(array.dtype).eps
    return np.asarray(array * (1 + eps * rng.choice([-1, 0, 1], array.shape))).astype(array.dtype)


def _expected(spread: Spread) -> Expected:
    if not spread.dtype.is_float:
        return Expected(spread.answer, None, tuple(spread.variants))
    budget, whole = spread.allowance()
    least = 4 * spread.dtype.eps * float(np.abs(np.nan_to_num(spread.answer)).max(initial=0))
    return Expected(spread.answer, np.maximum(budget, least), (), max(whole, least))


def _judge(array: Array, expected: Expected) -> Finding:
    return compare(array, expected, TensorType(DType.of(array.dtype), tuple(expected.array.shape)))


def _first_divergence(
    left: Side, right: Side, feeds: Mapping[str, Array], samples: int, rng: np.random.Generator
) -> Divergence | None:
    """The first node, in the order of the second file, whose tensor has the same name in the first but differs."""
    shared = [name for node in right.proto.graph.node for name in node.output if name in left.makers]
    expected = _disturbed(left, feeds, shared, samples, rng)
    for name, array in zip(shared, right.run(feeds, shared), strict=True):
        finding = _judge(array, expected[name])
        if not finding.ok:
            op, layer = right.makers[name].op_type, right.layer(name)
            error, used, note = finding.max_error, finding.used, finding.note
            return Divergence(right.path.name, right.title(name), layer, op, name, error, used, note)
    return None


def _row(backend: str, name: str, type: TensorType, findings: Sequence[Finding]) -> Row:
    worst = max(findings, key=lambda finding: finding.used)
    error = max(each.max_error for each in findings)
    return Row(backend, name, f"[{', '.join(map(str, type.shape))}]", str(type.dtype), error, worst.used, worst.note)
