"""Parts of an old file that the current Keras cannot express: a mark in the record refuses the layer later."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from dagir.errors import UnsupportedLayer
from dagir_keras.reading.files.keras2.writer import Writer
from dagir_keras.reading.problems import Refused

_KEY = "cannot be read"
RESAVE = "load the file with the Keras that wrote it, change that, and save it again"


@dataclass(frozen=True)
class Refusal:
    """The reason; an object, so that no JSON file can contain it."""

    reason: str
    remedy: str | None


def marked(record: Mapping[str, Any], refused: Refused) -> dict[str, Any]:
    """The record with a mark, so that making its layer raises Refused."""
    return {**record, _KEY: Refusal(refused.reason, refused.remedy)}


def refuse_if_marked(record: Mapping[str, Any]) -> None:
    """Raise Refused for a record that is marked."""
    found = record.get(_KEY)
    if isinstance(found, Refusal):
        raise Refused(found.reason, found.remedy)


def check_readable(writer: Writer, path: str) -> None:
    """Raise UnsupportedLayer for a file of Keras 1."""
    if writer.is_keras_1:
        raise UnsupportedLayer(
            f"{path}: was written by {writer.said}, whose layers have other arguments than those since Keras 2",
            remedy="load it with Keras 2.0 to 2.2, which still reads such files, and save it again",
        )
