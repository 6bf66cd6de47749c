"""A campaign on the workers of a Dask cluster: a task a batch, each of a seed of its own, and the findings merged.

The workers need dagir with its backends, and this checkout at the path that it has here.
"""

from __future__ import annotations

import argparse
import io
import json
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

_FUZZ = str(Path(__file__).with_name("fuzz.py"))


def campaign(options: argparse.Namespace, out: Path, report: Callable[[Counter[str]], None]) -> None:
    """Run batches on the cluster at options.dask until options.minutes or options.batches are over.

    report: is told the counts after each batch. A worker that dies loses nothing: Dask gives its batch to another one.
    """
    cloudpickle, distributed = _libraries()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])  # workers cannot import what is no package
    tally: Counter[str] = Counter()
    deadline, seed = time.monotonic() + 60 * options.minutes, options.seed
    end = sys.maxsize if options.batches is None else seed + options.batches
    how = ["--backends", options.backends, "--compiled", str(options.compiled)]
    with distributed.Client(options.dask, set_as_default=False) as client:
        lanes = max(1, len(client.scheduler_info()["workers"]))

        def next_batch() -> Any:
            nonlocal seed
            seed += 1
            return client.submit(batch, seed - 1, deadline - time.monotonic(), how, pure=False)

        running = distributed.as_completed([next_batch() for _ in range(min(lanes, end - seed))], loop=client.loop)
        for future in running:
            counts, findings = future.result()
            tally.update(counts)
            tally.subtract(_merged(findings, out))
            report(tally)
            if time.monotonic() < deadline and seed < end:
                running.add(next_batch())


def _libraries() -> tuple[Any, Any]:
    try:
        import cloudpickle
        import distributed
    except ImportError as error:
        raise SystemExit(f"--dask needs {error.name}: pip install 'dask[distributed]'") from None
    return cloudpickle, distributed


def batch(seed: int, seconds: float, how: list[str]) -> tuple[dict[str, int], bytes]:
    """The counts of the batch of a seed, and its findings as a zip."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, _FUZZ, "--out", folder, "--seed", str(seed), "--batches", "1", *how]
        command += ["--minutes", str(max(seconds, 60) / 60)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise RuntimeError(f"the batch of seed {seed} ended with {done.returncode}: {done.stderr.strip()[-300:]}")
        counts = json.loads((Path(folder) / "counts.json").read_text(encoding="utf-8"))
        return counts, _packed(Path(folder))


def _packed(out: Path) -> bytes:
    """Each finding is a folder."""
    held = io.BytesIO()
    with zipfile.ZipFile(held, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(out.rglob("*")):
            place = path.relative_to(out)
            if path.is_file() and len(place.parts) > 1:
                archive.write(path, str(place))
    return held.getvalue()


def _merged(findings: bytes, out: Path) -> Counter[str]:
    """Keep what is new. Returns what was counted and is known already, by the names of the counts."""
    known: Counter[str] = Counter()
    with zipfile.ZipFile(io.BytesIO(findings)) as archive:
        names = archive.namelist()
        for kind in dict.fromkeys(name.partition("/")[0] for name in names):
            if (out / kind).exists():
                system = kind.rpartition("-")[0]
                known["crashes" if system == "crash" else f"finding {system}"] += 1
            else:
                archive.extractall(out, [name for name in names if name.startswith(f"{kind}/")])
    return known
