"""Which input and output of a file is which of a model: by name, as told, else by position and type."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dagir.errors import ArgumentError
from dagir.ir.types import TensorType
from dagir.support.did_you_mean import did_you_mean
from dagir_onnx.dtypes import TO_ONNX

Named = Sequence[tuple[str, TensorType]]
_REMEDY = "say which is which: --map FILE_NAME=MODEL_NAME on the command line, names={file: model} in Python"
_CODES = {"float": 1, "double": 11, "float16": 10, "bfloat16": 16, "bool": 9, "string": 8}
_CODES |= {"int8": 3, "int16": 5, "int32": 6, "int64": 7, "uint8": 2, "uint16": 4, "uint32": 12, "uint64": 13}


@dataclass(frozen=True)
class Entry:
    """An input or output of a file. code: ONNX's for the dtype, 0 where it is not told; sizes: None if unknown."""

    name: str
    code: int
    sizes: Sequence[int | None] | None


def entries_of(found: Sequence[Any]) -> list[Entry]:
    """The entries as onnxruntime tells them."""
    return [
        Entry(
            each.name,
            _CODES.get(each.type.removeprefix("tensor(").removesuffix(")"), 0),
            [size if isinstance(size, int) else None for size in each.shape or []],
        )
        for each in found
    ]


def match(
    path: Path, what: str, wanted: Named, found: Sequence[Entry], given: Mapping[str, str], of: str = ""
) -> dict[str, str]:
    """The name in the file of each input or output of the model.

    what: "inputs" or "outputs". given: names of the model by those of the file. of: the other file, where no model is.
    Raises ArgumentError where they cannot be told apart, or do not fit.
    """
    names, entries = [name for name, _ in wanted], {entry.name: entry for entry in found}
    known = {model: file for file, model in given.items() if model in names and file in entries}
    known |= {name: name for name in names if name in entries and name not in known and name not in given}
    left = [(name, type) for name, type in wanted if name not in known]
    free = [entry for name, entry in entries.items() if name not in known.values()]
    if len(left) != len(free):
        raise _differ(path, what, names, list(entries), of)
    for name, type in left:
        entry = next((each for each in free if _fits(type, each)), None)
        if entry is None:
            raise _differ(path, what, names, list(entries), of)
        free.remove(entry)
        known[name] = entry.name
    return known


def check_given(
    path: Path, given: Mapping[str, str], file: Sequence[str], wanted: Sequence[str], model: str = "the model"
) -> None:
    """Raise ArgumentError for names in `given` that the file, or the model, does not have."""
    for pair, known, who in ((given.keys(), file, str(path)), (given.values(), wanted, model)):
        for name in pair:
            if name not in known:
                remedy = did_you_mean(name, known) or f"it has: {', '.join(known)}"
                raise ArgumentError(f"{who} has no input or output {name!r}", remedy=remedy)


def told(what: str, known: Mapping[str, str], given: Mapping[str, str]) -> list[str]:
    """A line for each that has another name in the file, and was not given."""
    return [
        f"{what[:-1]} {name!r} of the model is {file!r} in the file, by position and type"
        for name, file in known.items()
        if name != file and given.get(file) != name
    ]


def _fits(type: TensorType, entry: Entry) -> bool:
    if entry.code and entry.code != TO_ONNX[type.dtype]:
        return False
    sizes = list(entry.sizes or [])
    alike = all(a == b for a, b in zip(type.shape, sizes, strict=False) if isinstance(a, int) and isinstance(b, int))
    return alike and len(sizes) in (0, type.rank)


def _differ(path: Path, what: str, names: Sequence[str], has: Sequence[str], of: str) -> ArgumentError:
    whose = f"those of {of}" if of else "the model's"
    return ArgumentError(
        f"the {what} of {path} are not {whose}",
        facts=[("file", ", ".join(has)), ("other file" if of else "model", ", ".join(names))],
        remedy=_REMEDY,
    )
