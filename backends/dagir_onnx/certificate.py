"""The certificate in an .onnx file: what was compared, with what, on which inputs, and the answers it must give.

It is JSON under the metadata key "dagir.certificate": the seed and the sizes from which the inputs are drawn again, for
each output some elements of the float64 answer with their error budgets, and hashes of the weights and of the graph.
It is appended to the file: in protobuf, what is read twice is merged, so no weight is written again.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, StringStringEntryProto

from dagir.dims import Dim, parse
from dagir.equivalence.comparison import Finding, compare
from dagir.equivalence.inputs import Limits, draw, index_limits
from dagir.equivalence.oracle import Expected
from dagir.equivalence.report import Case, Report, Row
from dagir.equivalence.reproduction import versions
from dagir.errors import FileError
from dagir.feeds import as_strings
from dagir.graph import Graph, Value
from dagir.types import Array, DType, TensorType
from dagir_onnx import received
from dagir_onnx.executable import as_objects
from dagir_onnx.kernels import REFUSALS, file_refusal

KEY = "dagir.certificate"
_VERSION = 2  # raised when the same seed draws other inputs
_KEPT = 32  # elements of each answer
JUDGEMENT = "against the float64 answers in the file's certificate"


def certify(path: Path, report: Report, source: str) -> None:
    """Append the certificate of a report to the file that it is about. Raises FileError."""
    if report.context is None or not report.ok:
        raise FileError(f"{path} gets no certificate: it was not verified")
    weights, graph = hashes(path)
    data = {
        "version": _VERSION,
        "compared": "this file on onnxruntime",  # by whatever name: a second conversion gives the same bytes
        "with": f"the float64 evaluation of {source}",
        "cases_run": len(report.cases),
        "seed": report.seed,
        "samples": report.samples,
        "worst_budget_used_percent": 100 * max((row.used for row in report.rows), default=0.0),
        "weights_sha256": weights,
        "graph_sha256": graph,
        "inputs": _interface(report),
        "cases": _cases(report),
        "versions": versions(),
    }
    entry = StringStringEntryProto(key=KEY, value=json.dumps(data, separators=(",", ":")))
    with path.open("ab") as file:
        file.write(ModelProto(metadata_props=[entry]).SerializeToString())


def _interface(report: Report) -> list[dict[str, Any]]:
    assert report.context is not None
    model = report.context.model
    limits = index_limits(model.graph)
    names = [name for name, _ in model.signature.inputs]
    return [
        {
            "name": name,
            "dtype": str(value.dtype),
            "shape": [size if isinstance(size, int) else str(size) for size in value.type.shape],
            "below": [size if isinstance(size, int) else str(size) for size in limits.get(value, [])],
        }
        for name, value in zip(names, model.graph.inputs, strict=True)
    ]


def _cases(report: Report) -> list[dict[str, Any]]:
    assert report.context is not None
    names = [name for name, _ in report.context.model.signature.outputs]
    found = []
    for number, (case, (arrays, expected)) in enumerate(zip(report.cases, report.context.runs, strict=True)):
        if case.kind != "given":
            answers = {name: _sampled(each) for name, each in zip(names, expected, strict=True)}
            inputs = [_digest(array) for array in arrays]
            case_facts = {"number": number, "kind": case.kind, "sizes": dict(case.sizes)}
            found.append({**case_facts, "inputs": inputs, "outputs": answers})
    return found


def _sampled(expected: Expected) -> dict[str, Any]:
    flat = expected.array.reshape(-1)
    places = np.unique(np.linspace(0, max(flat.size - 1, 0), min(_KEPT, flat.size)).astype(int))
    budget = None if expected.budget is None else [float(each) for each in expected.budget.reshape(-1)[places]]
    values = [each if isinstance(each, str) else float(each) for each in flat[places]]
    return {"shape": list(expected.array.shape), "at": places.tolist(), "values": values, "budget": budget}


def _digest(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def hashes(path: Path) -> tuple[str, str]:
    """SHA-256 of the weights (names, dtypes, shapes, numbers, wherever they lie) and of all else in the graph."""
    proto = _read(path)
    weights = hashlib.sha256()
    for tensor in sorted(proto.graph.initializer, key=lambda each: each.name):
        array = received.array_of(tensor, path)
        weights.update(f"{tensor.name} {tensor.data_type} {list(tensor.dims)}".encode())
        weights.update(np.ascontiguousarray(array).tobytes())
    del proto.graph.initializer[:]
    text = proto.graph.SerializeToString(deterministic=True)
    return weights.hexdigest(), hashlib.sha256(text).hexdigest()


def _read(path: Path) -> ModelProto:
    return received.read(path)


def recertify(path: str | os.PathLike[str]) -> Report:
    """Run the certificate of a file again. Raises FileError where it has none, or was changed since."""
    start = time.perf_counter()
    target = Path(path)
    held = _held(target)
    weights, graph = hashes(target)
    for what, found in (("weights", weights), ("graph", graph)):
        if held[f"{what}_sha256"] != found:
            raise FileError(f"the {what} of {target} are not those that were verified: the file was changed")
    values, limits = _values(held["inputs"])
    session = _session(target)
    findings: dict[str, list[Finding]] = {}
    kinds: dict[str, TensorType] = {}
    cases = []
    for case in held["cases"]:
        rng = np.random.default_rng([held["seed"], case["number"]])
        arrays = draw(Graph(values, list(values), "interface"), case["sizes"], rng, case["kind"], limits)
        if [_digest(array) for array in arrays] != case["inputs"]:
            raise FileError(f"the inputs of {target} cannot be drawn again: this NumPy draws others")
        names = list(case["outputs"])
        feeds = {value.name: array for value, array in zip(values, as_objects(arrays), strict=True)}
        for name, array in zip(names, map(as_strings, session.run(names, feeds)), strict=True):
            kinds[name] = TensorType(DType.of(array.dtype), tuple(case["outputs"][name]["shape"]))
            findings.setdefault(name, []).append(_judged(array, case["outputs"][name]))
        cases.append(Case(tuple(tuple(array.shape) for array in arrays), case["kind"], case["sizes"]))
    rows = [_row(target.name, name, kinds[name], found) for name, found in findings.items()]
    seconds = time.perf_counter() - start
    judgement = f"{JUDGEMENT}: {held['with']}"
    return Report(tuple(rows), tuple(cases), held["seed"], held["samples"], seconds, judgement=judgement)


def _session(path: Path) -> Any:
    try:
        return onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"], enable_fallback=0)
    except REFUSALS as error:
        raise file_refusal(error, _read(path), "cpu", path) from None


def _held(path: Path) -> dict[str, Any]:
    texts = [entry.value for entry in _read(path).metadata_props if entry.key == KEY]
    if not texts:
        raise FileError(f"{path} has no certificate", remedy="compare it with its source: dagir-convert verify A B")
    try:
        held: dict[str, Any] = json.loads(texts[-1])
    except ValueError as error:
        raise FileError(f"the certificate of {path} is damaged") from error
    if held.get("version") != _VERSION:
        raise FileError(f"the certificate of {path} is of version {held.get('version')}, this dagir reads {_VERSION}")
    return held


def _values(inputs: Sequence[Mapping[str, Any]]) -> tuple[list[Value], Limits]:
    values: list[Value] = []
    limits: Limits = {}
    for each in inputs:
        shape: list[Dim] = [size if isinstance(size, int) else parse(size) for size in each["shape"]]
        value = Value(TensorType(DType(each["dtype"]), tuple(shape)), name=each["name"])
        values.append(value)
        if each["below"]:
            limits[value] = [size if isinstance(size, int) else parse(size) for size in each["below"]]
    return values, limits


def _judged(array: Array, held: Mapping[str, Any]) -> Finding:
    if list(array.shape) != held["shape"]:
        return Finding(float("inf"), float("inf"), f"shape {list(array.shape)}, the certificate has {held['shape']}")
    found = array.reshape(-1)[held["at"]]
    wanted = np.asarray(held["values"])
    if held["budget"] is None:
        expected = Expected(wanted.astype(array.dtype), None)
    else:
        expected = Expected(wanted, np.asarray(held["budget"]))
    return compare(found, expected, TensorType(DType.of(array.dtype), tuple(found.shape)))


def _row(backend: str, name: str, type: TensorType, findings: Sequence[Finding]) -> Row:
    worst = max(findings, key=lambda each: each.used)
    error = max(each.max_error for each in findings)
    return Row(backend, name, str(list(type.shape)), str(type.dtype), error, worst.used, worst.note)
