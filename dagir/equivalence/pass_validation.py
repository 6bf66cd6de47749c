"""Per-pass validation: compare the graph after each pass with the graph before it, and name the pass that is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dagir.equivalence.bisection import Divergence, bisect
from dagir.equivalence.cases import first_accepted
from dagir.equivalence.comparison import compare
from dagir.equivalence.inputs import size_plans
from dagir.equivalence.oracle import Oracle
from dagir.equivalence.progress import Meter, Progress
from dagir.errors import VerificationError
from dagir.ir.graph import Graph
from dagir.ir.types import Array, DType
from dagir.ir.value_map import Standing, recorded
from dagir.modeling.model import Model
from dagir.passes import DEPLOY, Pipeline
from dagir.runtime.backend import Executable, backend, graph_of, signature
from dagir.runtime.probes import standing_in
from dagir.support.backend_names import NUMPY
from dagir.support.frameworks import takes_a_model
from dagir.support.integers import whole


@dataclass(frozen=True)
class PassResult:
    """One step of a pipeline. used: the share of the error budget; None if the pass changed nothing."""

    number: int
    name: str
    reason: str
    used: float | None
    first_divergence: Divergence | None = None

    @property
    def ok(self) -> bool:
        """Whether the graph computes what it did before."""
        return self.used is None or self.used <= 1

    def to_dict(self) -> dict[str, Any]:
        """Plain data."""
        found = self.first_divergence.to_dict() if self.first_divergence else None
        used = None if self.used is None or not np.isfinite(self.used) else 100 * self.used
        return {"pass": self.name, "step": self.number, "ok": self.ok, "budget_used_percent": used, "first": found}


class Rewritten(Executable):
    """A graph that a pass made, run in float64. Its points are the values of the old graph that have a new value."""

    def __init__(self, before: Graph, after: Graph, standings: Mapping[str, Standing]) -> None:
        super().__init__(before, signature(before))
        self.artifact: Graph = after
        self._standings = standings

    def points(self) -> Mapping[str, str]:
        """The values of the old graph that have a value in the new graph."""
        return {name: name for name in self._standings}

    def observe(self, arrays: Sequence[Array], names: Sequence[str]) -> list[Array]:
        """The arrays of the new values, in the layout of the old ones."""
        standings = [self._standings[name] for name in names]
        found = self._evaluate(arrays, Graph(self.artifact.inputs, [each.value for each in standings], "observed"))
        return [each.as_written(array) for array, each in zip(found, standings, strict=True)]

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        return self._evaluate(arrays, self.artifact)

    def _evaluate(self, arrays: Sequence[Array], graph: Graph) -> list[Array]:
        exe: Any = backend(NUMPY).lower(graph, precision="float64")
        found: list[Array] = exe.trace(arrays, lambda node, operands, apply: apply(operands, DType.FLOAT64))
        return found


def verify_each_pass(
    model: Model | Graph,
    pipeline: Pipeline = DEPLOY,
    *,
    samples: int = 6,
    seed: int = 0,
    progress: Progress | None = None,
) -> tuple[PassResult, ...]:
    """Run the passes one after the other, and compare each new graph with the old one, in float64, on drawn inputs.

    A pass may round the weights that it folds, so the error budget is applied here too. After a pass that is wrong, the
    next pass gets the old graph. progress: called for every pass. Raises what a pass raises.
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("verify_each_pass", model, "a Model or a Graph")
    samples, seed = whole("samples", samples, 2), whole("seed", seed, 0)
    meter = Meter(progress)
    meter.expect(len(pipeline))
    graph = graph_of(model)
    results = []
    for number, (step, reason) in enumerate(pipeline):
        meter.begin(f"pass {step.name}")
        with recorded() as steps:
            after = step(graph)
        unchanged = PassResult(number, step.name, reason, None)
        result = unchanged if after is graph else _compare(graph, after, steps, unchanged, samples, seed)
        results.append(result)
        graph = after if result.ok else graph
        meter.tick()
    return tuple(results)


def _compare(graph: Graph, after: Graph, steps: Any, result: PassResult, samples: int, seed: int) -> PassResult:
    oracle = Oracle(graph, samples)
    exe = Rewritten(oracle.points.graph, after, standing_in(oracle.points, after, steps))
    worst = 0.0
    for number, plan in enumerate(size_plans(graph)[:2]):
        arrays, expected, _ = first_accepted(oracle, plan, [seed, number])
        wrong = []
        for place, (array, wanted, value) in enumerate(zip(exe._run(arrays), expected, graph.outputs, strict=True)):
            found = array if not value.dtype.is_float else array.astype(value.dtype.numpy)
            finding = compare(found, wanted, value.type)
            worst = max(worst, finding.used)
            wrong += [] if finding.ok else [place]
        if wrong:
            inside = oracle.inside(arrays, np.random.default_rng(seed), exe.points())
            first = bisect(f"pass {result.name}", exe, oracle, arrays, inside, wrong)
            divergence = first[0] if first is not None else None
            return PassResult(result.number, result.name, result.reason, worst, divergence)
    return PassResult(result.number, result.name, result.reason, worst)


def require(results: Sequence[PassResult]) -> None:
    """Raise VerificationError if passes are wrong; it names them, and the first wrong node of each."""
    guilty = [result for result in results if not result.ok]
    if guilty:
        facts = [(f"pass {each.name}", str(each.first_divergence or "the outputs differ")) for each in guilty]
        names = ", ".join(dict.fromkeys(each.name for each in guilty))
        raise VerificationError(
            f"a pass changes what the model computes: {names}", facts=facts, remedy=f"--disable {guilty[0].name}"
        )
