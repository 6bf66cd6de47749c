"""Where the backends are: the entry points of the packages that are installed."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from dagir.errors import BackendError

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint


def entry_of(name: str) -> EntryPoint:
    """The entry point of a backend. Raises BackendError that lists those installed."""
    from importlib.metadata import distribution, entry_points  # costs 15 ms, and importing dagir needs no backend

    found = {entry.name: entry for entry in distribution("dagir").entry_points if entry.group == "dagir.backends"}
    if name not in found:  # a third party's: found by looking at all that is installed
        found = {entry.name: entry for entry in entry_points(group="dagir.backends")}
    if name not in found:
        raise BackendError(f"there is no backend {name!r}", remedy=f"installed: {', '.join(sorted(found))}")
    return found[name]


def is_arriving(name: str) -> bool:
    """Whether the package of a backend is being imported now: its own import of dagir is what runs."""
    entry = entry_of(name)
    package = sys.modules.get(entry.module)
    return package is not None and not hasattr(package, entry.attr)
