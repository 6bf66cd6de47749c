"""Reads Keras models: files, which are JSON and HDF5, and models in memory. Both use the same table of layers.

A file is read without Keras: nothing in it is executed, and nothing is imported by name.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from typing import Any

from dagir.errors import ArgumentError, FileError
from dagir.layers.rnn import stateful_taken
from dagir.modeling.model import Model
from dagir.modeling.states import States, check_states, without_states
from dagir.serialization.formats import format_of
from dagir.support import limits
from dagir.support.location import without_lines
from dagir_keras.reading.custom_objects import CustomObjects, KerasObjects
from dagir_keras.reading.files.architectures import is_of_dagir, read_architecture
from dagir_keras.reading.files.archive import HDF5, ZIP, Archive, parse_config
from dagir_keras.reading.files.hdf5 import check as check_hdf5
from dagir_keras.reading.files.hdf5 import open_hdf5
from dagir_keras.reading.files.keras2 import Writer, as_written_today, check_readable
from dagir_keras.reading.files.keras2.stacks import with_stacks
from dagir_keras.reading.files.model_config import NetworkReader, ReadModel
from dagir_keras.reading.files.model_records import as_read
from dagir_keras.reading.files.opaque_layers import shapes_told
from dagir_keras.reading.files.stored_weights import open_weights
from dagir_keras.reading.files.vocabularies import fill_boundaries, fill_legacy_boundaries, fill_vocabularies
from dagir_keras.reading.files.weights import WeightsReader
from dagir_keras.reading.layers import rule
from dagir_keras.reading.mapped_files import map_file

__all__ = ["check", "load_weights", "read", "read_tensorflow", "rule"]

_ARCHITECTURE = (
    "give its architecture, the file that model.to_json() makes: from_keras(path, architecture='model.json'), or "
    "dagir-convert --architecture model.json; or save "
    "the whole model with model.save('name.keras')"
)


def read_tensorflow(source: Any, inputs: Any = None, outputs: Any = None, signature: str | None = None) -> Model:
    """A tf.function, a concrete function, a tf.Module, the folder of a SavedModel, or a graph's .pb file, as a Model.

    inputs: what to trace a function for; of a file, names, or shapes or arrays by name. outputs: tensors of a file.
    signature: of a SavedModel, or the name of a method.
    """
    with without_lines():
        if isinstance(source, (str, os.PathLike)):
            return _read_tensorflow_file(os.fspath(source), inputs, outputs, signature)
        if outputs is not None:
            raise ArgumentError("outputs goes with a file; a function gives what it returns")
        from dagir_keras.reading.tensorflow.concrete import read_function  # not needed for files of Keras

        return read_function(source, inputs, signature)


def _read_tensorflow_file(path: str, inputs: Any, outputs: Any, signature: str | None) -> Model:
    from dagir_keras.reading.tensorflow.saved_model import read_frozen_graph, read_saved_model

    folder = os.path.dirname(path) or "." if os.path.basename(path) == "saved_model.pb" else path
    if folder != path or os.path.isdir(path):
        return read_saved_model(folder, signature, inputs, outputs)
    if signature is not None:
        raise ArgumentError(
            f"{path}: a file of a graph has no signatures", remedy="name its tensors: outputs=['logits']"
        )
    return read_frozen_graph(path, inputs, outputs)


def read(
    source: Any,
    custom_objects: Mapping[str, Any] | None = None,
    inputs: Any = None,
    architecture: Any = None,
    opaque: bool | Mapping[str, Sequence[Any]] = False,
    states: States | None = None,
) -> Any:
    """A Keras model, or a .keras or .h5 file, as a Model; a Keras layer as a Layer.

    custom_objects: for layers of your own, by class, registered name or layer name: a dagir Layer class that takes the
    configuration, or f(config) -> Layer. inputs: dagir Inputs for a subclassed model, which does not tell its own.
    architecture: for a file of weights alone: the path of a JSON file, a configuration, or a model. opaque: whether
    layers of a file that cannot be taken stay in the model as opaque ones; or the shapes of what they give, by name.
    states: what becomes of the states of stateful layers: "inputs" and outputs of the model, or "zeros".

    Raises FileError (a file is missing or damaged), UnsafeFile, UnsupportedLayer (with all layers that cannot be read).
    """
    check_states(states)
    token = stateful_taken.set(states is not None)
    try:
        found = _read(source, custom_objects, inputs, architecture, opaque)
    finally:
        stateful_taken.reset(token)
    return found if states is None else without_states(found, states)


def _read(
    source: Any,
    custom_objects: Mapping[str, Any] | None,
    inputs: Any = None,
    architecture: Any = None,
    opaque: bool | Mapping[str, Sequence[Any]] = False,
) -> Any:
    custom = CustomObjects(custom_objects, inputs, _given_objects)
    if isinstance(source, (str, os.PathLike)):
        path = os.fspath(source)
        if os.path.isfile(os.path.join(path, "saved_model.pb")):
            raise FileError(f"{path}: is a SavedModel of TensorFlow", remedy=f"dagir.from_tensorflow({path!r})")
        custom.folder = os.path.dirname(path)
        custom.opaque = shapes_told(opaque)
        with without_lines(), limits.reading(path):
            if architecture is not None:
                return _with_weights(path, architecture, custom)
            return _read_file(path, custom)
    if architecture is not None:
        raise ArgumentError("architecture goes with a file of weights", remedy="give the path of the weights as well")
    keras = sys.modules.get("keras")  # who has a layer of Keras has imported it
    if keras is not None and isinstance(source, keras.layers.Layer):
        from dagir_keras.reading.live.entry import read_live  # imports keras, which reading a file must not

        with without_lines():
            return read_live(source, custom, inputs)
    of_tensorflow = hasattr(source, "get_concrete_function") or hasattr(source, "captured_inputs")
    raise ArgumentError(
        f"from_keras takes a keras.Model or the path of a .keras or .h5 file, got {source!r}",
        remedy="give a function of TensorFlow to dagir.from_tensorflow" if of_tensorflow else None,
    )


def _given_objects(objects: CustomObjects) -> KerasObjects:
    from dagir_keras.reading.live.given import GivenKerasObjects  # imports keras, which reading a file must not

    return GivenKerasObjects(objects)


def check(path: str) -> None:
    """Check a file before Keras loads it, which reads HDF5 with a C library. Raises FileError."""
    with limits.reading(path):
        data = map_file(path)
        if data[:4] == ZIP:
            archive = Archive(path, data)
            if "model.weights.h5" in archive.names:
                check_hdf5(open_hdf5(archive.member("model.weights.h5"), f"{path}: model.weights.h5"))
        elif data[:8] == HDF5:
            check_hdf5(open_hdf5(memoryview(data), path))


def load_weights(model: Model, path: str) -> None:
    """Read the weights of a Keras file into a model, by structure as Keras matches them. Raises FileError."""
    with limits.reading(path):
        _fill(as_read(model), path, CustomObjects(None))


def _fill(made: ReadModel, path: str, custom: CustomObjects) -> None:
    stored = open_weights(path)
    with _as_keras_writes(path, "weights"):
        reader = WeightsReader(path, stored.group, complete=custom.opaque is None, held=custom.held)
        reader.partial = custom.opaque is not None
        reader.read_legacy(made) if stored.by_name else reader.read(made)
    custom.finish()


def _with_weights(path: str, architecture: Any, custom: CustomObjects) -> Model:
    """The model of an architecture with the weights of a file."""
    keras = sys.modules.get("keras")
    if keras is not None and isinstance(architecture, keras.Model):
        if not getattr(architecture, "inputs", None):
            raise ArgumentError(
                f"the architecture {architecture.name!r} is a subclass of keras.Model, which matches weights itself",
                remedy="load them with model.load_weights(path), and give dagir.from_keras(model) the model",
            )
        architecture = _read(architecture, dict(custom))
    if isinstance(architecture, Mapping) and is_of_dagir(architecture):
        architecture = Model.from_config(dict(architecture), custom)
    if not isinstance(architecture, Model):
        record, writer, where = read_architecture(architecture)
        if is_of_dagir(record):
            return _with_weights(path, record, custom)
        made = _read_config(record, where, custom, writer)
    else:
        made = as_read(architecture)
    _fill(made, path, custom)
    return made.model


def _read_file(path: str, custom: CustomObjects) -> Model:
    data = map_file(path)
    begin = data[:8]
    if begin[:4] == ZIP:
        return _read_keras(Archive(path, data), custom)
    if begin == HDF5:
        return _read_h5(path, memoryview(data), custom)
    if HDF5.startswith(begin) or ZIP.startswith(begin[:4]):
        raise FileError(f"{path}: is truncated: it ends within its first bytes")
    if path.endswith(".weights.json"):
        raise FileError(f"{path}: lists the shards of weights without an architecture", remedy=_ARCHITECTURE)
    other = format_of(data[:16])
    raise FileError(
        f"{path}: is no Keras model: it begins neither as a zip (.keras) nor as an HDF5 file (.h5)"
        + (f", but as a file of {other.name}" if other else ""),
        remedy=other.read.format(repr(path)) if other else "save the Keras model with model.save('name.keras')",
    )


@contextmanager
def _as_keras_writes(path: str, part: str) -> Iterator[None]:
    """Within it, an unexpected error of the reader becomes a FileError: that part of the file is damaged."""
    try:
        yield
    except RecursionError:
        raise FileError(f"{path}: models are nested too deep in it") from None
    except (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError) as error:
        text = f"{type(error).__name__}: {str(error)[:120]}"
        raise FileError(f"{path}: its {part} is not what Keras writes: {text}") from error


def _read_config(record: Any, path: str, custom: CustomObjects, writer: Writer) -> ReadModel:
    problems = custom.problems
    check_readable(writer, path)
    with _as_keras_writes(path, "configuration"):
        made = NetworkReader(path, custom, problems).model(as_written_today(with_stacks(record), writer))
    problems.require_none(path)
    if made is None:
        raise FileError(f"{path}: holds no model")
    return made


def _read_keras(archive: Archive, custom: CustomObjects) -> Model:
    config = archive.config()
    if "model.weights.h5" not in archive.names:
        raise FileError(
            f"{archive.path}: has no model.weights.h5: the architecture is there, the weights are not",
            remedy="save the model with model.save('name.keras')",
        )
    with _as_keras_writes(archive.path, "configuration"):
        fill_vocabularies(config, archive)
    about = bytes(archive.text("metadata.json")) if "metadata.json" in archive.names else b""
    opened = cache(lambda: open_hdf5(archive.member("model.weights.h5"), f"{archive.path}: model.weights.h5"))
    with _as_keras_writes(archive.path, "model.weights.h5"):
        fill_boundaries(config, opened)
    writer = Writer.of_metadata(about, config)
    made = _read_config(config, archive.path, custom, writer)
    stored = opened()  # late: to hold it against its checksum takes its size in memory for a moment
    numbers_new_only = writer.numbers_new_layers_only
    with _as_keras_writes(archive.path, "model.weights.h5"):
        WeightsReader(archive.path, stored, held=custom.held, numbers_new_only=numbers_new_only).read(made)
    custom.finish()
    return made.model


def _read_h5(path: str, view: memoryview, custom: CustomObjects) -> Model:
    root = open_hdf5(view, path)
    config = root.text("model_config")
    if config is None:
        raise FileError(
            f"{path}: has no model_config: these are weights without an architecture",
            remedy=_ARCHITECTURE,
        )
    stored = root.group("model_weights")
    if stored is None:
        raise FileError(f"{path}: has no model_weights: the architecture is there, the weights are not")
    record = parse_config(config, f"{path}: model_config")
    with _as_keras_writes(path, "model_weights"):
        fill_legacy_boundaries(record, stored)
    writer = Writer.of(root.text("keras_version"), root.text("backend"), record)
    made = _read_config(record, path, custom, writer)
    with _as_keras_writes(path, "model_weights"):
        reader = WeightsReader(path, stored, held=custom.held)
        reader.partial = custom.opaque is not None
        reader.read_legacy(made)
    custom.finish()
    return made.model
