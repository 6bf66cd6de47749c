"""Names of the file on the values that are made of it."""

from __future__ import annotations

from dagir.ir.graph import Value


def give_name(value: Value, name: str, since: int) -> None:
    """Name what a node of the file gave, if the node made it (after this serial number) and nothing named it yet."""
    node = value.node
    if node is not None and node.serial >= since and value.explicit_name is None:
        value.take_name(name)


__all__ = ["give_name"]
