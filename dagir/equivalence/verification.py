"""dagir.verify: compare every backend with the float64 oracle, within the error budget for rounding."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from math import inf
from os import PathLike

import numpy as np

from dagir.equivalence.bisection import Divergence, Search
from dagir.equivalence.body_search import locate
from dagir.equivalence.budget import clear
from dagir.equivalence.cases import cases, enough_memory
from dagir.equivalence.channel_gains import CODES, TOLERANCES, first_gain, samples_for
from dagir.equivalence.closeness import LOW_PRECISION, Thresholds, closeness, of_low_precision
from dagir.equivalence.comparison import Finding, compare, magnitude
from dagir.equivalence.enclosure import Enclosure, enclose
from dagir.equivalence.inputs import WIDE, checked_sizes
from dagir.equivalence.metric import Metric, scores
from dagir.equivalence.oracle import Expected, Oracle
from dagir.equivalence.progress import Meter, Progress
from dagir.equivalence.repeating import as_called
from dagir.equivalence.report import Case, Context, Report, Row
from dagir.equivalence.rows import row_of, rows_read
from dagir.equivalence.targets import Sides, sides
from dagir.errors import ArgumentError, DagirError
from dagir.ir.graph import Graph
from dagir.ir.nest import flatten
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.ops import Softmax
from dagir.runtime.backend import Executable, graph_of, signature
from dagir.runtime.feeds import Feed
from dagir.support.backend_names import ALL
from dagir.support.frameworks import takes_a_model
from dagir.support.integers import whole

BACKENDS = ALL
_BARELY = 20.0
_FIRST = 2
"""Evaluations with noise that the first estimate of a budget is made from."""
LISTENERS: list[Callable[[Report], None]] = []
"""Called with each report that is made, as by the pytest plugin."""


def verify(
    model: Model | Graph,
    backends: Sides = BACKENDS,
    inputs: Feed | PathLike[str] | None = None,
    *,
    sizes: Mapping[str, int] | Sequence[Mapping[str, int]] | None = None,
    samples: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
    thresholds: Thresholds = Thresholds(),  # noqa: B008  # it never changes
    metric: Metric | None = None,
    **options: Mapping[str, object],
) -> Report:
    """Run a model on backends, and compare each answer with that of the float64 interpreter on the graph as written.

    backends: what to compare with the model: a backend's name, another Model, an executable, a Keras model, or the path
    of a .dagir, .keras, .h5, .hdf5 or .onnx file; one of these, a list, or a dict with names of your choice. inputs:
    what an executable takes, or an .npz or .npy file with it. By default they are drawn from `seed`, with several
    choices of named sizes and with edge values, or with each in `sizes`. samples: the number of evaluations that the
    error budget is first estimated from, 2 by default; where that does not tell, many more are made. progress: called
    with the current stage, the number of evaluations that are done, and their total. Further arguments are options of
    one backend: onnx={"device": "cuda"}. thresholds: what an .onnx file of a lower precision than the model's must keep
    to (`dagir.Thresholds`): rounding of float32 explains none of what narrowing changes. By default that is a relative
    error of 1e-2 and a cosine of 0.9999 in float16, 3e-2 and 0.999 in bfloat16, and a cosine of 0.99 with codes; and in
    halves no channel of any value may be scaled, which rounding does not do. Where thresholds are given, they judge
    every side, in place of the error budget. metric: what no side may lose more of than its max_drop, on the inputs
    that are given (`dagir.Metric`).

    Returns a Report; `.ok` says whether rounding explains every difference. Raises ArgumentError, FeedError, and what
    lowering raises.

    >>> x = dagir.Input((3,), name="x")
    >>> dagir.verify(dagir.Model(x, layers.Dense(2)(x)), backends=["numpy"]).ok
    True
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("verify", model, "a Model or a Graph")
    if not isinstance(thresholds, Thresholds):
        raise ArgumentError(f"verify takes Thresholds, got {thresholds!r}", remedy="dagir.Thresholds(rtol=1e-3)")
    labels = None if metric is None else metric.known_labels(inputs)
    samples = _FIRST if samples is None else whole("samples", samples, 2)
    seed, sizes = whole("seed", seed, 0), checked_sizes(sizes)
    meter, start = Meter(progress), time.perf_counter()  # first, since it refuses a `progress` that cannot be called
    executables = sides(model, backends, options)
    if not executables:
        raise ArgumentError("verify was given no backend to compare", remedy='name some: backends=("numpy", "onnx")')
    verification = Verification(model, Oracle(model, samples, meter), executables, seed, thresholds)
    verification.run(inputs, sizes)
    others = {"sizes": sizes, "samples": samples if samples != _FIRST else None, "metric": metric, **options}
    repeat = as_called(backends, executables, inputs, seed=seed, thresholds=thresholds, **others)
    report = replace(verification.report(start), repeat=repeat)
    if metric is not None and labels is not None:
        report = replace(report, scores=scores(metric, labels, verification.runs, verification.firsts))
    for listener in LISTENERS:
        listener(report)
    return report


class Verification:
    """The stages of a verification: run and judge every case, find the first divergence, and make the report."""

    def __init__(
        self,
        model: Model | Graph,
        oracle: Oracle,
        executables: Mapping[str, Executable],
        seed: int = 0,
        thresholds: Thresholds = Thresholds(),  # noqa: B008
    ) -> None:
        self.model, self.oracle, self.executables, self.seed = model, oracle, executables, seed
        wide = not of_low_precision(graph_of(model))
        kinds = {name: exe.low_precision if wide else "" for name, exe in executables.items()}
        self.thresholds = {
            name: thresholds if thresholds.any else LOW_PRECISION[kind]
            for name, kind in kinds.items()
            if thresholds.any or kind
        }
        if not wide:
            kinds = {name: CODES.get(exe.low_precision, exe.low_precision) for name, exe in executables.items()}
        self.scales = {} if thresholds.any else {name: kind for name, kind in kinds.items() if kind in TOLERANCES}
        self.close: dict[str, list[tuple[list[Array], list[Expected]]]] = {name: [] for name in self.thresholds}
        self.cases: list[Case] = []
        self.runs: list[tuple[list[Array], list[Expected]]] = []
        self.findings: dict[tuple[str, int], list[Finding]] = {}  # by executable and output
        self.failing: dict[tuple[str, int], list[Array]] = {}  # the inputs of the first failure of each
        self.firsts: dict[str, list[Array]] = {name: [] for name in executables}  # first outputs, of given inputs
        self._same_top: dict[str, list[Array]] = {}  # by executable: for each row, whether the top class is the same

    def run(self, inputs: object, sizes: Sequence[Mapping[str, int]] | None) -> None:
        """Run and judge every case: the given inputs, or drawn inputs of the given sizes."""
        for arrays, expected, case in cases(self.oracle, inputs, sizes, self.seed):
            with np.errstate(all="ignore"), enough_memory(case.sizes):
                answers = {name: self._answer(exe, arrays) for name, exe in self.executables.items()}
                self.oracle.meter.tick()
                self._judge(arrays, expected, case, answers)
                self._compare_tops(expected, answers)
                for name, found in answers.items():
                    self.firsts[name] += [np.asarray(found[0])] if case.kind == "given" else []

    def report(self, start: float) -> Report:
        """The report. start: the time when the verification began, from time.perf_counter."""
        found, scaled = self._first_divergence(), self._scaled_channels()
        rows = self._rows(scaled)
        explained = self._explained({row.backend for row in rows if not row.ok})
        seconds = time.perf_counter() - start
        divergence, search = found or (next(iter(scaled.values()), None), None)
        first_failing = next(iter(self.failing.values()), self.runs[-1][0])
        return Report(
            tuple(rows),
            tuple(self.cases),
            self.seed,
            self.oracle.samples,
            seconds,
            divergence,
            search=search,
            enclosure=None if divergence else self._enclosure(),
            context=Context(self.model, self.oracle, self.executables, tuple(self.runs), first_failing, self.findings),
            top_1=self._agreement(),
            rows_read=rows_read(self.model, self.runs),
            explained=explained,
        )

    def _rows(self, scaled: Mapping[str, Divergence]) -> list[Row]:
        outputs = signature(self.model).outputs
        rows = [
            row_of(name, *outputs[place], findings, scaled.get(name))
            for (name, place), findings in self.findings.items()
        ]
        return rows + [
            self._close_row(name, runs, place, scaled.get(name))
            for name, runs in self.close.items()
            for place in range(len(outputs))
        ]

    def _explained(self, differing: Collection[str]) -> dict[str, str]:
        """By executable: why its answers differ, if sums that do not saturate give the right ones."""
        found: dict[str, str] = {}
        for name in differing:
            with contextlib.suppress(DagirError, RuntimeError):  # it cannot be run so
                exact = self.executables[name].without_saturation()
                if exact is not None and self._again(name, exact[0]):
                    found[name] = exact[1]
        return found

    def _again(self, name: str, exe: Executable) -> bool:
        """Whether another executable, in the place of one that was judged, agrees in every case."""
        thresholds = self.thresholds.get(name, Thresholds())
        other = Verification(self.model, self.oracle, {name: exe}, self.seed, thresholds)
        for (arrays, expected), case in zip(self.runs, self.cases, strict=True):
            other._judge(arrays, expected, case, {name: self._answer(exe, arrays)})
        return all(row.ok for row in other._rows({}))

    def _scaled_channels(self) -> dict[str, Divergence]:
        """By executable in halves: the first node with a channel that is off by more than rounding can explain."""
        found: dict[str, Divergence] = {}
        for name, kind in self.scales.items():
            self.oracle.meter.begin("looking for channels that are scaled")
            with contextlib.suppress(DagirError, RuntimeError):  # it cannot be observed
                arrays = samples_for(self.oracle, self.cases, self.runs, self.seed)
                scaled = first_gain(name, self.executables[name], self.oracle, arrays, kind)
                found.update({} if scaled is None else {name: scaled})
        return found

    def _close_row(
        self, name: str, runs: Sequence[tuple[list[Array], list[Expected]]], place: int, scaled: Divergence | None
    ) -> Row:
        """How close one output of a side of lower precision is. scaled: the node whose channel is off, if one is."""
        output, type = signature(self.model).outputs[place]
        right = [expected[place].array for _, expected in runs]
        found = [answers[place] for answers, _ in runs]
        shape = f"[{', '.join(map(str, type.shape))}]"
        if any(a.shape != b.shape for a, b in zip(found, right, strict=True)):
            inf, told = float("inf"), f"shapes {[list(a.shape) for a in found]}, not {[list(a.shape) for a in right]}"
            return Row(name, output, shape, str(type.dtype), inf, inf, told)
        near = closeness(output, found, right)
        thresholds = self.thresholds[name]
        failures = thresholds.failures(near) + ([] if scaled is None else [f"{scaled.node}: {scaled.note}"])
        note = "; ".join(failures) or str(near).partition(": ")[2]
        used = thresholds.share(near) if scaled is None else float("inf")
        scale = max(map(magnitude, right), default=0.0)
        return Row(name, output, shape, str(type.dtype), near.worst, used, note, near, scale, thresholds)

    def _answer(self, exe: Executable, arrays: Sequence[Array]) -> list[Array]:
        with np.errstate(all="ignore"):
            return flatten(exe(list(arrays)))

    def _judge(
        self, arrays: list[Array], expected: list[Expected], case: Case, answers: Mapping[str, Sequence[Array]]
    ) -> None:
        """Make a finding for each executable and output.

        A budget that is barely exceeded, or half used, is estimated again, from more samples, and then from many. So
        are the variants of integers, if an integer differs: with few samples, some of many ties are missed. What has
        failed in a case before fails, and costs no more estimates. What overflows the model's dtypes is checked only if
        something fails, since this takes one more evaluation.
        """
        for name, runs in self.close.items():
            if case.kind in ("normal", "given"):  # the others leave the ranges that narrow models are made for
                runs.append((list(answers[name]), expected))
        answers = {name: found for name, found in answers.items() if name not in self.close}
        findings = self._compared(answers, expected)
        wide, samples = case.kind in WIDE, self.oracle.samples
        for step, count in enumerate((self.oracle.some, self.oracle.precise), 1):
            barely = self._is_near(findings, expected, samples)
            beyond = wide and step == 1 and any(not finding.ok for finding in findings.values())
            if not barely and not beyond:
                break
            samples = count if barely else samples
            rng = np.random.default_rng([self.seed, len(self.cases), step])
            expected = self.oracle(arrays, rng, wide, count if barely else None)
            findings = self._compared(answers, expected)
        self.cases.append(case)
        self.runs.append((arrays, expected))
        for key, finding in findings.items():
            self.findings.setdefault(key, []).append(finding)
            if not finding.ok:
                self.failing.setdefault(key, arrays)

    def _is_near(self, findings: Mapping[tuple[str, int], Finding], expected: Sequence[Expected], samples: int) -> bool:
        """Whether a verdict may hang on a budget that is from so few evaluations.

        So it may where an element has no budget at all: a step that is near, as of codes, shows in some of them only.
        """
        least = clear(samples)
        return any(
            least < finding.used < _BARELY or finding.used == inf or (not finding.ok and expected[place].budget is None)
            for (name, place), finding in findings.items()
            if (name, place) not in self.failing
        )

    def _compared(
        self, answers: Mapping[str, Sequence[Array]], expected: Sequence[Expected]
    ) -> dict[tuple[str, int], Finding]:
        types = [value.type for value in self.oracle.graph.outputs]
        return {
            (name, place): compare(answer, wanted, type)
            for name, found in answers.items()
            for place, (answer, wanted, type) in enumerate(zip(found, expected, types, strict=True))
        }

    def _first_divergence(self) -> tuple[Divergence, Search] | None:
        """The first divergence of the first failing executable that can be observed."""
        for (name, place), arrays in self.failing.items():
            self.oracle.meter.begin("looking for the node that diverges")
            try:
                found = locate(name, self.executables[name], self.oracle, arrays, place, self.seed)
            except (DagirError, RuntimeError, ValueError, KeyError):  # a wrong executable may fail here too
                continue
            if found is not None:
                return found
        return None

    def _enclosure(self) -> Enclosure | None:
        """Between which layers the first failure lies, of which no node is named."""
        for (name, place), arrays in self.failing.items():
            output, _ = signature(self.model).outputs[place]
            with contextlib.suppress(DagirError, RuntimeError, ValueError, KeyError):  # as above
                found = enclose(name, self.executables[name], self.oracle, arrays, place, output, self.seed)
                if found is not None:
                    return found
        return None

    def _compare_tops(self, expected: Sequence[Expected], answers: Mapping[str, Sequence[Array]]) -> None:
        """For outputs that are class probabilities (a softmax over the last axis): whether the top class agrees."""
        for place, value in enumerate(self.oracle.points.graph.outputs):
            if value.node is None or not isinstance(value.node.op, Softmax) or value.ndim != 2:
                continue
            top = expected[place].array.argmax(-1)
            for name, found in answers.items():
                if found[place].shape == expected[place].array.shape:
                    self._same_top.setdefault(name, []).append(found[place].argmax(-1) == top)

    def _agreement(self) -> dict[str, float]:
        """How often the top class agrees, by executable."""
        together = {name: np.concatenate(same) for name, same in self._same_top.items()}
        return {name: float(same.mean()) for name, same in together.items() if same.size}
