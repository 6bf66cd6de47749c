"""False alarms of dagir.verify: drawn models that are right, at every level of onnxruntime, 1 and 2 threads.

python tools/bench/specificity.py [--models 2000] [--seed 0] [--draw control-flow|float16|bfloat16]
"""

from __future__ import annotations

import argparse
import time

import numpy as np
import onnxruntime
from drawn import DRAWN, drawn

import dagir

LEVELS = {
    "disabled": onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL,
    "basic": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC,
    "extended": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED,
    "all": onnxruntime.GraphOptimizationLevel.ORT_ENABLE_ALL,
}


def executables(model):
    for level, value in LEVELS.items():
        for threads in (1, 2):
            options = onnxruntime.SessionOptions()
            options.log_severity_level = 3
            options.graph_optimization_level = value
            options.intra_op_num_threads = threads
            yield f"{level}, {threads} threads", dagir.lower(model, "onnx", session_options=options)


def chosen(kind, count, seed):
    """Drawn models: of the usual strategy, half of them larger, or of another kind."""
    if kind is not None:
        return DRAWN[kind](count, seed)
    half = count // 2
    return drawn(half, seed) + drawn(count - half, seed + 1, min_steps=6, max_steps=16)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--models", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--draw", choices=sorted(DRAWN), help="models of another kind")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    start = time.perf_counter()
    models = chosen(options.draw, options.models, options.seed)
    used: dict[str, list[float]] = {}
    alarms = 0
    for number, model in enumerate(models):
        report = dagir.verify(model, {"numpy": dagir.lower(model, "numpy"), **dict(executables(model))}, seed=number)
        for row in report.rows:
            used.setdefault(row.backend, []).append(row.used)
        if not report.ok:
            alarms += 1
            print(f"model {number}:\n{report}\n{model.graph}" if options.verbose else f"model {number}: {report}")
    print(
        f"{len(models)} models, {sum(map(len, used.values()))} answers, {time.perf_counter() - start:.0f} s: "
        f"{alarms} false alarms"
    )
    for name, shares in used.items():
        points = np.percentile(shares, [50, 90, 99, 99.9, 100])
        print(
            f"{name:24} budget used: "
            + ", ".join(f"{100 * p:.3g} %" for p in points)
            + " (50, 90, 99, 99.9, 100 percentiles)"
        )


if __name__ == "__main__":
    main()
