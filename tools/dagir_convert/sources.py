"""Sources of models: file.py:name, which runs that file, or a model file, which runs no code."""

from __future__ import annotations

import ast
import contextlib
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import dagir
from dagir.errors import DagirError, FileError, UnsupportedOp
from dagir.serialization import load as load_dagir
from dagir.support.backend_names import KERAS, ONNX
from dagir.support.did_you_mean import did_you_mean, nearest
from dagir.support.frameworks import is_keras_layer, is_keras_model, kind
from dagir_convert.errors import UsageError

MODEL_FILES = {".dagir": "dagir", ".onnx": ONNX, ".keras": KERAS, ".h5": KERAS, ".hdf5": KERAS, ".pb": "graph"}
SAVED_MODEL, GRAPH = "savedmodel", "graph"  # of TensorFlow: a folder, and a .pb file of a graph alone
_SHARDS = ".weights.json"


@dataclass(frozen=True)
class Reading:
    """How a file is read.

    architecture: a file, or file.py:name, for weights alone. custom: Python files with the user's own classes and ops.
    opaque: where unknown layers may stay, the shapes that they give, as far as the user tells them. signature: that of
    a SavedModel. outputs: tensors of TensorFlow's graph, in place of one. sizes: of its inputs. states: what becomes of
    the states of stateful layers.
    """

    architecture: str | None = None
    custom: Sequence[Path] = ()
    opaque: Mapping[str, Sequence[int | str]] | None = None
    signature: str | None = None
    outputs: Sequence[str] | None = None
    sizes: Mapping[str, Sequence[int | str | None]] | None = None
    states: str | None = None

    @property
    def options(self) -> list[str]:
        """The options of the command line for files of Keras alone that are given."""
        given = {"--architecture": self.architecture, "--opaque": self.opaque}
        return [name for name, value in given.items() if value]


@dataclass(frozen=True)
class Source:
    """A file, and for a Python file the name of the model in it. reading: how a Keras file is read."""

    path: Path
    name: str | None
    reading: Reading = Reading()

    def __str__(self) -> str:
        return f"{self.path}:{self.name}" if self.name else str(self.path)

    @property
    def runs_code(self) -> bool:
        """Whether loading it executes the file."""
        return self.name is not None

    @property
    def format(self) -> str | None:
        """The format of a model file by its suffix, or of a folder; None for Python, and for what is unknown."""
        if self.path.is_dir():
            return SAVED_MODEL if (self.path / "saved_model.pb").exists() else None
        if self.path.name == "saved_model.pb":
            return SAVED_MODEL
        return KERAS if self.path.name.endswith(_SHARDS) else MODEL_FILES.get(self.path.suffix)

    @property
    def takes_custom(self) -> bool:
        """Whether the file names classes, which a Python file may give; others hold all that they compute."""
        return self.name is None and self.format in (KERAS, "dagir")

    @property
    def of_tensorflow(self) -> bool:
        """Whether it is a SavedModel or a graph of TensorFlow."""
        return self.format in (SAVED_MODEL, GRAPH)


@dataclass(frozen=True)
class Loaded:
    """A model, and its source if Keras can run it: a Keras model, or the path of a file; else None."""

    model: dagir.Model
    original: Any = None


def parse(text: str, reading: Reading = Reading()) -> Source:
    """Parse SOURCE. Raises UsageError if the file is missing, or of an unknown format."""
    source = _parsed(text)
    if reading.options and source.format != KERAS:
        raise UsageError(f"{reading.options[0]} is for Keras's files, and {text} is none")
    if reading.custom:
        check_custom(source)
    if reading.states is not None and source.name is None and source.format != KERAS:
        raise UsageError(f"--states is for models of Keras, and {text} is none")
    if reading.signature is not None and source.format != SAVED_MODEL:
        raise UsageError(f"--signature is for the folder of a SavedModel, and {text} is none")
    if reading.outputs is not None and not source.of_tensorflow:
        raise UsageError(
            f"--outputs is for graphs of TensorFlow, and {text} is none",
            remedy="the part of a model: dagir-convert extract",
        )
    return replace(source, reading=reading)


def check_custom(*given: Source) -> None:
    """Raise UsageError where --custom has no meaning for any of the sources."""
    if not any(source.takes_custom for source in given):
        raise UsageError(
            f"--custom is for .keras, .h5, .hdf5 and .dagir files, and {given[0]} is none",
            remedy="leave it out: other files hold all that they compute, and file.py:name imports what it needs",
        )


def _parsed(text: str) -> Source:
    head, colon, name = text.rpartition(":")
    if colon and head.endswith(".py"):
        source = Source(Path(head), name)
        if not name.isidentifier():
            raise UsageError(f"{name!r} is not a name in {head}", remedy=_names_remedy(source.path))
    else:
        source = Source(Path(text), None)
    if source.path.is_dir():
        if source.format is None:
            raise UsageError(
                f"{source.path} is a directory, and no SavedModel", remedy="give a model file, or file.py:name"
            )
        return source
    if not source.path.exists():
        _refuse_checkpoint(source.path)
        raise UsageError(f"there is no file {source.path}", remedy=_near(source.path))
    if source.name is None and source.path.suffix == ".py":
        raise UsageError(f"{text} needs the name of a model", remedy=_names_remedy(source.path))
    if source.name is None and source.format is None:
        raise UsageError(f"{text} is no model that dagir knows", remedy=f"use file.py:name, {', '.join(MODEL_FILES)}")
    return source


def _near(path: Path) -> str | None:
    """A remedy that names the files beside a missing one: of a like name, else those that hold models."""
    try:
        names = sorted(each.name for each in path.parent.iterdir())
    except OSError:
        return f"there is no folder {path.parent}"
    models = [name for name in names if Path(name).suffix in MODEL_FILES]
    near = [str(path.with_name(name)) for name in nearest(path.name, names)]
    here = f"the models there are {', '.join(models[:5])}" if models else "no model is there"
    return did_you_mean(path.name, (), instead=near) or here


def _refuse_checkpoint(path: Path) -> None:
    if path.with_name(f"{path.name}.index").exists():
        raise FileError(
            f"{path}: is a checkpoint of TensorFlow, which only TensorFlow reads",
            remedy="load it into the Keras model, and write model.save_weights('name.weights.h5')",
        )


def load(source: Source) -> Loaded:
    """Load the model. Raises UsageError, FileError, and BackendError if the format cannot be read."""
    if source.name is not None:
        return _taken(_run(source.path, source.name), source.reading.states)
    if source.format == KERAS:
        return _read_keras(source)
    if source.of_tensorflow:
        how = source.reading
        ends: dict[str, Any] = {"inputs": how.sizes, "outputs": how.outputs, "signature": how.signature}
        return Loaded(dagir.from_tensorflow(source.path, **ends))
    if source.format == "dagir":
        return Loaded(load_dagir(source.path, _layers(custom_objects(source.reading.custom))))
    return Loaded(_read_onnx(source), source.path)


def _read_onnx(source: Source) -> dagir.Model:
    """An .onnx file; where it can be taken at the sizes alone that are given, at these. Raises UnsupportedOp."""
    onnx = dagir.backend(ONNX)
    try:
        return onnx.read(source.path)
    except UnsupportedOp:
        if source.reading.sizes is None:
            raise
        return onnx.read(source.path, inputs=source.reading.sizes)


def _read_keras(source: Source) -> Loaded:
    """A Keras file; one of weights alone is nothing that Keras runs."""
    how: dict[str, Any] = {"custom_objects": custom_objects(source.reading.custom)}
    if source.reading.opaque is not None:
        how["opaque"] = dict(source.reading.opaque) or True
    if source.reading.states is not None:  # Keras keeps them from call to call, so that it is no judge of one call
        how["states"] = source.reading.states
    if source.reading.architecture is None:
        model = dagir.backend(KERAS).read(source.path, **how)
        return Loaded(model, source.path if source.reading.states is None else None)
    how["architecture"] = _architecture(source.reading.architecture)
    return Loaded(dagir.from_keras(source.path, **how))


def _layers(objects: Mapping[str, Any]) -> dict[str, type[dagir.Layer]]:
    """The classes of layers among them; ops register themselves, by dagir.register_op."""
    return {name: cls for name, cls in objects.items() if inspect.isclass(cls) and issubclass(cls, dagir.Layer)}


def custom_objects(paths: Sequence[Path]) -> dict[str, Any]:
    """The classes and functions of Python files by name, or their `custom_objects`; this runs the files.

    Raises UsageError.
    """
    found: dict[str, Any] = {}
    for path in paths:
        if path.suffix == ".py" and not path.exists():
            raise UsageError(f"there is no file {path}", remedy="--custom takes the file of your classes and ops")
        if path.suffix != ".py" or not path.is_file():
            raise UsageError(f"--custom takes a Python file, and {path} is none")
        module = _custom_module(path.resolve(), path.stat().st_mtime_ns)
        given = getattr(module, "custom_objects", None)
        own = {name: thing for name, thing in vars(module).items() if _is_own(thing, module.__name__)}
        found.update(given if isinstance(given, Mapping) else own)
        if not found:
            raise UsageError(f"{path} defines no class, no function and no custom_objects")
    return found


@cache
def _custom_module(path: Path, changed: int) -> ModuleType:
    """Of one file, however many sources it is for: a class that is made twice would be two classes."""
    return _executed(path)


def _is_own(thing: object, module: str) -> bool:
    """Whether a class or a function is defined in this module, and not imported into it."""
    return (inspect.isclass(thing) or inspect.isfunction(thing)) and thing.__module__ == module


def _architecture(text: str) -> Any:
    """The path of a file; for file.py:name the model, which runs that file."""
    head, colon, _ = text.rpartition(":")
    if not (colon and head.endswith(".py")):
        if not Path(text).exists():
            raise UsageError(f"there is no file {text}", remedy=_near(Path(text)))
        return Path(text)
    found = _parsed(text)
    return _run(found.path, str(found.name))


def _taken(found: Any, states: Any = None) -> Loaded:
    if isinstance(found, dagir.Model):
        return Loaded(found)
    return Loaded(dagir.from_keras(found, states=states), found if states is None else None)


def _is_model(thing: object) -> bool:
    return isinstance(thing, dagir.Model) or is_keras_model(thing)


def _executed(path: Path) -> ModuleType:
    """The module of a Python file, which is executed. Raises UsageError with the line that fails."""
    spec = importlib.util.spec_from_file_location(f"dagir_convert_{path.stem}", path)
    if spec is None or spec.loader is None:
        raise FileError(f"{path} cannot be run as Python")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    with _importable(path.resolve().parent), _failures_named(path):
        spec.loader.exec_module(module)
    return module


def _run(path: Path, name: str) -> object:
    """Execute a Python file, and return its model called `name`, or the model that its function `name` returns."""
    module = _executed(path)
    if not hasattr(module, name):
        raise UsageError(f"{path} defines no {name!r}", remedy=_names_remedy(path))
    found = getattr(module, name)
    if _is_model(found):
        return found
    if is_keras_layer(found):
        raise UsageError(
            f"{name} in {path} is {kind(found)}", remedy="name a model that holds it: keras.Model(x, layer(x))"
        )
    if inspect.isclass(found) or not callable(found) or _needs_arguments(found):
        what = "takes arguments" if callable(found) else f"is of type {type(found).__name__}"
        raise UsageError(f"{name} in {path} {what}", remedy="name a Model, or a function without arguments")
    with _importable(path.resolve().parent), _failures_named(path):
        model = found()
    if not _is_model(model):
        raise UsageError(f"{name}() in {path} returned {type(model).__name__}, which is no model of dagir or Keras")
    return model


def _needs_arguments(function: Any) -> bool:
    kinds = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    parameters = inspect.signature(function).parameters.values()
    return any(p.default is inspect.Parameter.empty and p.kind not in kinds for p in parameters)


@contextlib.contextmanager
def _importable(folder: Path) -> Iterator[None]:
    """Let the file import modules of its folder, as if python ran it."""
    sys.path.insert(0, str(folder))
    try:
        yield
    finally:
        with contextlib.suppress(ValueError):
            sys.path.remove(str(folder))


@contextlib.contextmanager
def _failures_named(path: Path) -> Iterator[None]:
    """Turn an exception of the user's file into a UsageError with the line in that file."""
    try:
        yield
    except DagirError:
        raise
    except SystemExit as error:
        raise UsageError(f"{path} ended the program (exit {error.code})") from None
    except Exception as error:
        whole = traceback.extract_tb(error.__traceback__)
        frames = [frame for frame in whole if Path(frame.filename) == path.resolve()]
        line = frames[-1].lineno if frames else getattr(error, "lineno", None)
        where = f"{path}:{line}" if line else str(path)
        raise UsageError(f"{where} failed: {type(error).__name__}: {error}") from error


def _names_remedy(path: Path) -> str:
    """A remedy that suggests names in the file, found without running it."""
    try:
        tree = ast.parse(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, SyntaxError):
        return f"write {path}:name, the name of a Model or of a function that returns one"
    names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef) and not _required(node)]
    names += [
        t.id for node in tree.body if isinstance(node, ast.Assign) for t in node.targets if isinstance(t, ast.Name)
    ]
    shown = [name for name in names if not name.startswith("_")][:5]
    return f"write {' or '.join(f'{path}:{name}' for name in shown or ['name'])}"


def _required(node: ast.FunctionDef) -> bool:
    arguments = node.args
    missing = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return missing > 0 or any(default is None for default in arguments.kw_defaults)
