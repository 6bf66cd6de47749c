"""The certificate in an .onnx file: what was compared, with what, on which inputs, and the answers it must give.

It is JSON under the metadata key "dagir.certificate": the seed and the sizes for drawing the inputs again, for each
output some elements of the float64 answer with their error budgets, and hashes of the weights and of the graph. It is
appended to the file: protobuf merges repeated parts, so no weight is written again.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import zip_longest
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, TensorProto, ValueInfoProto

from dagir.equivalence.comparison import Finding, compare
from dagir.equivalence.inputs import draw, index_limits
from dagir.equivalence.oracle import Expected
from dagir.equivalence.report import Case, Report, Row
from dagir.equivalence.reproduction import versions
from dagir.equivalence.rows import row_of
from dagir.errors import DagirError, FileError
from dagir.ir.arrays import release
from dagir.ir.graph import Graph, Value
from dagir.ir.types import Array, DType, TensorType
from dagir.runtime.feeds import as_strings
from dagir.support import limits
from dagir.support.printable import printable
from dagir_onnx import untrusted_proto
from dagir_onnx.certificate_schema import (
    VERSION,
    Answer,
    Certificate,
    CertifiedCase,
    digest_of,
    places,
    read_certificate,
)
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.executable import as_objects
from dagir_onnx.file import add_metadata
from dagir_onnx.metadata_reader import raw_data, skim_with_numbers
from dagir_onnx.onnxruntime_late import onnxruntime
from dagir_onnx.runtime_errors import file_refusal, refusals, refuse_fatal
from dagir_onnx.saturation import reason, saturating_nodes
from dagir_onnx.session_setup import SessionSetup

KEY = "dagir.certificate"
_AS_IN_MEMORY = {TensorProto.FLOAT: 4, TensorProto.DOUBLE: 8, TensorProto.FLOAT16: 2, TensorProto.BFLOAT16: 2}
_AS_IN_MEMORY |= {TensorProto.INT8: 1, TensorProto.UINT8: 1, TensorProto.INT32: 4, TensorProto.INT64: 8}
JUDGEMENT = "against the float64 answers in the file's certificate"


def certify(path: Path, report: Report, source: str) -> str:
    """Append the certificate of a report to the file that it is about. Raises FileError.

    Returns the reason why none was written, or an empty string: a report without budgets proves nothing when run again.
    """
    if report.context is None or not report.ok:
        raise FileError(f"{path} gets no certificate: it was not verified")
    weights, graph = hashes(path)
    data = {
        "version": VERSION,
        "compared": "this file on onnxruntime",  # independent of the name: a second conversion gives the same bytes
        "with": f"the float64 evaluation of {printable(source)}",
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
    if report.measured:
        data["measured"] = {"facts": dict(report.measured), "sha256": digest_of(report.measured, weights, graph)}
    text = json.dumps(data, separators=(",", ":"))
    try:
        with limits.reading(str(path)):
            read_certificate(text, path)  # none is written that would not be read
    except FileError as refused:
        return refused.summary
    add_metadata(path, {KEY: text})
    return ""


def _interface(report: Report) -> list[dict[str, Any]]:
    assert report.context is not None
    model = report.context.model
    known = index_limits(model.graph)
    names = [name for name, _ in model.signature.inputs]
    return [
        {
            "name": name,
            "dtype": str(value.dtype),
            "shape": [size if isinstance(size, int) else str(size) for size in value.type.shape],
            "below": [size if isinstance(size, int) else str(size) for size in known.get(value, [])],
        }
        for name, value in zip(names, model.graph.inputs, strict=True)
    ]


def _cases(report: Report) -> list[dict[str, Any]]:
    assert report.context is not None
    names = [name for name, _ in report.context.model.signature.outputs]
    found = []
    for number, (case, (arrays, expected)) in enumerate(zip(report.cases, report.context.runs, strict=True)):
        if case.kind != "given" and all(case.sizes.values()):  # not a batch of 0: it compares nothing
            answers = {
                name: _sampled(each, _worst(report, number, place))
                for place, (name, each) in enumerate(zip(names, expected, strict=True))
            }
            inputs = [_digest(array) for array in arrays]
            case_facts = {"number": number, "kind": case.kind, "sizes": dict(case.sizes)}
            found.append({**case_facts, "inputs": inputs, "outputs": answers})
    return found


def _worst(report: Report, number: int, output: int) -> tuple[int, ...]:
    """The elements that were worst in a case, so that the certificate tells what the report told."""
    assert report.context is not None
    findings = report.context.findings
    sides = [row.backend for row in report.rows]
    return next((findings[side, output][number].worst for side in sides if (side, output) in findings), ())


def _sampled(expected: Expected, worst: Sequence[int]) -> dict[str, Any]:
    flat = expected.array.reshape(-1)
    at = sorted({*places(flat.size), *worst})
    budget = None if expected.budget is None else [_effective_budget(each) for each in expected.budget.reshape(-1)[at]]
    values = [_plain(each) for each in flat[at]]
    return {"shape": list(expected.array.shape), "at": at, "values": values, "budget": budget}


def _plain(value: Any) -> str | int | float:
    """The numbers as JSON; integers with all digits, which float64 does not have past 2**53."""
    if isinstance(value, str):
        return value
    return int(value) if isinstance(value, np.integer) else float(value)


def _effective_budget(budget: Any) -> float:
    """The budget in effect: one that is not a number allows everything."""
    return math.inf if math.isnan(budget) else float(budget)


def _digest(array: Array) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).tobytes()).hexdigest()[:16]


def hashes(path: Path, proto: ModelProto | None = None) -> tuple[str, str]:
    """SHA-256 of the weights (names, dtypes, shapes, numbers, wherever they lie) and of all else in the graph.

    proto: the model of the file, if it has been read; its weights are removed from it, for they may be large. Raises
    FileError.
    """
    whole, messages = (proto, []) if proto is not None else skim_with_numbers(path)
    weights = hashlib.sha256()
    pairs = zip_longest(whole.graph.initializer, messages)
    for tensor, message in sorted(pairs, key=lambda pair: str(pair[0].name)):
        weights.update(f"{tensor.name} {tensor.data_type} {list(tensor.dims)}".encode())
        numbers = _numbers(tensor, message, path)
        weights.update(numbers)
        release(np.frombuffer(numbers, np.uint8))
    del whole.graph.initializer[:]
    text = whole.graph.SerializeToString(deterministic=True)
    return weights.hexdigest(), hashlib.sha256(text).hexdigest()


def _numbers(tensor: TensorProto, message: memoryview | None, path: Path) -> memoryview:
    """The bytes of a weight: where they lie in the mapped file, if they lie there as in memory. Raises FileError."""
    raw, size = None if message is None else raw_data(message), _AS_IN_MEMORY.get(tensor.data_type)
    if raw is not None and size is not None and len(raw) == prod(tensor.dims) * size:
        return raw
    held = tensor if message is None else TensorProto.FromString(bytes(message))
    if held.data_type == TensorProto.STRING:
        return memoryview(held.SerializeToString(deterministic=True))
    return np.ascontiguousarray(untrusted_proto.array_of(held, path)).reshape(-1).view(np.uint8).data


def recertify(path: str | os.PathLike[str]) -> Report:
    """Run the certificate of a file again. Raises FileError where it has none, proves nothing, or was changed since."""
    start = time.perf_counter()
    target = Path(path)
    with limits.reading(str(target)):
        proto = untrusted_proto.read(target)
        certificate = _certificate_in(target, proto)
        _check_interface(certificate, proto, target)
        for what, found in zip(("weights", "graph"), hashes(target, proto), strict=True):
            if certificate.hashes[what] != found:
                raise FileError(f"the {what} of {target} are not those that were verified: the file was changed")
        rows, cases = _run(certificate, proto, target)
        explained = {} if all(row.ok for row in rows) else _saturated(certificate, proto, target)
    seconds = time.perf_counter() - start
    judgement = f"{JUDGEMENT}: {certificate.source}"
    report = Report(tuple(rows), tuple(cases), certificate.seed, certificate.samples, seconds, judgement=judgement)
    written = {"budget_used_percent": certificate.used, "cases": certificate.run}
    return replace(report, measured=certificate.measured, written=written, explained=explained)


def _run(certificate: Certificate, proto: ModelProto, path: Path, exact: bool = False) -> tuple[list[Row], list[Case]]:
    """Run every case, and judge the answers. exact: whether codes are multiplied exactly on every CPU."""
    session = _session(path, proto, exact)
    findings: dict[str, list[Finding]] = {}
    kinds: dict[str, TensorType] = {}
    cases = []
    for case in certificate.cases:
        arrays = _drawn(certificate, case, path)
        for name, array in _answers(session, certificate, case, arrays, proto, path).items():
            kinds[name] = TensorType(DType.of(array.dtype), case.outputs[name].shape)
            findings.setdefault(name, []).append(_judged(array, case.outputs[name], f"{path}, output {name!r}"))
        cases.append(Case(tuple(tuple(array.shape) for array in arrays), case.kind, case.sizes))
    return [row_of(path.name, name, kinds[name], found) for name, found in findings.items()], cases


def _saturated(certificate: Certificate, proto: ModelProto, path: Path) -> dict[str, str]:
    """Why the file differs, if it does not where no sum of codes saturates; empty for another reason."""
    nodes = saturating_nodes(proto, path)
    if not nodes or not all(row.ok for row in _run(certificate, proto, path, exact=True)[0]):
        return {}
    return {path.name: reason(nodes[0], len(nodes))}


def _drawn(certificate: Certificate, case: CertifiedCase, path: Path) -> list[Array]:
    rng = np.random.default_rng([certificate.seed, case.number])
    try:
        interface = Graph(certificate.inputs, list(certificate.inputs), "interface")
        arrays = draw(interface, case.sizes, rng, case.kind, certificate.limits)
    except (DagirError, ArithmeticError, ValueError) as error:
        raise FileError(f"the inputs of {path} cannot be drawn: {printable(str(error))}") from None
    if [_digest(array) for array in arrays] != list(case.digests):
        raise FileError(f"the inputs of {path} cannot be drawn again: this NumPy draws others")
    return arrays


def _answers(
    session: Any, certificate: Certificate, case: CertifiedCase, arrays: Sequence[Array], proto: ModelProto, path: Path
) -> dict[str, Array]:
    refuse_fatal(proto, arrays, path)
    names = list(case.outputs)
    feeds = {value.name: array for value, array in zip(certificate.inputs, as_objects(arrays), strict=True)}
    try:
        found = {
            name: as_strings(np.asarray(each)) for name, each in zip(names, session.run(names, feeds), strict=True)
        }
        for array in found.values():
            DType.of(array.dtype)
    except refusals() as error:
        raise file_refusal(error, proto, "cpu", path) from None
    except (ValueError, TypeError, DagirError) as error:
        raise FileError(f"{path} does not give arrays: {printable(str(error).splitlines()[0])}") from None
    return found


def _check_interface(certificate: Certificate, proto: ModelProto, path: Path) -> None:
    """Raise FileError unless the certificate has the inputs and all outputs of this file."""
    weights = {tensor.name for tensor in proto.graph.initializer}
    has = {info.name: info for info in proto.graph.input if info.name not in weights}
    names = [value.name for value in certificate.inputs]
    outputs = [info.name for info in proto.graph.output]
    for what, said, own in (("inputs", names, list(has)), ("outputs", list(certificate.cases[0].outputs), outputs)):
        if sorted(map(str, said)) != sorted(own):
            facts = [("certificate", ", ".join(map(str, said))), ("file", printable(", ".join(own)))]
            raise FileError(f"the certificate of {path} is of other {what} than the file's", facts=facts)
    for value in certificate.inputs:
        if not _same_type(value, has[str(value.name)]):
            raise FileError(f"the certificate of {path} has input {value.name!r} as {value.type}, the file has not")


def _same_type(value: Value, info: ValueInfoProto) -> bool:
    """Whether the dtypes are the same, and the sizes where the file has numbers."""
    tensor = info.type.tensor_type
    fixed = [untrusted_proto.fixed_size(size) for size in tensor.shape.dim]
    if TO_ONNX.get(value.dtype) != tensor.elem_type or len(fixed) != value.ndim:
        return False
    return all(
        size == has if has is not None else not isinstance(size, int)
        for size, has in zip(value.type.shape, fixed, strict=True)
    )


def _session(path: Path, proto: ModelProto, exact: bool) -> Any:
    options = SessionSetup(without_saturation=exact).options(lambda: proto)
    options.log_severity_level = 4  # what it would log is raised
    try:
        return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"], enable_fallback=0)
    except refusals() as error:
        raise file_refusal(error, proto, "cpu", path) from None


def _certificate_in(path: Path, proto: ModelProto) -> Certificate:
    texts = [entry.value for entry in proto.metadata_props if entry.key == KEY]
    if not texts:
        raise FileError(
            f"{path} has no certificate: it was written by another tool, or was not verified",
            remedy=f"compare it with the model that it was made from: dagir-convert verify MODEL {path}",
        )
    return read_certificate(texts[-1], path)


def _judged(array: Array, answer: Answer, where: str) -> Finding:
    if array.shape != answer.shape:
        note = f"shape {list(array.shape)}, the certificate has {list(answer.shape)}"
        return Finding(float("inf"), float("inf"), note)
    found = array.reshape(-1)[list(answer.at)]
    dtype = DType.of(array.dtype)
    if dtype.is_float is (answer.budget is None):
        raise FileError(f"the certificate of {where}, is of another dtype than the file's {dtype}")
    try:
        wanted = np.asarray(answer.values, np.float64 if dtype.is_float else array.dtype).reshape(found.shape)
    except (ValueError, TypeError, OverflowError):
        raise FileError(f"the certificate of {where}, holds what is no {dtype}") from None
    expected = Expected(wanted, None if answer.budget is None else np.asarray(answer.budget, np.float64))
    return compare(found, expected, TensorType(dtype, tuple(found.shape)))
