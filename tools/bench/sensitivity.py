"""How many single faults dagir.verify catches, how often it names the node, and what fixed tolerances catch.

python tools/bench/sensitivity.py [--models 200] [--faults 12] [--seed 0] [--no-guide] [--verbose]
python tools/bench/sensitivity.py --small --draw control-flow

--small: faults that move the answer by 1.2 to 3 budgets. --draw: models of another kind.

Half of the models come from the public strategy, half from one that draws masks, gates, pads and gelus often. A fault
counts where it changes the float64 answer by more than rounding's budget, at inputs drawn afresh. The faulty model's
float64 answer is that of onnx's ReferenceEvaluator on the model with its weights in float64; see float64.py.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path

import numpy as np
from drawn import DRAWN, drawn, focused, guide
from float64 import answer as float64_answer
from onnx import ModelProto

import dagir
from dagir.equivalence.comparison import compare
from dagir.equivalence.inputs import draw, size_plans
from dagir.equivalence.oracle import Oracle
from dagir.ir.nest import flatten
from faults import Fault, faults, nodes_of, small_faults

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests"))


class Trial:
    """One right model: its oracle, inputs, and the answers it must give."""

    def __init__(self, model, seed):
        self.model = model
        self.proto = dagir.lower(model, "onnx").artifact
        oracle = Oracle(model, 6)
        rng = np.random.default_rng(seed)
        self.cases = []
        plans = size_plans(oracle.graph)[:2]
        for plan in [*plans, *([plans[1]] if len(plans) > 1 else [])]:
            for sizes in plan.tried:
                try:
                    arrays = draw(oracle.graph, sizes, rng, plan.kind)
                    self.cases.append((arrays, oracle(arrays, rng)))
                    break
                except (dagir.DagirError, ValueError):
                    continue
        self.names = [name for name, _ in model.signature.inputs]

    def change(self, planted):
        """By how many budgets the fault moves the float64 answer, at most."""
        worst = 0.0
        for arrays, expected in self.cases:
            wide = [a.astype(np.float64) if a.dtype == np.float32 else a for a in arrays]
            found = float64_answer(planted, dict(zip(self.names, wide, strict=True)))
            for answer, wanted, value in zip(found, expected, self.model.graph.outputs, strict=True):
                worst = max(worst, _budgets(np.asarray(answer), wanted, value))
        return worst

    def tried(self, planted):
        """The same, 0 where there is no float64 answer."""
        try:
            return self.change(planted)
        except Exception:
            return 0.0

    def is_judged(self):
        """Whether the float64 answer of the model as written is the oracle's: the reference evaluator has gaps."""
        try:
            return self.change(self.proto) <= 1
        except Exception:
            return False


def _budgets(answer, wanted, value):
    if wanted.budget is None:
        return compare(answer.astype(value.dtype.numpy), wanted, value.type).used
    if answer.shape != wanted.array.shape:
        return float("inf")
    error = np.abs(np.nan_to_num(answer) - np.nan_to_num(wanted.array))
    with np.errstate(all="ignore"):
        return float(np.nanmax(np.where(error == 0, 0, error / wanted.budget), initial=0))


def named_right(fault: Fault, proto: ModelProto, report) -> bool:
    """Whether the node of the fault is the named one, or one of those that it stands for."""
    found = report.first_divergence
    if found is None:
        return False
    points = {entry for node in nodes_of(proto.graph) if any(p.key == "dagir.value" for p in node.metadata_props)
              for entry in node.output}  # fmt: skip
    makers = {name: node for node in nodes_of(proto.graph) for name in node.output}
    start = next(node for node in nodes_of(proto.graph) if node.name == found.node)
    group, pending = {start.name}, [start]
    while pending:
        for name in pending.pop().input:
            node = makers.get(name)
            if node is not None and name not in points and node.name not in group:
                group.add(node.name)
                pending.append(node)
    return not fault.nodes.isdisjoint(group)


def close(found, expected, rtol):
    pairs = zip(found, expected, strict=True)
    return all(np.allclose(f, w.array, rtol=rtol, atol=1e-6, equal_nan=True) for f, w in pairs)


def chosen(all_faults, count, rng):
    """At most `count` faults, the rare kinds first."""
    by_kind: dict[str, list[Fault]] = {}
    for fault in all_faults:
        by_kind.setdefault(fault.kind, []).append(fault)
    for group in by_kind.values():
        rng.shuffle(group)
    picked = []
    while len(picked) < count and any(by_kind.values()):
        picked += [group.pop() for group in by_kind.values() if group]
    return picked[:count]


def measure(model, count, rng, tally, folder, seed, verbose, small):
    trial = Trial(model, seed + 10_000)
    if not trial.is_judged():
        tally["", "without a right float64 answer"] += 1
        return
    every = small_faults(trial.proto, rng, trial.tried) if small else faults(trial.proto)
    for fault in chosen(every, count, rng):
        planted = fault.planted(trial.proto)
        tally[fault.kind, "planted"] += 1
        try:
            change = trial.change(planted)
        except Exception as error:  # the reference evaluator has gaps and faults of its own
            tally[fault.kind, f"no float64 answer ({type(error).__name__})"] += 1
            continue
        if change <= 1:
            continue
        path = Path(folder) / "faulty.onnx"
        path.write_bytes(planted.SerializeToString())
        try:
            exe = dagir.backend("onnx").open(path, model)
        except dagir.DagirError as error:  # caught, but not by what is measured here
            tally[fault.kind, "refused"] += 1
            if verbose:
                print(f"  {fault.kind} at {sorted(fault.nodes)} is refused: {error}")
            continue
        report = dagir.verify(model, {"faulty": exe}, seed=seed)
        tally[fault.kind, "counts"] += 1
        tally[fault.kind, "caught"] += not report.ok
        right = not report.ok and named_right(fault, planted, report)
        tally[fault.kind, "named"] += right
        found = [(flatten(exe(list(arrays))), expected) for arrays, expected in trial.cases[:2]]
        for rtol in (1e-3, 1e-5):
            tally[fault.kind, rtol] += not all(close(answers, expected, rtol) for answers, expected in found)
        if verbose and not (report.ok is False and right):
            where = report.first_divergence.node if report.first_divergence else None
            used = max(row.used for row in report.rows)
            print(
                f"  {fault.kind} at {sorted(fault.nodes)}: moves {change:.2g} budgets, used {used:.2g}, named {where}"
            )


def chosen_models(options):
    if options.draw is not None:
        return DRAWN[options.draw](options.models, options.seed)
    return [
        *([] if options.no_guide else guide()),
        *drawn(options.models - options.models // 2, options.seed, min_steps=6, max_steps=16),
        *focused(options.models // 2, options.seed),
    ]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=200)
    parser.add_argument("--faults", type=int, default=12)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--no-guide", action="store_true")
    parser.add_argument("--small", action="store_true", help="faults of 1.2 to 3 budgets alone")
    parser.add_argument("--draw", choices=sorted(DRAWN), help="models of another kind")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    tally: Counter = Counter()
    rng = np.random.default_rng(options.seed)
    start = time.perf_counter()
    everything = chosen_models(options)
    with tempfile.TemporaryDirectory() as folder:
        for number, model in enumerate(everything):
            measure(model, options.faults, rng, tally, folder, options.seed + number, options.verbose, options.small)
            if sys.stderr.isatty():
                print(f"\r{number + 1}/{len(everything)}", end="", file=sys.stderr)
    report(tally, len(everything), time.perf_counter() - start)


def report(tally, count, seconds):
    kinds = list(dict.fromkeys(kind for kind, _ in tally if kind))
    print(f"{count} models, {seconds:.0f} s; a fault counts where it moves the float64 answer by more than the budget")
    print(f"{'fault':28}{'planted':>8}{'counts':>8}{'caught':>9}{'named':>9}{'rtol=1e-3':>11}{'rtol=1e-5':>11}")
    for kind in [*kinds, "all"]:
        columns = {what: sum(n for (k, w), n in tally.items() if w == what and kind in (k, "all"))
                   for what in ("planted", "counts", "caught", "named", 1e-3, 1e-5)}  # fmt: skip
        shares = [
            f"{100 * columns[what] / max(columns['counts'], 1):.1f} %" for what in ("caught", "named", 1e-3, 1e-5)
        ]
        print(
            f"{kind:28}{columns['planted']:>8}{columns['counts']:>8}{shares[0]:>9}{shares[1]:>9}{shares[2]:>11}{shares[3]:>11}"
        )
    for (kind, what), number in tally.items():  # what is left out of the table
        if isinstance(what, str) and what not in ("planted", "counts", "caught", "named"):
            print(f"{kind or 'models'}: {number} {what}")


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main()
