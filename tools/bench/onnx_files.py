"""ONNX files beside what dagir makes of them: answers, nodes, time, and the time of onnx's own evaluator.

    python tools/bench/onnx_files.py FOLDER --peers PEERS [--only 320n] [--seconds 5]

FOLDER holds .onnx files, in folders or not; onnx_files.json has two feeds for each, by the name of the file: shapes of
random numbers, or an integer. PEERS is a virtual environment with onnx, onnxslim and onnxsim. One table is printed:

    budget     the most that the error budget is used, of the file on onnxruntime, of dagir's float32 NumPy and of what
               dagir writes, at both feeds, beside float64
    nodes      of the file, of dagir's, of each peer's, those of bodies too; a `Constant` is a weight, and no node
    transposes of the file and of dagir's
    original   processor time of dagir's file over the original: the median of pairs in turn, on one thread
    noise      the same of the original over itself
    onnxslim   the same of dagir's file over onnxslim's
    reference  time of onnx.reference over that of dagir's NumPy interpreter, in the file's own dtypes

Processor time is what a busy machine does not change, as long as no thread waits for another: NumPy's products run on
one thread for both sides. The last line has geometric means.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import onnx
from onnx.reference import ReferenceEvaluator

import dagir
from convert import session, timed

HERE = Path(__file__).parent
COLUMNS = ("original", "noise", "onnxslim", "reference")


def counted(path: Path) -> Counter[str]:
    """The nodes by their type, those of bodies too."""
    counts: Counter[str] = Counter()
    pending = [onnx.load(path, load_external_data=False).graph]
    while pending:
        graph = pending.pop()
        counts.update(node.op_type for node in graph.node)
        pending += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    del counts["Constant"]
    return counts


def drawn(feed: dict[str, Any]) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        name: np.array(what, "int64") if isinstance(what, int) else rng.normal(size=what).astype("float32")
        for name, what in feed.items()
    }


def budget_used(model: dagir.Model, original: Path, feeds: list[dict[str, np.ndarray]]) -> float:
    """The most of the error budget that is used, in percent."""
    sides = {"original": str(original), "numpy": "numpy", "onnx": "onnx"}
    reports = [dagir.verify(model, sides, feed) for feed in feeds]
    return 100 * max(row.used for report in reports for row in report.rows)


def paired(ours: Path, theirs: Path, feed: dict[str, np.ndarray], seconds: float) -> float:
    """Processor time of one file over that of another, on one thread: the median of the ratios of neighbours."""
    a, b = session(ours, 1)[0], session(theirs, 1)[0]
    for _ in range(3):
        a.run(None, feed), b.run(None, feed)
    ratios: list[float] = []
    end = time.perf_counter() + seconds
    # A run below a millisecond is repeated, for the clock of the processor is coarse.
    start = time.perf_counter()
    a.run(None, feed)
    repeated = max(1, int(1e-3 / (time.perf_counter() - start)))
    while time.perf_counter() < end or len(ratios) < 20:
        one, other = [a, feed] * repeated, [b, feed] * repeated
        pair = (one, other) if len(ratios) % 2 else (other, one)
        first, second = (sum(busy for _, busy in timed(*each)) for each in pair)
        ratios.append(first / second if pair[0] is one else second / first)
    return statistics.median(ratios)


def over_reference(original: Path, model: dagir.Model, feed: dict[str, np.ndarray]) -> float:
    """The time of onnx.reference over that of dagir's NumPy interpreter, best of some; NaN where it fails."""
    evaluator, ours = ReferenceEvaluator(str(original)), dagir.lower(model, "numpy")

    def best(run: Any) -> float:
        taken, end = [], time.perf_counter() + 10
        while len(taken) < 5 and (len(taken) < 2 or time.perf_counter() < end):
            start = time.process_time()
            run()
            taken.append(time.process_time() - start)
        return min(taken)

    with np.errstate(all="ignore"):
        try:
            theirs = best(lambda: evaluator.run(None, feed))
        except Exception as error:  # it raises what NumPy raises
            print(f"  onnx.reference: {type(error).__name__}: {str(error).splitlines()[0][:150]}")
            return float("nan")
        return theirs / best(lambda: ours(feed))


def slimmed(peers: Path, peer: str, original: Path, target: Path) -> Path | None:
    command = [str(peers / "bin/python"), "-W", "ignore", str(HERE / "onnx_peers.py"), peer, str(original), str(target)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        print(f"  {peer}: {done.stderr.strip().splitlines()[-1][:150]}")
    return None if done.returncode else target


def measure(original: Path, feeds: list[dict[str, Any]], options: argparse.Namespace, folder: Path) -> dict[str, Any]:
    arrays = [drawn(feed) for feed in feeds]
    model = dagir.from_onnx(original)
    ours = folder / f"{original.stem}.dagir.onnx"
    dagir.to_onnx(model, ours)
    found: dict[str, Any] = {"file": original.stem}
    found["budget"] = budget_used(model, original, arrays)
    peers = {}
    for peer in ("onnxslim", "onnxsim") if options.peers else ():
        path = slimmed(options.peers, peer, original, folder / f"{original.stem}.{peer}.onnx")
        peers |= {peer: path} if path else {}
    counts = {name: counted(path) for name, path in {"original": original, "dagir": ours, **peers}.items()}
    found["nodes"] = {name: sum(each.values()) for name, each in counts.items()}
    found["transposes"] = [counts[name]["Transpose"] for name in ("original", "dagir")]
    found["original"] = paired(ours, original, arrays[0], options.seconds)
    found["noise"] = paired(original, original, arrays[0], options.seconds)
    if "onnxslim" in peers:
        found["onnxslim"] = paired(ours, peers["onnxslim"], arrays[0], options.seconds)
    found["reference"] = over_reference(original, model, arrays[0])
    return found


def line(found: dict[str, Any]) -> str:
    nodes = [found["nodes"].get(name, "-") for name in ("original", "dagir", "onnxslim", "onnxsim")]
    parts = [f"{found['file'][:30]:30}", f"{found['budget']:5.0f} %", *(f"{count:>5}" for count in nodes)]
    parts += [f"{count:>3}" for count in found["transposes"]]
    return " ".join([*parts, *(f"{found.get(column, float('nan')):8.2f}" for column in COLUMNS)])


def means(everything: list[dict[str, Any]]) -> str:
    def mean(column: str) -> float:
        known = [each[column] for each in everything if not np.isnan(each.get(column, float("nan")))]
        return float(np.exp(np.mean(np.log(known)))) if known else float("nan")

    return f"{'geometric means':69}" + " ".join(f"{mean(column):8.2f}" for column in COLUMNS)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--peers", type=Path, help="a virtual environment with onnx, onnxslim and onnxsim")
    parser.add_argument("--feeds", type=Path, default=HERE / "onnx_files.json")
    parser.add_argument("--only", nargs="+", help="names of files, without .onnx")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each latency comparison")
    options = parser.parse_args()
    known = json.loads(options.feeds.read_text())
    everything = []
    header = f"{'file':30} budget nodes dagir  slim   sim transposes"
    print(header.ljust(69) + " ".join(f"{column:>8}" for column in COLUMNS))
    with tempfile.TemporaryDirectory() as folder:
        for path in sorted(options.folder.rglob("*.onnx"), key=lambda each: each.stem):
            if path.stem not in known or (options.only and path.stem not in options.only):
                continue
            everything.append(measure(path, known[path.stem], options, Path(folder)))
            print(line(everything[-1]), flush=True)
    print(means(everything))


if __name__ == "__main__":
    main()
