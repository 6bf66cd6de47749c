"""KerasExecutable: the keras.Model of a dagir model; copies weights in both directions."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import keras

from dagir import ops
from dagir.errors import BackendError, FeedError, FileError
from dagir.ir.diagnostics import describe
from dagir.ir.graph import Graph, Node, Parameter
from dagir.ir.nest import flatten_like, pack
from dagir.ir.types import Array
from dagir.modeling.model import Model
from dagir.ops.call import first_of
from dagir.runtime.backend import Executable, Kept, graph_of, signature
from dagir.runtime.feeds import as_strings, refuse_nan
from dagir.runtime.probes import points_of
from dagir.support.file_replacement import check_free
from dagir_keras import engine
from dagir_keras.builder import functional
from dagir_keras.names import as_keras_has
from dagir_keras.node_by_node import NodeByNode
from dagir_keras.points import Watched
from dagir_keras.registry import freeze
from dagir_keras.runtime_errors import reason, refusal
from dagir_keras.saving import check_savable, keep
from dagir_keras.traced import new_registry


class KerasExecutable(Watched, Executable):
    """A keras.Model, in `.artifact`. After training, `pull` copies its weights into the dagir model."""

    def __init__(self, model: Model | Graph) -> None:
        graph = graph_of(model)
        super().__init__(graph, signature(model))
        engine.refuse_narrowed(graph)
        self.watched_graph = graph
        self.registry = new_registry()
        try:
            self.artifact: keras.Model = functional(graph, self.signature, model.name, self.registry)
        except RecursionError:
            raise _too_deep(graph) from None
        for layer, keras_layer in self.registry.layer_pairs():
            if not layer.trainable:
                freeze(keras_layer)
        if isinstance(model, Model) and not model.trainable:
            freeze(self.artifact)
        self.push()

    @cached_property
    def _loses_nan(self) -> Node | None:
        return first_of(self._graph, (ops.MaxPool, ops.MaxPoolWithIndices))

    def push(self) -> None:
        """Copy the weights of the dagir model into the Keras model."""
        for parameter, variable in self.registry.weight_pairs():
            variable.assign(parameter.array.reshape(variable.shape))  # a kernel of Keras's may have one more axis
        for _, layer in self.registry.layer_pairs():
            if isinstance(layer, keras.layers.Normalization):  # it computes with a copy of its weights
                layer.finalize_state()

    def pull(self) -> None:
        """Copy the weights of the Keras model into the dagir model, after training for example."""
        for parameter, variable in self.registry.weight_pairs():
            parameter.assign(engine.to_numpy(variable).reshape(parameter.shape))

    def save(self, path: str | os.PathLike[str], *, overwrite: bool = True) -> Path:
        """Write a .keras file and return its path. Raises FileError, BackendError for what Keras cannot save."""
        check_free(path, overwrite, "choose another path, or pass overwrite=True")
        check_savable(self.artifact)
        target = Path(os.path.realpath(path))
        temporary = target.with_name(f".{os.urandom(4).hex()}.{target.name}")  # Keras chooses the format by the suffix
        try:
            self.artifact.save(temporary)
            os.replace(temporary, target)
        except OSError as error:
            raise FileError(f"cannot write {path}: {error.strerror or error}") from error
        finally:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
        return Path(path)

    def node_by_node(self) -> Executable:
        """The nodes of its graph by the rules of Keras, with the numbers of its variables."""
        pairs = self.registry.weight_pairs()
        weights = {weight: engine.to_numpy(variable).reshape(weight.shape) for weight, variable in pairs}
        return NodeByNode(points_of(self.watched_graph), weights, with_weights)

    def keep(self, folder: Path) -> Kept | None:
        """A .keras file."""
        return keep(self.artifact, folder)

    def _run(self, arrays: Sequence[Array]) -> list[Array]:
        arrays = engine.held(self.signature.inputs, arrays)
        if engine.ON_TENSORFLOW and self._loses_nan is not None:
            who = f"TensorFlow would pass over some of them in {describe(self._loses_nan)}"
            refuse_nan(self.signature.inputs, arrays, who)
        try:
            outputs = self._call(arrays)
        except engine.RAISED as error:
            raise refused(error, self._graph) from error
        leaves = flatten_like(as_keras_has(self.signature.output_structure), outputs)
        found = zip(leaves, self.signature.outputs, strict=True)
        return [as_strings(engine.to_numpy(leaf, type)) for leaf, (_, type) in found]

    def _call(self, arrays: Sequence[Array]) -> Any:
        has_text = any(array.dtype.kind == "T" for array in arrays)  # Keras takes tensors, or arrays, and not both
        given = [tensor_of(array) if has_text else array for array in arrays]
        return self.artifact(pack(self.signature.input_structure, given), training=False)


def with_weights(model: Model, weights: Mapping[Parameter, Array]) -> KerasExecutable:
    """The Keras model of a model, with these numbers in place of its weights."""
    made = KerasExecutable(model)
    for parameter, variable in made.registry.weight_pairs():
        variable.assign(weights.get(parameter, parameter.array).reshape(variable.shape))
    return made


def _too_deep(graph: Graph) -> BackendError:
    limit = sys.getrecursionlimit()
    return BackendError(
        f"Keras walks a model by recursion, and this one is deeper than Python's recursion limit of {limit}",
        facts=[("model", f"{graph.name}, {len(graph.nodes)} nodes")],
        remedy=f"raise it before lowering, as in sys.setrecursionlimit({max(100_000, 20 * len(graph.nodes))}), "
        "or run on the numpy or onnx backend",
    )


def refused(error: Exception, graph: Graph) -> Exception:
    """What dagir raises for an error of the framework: BackendError, FeedError, or that error where it is neither."""
    absent = refusal(error, graph)
    if absent is not None or type(error).__name__ != "InvalidArgumentError":
        return absent or error
    return FeedError(f"TensorFlow refuses these inputs: {reason(error)}")


def tensor_of(array: Array) -> Any:
    """The tensor of an array, which may hold text."""
    return keras.ops.convert_to_tensor(array.astype(object) if array.dtype.kind == "T" else array)
