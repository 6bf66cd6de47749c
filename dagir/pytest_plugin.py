"""A pytest plugin: `pytest --dagir-report DIR` keeps what dagir.verify found in each test.

For every report a JSON file, for one that is not ok also an HTML page; and summary.json of all. It costs nothing where
the option is not given.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dagir.equivalence import Report
from dagir.equivalence.verification import LISTENERS


class Keeper:
    """Writes the reports of one session."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.test = "outside"
        self.summary: list[dict[str, Any]] = []

    def __call__(self, report: Report) -> None:
        """Take a report in."""
        self.folder.mkdir(parents=True, exist_ok=True)
        title = re.sub(r"[^\w.-]+", "_", self.test)[:150]
        path = self.folder / f"{title}-{len(self.summary)}.json"
        path.write_text(report.to_json() + "\n", encoding="utf-8")
        worst = max((row.used for row in report.rows), default=0.0)
        entry = {"test": self.test, "ok": report.ok, "worst_budget_used_percent": min(100 * worst, 1e9)}
        if not report.ok:
            entry["page"] = report.write_html(path.with_suffix(".html")).name
        self.summary.append({**entry, "file": path.name})

    def pytest_runtest_setup(self, item: Any) -> None:
        """Note whose reports come now."""
        self.test = item.nodeid

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        """One line, and the list of all reports."""
        if not self.summary:
            return
        text = json.dumps(self.summary, indent=2)
        (self.folder / "summary.json").write_text(text + "\n", encoding="utf-8")
        failed = sum(not entry["ok"] for entry in self.summary)
        terminalreporter.write_line(f"dagir: {len(self.summary)} reports in {self.folder}, {failed} not ok")


def pytest_addoption(parser: Any) -> None:
    """Add --dagir-report."""
    group = parser.getgroup("dagir")
    group.addoption("--dagir-report", metavar="DIR", help="keep the reports of dagir.verify in this folder")


def pytest_configure(config: Any) -> None:
    """Listen where the option is given."""
    folder = config.getoption("--dagir-report")
    if folder:
        keeper = Keeper(Path(folder))
        LISTENERS.append(keeper)
        config.add_cleanup(lambda: LISTENERS.remove(keeper))
        config.pluginmanager.register(keeper, "dagir-report")
