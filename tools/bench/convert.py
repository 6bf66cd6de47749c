"""dagir beside its peers: conversion time and memory, file size, nodes, session load time, and latency.

    python tools/bench/convert.py --make-peers PEERS             # once: a virtual environment for the peers
    python tools/bench/convert.py --peers PEERS mobilenet_v2 gru ResNet50

A name is one of networks.py, or a class of keras.applications, which the peers' environment builds and saves, and dagir
reads from that file. Latencies are taken in one process, the two graphs in turn, so that a busy machine is busy for
both; what counts is the ratio. Peers that need more than the memory limit are stopped.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

HERE = Path(__file__).parent
PACKAGES = ("tf2onnx==1.17.0", "tensorflow==2.21.0", "onnx==1.23.2")


def status(key: str) -> float:
    """MiB by /proc/self/status: VmRSS or VmHWM."""
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(key))
    return int(line.split()[1]) / 1024


def convert_one(source: str, target: str) -> dict[str, Any]:
    """In a process of its own: seconds, and MiB above the process that has imported dagir and built the network."""
    from networks import NETWORKS
    from peers import unsettle

    import dagir
    import dagir_keras.reading.files.hdf5  # noqa: F401  # before the clock starts, as the peers' imports are
    import dagir_numpy  # noqa: F401
    import dagir_onnx  # noqa: F401
    from dagir import layers

    if source in NETWORKS:
        model = dagir.Model(*NETWORKS[source](layers))
        for weight in model.weights:
            weight.array  # noqa: B018  # the weights exist before they are converted
        unsettle(model.weights)
        before, start = status("VmRSS"), time.perf_counter()
    else:
        before, start = status("VmRSS"), time.perf_counter()
        model = dagir.from_keras(source)
    dagir.to_onnx(model, target)
    weights = sum(weight.array.nbytes for weight in model.weights) / 2**20
    seconds = time.perf_counter() - start
    return {"seconds": seconds, "mib": status("VmHWM") - before, "weights_mib": weights}


def limited(gigabytes: float) -> Any:
    def limit() -> None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(gigabytes * 2**30),) * 2)

    return limit


def in_process(command: list[str], gigabytes: float, timeout: float) -> dict[str, Any]:
    """Run a script that prints JSON last."""
    try:
        done = subprocess.run(
            command,
            capture_output=True,
            text=True,
            cwd=HERE,
            timeout=timeout,
            check=False,
            preexec_fn=limited(gigabytes),
        )
    except subprocess.TimeoutExpired:
        return {"error": f"stopped after {timeout:.0f} s"}
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        why = done.stderr.strip().splitlines()
        return {"error": f"exit {done.returncode}: {why[-1][:200] if why else ''}"}
    return dict(json.loads(lines[-1]))


def graph_facts(path: Path) -> dict[str, Any]:
    import onnx

    model = onnx.load(path, load_external_data=False)
    counts: Counter[str] = Counter()
    pending = [model.graph]
    while pending:
        graph = pending.pop()
        counts.update(node.op_type for node in graph.node)
        pending += [a.g for node in graph.node for a in node.attribute if a.HasField("g")]
    return {
        "bytes": path.stat().st_size,
        "nodes": sum(counts.values()),
        "transposes": counts["Transpose"],
        "loops": counts["Loop"] + counts["Scan"],
    }


def feeds(session: Any, batch: int = 1) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    made = {}
    for entry in session.get_inputs():
        shape = [size if isinstance(size, int) else batch for size in entry.shape]
        if "int" in entry.type:
            made[entry.name] = rng.integers(1, 100, size=shape).astype("int32" if "32" in entry.type else "int64")
        else:
            made[entry.name] = rng.normal(size=shape).astype("float32")
    return made


def session(path: Path, threads: int) -> tuple[Any, float]:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    options.log_severity_level = 3
    # Else the threads of the session that waits for its turn spin on the core that the other one needs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    start = time.perf_counter()
    made = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return made, time.perf_counter() - start


def timed(*sessions_and_feeds: Any) -> list[tuple[float, float]]:
    """Seconds of the clock and of the processor that each session takes for its feed, one after the other."""
    taken = []
    for made, feed in zip(sessions_and_feeds[::2], sessions_and_feeds[1::2], strict=True):
        clock, processor = time.perf_counter(), time.process_time()
        made.run(None, feed)
        taken.append((time.perf_counter() - clock, time.process_time() - processor))
    return taken


def paired(ours: Path, theirs: Path, threads: int, seconds: float) -> dict[str, float]:
    """Latencies of two files, each first in turn: the median of the ratios of neighbours, and the best of each."""
    loads = [(session(ours, threads)[1], session(theirs, threads)[1]) for _ in range(5)]
    load_a, load_b = (median(column) for column in zip(*loads, strict=True))
    a, b = session(ours, threads)[0], session(theirs, threads)[0]
    feed_a, feed_b = feeds(a), feeds(b)
    for _ in range(3):
        a.run(None, feed_a), b.run(None, feed_b)
    times: list[tuple[float, float]] = []
    busy: list[tuple[float, float]] = []
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(times) < 6:
        first, second = timed(a, feed_a, b, feed_b) if len(times) % 2 else reversed(timed(b, feed_b, a, feed_a))
        times.append((first[0], second[0]))
        busy.append((first[1], second[1]))
    best_a, best_b = (min(column) for column in zip(*times, strict=True))
    return {
        "threads": threads,
        "ours_ms": best_a * 1e3,
        "theirs_ms": best_b * 1e3,
        "ratio_of_best": best_a / best_b,
        "median_ratio": median(x / y for x, y in times),
        "processor_ratio": median(x / y for x, y in busy),
        "ours_load_s": load_a,
        "theirs_load_s": load_b,
    }


def compare(name: str, options: argparse.Namespace) -> dict[str, Any]:
    folder: Path = options.folder
    python = str(options.peers / "bin" / "python")
    target = folder / f"{name}.dagir.onnx"
    source = name
    if not name.islower():  # a class of keras.applications
        source = str(folder / f"{name}.keras")
        if not Path(source).exists():
            in_process([python, "peers.py", name, "save", source], options.gigabytes, options.timeout)
    found: dict[str, Any] = {"network": name}
    found["dagir"] = in_process(
        [sys.executable, "convert.py", "--one", source, str(target)], options.gigabytes, options.timeout
    )
    if target.exists():
        found["dagir"].update(graph_facts(target))
    for peer in options.converters:
        path = folder / f"{name}.{peer}.onnx"
        facts_path = path.with_suffix(".json")
        if path.exists() and facts_path.exists() and not options.again:
            found[peer] = json.loads(facts_path.read_text())
        else:
            command = [python, "peers.py", name, peer, str(path)]
            found[peer] = in_process(command, options.gigabytes, options.timeout)
            facts_path.write_text(json.dumps(found[peer]))
        if path.exists() and target.exists():
            found[peer].update(graph_facts(path))
            try:
                found[peer]["latency"] = [paired(target, path, n, options.seconds) for n in options.threads]
            except Exception as error:  # onnxruntime has a class for each of its status codes
                found[peer]["error"] = f"onnxruntime: {str(error).splitlines()[0][:300]}"
    return found


def show(found: dict[str, Any]) -> None:
    print(f"\n{found['network']}")
    for who, facts in found.items():
        if not isinstance(facts, dict):
            continue
        if "error" in facts:
            print(f"  {who:8} {facts['error']}")
        if "bytes" not in facts:
            continue
        print(
            f"  {who:8} {facts.get('seconds', float('nan')):7.2f} s  {facts.get('mib', float('nan')):7.0f} MiB  "
            f"{facts['bytes'] / 1e6:8.1f} MB  {facts['nodes']:5} nodes  {facts['transposes']:3} transposes"
        )
        for row in facts.get("latency", []):
            print(
                f"           {row['threads']} thread(s): {row['ours_ms']:.2f} ms over {row['theirs_ms']:.2f} ms, "
                f"ratio {row['median_ratio']:.2f} (of the best {row['ratio_of_best']:.2f}, "
                f"of processor time {row['processor_ratio']:.2f}); "
                f"load {row['ours_load_s']:.2f} s over {row['theirs_load_s']:.2f} s"
            )


def make_peers(folder: Path) -> None:
    subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
    subprocess.run([str(folder / "bin" / "pip"), "install", "--quiet", *PACKAGES], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*")
    parser.add_argument("--one", nargs=2, metavar=("NETWORK", "TARGET"))
    parser.add_argument("--peers", type=Path, help="the peers' virtual environment")
    parser.add_argument("--make-peers", type=Path, help="make that environment, then end")
    parser.add_argument("--converters", nargs="+", default=["tf2onnx", "export"])
    parser.add_argument("--threads", nargs="+", type=int, default=[1, 2])
    parser.add_argument("--seconds", type=float, default=3.0, help="of each latency comparison")
    parser.add_argument("--timeout", type=float, default=600.0)
    parser.add_argument("--gigabytes", type=float, default=16.0, help="at which a converter is stopped")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "dagir-bench")
    parser.add_argument("--again", action="store_true", help="convert with the peers even where their file exists")
    parser.add_argument("--json", type=Path, help="write everything there")
    options = parser.parse_args()
    if options.one:
        print(json.dumps(convert_one(*options.one)))
        return
    if options.make_peers:
        make_peers(options.make_peers)
        return
    options.folder.mkdir(exist_ok=True)
    everything = []
    for name in options.networks:
        everything.append(compare(name, options))
        show(everything[-1])
    if options.json:
        options.json.write_text(json.dumps(everything, indent=2))


if __name__ == "__main__":
    main()
