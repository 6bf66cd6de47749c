"""float16 and int8 by dagir beside onnxruntime's own tools: time, size, loss, and seconds to produce, on ten networks.

    python tools/bench/low_precision.py WORK [NAME ...] --seconds 20

WORK holds what is made, and the files of the packages silero-vad, basic-pitch, rapidocr-onnxruntime and fer:
silero_vad.onnx, nmp.onnx, ch_PP-OCRv4_det_infer.onnx and emotion_model.hdf5. The peers need onnxconverter-common.

The peers begin with the float32 file that dagir writes, or with the published one if that is ONNX, and both sides
calibrate on the same samples. Times are those of one
thread, batch 1, all files in turn in one process: the median of the ratios to float32 in the same round. The loss is
the relative error of all outputs together on other samples, and the share of rows whose largest number is in another
place; on digits, the points of accuracy that are lost.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
import onnx
import onnxruntime
from low_precision_networks import NETWORKS, Subject

import dagir

Arrays = dict[str, np.ndarray]
OURS: dict[str, dict[str, Any]] = {
    "float16": {"precision": "float16"},
    "int8": {"quantize": "int8"},
    "dynamic": {"quantize": "int8-dynamic"},
    "int8, full range": {"quantize": "int8", "full_range": True},
    "dynamic, full range": {"quantize": "int8-dynamic", "full_range": True},
}


def rows(feed: Arrays, start: int, stop: int) -> Arrays:
    """Samples of a feed, along the axis 0 that all of its inputs have."""
    return {name: array[start:stop] for name, array in feed.items()}


def peer_float16(source: Path, target: Path, subject: Subject) -> None:
    from onnxconverter_common import float16

    onnx.save(float16.convert_float_to_float16(onnx.load(source), keep_io_types=True), target)


def peer_static(source: Path, target: Path, subject: Subject, **options: Any) -> None:
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.feeds = iter(subject.feeds(subject.samples))

        def get_next(self) -> Any:
            return next(self.feeds, None)

    quantization.quantize_static(str(source), str(target), Reader(), **options)


def peer_per_channel(source: Path, target: Path, subject: Subject) -> None:
    peer_static(source, target, subject, per_channel=True)


def peer_dynamic(source: Path, target: Path, subject: Subject) -> None:
    from onnxruntime import quantization

    quantization.quantize_dynamic(str(source), str(target))


PEERS: dict[str, Callable[[Path, Path, Subject], None]] = {
    "peer float16": peer_float16,
    "peer int8": peer_static,
    "peer int8, per channel": peer_per_channel,
    "peer dynamic": peer_dynamic,
}


def produced(name: str, source: Path, target: Path, subject: Subject) -> tuple[float | None, str]:
    """The seconds that a file takes to produce, or why there is none."""
    start = time.process_time()
    try:
        if name in OURS:
            calibrate = {} if name.startswith("dynamic") else {"calibrate": subject.samples}
            dagir.to_onnx(subject.model, target, **OURS[name], **calibrate)
        else:
            PEERS[name](source, target, subject)
        seconds = time.process_time() - start
        opened(target)
    except Exception as error:
        target.unlink(missing_ok=True)
        return None, f"{type(error).__name__}: {str(error).strip().splitlines()[0][:150]}"
    return seconds, ""


def opened(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def ratios(paths: dict[str, Path], feed: Arrays, seconds: float) -> dict[str, float]:
    """The median ratio of each file's time to that of float32, in the same round."""
    sessions = {name: opened(path) for name, path in paths.items()}
    once = time.perf_counter()
    for session in sessions.values():
        session.run(None, feed)
    once = time.perf_counter() - once
    repeats = max(1, round(0.02 / max(once, 1e-9)))
    found: dict[str, list[float]] = {name: [] for name in paths}
    start = time.perf_counter()
    while time.perf_counter() - start < seconds or len(found["float32"]) < 5:
        for name, session in sessions.items():
            begun = time.thread_time()
            for _ in range(repeats):
                session.run(None, feed)
            found[name].append(time.thread_time() - begun)
    return {name: median(np.divide(times, found["float32"])) for name, times in found.items()}


def answers(path: Path, feeds: list[Arrays]) -> list[np.ndarray]:
    session = opened(path)
    parts = [session.run(None, feed) for feed in feeds]
    return [np.stack([np.asarray(part[place], np.float64) for part in parts]) for place in range(len(parts[0]))]


def loss(found: list[np.ndarray], right: list[np.ndarray], labels: np.ndarray | None) -> dict[str, float]:
    """Relative error, share of other places of the largest number, points of accuracy lost, whether NaN came."""
    error = sum(float(np.square(f - r).sum()) for f, r in zip(found, right, strict=True))
    norm = sum(float(np.square(r).sum()) for r in right)
    told = {"error": float(np.sqrt(error / norm))}
    first, wanted = (each[0].reshape(-1, each[0].shape[-1]) for each in (found, right))
    told["moved"] = float((first.argmax(-1) != wanted.argmax(-1)).mean())
    if labels is not None:
        told["lost"] = 100 * float((wanted.argmax(-1) == labels).mean() - (first.argmax(-1) == labels).mean())
    told["nan"] = float(sum(np.isnan(f).sum() for f in found) > sum(np.isnan(r).sum() for r in right))
    return told


def kinds(path: Path, folder: Path) -> dict[str, int]:
    """How many nodes of each kind onnxruntime runs."""
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(folder / "optimized.onnx")
    options.log_severity_level = 4
    onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    found: dict[str, int] = {}
    for node in onnx.load(folder / "optimized.onnx", load_external_data=False).graph.node:
        found[node.op_type] = found.get(node.op_type, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def measure(subject: Subject, folder: Path, options: argparse.Namespace) -> dict[str, Any]:
    """All files of one network."""
    folder.mkdir(exist_ok=True)
    wide = folder / "float32.onnx"
    dagir.to_onnx(subject.model, wide)
    start = time.process_time()
    dagir.verify(subject.model, wide)
    result: dict[str, Any] = {"name": subject.name, "verification": time.process_time() - start, "files": {}}
    paths, feeds = {"float32": wide}, subject.feeds(subject.others)
    right = answers(wide, feeds)
    for name in [*OURS, *PEERS]:
        target = folder / f"{name.replace(' ', '_').replace(',', '')}.onnx"
        seconds, why = produced(name, subject.published or wide, target, subject)
        if seconds is None:
            result["files"][name] = {"why": why}
            continue
        paths[name] = target
        size = target.stat().st_size / wide.stat().st_size
        told = {"seconds": seconds, "size": size, **loss(answers(target, feeds), right, subject.labels)}
        result["files"][name] = told
        if options.kinds:
            print(name, kinds(target, folder), file=sys.stderr)
    for name, ratio in ratios(paths, feeds[0], options.seconds).items():
        if name in result["files"]:
            result["files"][name]["time"] = ratio
    return result


def shown(result: dict[str, Any]) -> str:
    """A table of one network."""
    lines = [f"{result['name']} (one verification: {result['verification']:.1f} s)"]
    for name, told in result["files"].items():
        if "why" in told:
            lines.append(f"  {name:24} {told['why']}")
            continue
        lost = f"{told['lost']:6.2f}" if "lost" in told else f"{100 * told['moved']:5.1f}%"
        lines.append(
            f"  {name:24}{told['time']:7.2f}{told['size']:7.2f}{told['error']:10.2g}{lost:>8}{told['seconds']:8.2f}"
            f"{told['seconds'] / result['verification']:7.2f}{'  NaN' if told['nan'] else ''}"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("work", type=Path)
    parser.add_argument("names", nargs="*", help=f"of {', '.join(NETWORKS)}; by default all")
    parser.add_argument("--seconds", type=float, default=20.0, help="for the times of one network")
    parser.add_argument("--kinds", action="store_true", help="print the operators that onnxruntime runs")
    options = parser.parse_args()
    logging.disable(logging.WARNING)
    print(f"  {'file':24}{'time':>7}{'size':>7}{'error':>10}{'lost':>8}{'s':>8}{'over':>7}")
    for name in options.names or NETWORKS:
        result = measure(NETWORKS[name](options.work), options.work / name, options)
        print(shown(result), flush=True)
        with (options.work / "low_precision.jsonl").open("a") as file:
            file.write(json.dumps(result) + "\n")


if __name__ == "__main__":
    main()
