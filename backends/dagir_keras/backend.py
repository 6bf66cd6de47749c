"""The Keras backend: a keras.Model of real layers that trains and saves as a Keras user expects.

The modules that lower, train and run import keras and tensorflow, which takes seconds. So the methods below import
them, each where it first needs one; `_keras` first says which package is missing, where one is. Reading needs neither.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from dagir.errors import ArgumentError
from dagir.ir.graph import Graph
from dagir.ir.nest import map_structure
from dagir.modeling.model import Model
from dagir.modeling.training import TrainingState
from dagir.passes import TRAIN, DecodeWeights
from dagir.runtime.backend import Backend, Executable, graph_of
from dagir.support.backend_names import KERAS
from dagir.support.extras import needed
from dagir.support.frameworks import is_keras_layer
from dagir_keras.reading import load_weights, read, read_tensorflow
from dagir_keras.reading.own_layers import OWN_LAYERS
from dagir_keras.rules import rules

if TYPE_CHECKING:
    from dagir_keras.executable import KerasExecutable
    from dagir_keras.external_model import KerasModel
    from dagir_keras.training import KerasTrainer


class KerasBackend(Backend):
    """Trains: real Keras layers, shared layers shared, nested models nested."""

    name = KERAS
    rules = rules
    pipeline = TRAIN

    def lower(self, model: Model | Graph, **unknown: Any) -> KerasExecutable:
        """A functional keras.Model of the same layers and weights, stored codes as numbers. Raises UnsupportedOp."""
        if unknown:
            raise ArgumentError(f"the keras backend has no option {sorted(unknown)[0]!r}", remedy="it takes none")
        _keras()
        from dagir_keras.executable import KerasExecutable

        return KerasExecutable(_decoded(model))

    def variants(self, model: Model | Graph) -> dict[str, Callable[[], Executable]]:
        """Keras eagerly, and compiled: on TensorFlow as a tf.function and by XLA, on JAX by XLA."""
        _keras()
        from dagir_keras.compiled import compiled

        return {KERAS: lambda: self.lower(model), **compiled(model)}

    def introduce(self, framework: Any) -> None:
        """Tell Keras where the layers that dagir defines are, for the files that hold them."""
        for name, module in OWN_LAYERS.items():
            framework.saving.get_custom_objects().setdefault(name, _Late(module, name.rpartition(">")[2]))

    def join(self) -> None:
        """Let TensorFlow's functions compute with values of dagir, by the table of rules."""
        from dagir_keras.reading.tensorflow.on_values import join_dispatch

        join_dispatch()

    def read(self, source: Any, **options: Any) -> Any:
        """A Keras model or layer, or a .keras or .h5 file, read without Keras: see dagir_keras.reading.read."""
        with needed("reading a Keras model"):
            return read(source, **options)

    def read_graph(self, source: Any, **options: Any) -> Model:
        """A function of TensorFlow, or the folder of a SavedModel: see dagir_keras.reading.read_tensorflow."""
        return read_tensorflow(source, **options)

    def load_weights(self, model: Model, path: str) -> None:
        """Read the weights of a Keras file into a model, without Keras. Raises FileError before anything is changed."""
        load_weights(model, path)

    def trainer(self, model: Model, **options: Any) -> KerasTrainer:
        """The model compiled with keras.Model.compile's arguments."""
        _keras()
        from dagir_keras.training import KerasTrainer

        return KerasTrainer.compiled(model, **options)

    def resume(self, model: Model, state: TrainingState) -> KerasTrainer:
        """The model compiled as it was saved, optimizer and random generators in the state they had."""
        _keras()
        from dagir_keras.training import KerasTrainer

        return KerasTrainer.resumed(model, state)

    def open(self, path: Any, model: Model | Graph, **unknown: Any) -> KerasModel:
        """Run a .keras file, or a keras.Model, as it stands.

        Raises FileError, and ArgumentError where its inputs or outputs are not as many as the model's.
        """
        if unknown:
            raise ArgumentError(f"a Keras file has no option {sorted(unknown)[0]!r}", remedy="it takes none")
        _keras()
        from dagir_keras.external_model import KerasFile, KerasModel

        return KerasModel(path, model) if is_keras_layer(path) else KerasFile(path, model)


def _decoded(model: Model | Graph) -> Model | Graph:
    """The model with weights in place of what dequantizes stored codes, which Keras could not train."""
    graph = DecodeWeights()(graph_of(model))
    if graph is graph_of(model) or isinstance(model, Graph):
        return graph if isinstance(model, Graph) else model
    values = dict(zip(model.graph.outputs, graph.outputs, strict=True))
    outputs = map_structure(lambda value: values[value], model.output)
    return Model.from_graph(model.input, outputs, graph, name=model.name, trainable=model.trainable, unused_inputs=True)


@dataclass(frozen=True)
class _Late:
    """Stands for a class of Keras layers until a file needs it: importing the class imports much of dagir."""

    module: str
    name: str

    def from_config(self, config: dict[str, Any]) -> Any:
        """The layer of a file."""
        return getattr(import_module(self.module), self.name).from_config(config)


def _keras() -> Any:
    """The keras package. Raises MissingExtra where it is not installed."""
    with needed("backend 'keras'"):
        import keras

        return keras
