"""From and to the other frameworks' models. The core names no framework: each goes through its backend."""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from dagir.backend import backend, graph_of
from dagir.errors import ArgumentError
from dagir.foreign import takes_a_model
from dagir.graph import Graph
from dagir.model import Model
from dagir.model_files import ONNX, refuse_other_suffix
from dagir.ops.call import parameters_of
from dagir.resizing import resize_inputs
from dagir.weights import warn_of

Sizes: TypeAlias = Sequence[int | str | None]


def to_onnx(
    model: Model,
    path: str | os.PathLike[str] | None = None,
    *,
    opset: int | None = None,
    target: str | None = None,
    input_shapes: Mapping[str, Sizes] | None = None,
    external_data: bool | None = None,
    disable: Collection[str] = (),
    metadata: Mapping[str, str] = {},
    overwrite: bool = True,
    **unknown: Any,
) -> Any:
    """The model as an onnx.ModelProto, or, with a path, written to a file whose path is returned.

    opset: of the ai.onnx domain. target: the runtime that shall read it, "onnxruntime==1.17". input_shapes: sizes by
    input name that are fixed (a number) or freed (a name, or None). external_data: weights in `<path>.data`; by default
    only past 2 GiB. disable: passes by name. metadata: metadata_props, next to the version of dagir.
    Raises ArgumentError, UnsupportedOp, FileError.
    """
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("to_onnx", model, "a Model or a Graph")
    if path is not None:
        refuse_other_suffix(path, ONNX)
    warn_of(parameters_of(graph_of(model)))
    if unknown:
        raise _unknown_option(next(iter(unknown)))
    if input_shapes:
        model = resize_inputs(model, input_shapes)
    exe: Any = backend("onnx").lower(model, opset=opset, target=target, metadata=metadata, disable=disable)
    if path is None:
        return exe.artifact
    return exe.save(Path(path), external_data=external_data, overwrite=overwrite)


def _unknown_option(name: str) -> ArgumentError:
    if name == "dynamic_axes":
        remedy = "sizes that are None in the model stay free; input_shapes={'x': ('batch', 224, 224, 3)} frees or fixes"
    else:
        known = ("opset", "target", "input_shapes", "external_data", "disable", "metadata", "overwrite")
        near = difflib.get_close_matches(name, known, n=1)
        remedy = f"did you mean {near[0]}?" if near else f"it has: {', '.join(known)}"
    return ArgumentError(f"to_onnx has no argument {name!r}", remedy=remedy)


def to_keras(model: Model) -> Any:
    """The model as a keras.Model of real layers, with the same weights. Raises UnsupportedOp."""
    if not isinstance(model, (Model, Graph)):
        raise takes_a_model("to_keras", model, "a Model or a Graph")
    warn_of(parameters_of(graph_of(model)))
    return backend("keras").lower(model).artifact


def from_keras(source: Any, *, custom_objects: Mapping[str, Any] | None = None, inputs: Any = None) -> Any:
    """A keras.Model, or a .keras or .h5 file, as a Model; any other Keras layer as a Layer.

    A file is read without Keras, and nothing in it is executed. custom_objects: for layers of your own, by class,
    registered name or layer name: a dagir Layer class that takes the configuration, or f(config) -> Layer. Without,
    the `call` of a live layer is traced. inputs: dagir Inputs for a subclassed model that was never called. Raises
    BackendError, FileError (UnsafeFile), UnsupportedLayer, which names every layer that cannot be taken.
    """
    options = {"custom_objects": custom_objects, "inputs": inputs}
    return backend("keras").read(source, **{key: part for key, part in options.items() if part is not None})


def from_onnx(source: Any) -> Model:
    """An onnx.ModelProto, or an .onnx file, as a Model. Not written yet: raises BackendError that says what to do."""
    return backend("onnx").read(source)
