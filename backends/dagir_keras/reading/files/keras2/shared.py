"""Layers in several models of one file: a .keras file has their weights once, where Keras came to them first.

Keras itself cannot load such a file: the other places have no weights.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from dagir.ir.graph import Parameter


class Shared:
    """The layers whose weights were read, by what their configurations say."""

    def __init__(self) -> None:
        self._found: dict[tuple[Any, Any], list[tuple[Mapping[str, Any], Sequence[Parameter]]]] = {}

    def add(self, record: Mapping[str, Any], weights: Sequence[Parameter]) -> None:
        """Keep a layer whose weights were read."""
        self._found.setdefault(_key(record), []).append((record, weights))

    def known(self, record: Mapping[str, Any]) -> bool:
        """Whether exactly one layer was read that may be the same."""
        return len(self._like(record)) == 1

    def weights(self, record: Mapping[str, Any]) -> Sequence[Parameter]:
        """The weights of that layer."""
        ((_, weights),) = self._like(record)
        return weights

    def _like(self, record: Mapping[str, Any]) -> list[tuple[Mapping[str, Any], Sequence[Parameter]]]:
        found = self._found.get(_key(record), [])
        said = _said(record) if found else ""
        return [(other, weights) for other, weights in found if _said(other) == said]


def _key(record: Mapping[str, Any]) -> tuple[Any, Any]:
    config = record.get("config")
    return record.get("class_name"), config.get("name") if isinstance(config, Mapping) else None


def _said(record: Mapping[str, Any]) -> str:
    """The configuration as text, without the numbers that Keras gives to shared objects."""
    text = json.dumps(record.get("config"), default=lambda note: type(note).__name__)
    bare = json.loads(text, object_hook=lambda part: {key: part[key] for key in part if key != "shared_object_id"})
    return json.dumps(bare, sort_keys=True)
