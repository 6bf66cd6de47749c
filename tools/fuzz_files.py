"""Mutated files of every format are read, in forked children with limits: nothing but a DagirError may come of it.

python tools/fuzz_files.py [--format keras ...] [--count 100000] [--minutes 20] [--seed 0] [--keep findings]
python tools/fuzz_files.py --format onnx --index 4711      one input again, in this process, with its traceback

Input `index` of a format is the same for the same --seed. Findings are raw exceptions, crashes, hangs above 10 s, and
processes above 1 GB; each kind is kept once, with the file and what was seen.
"""

from __future__ import annotations

import argparse
import faulthandler
import json
import mmap
import os
import resource
import selectors
import shutil
import signal
import struct
import sys
import tempfile
import time
import traceback
import warnings
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent))

import dagir
from dagir.errors import DagirError
from dagir.support.printable import printable_lines
from file_fuzzing.containers import MUTATIONS
from file_fuzzing.entries import ENTRIES
from file_fuzzing.mutations import mutate_bytes
from file_fuzzing.seeds import SUFFIXES, make

ROOT = Path(__file__).resolve().parent.parent
GB = 1 << 30
PATIENCE = 10.0  # seconds of one input
ANSWERS = {"onnx", "certificate", "pair"}  # formats that onnxruntime runs: its threads take addresses, not memory
TURN = 2000  # inputs of one child


@dataclass(frozen=True)
class Task:
    """The inputs of one format."""

    format: str
    seeds: tuple[Path, ...]
    seed: int

    def input(self, index: int) -> tuple[Path, bytes]:
        """The seed file of an input, and the input."""
        rng = Random(f"{self.seed}/{self.format}/{index}")
        source = rng.choice(self.seeds)
        data, mutate = source.read_bytes(), rng.choice(MUTATIONS[self.format])
        try:
            return source, mutate(data, rng)
        except (ArithmeticError, AttributeError, LookupError, OSError, RuntimeError, TypeError, ValueError):
            return source, mutate_bytes(data, rng)  # a change that no container can hold


@dataclass
class Tally:
    """What became of the inputs of one format."""

    outcomes: Counter[str] = field(default_factory=Counter)
    kinds: Counter[str] = field(default_factory=Counter)
    peak: int = 0
    seconds: float = 0.0


# ---- one input


def drive(task: Task, index: int, folder: Path) -> tuple[str, str, str]:
    """Read one input. Returns the outcome, the kind of a finding, and what was seen."""
    source, data = task.input(index)
    path = folder / f"input{SUFFIXES[task.format]}"
    path.write_bytes(data)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ENTRIES[task.format](path, source, index)
    except DagirError as error:
        return _told(error)
    except (Exception, SystemExit) as error:
        return "raw exception", f"{type(error).__name__} at {_where(error)}", traceback.format_exc()[-6000:]
    return "ok", "", ""


def _told(error: DagirError) -> tuple[str, str, str]:
    """An error that was meant: its text must be fit for every terminal."""
    text = str(error)
    try:
        text.encode()
    except UnicodeError:
        return "raw exception", f"message that is no text at {_where(error)}", repr(text)
    if printable_lines(text) != text:
        return "raw exception", f"message that commands a terminal at {_where(error)}", repr(text)
    return type(error).__name__, "", ""


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if str(ROOT) in frame.filename and "/tools/" not in frame.filename]
    last = (own or list(frames))[-1]
    return f"{os.path.relpath(last.filename, ROOT)}:{last.lineno} {last.name}"


# ---- a child


def child(task: Task, indices: range, folder: Path, state: mmap.mmap, pipe: int) -> None:
    """Read the inputs of some numbers, one line of JSON for each."""
    with open(folder / "stderr", "w", encoding="utf-8") as said:
        os.dup2(said.fileno(), 2)
        faulthandler.enable(said)
        size = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0]) * mmap.PAGESIZE
        room = size + (6 if task.format in ANSWERS else 1) * GB
        resource.setrlimit(resource.RLIMIT_AS, (room, room))
        for index in indices:
            state[:] = struct.pack("<qd", index, time.monotonic())  # at once: the parent reads it at any time
            outcome = drive(task, index, folder)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
            if peak > GB:
                outcome = ("memory above 1 GB", f"memory above 1 GB after {outcome[0]}", f"{peak:,} bytes")
            os.write(pipe, (json.dumps([index, *outcome, peak]) + "\n").encode())
            if peak > GB * 7 // 10:
                break  # what was taken at most is remembered: the next inputs want a fresh child
    assert "tensorflow" not in sys.modules, "TensorFlow was imported"


class Child:
    """A forked child that works through inputs, and what is known of it."""

    def __init__(self, task: Task, indices: range, folder: Path) -> None:
        self.task, self.indices, self.folder = task, indices, folder
        folder.mkdir(exist_ok=True)
        for source in task.seeds[0].parent.glob("*.data"):
            shutil.copy(source, folder)
        self.state = mmap.mmap(-1, 16)
        self.state[:] = struct.pack("<qd", indices.start, time.monotonic())
        self.pipe, end = os.pipe()
        self.pid = os.fork()
        if self.pid == 0:
            code = 70
            try:
                child(task, indices, folder, self.state, end)
                code = 0
            except BaseException:
                traceback.print_exc()
            finally:
                os._exit(code)
        os.close(end)
        self.rest = b""

    def lines(self) -> list[list[Any]] | None:
        """What it has told since; None once it has ended."""
        data = os.read(self.pipe, 1 << 20)
        if not data:
            return None
        *whole, self.rest = (self.rest + data).split(b"\n")
        return [json.loads(line) for line in whole]

    def at(self) -> tuple[int, float]:
        """The number of the input that it reads, and for how many seconds."""
        index, since = struct.unpack_from("<qd", self.state, 0)
        return index, time.monotonic() - since

    def end(self) -> int:
        """The exit code, once it is gone."""
        os.close(self.pipe)
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])

    def kill(self) -> None:
        """End it at once."""
        os.kill(self.pid, signal.SIGKILL)


# ---- the pool


class Pool:
    """Children that share the inputs of one format; one that dies is a finding, and is begun again behind it."""

    def __init__(self, task: Task, options: argparse.Namespace, folder: Path, deadline: float) -> None:
        self.task, self.options, self.folder, self.deadline = task, options, folder, deadline
        self.tally = Tally()
        self.selector = selectors.DefaultSelector()
        self.hung: set[int] = set()  # children
        self.slow: set[int] = set()  # inputs that are read again, as the machine may have stood still

    def run(self) -> Tally:
        """Read the inputs, until they or the time are used up."""
        start, workers = time.monotonic(), self.options.jobs
        for number in range(workers):
            self._start(range(number, self.options.count, workers), number)
        while self.selector.get_map():
            for key, _ in self.selector.select(timeout=0.5):
                self._hear(*key.data)
            for key in list(self.selector.get_map().values()):
                self._watch(key.data[0])
        self.tally.seconds = time.monotonic() - start
        return self.tally

    def _start(self, indices: range, number: int) -> None:
        if indices and time.monotonic() < self.deadline:
            made = Child(self.task, indices[:TURN], self.folder / f"{self.task.format}-{number}")
            self.selector.register(made.pipe, selectors.EVENT_READ, (made, indices, number))

    def _hear(self, made: Child, indices: range, number: int) -> None:
        lines = made.lines()
        if lines is not None:
            for index, outcome, kind, seen, peak in lines:
                self.tally.outcomes[outcome] += 1
                self.tally.peak = max(self.tally.peak, peak)
                if kind:
                    self._finding(index, kind, seen)
            return
        self.selector.unregister(made.pipe)
        code = made.end()
        index, _ = made.at()
        if made.pid in self.hung and index not in self.slow:
            self.slow.add(index)
            self._start(indices[indices.index(index) :], number)
            return
        if code != 0 and time.monotonic() < self.deadline:
            said = (made.folder / "stderr").read_text(encoding="utf-8", errors="replace")[-4000:]
            kind = "hang above 10 s" if made.pid in self.hung else f"ended by {_signal(code)}"
            self.tally.outcomes[kind] += 1
            self._finding(index, f"{kind} {_stack(said)}", said)
        self._start(indices[indices.index(index) + 1 :], number)

    def _watch(self, made: Child) -> None:
        _, seconds = made.at()
        if time.monotonic() > self.deadline:
            made.kill()
        elif seconds > PATIENCE * self.options.slack and made.pid not in self.hung:
            self.hung.add(made.pid)
            os.kill(made.pid, signal.SIGABRT)  # faulthandler tells where it was
            time.sleep(0.5)
            made.kill()

    def _finding(self, index: int, kind: str, seen: str) -> None:
        self.tally.kinds[kind] += 1
        if self.tally.kinds[kind] > 1:
            return
        again = f"--format {self.task.format} --seed {self.task.seed} --index {index}"
        print(f"{self.task.format}: {kind}   [{again}]", flush=True)
        if self.options.keep:
            folder = Path(self.options.keep) / f"{self.task.format}-{self.task.seed}-{index}"
            folder.mkdir(parents=True, exist_ok=True)
            (folder / f"input{SUFFIXES[self.task.format]}").write_bytes(self.task.input(index)[1])
            (folder / "seen.txt").write_text(f"{kind}\n{again}\n\n{seen}", encoding="utf-8", errors="backslashreplace")


def _signal(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit {code}"


def _stack(said: str) -> str:
    """The innermost line of dagir in what faulthandler wrote."""
    lines = [line.strip() for line in said.splitlines() if str(ROOT) in line and "/tools/" not in line]
    return lines[0].replace(str(ROOT) + "/", "") if lines else ""


# ---- the command


def table(tallies: dict[str, Tally]) -> str:
    """The counts as a table of Markdown."""
    lines = [
        "| format | inputs | a second | read | refused | raw exceptions | crashes | hangs | above 1 GB | peak |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for format, tally in tallies.items():
        counts, total = tally.outcomes, tally.outcomes.total()
        crashes = sum(count for name, count in counts.items() if name.startswith("ended by"))
        bad = [counts["raw exception"], crashes, counts["hang above 10 s"], counts["memory above 1 GB"]]
        refused = total - counts["ok"] - sum(bad)
        cells = [total, round(total / max(tally.seconds, 1e-9)), counts["ok"], refused, *bad]
        lines.append(f"| {format} | {' | '.join(f'{cell:,}' for cell in cells)} | {tally.peak >> 20:,} MiB |")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> int:
    """The command. Returns 1 where there is a finding."""
    options = _options(arguments)
    with tempfile.TemporaryDirectory(
        prefix="dagir-fuzz-", dir="/dev/shm" if os.path.isdir("/dev/shm") else None
    ) as made:
        seeds = _seeds(Path(made) / "seeds", options)
        for model in (Path(made) / "seeds").glob("*.dagir"):
            dagir.load(model)
        tasks = [Task(format, tuple(seeds[format]), options.seed) for format in options.format or SUFFIXES]
        if options.index is not None:
            source, _ = tasks[0].input(options.index)
            for each in source.parent.glob("*.data"):
                shutil.copy(each, made)
            print(*drive(tasks[0], options.index, Path(made)), sep="\n")
            return 0
        tallies = {}
        for task in tasks:
            deadline = time.monotonic() + 60 * options.minutes / len(tasks)
            tallies[task.format] = Pool(task, options, Path(made), deadline).run()
    print(table(tallies))
    return int(any(tally.kinds for tally in tallies.values()))


def _seeds(folder: Path, options: argparse.Namespace) -> dict[str, list[Path]]:
    """The seeds, made in a child: onnxruntime has threads then, and a process with threads should not fork."""
    child = os.fork()
    if child == 0:
        code = 1
        try:
            found = make(folder)
            listed = {format: [str(path) for path in paths] for format, paths in found.items()}
            (folder / "seeds.json").write_text(json.dumps(listed), encoding="utf-8")
            code = 0
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    if os.waitpid(child, 0)[1]:
        raise SystemExit("the seeds cannot be made")
    listed = json.loads((folder / "seeds.json").read_text(encoding="utf-8"))
    more = [Path(path) for path in options.more]
    return {
        format: [*map(Path, paths), *(path for path in more if path.suffix == SUFFIXES[format])]
        for format, paths in listed.items()
    }


def _options(arguments: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--format", action="append", choices=list(SUFFIXES), help="may be repeated; all by default")
    parser.add_argument("--count", type=int, default=100_000, help="inputs of each format")
    parser.add_argument("--minutes", type=float, default=20, help="for all formats together")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--jobs", type=int, default=2, help="children at a time")
    parser.add_argument("--keep", help="a folder for the inputs of findings")
    parser.add_argument("--index", type=int, help="read this one input of the format, in this process")
    parser.add_argument("--slack", type=float, default=1, help="of a crowded machine: what 10 s are multiplied by")
    parser.add_argument("--more", nargs="*", default=[], metavar="FILE", help="further seeds, such as files of Keras")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
