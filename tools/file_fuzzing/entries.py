"""What is made of a mutated file: every way by which a user reads one. All that they may raise is a DagirError."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dagir
from dagir_convert import inspecting, sources
from dagir_convert.console import Output
from dagir_convert.summary import summarize
from dagir_onnx.compare_files import compare_files

Entry = Callable[[Path, Path, int], None]


def _printed(path: Path) -> None:
    """dagir-convert inspect, its output to nowhere."""
    with open(os.devnull, "w", encoding="utf-8") as nowhere, contextlib.redirect_stdout(nowhere):
        inspecting.inspect(sources.parse(str(path)), Output(plain=True), as_json=False)


def _model(read: Callable[[Path], Any]) -> Entry:
    def drive(path: Path, seed: Path, number: int) -> None:
        if number % 16 == 0:
            _printed(path)
            return
        model = read(path)
        if number % 4 == 0:
            str(model.graph)
            model.summary(print_fn=str)
        else:
            summarize(model)

    return drive


def _weights(path: Path, seed: Path, number: int) -> None:
    known(seed.with_name("net.dagir")).load_weights(path)


_models: dict[Path, Any] = {}


def known(path: Path) -> Any:
    """The model of a .dagir seed, read once."""
    if path not in _models:
        _models[path] = dagir.load(path)
    return _models[path]


def _onnx(path: Path, seed: Path, number: int) -> None:
    backend: Any = dagir.backend("onnx")
    if number % 16 == 0:
        _printed(path)
        return
    backend.describe(path)
    source = seed.with_suffix(".dagir")
    if source.exists() and number % 4 == 0:
        opened = backend.open(path, known(source))
        feeds = {name: _zeros(type) for name, type in known(source).signature.inputs}
        opened(feeds)


def _zeros(type: Any) -> Any:
    import numpy as np

    return np.zeros([size if isinstance(size, int) else 2 for size in type.shape], type.dtype.numpy)


def _certificate(path: Path, seed: Path, number: int) -> None:
    backend: Any = dagir.backend("onnx")
    backend.recertify(path)


def _pair(path: Path, seed: Path, number: int) -> None:
    first, second = (seed, path) if number % 2 else (path, seed)
    str(compare_files(first, second, samples=1))


def _saved_model(member: str) -> Entry:
    """A SavedModel one of whose files is the input; the others are those of the seed."""

    def drive(path: Path, seed: Path, number: int) -> None:
        folder, sound = path.with_name("net"), seed.parents[len(Path(member).parents) - 1]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(sound, folder)
        shutil.copy(path, folder / member)
        if number % 16 == 0:
            _printed(folder)
        else:
            summarize(dagir.from_tensorflow(folder))

    return drive


ENTRIES: dict[str, Entry] = {
    "keras": _model(dagir.from_keras),
    "h5": _model(dagir.from_keras),
    "dagir": _model(dagir.load),
    "weights": _weights,
    "graph": _model(dagir.from_tensorflow),
    "savedmodel": _saved_model("saved_model.pb"),
    "checkpoint": _saved_model("variables/variables.index"),
    "onnx": _onnx,
    "certificate": _certificate,
    "pair": _pair,
}
