"""What the tool prints: results to stdout, progress and errors to stderr."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence

from rich import box
from rich.console import Console, RenderableType
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn
from rich.status import Status
from rich.table import Table
from rich.text import Text

from dagir.errors import DagirError
from dagir.support.printable import printable, printable_lines

PATIENCE = 1.0
"""The time in seconds after which a running step shows its progress."""
PACE = 5.0
"""The time in seconds between two lines of progress where stderr is no terminal."""


class Output:
    """The consoles for stdout and stderr. quiet: print only errors. A terminal gets colours, a pipe gets plain text."""

    def __init__(self, quiet: bool = False, plain: bool = False) -> None:
        self.quiet = quiet
        self.out = _console(stderr=False)
        self.err = _console(stderr=True)
        self._animate = not quiet and not plain and self.err.is_terminal
        self._tells = not quiet and not plain and not self.err.is_terminal

    def note(self, text: str) -> None:
        """Print a remark to stderr, unless quiet."""
        if not self.quiet:
            self.err.print(printable_lines(text), style="dim", markup=False, highlight=False, soft_wrap=True)

    def say(self, text: str) -> None:
        """Print a line of the result, unless quiet."""
        if not self.quiet:
            self.out.print(printable_lines(text), markup=False, highlight=False, soft_wrap=True)

    def show(self, table: RenderableType) -> None:
        """Print a table, unless quiet."""
        if not self.quiet:
            self.out.print(table)

    @contextlib.contextmanager
    def step(self, what: str) -> Iterator[None]:
        """Show that a step is running, if it takes longer than a second; without a terminal by a line now and then."""
        if self._tells:
            with self._lines(what):
                yield
            return
        if not self._animate:
            yield
            return
        with _after_a_while(self.err.status(Text(printable(what)))):
            yield

    @contextlib.contextmanager
    def bar(self, what: str) -> Iterator[Callable[[str, int, int], None] | None]:
        """Yield a function (stage, done, total) that updates a progress bar, which is shown after a second; or None.

        Without a terminal, a line every few seconds says the same.
        """
        if self._tells:
            with self._lines(what) as note:
                yield note
            return
        if not self._animate:
            yield None
            return
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            TaskProgressColumn(),
            TimeElapsedColumn(),
        )
        progress = Progress(*columns, console=self.err, transient=True)
        task = progress.add_task(printable(what), total=None)

        def tell(stage: str, done: int, total: int) -> None:
            progress.update(task, description=printable(f"{what}: {stage}"), completed=done, total=total)

        with _after_a_while(progress):
            yield tell

    @contextlib.contextmanager
    def _lines(self, what: str) -> Iterator[Callable[[str, int, int], None]]:
        """Print a line every few seconds, until the end of the context."""
        start, at = time.monotonic(), [""]
        ended = threading.Event()

        def note(stage: str, done: int, total: int) -> None:
            at[0] = f": {stage}, {done} of {total} evaluations"

        def tell() -> None:
            while not ended.wait(PACE):
                self.note(f"{what}{at[0]}, {time.monotonic() - start:.0f} s")

        teller = threading.Thread(target=tell, daemon=True)
        teller.start()
        try:
            yield note
        finally:
            ended.set()
            teller.join()


@contextlib.contextmanager
def _after_a_while(display: Status | Progress) -> Iterator[None]:
    """Start a display after a second, and stop it at the end of the context."""
    timer = threading.Timer(PATIENCE, display.start)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        display.stop()


def _console(stderr: bool) -> Console:
    console = Console(stderr=stderr)
    if not console.is_terminal and console.width < 100:
        console.width = 100
    return console


def print_error(error: DagirError) -> None:
    """Print the message to stderr, after "error:"."""
    Console(stderr=True, soft_wrap=True).print(f"error: {error}", markup=False, highlight=False)


def print_line(text: str) -> None:
    """Print a line to stderr."""
    Console(stderr=True, soft_wrap=True).print(text, markup=False, highlight=False)


def counts_table(title: str, counts: Mapping[str, int]) -> Table:
    """A table of names and how often they occur, the most frequent first."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column(title)
    table.add_column("count", justify="right")
    for name, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        table.add_row(_cell(name), str(count))
    return table


def entries_table(inputs: Sequence[tuple[str, str]], outputs: Sequence[tuple[str, str]]) -> Table:
    """A table of inputs and outputs with their types."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title in ("", "name", "type"):
        table.add_column(title)
    for what, entries in (("input", inputs), ("output", outputs)):
        for name, kind in entries:
            table.add_row(what, _cell(name), _cell(kind))
    return table


def _cell(text: str) -> Text:
    """A cell with text from a file: brackets are not markup, and control characters are escaped."""
    return Text(printable(text))


def human_size(size: float) -> str:
    """A number of bytes as readable text, such as "1.5 MB"."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.2f} GB"
