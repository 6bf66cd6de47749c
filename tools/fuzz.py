"""A campaign: whole models are drawn and run on every executor, in child processes, so that a crash is a finding.

python tools/fuzz.py --minutes 60 --out findings [--seed 0] [--backends numpy,onnx,keras] [--compiled 5]
                     [--dask tcp://scheduler:8786]

Three batches of four hold whole models, the fourth single ops with arrays that fit them. Each finding is a folder:
model.dagir, inputs.npz, what was seen, and a script that shows it again; where a node can be
named, the smallest part of the model that still shows it. The same fault is kept once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from fuzz_on_dask import campaign

_BATCH = 40
_PATIENCE = 600  # seconds without a new model, after which a child hangs
_SCRIPT = '''"""{title}"""
import numpy as np

import dagir
from dagir.equivalence import blame, executors

model = dagir.load("model.dagir")
feeds = dict(np.load("inputs.npz"))
print(blame(model, {{name: make for name, make in executors(model).items() if name in {names}}}, feeds))
'''


def main() -> None:
    """The parent: starts children, looks at how they end, and counts."""
    options = _options()
    if options.child:
        run_child(options)
        return
    out = Path(options.out)
    out.mkdir(parents=True, exist_ok=True)

    def report(tally: Counter[str]) -> None:
        (out / "counts.json").write_text(json.dumps(dict(tally), indent=2) + "\n", encoding="utf-8")
        print(summary(tally), flush=True)

    if options.dask:
        campaign(options, out, report)
        return
    deadline = time.monotonic() + 60 * options.minutes
    tally: Counter[str] = Counter()
    seed = options.seed
    while time.monotonic() < deadline and (options.batches is None or seed < options.seed + options.batches):
        tally.update(run_batch(options, out, seed, deadline))
        seed += 1
        report(tally)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--out", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--backends", default="numpy,onnx,keras")
    parser.add_argument(
        "--compiled", type=int, default=5, metavar="N", help="tf.function and XLA too, for each Nth model (0: none)"
    )
    parser.add_argument("--batches", type=int, metavar="N", help="stop after so many, if the minutes are not over")
    parser.add_argument("--dask", metavar="ADDRESS", help="of a Dask scheduler, whose workers run batches")
    parser.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--skip", default="", help=argparse.SUPPRESS)
    return parser.parse_args()


def run_batch(options: argparse.Namespace, out: Path, seed: int, deadline: float) -> Counter[str]:
    """One child for a batch of models; begun again past the model on which it dies."""
    tally: Counter[str] = Counter()
    skip: list[int] = []
    while time.monotonic() < deadline:
        command = [sys.executable, __file__, "--child", "--out", str(out), "--seed", str(seed)]
        command += ["--backends", options.backends, "--skip", ",".join(map(str, skip))]
        command += ["--compiled", str(options.compiled)]
        state = out / ".state"
        state.unlink(missing_ok=True)
        try:
            left = max(30.0, min(_PATIENCE, deadline - time.monotonic() + 60))
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=left)
            ended = "" if done.returncode == 0 else _ending(done)
        except subprocess.TimeoutExpired:
            ended = "" if time.monotonic() > deadline else "hangs"
        held = json.loads(state.read_text(encoding="utf-8")) if state.exists() else {"tally": {}, "number": -1}
        tally.update(held["tally"])
        if not ended:
            break
        tally["crashes"] += keep_crash(out, held, ended)
        skip.extend(range(skip[-1] + 1 if skip else 0, held["number"] + 1))
        if held["number"] < 0:
            raise SystemExit(f"the child does not start: {ended}")
    return tally


def _ending(done: subprocess.CompletedProcess[str]) -> str:
    last = done.stderr.strip().splitlines()[-1:] or [""]
    return f"signal {-done.returncode}" if done.returncode < 0 else f"exit {done.returncode}: {last[0][:200]}"


def keep_crash(out: Path, held: dict[str, Any], ended: str) -> int:
    """Keep the model on which a child died. Returns 1 where it is new."""
    kind = f"{ended} in {held.get('executor', '?')} with {', '.join(held.get('ops', []))}"
    folder = out / f"crash-{hashlib.sha256(kind.encode()).hexdigest()[:10]}"
    if folder.exists() or not (out / ".model.dagir").exists():
        return 0
    folder.mkdir()
    for name in ("model.dagir", "inputs.npz"):
        (out / f".{name}").replace(folder / name)
    (folder / "finding.json").write_text(json.dumps({"kind": kind, **held}, indent=2) + "\n", encoding="utf-8")
    script = _SCRIPT.format(title=kind, names=[held.get("executor")])
    (folder / "reproduce.py").write_text(script, encoding="utf-8")
    return 1


def summary(tally: Counter[str]) -> str:
    """One line of counts."""
    ops = sum(key.startswith("op ") for key in tally)
    found = {key.removeprefix("finding "): count for key, count in tally.items() if key.startswith("finding ")}
    counts = f"{tally['models']} models, {tally['runs']} runs, {ops} ops"
    return f"{counts}, findings {found or 'none'}, {tally['crashes']} crashes"


# ---- the child


def run_child(options: argparse.Namespace) -> None:
    """Draw a batch from its seed, and blame each model."""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.path.insert(0, str(Path(__file__).resolve().parent / "bench"))
    out, skipped = Path(options.out), {int(part) for part in options.skip.split(",") if part}
    tally: Counter[str] = Counter()
    for number, (model, feeds) in enumerate(_batch(options.seed)):
        if number not in skipped:
            _examine(model, feeds, number, options, out, tally)


def _batch(seed: int) -> list[tuple[Any, dict[str, Any]]]:
    """Models with arrays for their inputs."""
    import numpy as np  # in children alone, with all that follows: the parent starts and counts them
    from drawn import collect, drawn

    from dagir import Model
    from dagir.equivalence.inputs import draw, size_plans
    from dagir.testing import ops

    found = []
    if seed % 4 == 3:
        for case in collect(ops(), _BATCH, seed):
            graph, arrays = case.graph()
            found.append((Model(graph.inputs, graph.outputs), arrays))
    else:
        least = 1 + seed % 5
        for number, model in enumerate(drawn(_BATCH, seed, min_steps=least, max_steps=least + 3 + seed % 11)):
            plans = size_plans(model.graph)
            plan = plans[number % len(plans)]
            found.append((model, draw(model.graph, plan.tried[0], np.random.default_rng([seed, number]), plan.kind)))
    return [(model, dict(zip(model.input_names, arrays, strict=True))) for model, arrays in found]


def _examine(
    model: Any, named: dict[str, Any], number: int, options: argparse.Namespace, out: Path, tally: Counter[str]
) -> None:
    import numpy as np

    from dagir.equivalence import blame, executors

    makers = executors(model, options.backends.split(","))
    if not options.compiled or number % options.compiled:
        makers = {name: make for name, make in makers.items() if name not in ("keras, tf.function", "keras, XLA")}
    kinds = sorted({type(node.op).__name__ for node in model.graph.nodes})
    model.save(out / ".model.dagir")
    texts = {name: np.array(array.tolist(), str) for name, array in named.items() if array.dtype.kind in "OT"}
    np.savez(out / ".inputs.npz", **{**named, **texts})
    state: dict[str, Any] = {"seed": options.seed, "number": number, "ops": kinds, "tally": tally}

    def noted(name: str, make: Any) -> Any:
        def started() -> Any:
            _write_state(out, {**state, "executor": name})
            return make()

        return started

    verdict = blame(model, {name: noted(name, make) for name, make in makers.items()}, named, seed=options.seed)
    tally.update({"models": 1, "runs": len(makers), **{f"op {kind}": 1 for kind in kinds}})
    tally.update({f"executor {name}": 1 for name in makers})
    if not verdict.ok:
        _keep(verdict, model, out, tally)
    _write_state(out, state)


def _write_state(out: Path, state: dict[str, Any]) -> None:
    temporary = out / ".state.tmp"
    temporary.write_text(json.dumps(state), encoding="utf-8")
    temporary.replace(out / ".state")


def _keep(verdict: Any, model: Any, out: Path, tally: Counter[str]) -> None:
    """Write a finding, unless one of its kind is known."""
    for system, kind, names in _kinds(verdict):
        folder = out / f"{system}-{hashlib.sha256(kind.encode()).hexdigest()[:10]}"
        tally[f"finding {system}"] += not folder.exists()
        if folder.exists():
            continue
        folder.mkdir()
        for name in ("model.dagir", "inputs.npz"):
            (folder / name).write_bytes((out / f".{name}").read_bytes())
        facts = {
            "kind": kind,
            "outliers": verdict.outliers,
            "failed": dict(verdict.failed),
            "report": str(verdict.report),
        }
        (folder / "finding.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")
        (folder / "reproduce.py").write_text(_SCRIPT.format(title=kind, names=names), encoding="utf-8")
        report = verdict.report
        if report.first_divergence is not None and report.first_divergence.backend in names:
            report.write_reproduction(folder / "smallest")


def _kinds(verdict: Any) -> list[tuple[str, str, list[str]]]:
    """(system, kind, executors): what tells one fault from another is the op and the system, or the error's words."""
    found: dict[tuple[str, str], list[str]] = {}
    for name, why in verdict.failed.items():
        words = re.sub(r"'[^']*'|\d+|\[[^]]*\]", "_", why)[:120]
        found.setdefault((_system(name), f"fails: {words}"), []).append(name)
    wrong = {row.backend for row in verdict.report.rows if not row.ok} | set(verdict.outliers)
    first = verdict.report.first_divergence
    for name in sorted(wrong):
        op = first.op.partition("(")[0] if first is not None and first.backend == name else "?"
        found.setdefault((_system(name), f"differs at {op}"), []).append(name)
    return [(system, kind, names) for (system, kind), names in found.items()]


def _system(name: str) -> str:
    kept = name if name.startswith("keras") else name.partition(",")[0]
    return re.sub(r"\W+", "-", "oracle" if name.startswith("the ") else kept)


if __name__ == "__main__":
    main()
