"""A vocabulary that a configuration names as a file: read beside the model file, and nowhere else."""

from __future__ import annotations

import os
from typing import Any

from dagir.errors import FileError
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.mapped_files import map_file
from dagir_keras.reading.problems import Refused

_GIVE = "put the file beside the model file, under a name without folders, or give the vocabulary as a list"
_KINDS = {"StringLookup": str, "IntegerLookup": int}


def with_vocabulary(kind: str, config: dict[str, Any], folder: str | None) -> dict[str, Any]:
    """The configuration of a lookup with the terms of its file. Raises Refused, FileError.

    folder: that of the model file; None where there is none.
    """
    vocabulary = config.get("vocabulary")
    if not isinstance(vocabulary, str):
        return config
    if kind not in _KINDS or folder is None:
        raise Refused(_what(vocabulary), "give it as a list", unsafe=True)
    terms = _terms(vocabulary, _beside(vocabulary, folder), kind)
    special = (config.get("mask_token"), config.get("oov_token", "[UNK]" if kind == "StringLookup" else -1))
    if terms[:1] and terms[0] in special:
        raise Refused(f"its vocabulary {shown(vocabulary)} begins with a special token, which a file does not hold")
    return {**config, "vocabulary": terms}


def _what(vocabulary: str) -> str:
    return f"its vocabulary is the file {vocabulary!r}, which is not read"


def _beside(vocabulary: str, folder: str) -> str:
    """The path, which must not lead out of the folder, by a link neither."""
    path = os.path.join(folder, vocabulary)
    steps = vocabulary.replace("\\", "/").split("/")
    outside = (
        os.path.isabs(vocabulary) or "\0" in vocabulary or ":" in vocabulary or ".." in steps or "\\" in vocabulary
    )
    if not outside:
        home = os.path.realpath(folder or ".")
        outside = os.path.commonpath([home, os.path.realpath(path)]) != home
    if outside or not os.path.exists(path):
        where = "it is no file beside the model file" if outside else "there is no such file beside the model file"
        raise Refused(f"{_what(vocabulary)}: {where}", _GIVE, hostile=True)
    return path


def _terms(vocabulary: str, path: str, kind: str) -> list[Any]:
    """The lines, as TensorFlow reads them: without carriage returns, and without an end of the last one."""
    data = map_file(path)
    limits.spend("json bytes", len(data), f"the vocabulary {shown(vocabulary)} of {len(data)} bytes")
    text = bytes(data[:])
    limits.spend("json values", text.count(b"\n"), f"the vocabulary {shown(vocabulary)}")
    try:
        lines = text.replace(b"\r", b"").decode("utf-8").split("\n")
    except UnicodeDecodeError as error:
        raise FileError(f"{path}: is no text in UTF-8: {error.reason}") from None
    if lines[-1] == "":
        lines.pop()
    try:
        return [_KINDS[kind](line) for line in lines]
    except ValueError:
        raise FileError(f"{path}: holds what is no integer, and is the vocabulary of an {kind}") from None
