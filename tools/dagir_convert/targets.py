"""Write a target: first to a temporary folder beside it, where it is verified; only then it is moved to its path."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import dagir
from dagir import serialization
from dagir.errors import ArgumentError, FileError
from dagir.precision.options import LowPrecision
from dagir.support.backend_names import KERAS, NUMPY, ONNX
from dagir.support.did_you_mean import did_you_mean
from dagir.support.file_replacement import check_free, put
from dagir_convert.errors import UsageError
from dagir_convert.sources import Source

FORMATS = {".onnx": ONNX, ".keras": KERAS, ".dagir": NUMPY}
"""Suffixes of targets, and the backend that runs such a file."""

WITH_LAYERS = (".keras", ".dagir")
"""Suffixes of targets that hold layers: where inputs change, layers are called anew, so that they stay layers."""


@dataclass(frozen=True)
class Options:
    """Options of the target; an option that its format does not have is refused. source: what it is made from.

    low: the precision of an .onnx file. metadata: entries of such a file. keep_layers: whether it names its layers.
    """

    opset: int | None = None
    target: str | None = None
    external_data: bool | None = None
    disable: Sequence[str] = ()
    source: str = ""
    low: LowPrecision = field(default_factory=LowPrecision)
    metadata: Mapping[str, str] = field(default_factory=dict)
    keep_layers: bool = False

    def check(self, suffix: str) -> None:
        """Raise UsageError for an option of another format."""
        given = {
            "--opset": self.opset,
            "--target": self.target,
            "--external-data": self.external_data,
            "--disable": self.disable,
            "--keep-layers": self.keep_layers,
            "--precision": self.low.precision,
            "--quantize": self.low.quantize,
        }
        wrong = [name for name, value in given.items() if value]
        if wrong and suffix != ".onnx":
            raise UsageError(f"{wrong[0]} is for .onnx targets, not {suffix}")
        if self.keep_layers and self.low.is_wanted:
            raise UsageError("--keep-layers is for a file of full precision", remedy="leave out one of the two")
        try:
            self.low.check()
        except ArgumentError as error:
            raise UsageError(error.summary, remedy=error.remedy) from None


def check_target(target: Path, source: Source, options: Options, force: bool) -> None:
    """Check before any work is done that the target can and may be written. Raises UsageError, FileError."""
    if target.suffix not in FORMATS:
        near = did_you_mean(target.suffix, FORMATS) if target.suffix else None
        raise UsageError(f"{target} has no suffix that dagir writes", remedy=near or f"use {', '.join(FORMATS)}")
    options.check(target.suffix)
    if target.resolve() == source.path.resolve():
        raise UsageError(f"the target is the source: {target}", remedy="give the target another name")
    if target.is_dir():
        raise UsageError(f"{target} is a directory")
    for path in [target, *([_data_of(target)] if options.external_data else [])]:
        refuse_existing(path, force)
    folder = target.parent
    if not folder.is_dir():
        raise UsageError(f"there is no directory {folder}", remedy="make it first, or give another path")
    if not os.access(folder, os.W_OK):
        raise FileError(f"the directory {folder} is not writable")


def refuse_existing(path: Path, force: bool) -> None:
    """Raise UsageError for a file that exists, unless `force`; FileError for anything else that exists there."""
    if not force and (path.is_file() or path.is_symlink()):
        raise UsageError(f"{path} exists", remedy="use --force to replace it, or give another name")
    check_free(path, force)


def _data_of(target: Path) -> Path:
    return target.with_name(target.name + ".data")


@contextlib.contextmanager
def staging(target: Path) -> Iterator[Path]:
    """Yield a path of the same name in a new folder beside the target, which is deleted after. Raises FileError."""
    try:
        folder = Path(tempfile.mkdtemp(prefix=f".{target.name}.", dir=target.parent))
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    try:
        yield folder / target.name
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def write(model: dagir.Model, path: Path, options: Options) -> None:
    """Write the model in the suffix's format; an .onnx file also names its source. Raises UnsupportedOp, FileError."""
    writers: dict[str, Callable[[], object]] = {
        ".onnx": lambda: dagir.to_onnx(
            model,
            path,
            opset=options.opset,
            target=options.target,
            external_data=options.external_data,
            disable=tuple(options.disable),
            keep_layers=options.keep_layers,
            metadata={"dagir.source": options.source, **options.metadata},
        ),
        ".keras": lambda: dagir.backend(KERAS).lower(model).save(path),  # type: ignore[attr-defined]
        ".dagir": lambda: serialization.save(model, path),
    }
    writers[path.suffix]()


def open_file(path: Path, model: dagir.Model) -> dagir.Executable:
    """An executable of the file itself, with the interface of `model`. Raises FileError, UsageError."""
    if path.suffix == ".dagir":
        return dagir.lower(serialization.load(path), NUMPY)
    return dagir.backend(FORMATS[path.suffix]).open(path, model)


def parse_sizes(given: Sequence[str], option: str = "--input") -> dict[str, list[int | str]]:
    """Sizes by input. "image=1,224,224,3" fixes all; "image=batch,height,width,3" frees three. Raises UsageError."""
    found: dict[str, list[int | str]] = {}
    for text in given:
        name, equals, sizes = text.partition("=")
        parts = [part.strip() for part in sizes.strip("[]()").split(",") if part.strip()]
        if not equals or not name or not all(part.isdigit() or part.isidentifier() for part in parts):
            raise UsageError(f"{option} {text} names no sizes", remedy=f"write {option} image=batch,224,224,3")
        if name in found:
            raise UsageError(f"{option} {name} is given twice")
        found[name] = [int(part) if part.isdigit() else part for part in parts]
    return found


def publish(staged: Path, target: Path, force: bool) -> None:
    """Move the written files to the target, the external data before the file that refers to it. Raises FileError."""
    data = _data_of(staged)
    pairs = [(data, _data_of(target)), (staged, target)] if data.exists() else [(staged, target)]
    for _, end in pairs:
        refuse_existing(end, force)
    put(pairs, overwrite=force)
