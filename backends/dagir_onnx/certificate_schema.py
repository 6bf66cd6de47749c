"""The fields of a certificate, all checked before any is used: the file may come from a stranger.

A certificate must compare something: each output needs an element with a budget smaller than the answer itself. And
each case must be as cheap to draw as a few samples.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dagir.equivalence.inputs import Limits
from dagir.errors import DagirError, FileError
from dagir.ir.dims import Dim, evaluate, parse, symbols
from dagir.ir.graph import Value
from dagir.ir.types import DType, TensorType
from dagir.support import limits as budgets

VERSION = 3  # increased when the same seed draws other inputs, or older versions of dagir would not read it
_READ = (2, VERSION)
ELEMENTS_PER_ANSWER = 32  # elements of each answer, spread evenly
WORST_PER_ANSWER = 2  # and those that were worst when it was written
KINDS = ("normal", "spread", "scales", "edges")
_FACTS = ("version", "compared", "with", "cases_run", "seed", "samples", "worst_budget_used_percent", "weights_sha256")
_KEYS = (*_FACTS, "graph_sha256", "inputs", "cases", "versions")
_MOST_CASES = 64
_MOST_ELEMENTS = 1 << 20  # that a case draws where its batch is more than three samples
_FEW = 3
_LARGEST_SIZE = 1024  # of a named size other than a batch
_REMEDY = "write the file anew: dagir-convert SOURCE TARGET verifies it, or dagir.to_onnx(model, path, verify=True)"


@dataclass(frozen=True)
class Answer:
    """Some elements of one output in one case: their positions, float64 values and budgets."""

    shape: tuple[int, ...]
    at: tuple[int, ...]
    values: tuple[Any, ...]
    budget: tuple[float, ...] | None

    @property
    def compared(self) -> int:
        """How many elements are really compared: a budget larger than the answer itself allows everything."""
        if self.budget is None:
            return len(self.at)
        finite = [abs(value) for value in self.values if math.isfinite(value)]
        most = max(finite, default=0.0) or 1e-3  # an answer of zeros
        pairs = zip(self.values, self.budget, strict=True)
        return sum(budget <= most or (math.isfinite(budget) and not math.isfinite(value)) for value, budget in pairs)


@dataclass(frozen=True)
class CertifiedCase:
    """One set of inputs, as the arguments for drawing it, and the answers."""

    number: int
    kind: str
    sizes: Mapping[str, int]
    digests: tuple[str, ...]
    outputs: Mapping[str, Answer]


@dataclass(frozen=True)
class Certificate:
    """A certificate. used: the largest share of a budget, in percent, when it was written; run: of how many cases."""

    source: str
    seed: int
    samples: int
    hashes: Mapping[str, str]
    inputs: tuple[Value, ...]
    limits: Limits
    cases: tuple[CertifiedCase, ...]
    measured: Mapping[str, Any]
    used: float
    run: int


def digest_of(measured: Mapping[str, Any], weights: str, graph: str) -> str:
    """SHA-256 of what was measured of a file, and of the file: an edited number is seen."""
    text = json.dumps(measured, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(f"{text} {weights} {graph}".encode()).hexdigest()


def places(size: int) -> list[int]:
    """Which elements of an answer are kept."""
    found: list[int] = np.unique(np.linspace(0, max(size - 1, 0), min(ELEMENTS_PER_ANSWER, size)).astype(int)).tolist()
    return found


def read_certificate(text: str, path: Path) -> Certificate:
    """The certificate in `text`. Raises FileError that names the part that is wrong, UnsafeFile."""
    budgets.spend("json bytes", len(text), f"the certificate of {path}")
    try:
        data = json.loads(text, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise FileError(f"the certificate of {path} is damaged: {error}", remedy=_REMEDY) from None
    try:
        certificate = _certificate(data)
        _check_proof(certificate)
        _check_cost(certificate)
    except _Wrong as wrong:
        raise FileError(f"the certificate of {path} {wrong}", remedy=_REMEDY) from None
    return certificate


class _Wrong(Exception):
    """Raised with what is wrong with a certificate, as the end of a sentence."""


def _wrong(where: str, what: str) -> NoReturn:
    raise _Wrong(f"is damaged: {where} {what}")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("a key stands in it twice")
    return found


def _certificate(data: Any) -> Certificate:
    version = data.get("version") if isinstance(data, dict) else None
    if isinstance(version, (int, float, str)) and version not in _READ:
        raise _Wrong(f"is of version {str(version)[:20]!r}, this dagir reads {VERSION}")
    data = _keyed({"measured": None, **data} if isinstance(data, dict) else data, "it", (*_KEYS, "measured"))
    _text(data["compared"], "compared")
    run = _whole(data["cases_run"], "cases_run", 0, 1 << 20)
    used = _number(data["worst_budget_used_percent"], "worst_budget_used_percent", 100)
    for package, text in _mapping(data["versions"], "versions").items():
        _text(text, f"versions, {package!r}")
    inputs, limits = _inputs(data["inputs"])
    cases = _listed(data["cases"], "cases", _MOST_CASES)
    found = tuple(_case(each, f"case {place}", inputs) for place, each in enumerate(cases))
    numbers = [case.number for case in found]
    if len(set(numbers)) != len(numbers) or any(number >= run for number in numbers):
        _wrong("cases", f"have the numbers {numbers}, of {run} that were run")
    return Certificate(
        _text(data["with"], "with"),
        _whole(data["seed"], "seed", 0),
        _whole(data["samples"], "samples", 2),
        {what: _hex(data[f"{what}_sha256"], f"{what}_sha256", 64) for what in ("weights", "graph")},
        inputs,
        limits,
        found,
        _measured(data),
        used,
        run,
    )


def _measured(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """How close a narrow file is to the model that it was made from. Files of full precision have none of that."""
    if data["measured"] is None:
        return {}
    given = _keyed(data["measured"], "measured", ("facts", "sha256"))
    facts = _mapping(given["facts"], "measured")
    if _hex(given["sha256"], "measured", 64) != digest_of(facts, data["weights_sha256"], data["graph_sha256"]):
        raise _Wrong("tells other numbers than those that were measured: it was changed")
    return facts


def _inputs(given: Any) -> tuple[tuple[Value, ...], Limits]:
    values: list[Value] = []
    limits: Limits = {}
    for place, entry in enumerate(_listed(given, "inputs")):
        where = f"input {place}"
        each = _keyed(entry, where, ("name", "dtype", "shape", "below"))
        try:
            dtype = DType(each["dtype"])
        except ValueError:
            _wrong(f"{where}, dtype", "is none that dagir has")
        shape = tuple(_size(size, f"{where}, shape", 0) for size in _listed(each["shape"], f"{where}, shape", 64))
        value = Value(TensorType(dtype, shape), name=_text(each["name"], f"{where}, name"))
        values.append(value)
        below = [_size(size, f"{where}, below", 1) for size in _listed(each["below"], f"{where}, below", 1 << 16)]
        if below:
            limits[value] = below
    return tuple(values), limits


def _case(given: Any, where: str, inputs: Sequence[Value]) -> CertifiedCase:
    given = _keyed(given, where, ("number", "kind", "sizes", "inputs", "outputs"))
    if given["kind"] not in KINDS:
        _wrong(f"{where}, kind", f"is none of {', '.join(KINDS)}")
    sizes = {name: _whole(size, f"{where}, size {name!r}", 1) for name, size in _mapping(given["sizes"], where).items()}
    missing = {name for value in inputs for size in value.type.shape for name in symbols(size)} - sizes.keys()
    if missing:
        _wrong(where, f"gives no size for {min(missing)!r}")
    digests = _listed(given["inputs"], f"{where}, inputs")
    if len(digests) != len(inputs):
        _wrong(where, f"has {len(digests)} inputs of {len(inputs)}")
    outputs = _mapping(given["outputs"], f"{where}, outputs")
    return CertifiedCase(
        _whole(given["number"], f"{where}, number", 0),
        given["kind"],
        sizes,
        tuple(_hex(digest, f"{where}, inputs", 16) for digest in digests),
        {name: _answer(answer, f"{where}, output {name!r}") for name, answer in outputs.items()},
    )


def _answer(given: Any, where: str) -> Answer:
    given = _keyed(given, where, ("shape", "at", "values", "budget"))
    shape = tuple(_whole(size, f"{where}, shape", 0, 1 << 40) for size in _listed(given["shape"], where, 64))
    at, most = _places(given["at"], f"{where}, at", math.prod(shape)), ELEMENTS_PER_ANSWER + WORST_PER_ANSWER
    values = tuple(_listed(given["values"], f"{where}, values", most))
    texts = all(isinstance(value, str) for value in values)
    if not texts and not all(isinstance(value, (int, float)) for value in values):
        _wrong(f"{where}, values", "are neither numbers nor texts")
    budget = given["budget"]
    if budget is not None:
        budget = tuple(_number(each, f"{where}, budget") for each in _listed(budget, f"{where}, budget", most))
        if texts and values:
            _wrong(f"{where}, budget", "is of texts, which have none")
    if len(values) != len(at) or (budget is not None and len(budget) != len(at)):
        _wrong(where, "has not a value and a budget for each element")
    return Answer(shape, tuple(at), values, budget)


def _places(given: Any, where: str, size: int) -> list[int]:
    """Which elements an answer holds: those that every certificate holds, and a few more."""
    found = [
        _whole(place, where, 0, size - 1) for place in _listed(given, where, ELEMENTS_PER_ANSWER + WORST_PER_ANSWER)
    ]
    always = set(places(size))
    if not always <= set(found) or len(found) > len(always) + WORST_PER_ANSWER or found != sorted(set(found)):
        _wrong(where, "are not the elements that a certificate keeps of such a shape")
    return found


def _check_proof(certificate: Certificate) -> None:
    """Raise unless all cases have the same outputs, and each output is compared in one of them."""
    if not certificate.cases:
        raise _Wrong("proves nothing: it holds no cases")
    names = list(certificate.cases[0].outputs)
    if not names:
        raise _Wrong("proves nothing: it holds no outputs")
    for place, case in enumerate(certificate.cases):
        if list(case.outputs) != names:
            _wrong(f"case {place}", "has other outputs than the first")
    for name in names:
        if not sum(case.outputs[name].compared for case in certificate.cases):
            raise _Wrong(f"proves nothing of output {name!r}: no element of it is held to a budget below the answer")


def _check_cost(certificate: Certificate) -> None:
    """Raise unless a case has few samples or few elements: the file gives the sizes, and a run takes memory by them."""
    for place, case in enumerate(certificate.cases):
        counts = [_count(value, case.sizes) for value in certificate.inputs]
        for value, count in zip(certificate.inputs, counts, strict=True):
            budgets.spend("elements", count, f"case {place} of the certificate, input {value.name!r},")
        batches = {str(value.type.shape[0]) for value in certificate.inputs if value.type.shape}
        large = {n: size for n, size in case.sizes.items() if size > (_FEW if n in batches else _LARGEST_SIZE)}
        if large and sum(counts) > _MOST_ELEMENTS:
            raise _Wrong(f"asks for too much: case {place} is of sizes that no conversion draws, {large}")
    for value, below in certificate.limits.items():
        known = [limit for limit in below if isinstance(limit, int)]
        budgets.spend("elements", min(known, default=1), f"the rows that input {value.name!r} indexes")


def _count(value: Value, sizes: Mapping[str, int]) -> int:
    count = 1
    for size in value.type.shape:
        try:
            number = evaluate(size, sizes)
        except (DagirError, ArithmeticError) as error:
            _wrong(f"the shape of input {value.name!r}", f"has no numbers: {error}")
        if number < 0:
            _wrong(f"the shape of input {value.name!r}", f"has the size {number}")
        count *= number
    return count


def _keyed(given: Any, where: str, keys: Sequence[str]) -> dict[str, Any]:
    found = _mapping(given, where)
    if set(found) != set(keys):
        missing, other = sorted(set(keys) - set(found)), sorted(set(found) - set(keys))
        _wrong(where, f"lacks {missing[0]!r}" if missing else f"has {other[0][:40]!r}, which no certificate has")
    return found


def _mapping(given: Any, where: str) -> dict[str, Any]:
    if not isinstance(given, dict) or not all(name.isprintable() for name in given):
        _wrong(where, "is no object of printable names")
    return given


def _listed(given: Any, where: str, most: int = 1 << 12) -> list[Any]:
    if not isinstance(given, list) or len(given) > most:
        _wrong(where, f"is no list of at most {most}")
    return given


def _text(given: Any, where: str) -> str:
    if not isinstance(given, str) or not given.isprintable():
        _wrong(where, "is no printable text")
    return given


def _hex(given: Any, where: str, length: int) -> str:
    if not isinstance(given, str) or len(given) != length or set(given) - set("0123456789abcdef"):
        _wrong(where, f"is not {length} hexadecimal digits")
    return given


def _whole(given: Any, where: str, low: int, high: int = 1 << 63) -> int:
    if isinstance(given, bool) or not isinstance(given, int) or not low <= given <= high:
        _wrong(where, f"is no whole number from {low}")
    return given


def _number(given: Any, where: str, high: float = math.inf) -> float:
    if isinstance(given, bool) or not isinstance(given, (int, float)) or not 0 <= given <= high:
        _wrong(where, "is no number from 0")
    return given


def _size(given: Any, where: str, low: int) -> Dim:
    if not isinstance(given, str):
        return _whole(given, where, low, 1 << 40)
    try:
        return parse(given)
    except (DagirError, OverflowError, TypeError):
        _wrong(where, f"has {given[:40]!r}, which is no size")
