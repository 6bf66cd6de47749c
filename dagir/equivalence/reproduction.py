"""Write a folder that reproduces a divergence for others: both sides, the inputs, and a script.

Of both sides, the smallest part that shows the divergence is written. If the other side cannot be cut, both sides are
written whole; if the other side cannot be written at all, its answer is written.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import tempfile
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import numpy as np

from dagir.equivalence.comparison import compare
from dagir.equivalence.reduction import smallest
from dagir.equivalence.report import Context, Report
from dagir.errors import ArgumentError, FileError
from dagir.ir.graph import Value
from dagir.ir.nest import flatten
from dagir.ir.types import Array, DType
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, Kept
from dagir.runtime.lowering import lower
from dagir.support.file_replacement import check_free, put

_PACKAGES = ("dagir", "numpy", "onnx", "onnxruntime", "onnxruntime-gpu", "keras", "tensorflow")

_FILES = ("model.dagir", "inputs.npz", "reproduce.py", "versions.json")  # and the other side, in its own format
_SCRIPT = '''"""{title}"""
{imports}

import dagir

model, feeds = dagir.load("model.dagir"), dict(np.load("inputs.npz"))
{prepared}right = dagir.lower(model, "numpy", precision="float64")(list(feeds.values()))
found = {expression}
{picked}print("right", right.ravel()[:8], "found", found.ravel()[:8], {measure}, sep="\\n")
'''

_ERROR = '"max error", np.nanmax(np.abs(found - right))'
_PLACES = '"elements that are finite in one only", (np.isfinite(found) != np.isfinite(right)).sum()'
_COUNT = '"elements that differ", (found != right).sum()'


@dataclass(frozen=True)
class Shown:
    """A model and an executable that differ in one output. feeds: the input arrays, by the executable's input names."""

    model: Model
    exe: Executable
    feeds: Mapping[str, Array]
    place: int = 0
    is_part: bool = True

    def answers(self) -> tuple[Array, Array]:
        """The right answer, and the executable's answer."""
        arrays = list(self.feeds.values())
        right = flatten(lower(self.model, "numpy", precision="float64")(arrays))[self.place]
        return right, np.asarray(flatten(self.exe(arrays))[self.place])


def check_folder(folder: str | os.PathLike[str], overwrite: bool, remedy: str = "pass overwrite=True") -> None:
    """Raise FileError if the folder cannot be written: it is a file, or it holds files that would be overwritten."""
    target = Path(folder)
    if os.path.lexists(target) and not target.is_dir():
        raise FileError(f"{target}: is no folder", remedy="give the name of a folder")
    for name in _FILES:
        check_free(target / name, overwrite, f"give another folder, or {remedy} to replace it")


def write_reproduction(folder: str | os.PathLike[str], report: Report, overwrite: bool = False) -> Path:
    """Write model.dagir, inputs.npz, the other side in its own format, reproduce.py and versions.json."""
    if report.ok:
        raise ArgumentError(
            "there is no first divergence to reproduce: nothing differs", remedy="look at report.ok first"
        )
    if report.context is None:
        raise ArgumentError(
            "a reproduction is made of a report of a model",
            remedy="two .onnx files have no float64 oracle; compare one with a .dagir, .keras or .h5 file",
        )
    check_folder(folder, overwrite)
    target = Path(folder)
    made = not target.exists()
    try:
        target.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(prefix=".reproduction.", dir=target) as staged:
            with report.context.oracle.weights.seen():
                _write(report, report.context, Path(staged))
            files = sorted(Path(staged).iterdir())
            put([(file, target / file.name) for file in files], overwrite=overwrite)
    except OSError as error:
        raise FileError(f"cannot write {target}: {error.strerror or error}") from error
    finally:
        if made:
            with contextlib.suppress(OSError):  # the folder is not empty
                target.rmdir()
    return target


def _write(report: Report, context: Context, target: Path) -> None:
    shown, kept = _kept(report, context, target)
    shown.model.save(target / "model.dagir")
    _write_inputs(target / "inputs.npz", shown.feeds)
    found = report.first_divergence
    failed = next(row for row in report.rows if not row.ok)
    title = f"{failed.backend}: {failed.output} differs" if found is None else f"{found.node}: {found.op}"
    (target / "reproduce.py").write_text(_script(title, shown, kept), encoding="utf-8")
    facts = {} if found is None else found.to_dict()
    facts = {**facts, "shown_by_this_part_alone": shown.is_part, "versions": versions()}
    (target / "versions.json").write_text(json.dumps(facts, indent=2) + "\n", encoding="utf-8")


def _kept(report: Report, context: Context, folder: Path) -> tuple[Shown, Kept]:
    """The smallest reproduction whose other side can be written, after writing the other side."""
    shown: Shown | None = None
    for shown in _candidates(report, context):
        try:
            kept = shown.exe.keep(folder)
        except Exception:  # each framework raises its own errors for what it cannot save
            continue
        if kept is not None:
            return shown, kept
    assert shown is not None
    np.save(folder / "found.npy", _stored(shown.answers()[1]), allow_pickle=False)
    outputs = len(shown.model.outputs)
    return shown, Kept('np.load("found.npy")' if outputs == 1 else f'[np.load("found.npy")] * {outputs}')


def _candidates(report: Report, context: Context) -> Iterator[Shown]:
    search, found = report.search, report.first_divergence
    if search is not None and found is not None:
        least = smallest(search, found.point)
        if least is not None:
            part, exe = least
            yield Shown(part.model, exe, part.feeds)
    yield _whole(report, context)


def _whole(report: Report, context: Context) -> Shown:
    """The whole of both sides: the first executable that differs, with the input arrays and the output that show it."""
    failing = {row.backend for row in report.rows if not row.ok}
    types = [value.type for value in context.oracle.graph.outputs]
    watched = report.search.outermost if report.search is not None else None
    names = sorted(failing, key=lambda name: context.executables[name] is not watched)
    for name in names:
        exe = context.executables[name]
        for arrays, expected in context.runs:
            answers = flatten(exe(list(arrays)))
            for place, (answer, wanted, type) in enumerate(zip(answers, expected, types, strict=True)):
                if not compare(answer, wanted, type).ok:
                    titles = [title for title, _ in exe.signature.inputs]
                    feeds = dict(zip(titles, arrays, strict=True))
                    return Shown(_as_model(context.model), exe, feeds, place, is_part=False)
    raise ArgumentError("what differed when it was verified does not differ when it runs again")


def _as_model(model: Any) -> Model:
    return model if isinstance(model, Model) else Model(list(model.inputs), list(model.outputs), name=model.name)


def _script(title: str, shown: Shown, kept: Kept) -> str:
    cast = {name: DType.of(array.dtype) for name, array in shown.feeds.items() if array.dtype.kind == "V"}
    prepared = [
        f"feeds[{name!r}] = feeds[{name!r}].astype(dagir.DType({str(dtype)!r}).numpy)" for name, dtype in cast.items()
    ]
    imports = ["import numpy as np", *(f"import {module}" for module in kept.imports)]
    picked = ""
    if not isinstance(shown.model.output, Value):
        picked = f"right, found = (dagir.ir.nest.flatten(each)[{shown.place}] for each in (right, found))\n"
    return _SCRIPT.format(
        title=title.replace("\\", "/").replace('"', "'"),
        imports="\n".join(imports),
        prepared="".join(line + "\n" for line in prepared),
        expression=kept.expression,
        picked=picked,
        measure=_measure(*shown.answers()),
    )


def _measure(right: Array, found: Array) -> str:
    if not DType.of(right.dtype).is_float or right.shape != found.shape:
        return _COUNT
    right, found = right.astype(np.float64), found.astype(np.float64)
    return _ERROR if np.array_equal(np.isfinite(right), np.isfinite(found)) else _PLACES


def _write_inputs(path: Path, feeds: Mapping[str, Array]) -> None:
    """Write an .npz file; unlike with np.savez, an input may have any name."""
    with zipfile.ZipFile(path, "w") as file:
        for name, array in feeds.items():
            with file.open(f"{name}.npy", "w", force_zip64=True) as entry:
                np.lib.format.write_array(entry, _stored(array), allow_pickle=False)


def _stored(array: Array) -> Array:
    """The array in a dtype that .npy can store: strings get a fixed width, floats that NumPy lacks become float32."""
    if array.dtype.kind == "T":
        return array.astype("U")
    return array.astype(np.float32) if array.dtype.kind == "V" else array


def versions() -> dict[str, str]:
    """The versions of this Python, this machine, and the packages that compute."""
    found = {"python": platform.python_version(), "machine": f"{platform.system()} {platform.machine()}"}
    for package in _PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


__all__ = ["check_folder", "versions", "write_reproduction"]
