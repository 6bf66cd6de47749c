"""What a model can be compared with: backends by name, models, executables, Keras models, and model files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from importlib.util import find_spec
from os import PathLike
from pathlib import Path
from typing import Any, TypeAlias

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph
from dagir.ir.nest import Rows
from dagir.modeling.model import Model
from dagir.runtime.backend import Executable, backend, graph_of
from dagir.runtime.lowering import lower
from dagir.serialization import load
from dagir.support.backend_names import KERAS, NUMPY, ONNX
from dagir.support.frameworks import KerasModel, is_keras_layer, kind

_SUFFIXES = (".dagir", ".keras", ".h5", ".hdf5", ".onnx")
_ZIP = b"PK\x03\x04"  # begins a .keras file, whatever its name
_TAKEN = (
    "give backends by name ('onnx'), a Model, an executable, a Keras model, the path of a "
    f"{', '.join(_SUFFIXES[:-1])} or {_SUFFIXES[-1]} file, a list of these, or a dict of them by a name of your choice"
)


Side: TypeAlias = str | PathLike[str] | Model | Graph | Executable | KerasModel
Sides: TypeAlias = Side | Rows[Side] | Mapping[str, Side]


def sides(model: Model | Graph, given: Sides, options: Mapping[str, Mapping[str, object]]) -> dict[str, Executable]:
    """Executables by name. options: for each backend name, the options to lower the model with.

    Raises ArgumentError for a side whose inputs or outputs do not match the model's, and for anything that cannot be
    compared with a model.
    """
    named = list(_named(given))
    known = [side for _, side in named if _is_backend(side)] if not isinstance(given, Mapping) else []
    for name, chosen in options.items():
        if name not in known or not isinstance(chosen, Mapping):
            raise ArgumentError(
                f"verify has no argument {name!r}",
                remedy=f"options of a backend are a dict under its name: {', '.join(known) or 'none is lowered here'}",
            )
    found: dict[str, Executable] = {}
    for name, side in named:
        if name in found:
            raise ArgumentError(f"two sides are called {name!r}", remedy="give a dict, with names of your choice")
        found[name] = lower(model, side, **options.get(side, {})) if _is_backend(side) else _opened(model, name, side)
    return found


def is_side(thing: object) -> bool:
    """Whether an object is a model, an executable or a Keras model: a model can be compared with these."""
    return isinstance(thing, (Executable, Model, Graph)) or is_keras_layer(thing)


def _named(given: Sides) -> Iterator[tuple[str, Any]]:
    if isinstance(given, Mapping):
        yield from given.items()
        return
    listed: Sequence[Any] = given if isinstance(given, Sequence) and not isinstance(given, str) else [given]
    for side in listed:
        if isinstance(side, (str, PathLike)):
            yield str(side) if _is_backend(side) else Path(side).name, side
        elif is_side(side):
            yield ("other" if isinstance(side, Executable) else side.name), side
        else:
            raise _refused(side)


def _is_backend(side: object) -> bool:
    """Whether a side is the name of a backend, and not the path of a file."""
    return isinstance(side, str) and Path(side).suffix not in _SUFFIXES


def _refused(side: object) -> ArgumentError:
    return ArgumentError(f"a model is not compared with {kind(side)} {side!r:.60}", remedy=_TAKEN)


def _opened(model: Model | Graph, name: str, side: object) -> Executable:
    if isinstance(side, (str, PathLike)):
        return opened(Path(side), model)
    if is_keras_layer(side):
        return backend(KERAS).open(side, model)
    if isinstance(side, (Model, Graph)):
        side = lower(_alike(model, side, name), NUMPY)
    if not isinstance(side, Executable):
        raise _refused(side)
    _check_counts(model, len(side.signature.inputs), len(side.signature.outputs), name)
    return side


def opened(path: Path, model: Model | Graph, names: Mapping[str, str] | None = None) -> Executable:
    """An executable of a file: by onnxruntime, by Keras if it is installed and reads the format, else the interpreter.

    names: of an .onnx file, the inputs and outputs of the model by their names in the file, where those differ.
    Raises ArgumentError for a file whose inputs and outputs do not match the model's, FileError.
    """
    if path.suffix not in _SUFFIXES:
        raise ArgumentError(f"{path} is no model that dagir knows", remedy=_TAKEN)
    if path.suffix == ".onnx":
        return backend(ONNX).open(path, model, **({"names": names} if names else {}))
    if names:
        raise ArgumentError(f"{path}: names of inputs and outputs are matched in .onnx files alone")
    if path.suffix == ".dagir":
        other = _alike(model, load(path), str(path))
    else:
        other = _alike(model, backend(KERAS).read(path), str(path))
    if path.suffix == ".keras" and _is_zip(path) and _keras_is_here():
        return backend(KERAS).open(path, model)
    return lower(other, NUMPY)


def _is_zip(path: Path) -> bool:
    with open(path, "rb") as file:
        return file.read(len(_ZIP)) == _ZIP


def _keras_is_here() -> bool:
    """Whether Keras can run a Keras file here; otherwise dagir reads the file, and the interpreter runs it."""
    return all(find_spec(name) is not None for name in ("keras", "tensorflow"))


def _alike(model: Model | Graph, other: Model | Graph, name: str) -> Model | Graph:
    """The other model, if it has the same number of inputs and outputs."""
    graph = graph_of(other)
    _check_counts(model, len(graph.inputs), len(graph.outputs), name)
    return other


def _check_counts(model: Model | Graph, inputs: int, outputs: int, name: str) -> None:
    graph = graph_of(model)
    if (inputs, outputs) != (len(graph.inputs), len(graph.outputs)):
        raise ArgumentError(
            f"{name} has other inputs and outputs than the model: {_counted(inputs, outputs)}",
            facts=[("the model", _counted(len(graph.inputs), len(graph.outputs)))],
            remedy="take the outputs that both have: dagir.extract(model, outputs=[...])",
        )


def _counted(inputs: int, outputs: int) -> str:
    return f"{inputs} input{'s' if inputs != 1 else ''}, {outputs} output{'s' if outputs != 1 else ''}"
