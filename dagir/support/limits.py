"""What reading one file may cost: one budget for all readers.

A file is not trusted. While it is read, everything whose size the file decides (nodes, elements of arrays, JSON,
names) is charged to the budget before it is made. Outside of `reading` nothing is limited: a user's program may use
the whole machine.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from dagir.errors import UnsafeFile

Resource = Literal["nodes", "elements", "json bytes", "json values", "tensor bytes", "names", "terms"]

LIMITS: Mapping[Resource, int] = MappingProxyType(
    {
        "nodes": 2_000_000,  # of the graph, inlined calls included: the largest published networks have some 100,000
        "elements": 1 << 26,  # of arrays that ops make from sizes alone (Eye, OneHot, windows), in all
        "json bytes": 256 << 20,  # a thousand layers take a few MiB
        "json values": 1 << 22,  # and lines of vocabularies: a value takes many times the memory of its text
        "tensor bytes": 64 << 30,  # declared by the file, read or not
        "names": 1 << 20,  # members, groups, links, attributes
        "terms": 1_000_000,  # of symbolic sizes
    }
)


@dataclass
class Budget:
    """What is left of each resource while one file is read."""

    source: str
    left: dict[Resource, int] = field(default_factory=lambda: dict(LIMITS))

    def spend(self, resource: Resource, amount: int, what: object) -> None:
        """Take `amount` off; `what` names the thing that asks for it. Raises UnsafeFile where less is left."""
        self.left[resource] -= amount
        if self.left[resource] < 0:
            raise UnsafeFile(
                f"{self.source}: {what} asks for too much: a file may hold {LIMITS[resource]:,} {resource} in all",
                remedy="check where the file comes from: no network needs as much",
            )


_ACTIVE: ContextVar[Budget | None] = ContextVar("dagir_reading_budget", default=None)


@contextmanager
def reading(source: str) -> Iterator[Budget]:
    """Use one budget while a file is read; readers that are called inside use the same one."""
    active = _ACTIVE.get()
    if active is not None:
        yield active
        return
    budget = Budget(source)
    token = _ACTIVE.set(budget)
    try:
        yield budget
    finally:
        _ACTIVE.reset(token)


def spend(resource: Resource, amount: int, what: object) -> None:
    """Charge the budget of the file that is being read; no effect outside of reading. Raises UnsafeFile."""
    budget = _ACTIVE.get()
    if budget is not None:
        budget.spend(resource, amount, what)
