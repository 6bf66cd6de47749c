"""The layers of a model in its ONNX file, and the same model again from such a file.

The metadata of the file ("dagir.layers") hold the architecture, as `dagir.architecture` gives it. The numbers of the
weights are those of the initializers. Whoever reads the file makes the layers, and lowers them as the writer did: only
if that gives every node and every initializer of the file, it is the file of this model. A file that was changed since
is read node by node, whatever its metadata say.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from math import prod
from typing import Any, TypeAlias

import numpy as np
from onnx import GraphProto, ModelProto

from dagir.errors import ArgumentError, DagirError
from dagir.ir.graph import Graph, Parameter
from dagir.ir.traversal import reached
from dagir.ir.types import Array
from dagir.layers import Layer
from dagir.layers.internals import parts_of
from dagir.modeling.model import Model
from dagir.serialization.config import architecture, from_architecture
from dagir.support import limits
from dagir.support.location import without_lines
from dagir_onnx.emitter import Tensor
from dagir_onnx.lowered import lowered
from dagir_onnx.untrusted_proto import subgraphs
from dagir_onnx.weight_places import numbers_of

KEPT = "dagir.layers"
"""The key of the metadata that hold the architecture, as JSON."""
FOLDS = ("fold-batchnorm", "fold-scales")
"""The passes that make new weights from those of several layers."""

_MOST = 1 << 20
"""The bytes of weights that may stand in the metadata, since the file has only what was computed from them."""
_DAMAGED = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, AssertionError, RecursionError)

Classes: TypeAlias = Mapping[str, type[Layer]]
Numbers: TypeAlias = Callable[[str], Array | None]


def entry_of(
    model: Model | Graph, proto: ModelProto, initializers: Mapping[str, Tensor], disable: Collection[str]
) -> str:
    """What the metadata say of the layers of a model that was lowered to `proto` without these passes.

    Raises ArgumentError where the same nodes cannot be made again from the configurations of the layers.
    """
    if not isinstance(model, Model):
        raise ArgumentError("keep_layers is for a Model: a bare graph has no layers")
    made = architecture(model)
    names = [weight.name for weight in model.weights]
    held: dict[str, Any] = {"architecture": made, "weights": names, "disable": list(disable)}
    layers: list[Layer] = [model]
    again = _made(held, {type(each).__name__: type(each) for each in reached(layers, parts_of)})
    if again is None or not _same_nodes(_lowered_as(proto, again, disable)[0].graph, proto.graph):
        raise ArgumentError(
            "the layers cannot be kept: made again from their configurations they give other nodes",
            remedy="keep them with model.save(path)",
        )
    found = _numbers_of(proto, again, disable, lambda name: initializers[name].array)
    lacking = [place for place, numbers in enumerate(found) if numbers is None]
    size = 0
    for place in lacking:
        weight = model.weights[place]
        size += weight.array.nbytes
        if size > _MOST:
            raise ArgumentError(f"the layers cannot be kept: the file does not have the numbers of {weight.name!r}")
    held["numbers"] = {str(place): _as_text(model.weights[place].array) for place in lacking}
    return json.dumps(held, separators=(",", ":"), allow_nan=False)


def names_layers(proto: ModelProto) -> bool:
    """Whether the metadata of a file name the layers that it was made of."""
    return any(entry.key == KEPT for entry in proto.metadata_props)


def model_of(proto: ModelProto, numbers: Numbers, custom: Classes) -> Model | None:
    """The model whose layers the metadata name, with its weights; None where the file is not what they become.

    numbers: of an initializer by its name; None where there is none. custom: classes of layers by name.
    """
    text = next((entry.value for entry in proto.metadata_props if entry.key == KEPT), "")
    limits.spend("json bytes", len(text), "the metadata of its layers")
    try:
        with without_lines():
            return _made_again(proto, json.loads(text), numbers, custom)
    except (DagirError, *_DAMAGED):
        return None


def _made_again(proto: ModelProto, held: Mapping[str, Any], numbers: Numbers, custom: Classes) -> Model | None:
    model = _made(held, custom)
    if model is None:
        return None
    given = {int(place): text for place, text in held["numbers"].items()}
    arrays = [numbers(each.name) for each in proto.graph.initializer]
    stored = sum(array.size for array in arrays if array is not None) + _MOST
    if sum(prod(weight.shape) for weight in model.weights) > stored:
        return None  # before any array of that size is made
    found = _numbers_of(proto, model, held["disable"], numbers)
    for place, (weight, array) in enumerate(zip(model.weights, found, strict=True)):
        weight.assign(_of_text(given[place], weight) if array is None else array)
    lowered_again, initializers = _lowered_as(proto, model, held["disable"])
    same = _same_nodes(lowered_again.graph, proto.graph) and len(initializers) == len(proto.graph.initializer)
    same = same and all(_is_same(tensor.array, numbers(name)) for name, tensor in initializers.items())
    return model if same else None


def _made(held: Mapping[str, Any], custom: Classes) -> Model | None:
    """The model of an architecture, its weights with the names that they had."""
    model = from_architecture(held["architecture"], custom)
    if len(model.weights) != len(held["weights"]):
        return None
    for weight, name in zip(model.weights, held["weights"], strict=True):
        weight.name = str(name)
    return model


def _numbers_of(proto: ModelProto, model: Model, disable: Collection[str], numbers: Numbers) -> list[Array | None]:
    return numbers_of(model.weights, lambda: _lowered_as(proto, model, disable)[1], numbers)


def _lowered_as(proto: ModelProto, model: Model, disable: Collection[str]) -> tuple[ModelProto, dict[str, Tensor]]:
    """A model, lowered to the opset of a file."""
    opset = next(each.version for each in proto.opset_import if not each.domain)
    return lowered(model, opset=opset, disable=tuple(disable))


def _same_nodes(left: GraphProto, right: GraphProto) -> bool:
    """Whether two graphs have the same nodes, inputs and outputs. Initializers and metadata are not compared."""
    if len(left.node) != len(right.node):
        return False
    return all(a == b for a, b in zip(_parts(left), _parts(right), strict=True))


def _parts(graph: GraphProto) -> Iterator[bytes]:
    ends = GraphProto(input=graph.input, output=graph.output)
    yield ends.SerializeToString(deterministic=True)
    bare = GraphProto(node=graph.node)
    pending = [bare]
    while pending:
        each = pending.pop()
        for node in each.node:
            node.ClearField("metadata_props")
            pending += subgraphs(node)
    for node in bare.node:
        yield node.SerializeToString(deterministic=True)


def _is_same(left: Array, right: Array | None) -> bool:
    """Whether two arrays have the same bits."""
    if right is None or left.shape != right.shape or left.dtype != right.dtype:
        return False
    return np.ascontiguousarray(left).tobytes() == np.ascontiguousarray(right).tobytes()


def _as_text(array: Array) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


def _of_text(text: str, weight: Parameter) -> Array:
    return np.frombuffer(base64.b64decode(text), weight.dtype.numpy).reshape(weight.shape)


__all__ = ["FOLDS", "KEPT", "entry_of", "model_of", "names_layers"]
