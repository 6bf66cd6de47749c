"""Watching an ONNX model: which of its tensors are values of the model it was made from, and runs that show them.

The file itself says so, in few bytes: a node's metadata ("dagir.value") has AXES:NAME for each value that it makes.
NAME is the value's; empty where it is that of the tensor, and after "TENSOR=" where the node makes several. AXES is the
transpose that gives the value as it was written, where the layout pass moved its channels, else empty.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnxruntime
from onnx import ModelProto, NodeProto, StringStringEntryProto, ValueInfoProto, helper

from dagir.correspondence import Standing
from dagir.errors import DagirError
from dagir.graph import Graph
from dagir.model import Model, Signature
from dagir.naming import value_names
from dagir.types import Array
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.kernels import REFUSALS

_VALUE = "dagir.value"


@dataclass(frozen=True)
class Point:
    """A tensor of the file. axes: what its array is transposed by to be the model's value."""

    tensor: str
    node: str
    axes: tuple[int, ...] | None


def mark_points(proto: ModelProto, graph: Graph, signature: Signature, standings: Mapping[str, Standing]) -> None:
    """Write into each node which value of the model it makes."""
    names = value_names(graph, [name for name, _ in signature.outputs])
    wanted: dict[str, tuple[list[str], tuple[int, ...] | None]] = {}
    for name, standing in standings.items():  # several values may have become one
        held, axes = wanted.setdefault(names[standing.value], ([], standing.axes))
        if axes == standing.axes:
            held.append(name)
    for node in proto.graph.node:
        for tensor in node.output:
            held, axes = wanted.get(tensor, ([], None))
            start = ",".join(map(str, axes or ())) + ":" + (f"{tensor}=" if len(node.output) > 1 else "")
            for name in held:
                text = start if name == tensor else start + name
                node.metadata_props.append(StringStringEntryProto(key=_VALUE, value=text))


def marked_points(proto: ModelProto) -> dict[str, Point]:
    """The points that a model's nodes name, in the order of the nodes."""
    found: dict[str, Point] = {}
    for node in proto.graph.node:
        for entry in node.metadata_props:
            axes, _, name = entry.value.partition(":")
            tensor = node.output[0]
            if len(node.output) > 1:
                tensor, _, name = name.partition("=")
            if entry.key == _VALUE and tensor in node.output:
                turned = tuple(map(int, axes.split(","))) if axes else None
                found[name or tensor] = Point(tensor, node.name, turned)
    return found


class Watch:
    """Runs of a model that yield tensors from inside it. A session is made for each set of tensors.

    refused: the error for what onnxruntime says where it makes none.
    """

    def __init__(
        self,
        proto: ModelProto,
        options: Any,
        providers: Sequence[Any],
        folder: str | None,
        refused: Callable[[Exception], DagirError],
    ) -> None:
        self._proto, self._options, self._providers, self._folder = proto, options, providers, folder
        self._refused = refused

    def __call__(self, feeds: Mapping[str, Array], tensors: Sequence[str]) -> list[Array]:
        """The arrays of the tensors; the model's own outputs are computed too, as they are without a watch."""
        kept = list(self._proto.graph.output)
        known = {info.name for info in kept}
        try:
            extra = [ValueInfoProto(name=name) for name in dict.fromkeys(tensors) if name not in known]
            self._proto.graph.output.extend(extra)
            session = onnxruntime.InferenceSession(self._source(), self._options, providers=self._providers)
        except REFUSALS as error:
            raise self._refused(error) from None
        finally:
            del self._proto.graph.output[:]
            self._proto.graph.output.extend(kept)
        return [np.asarray(array) for array in session.run(list(tensors), dict(feeds))]

    def _source(self) -> bytes:
        if self._folder is not None:  # where external weights are looked for
            self._options.add_session_config_entry("session.model_external_initializers_file_folder_path", self._folder)
        return self._proto.SerializeToString()


def as_written(array: Array, point: Point) -> Array:
    """The array with its axes where the model as written has them."""
    return array if point.axes is None else array.transpose(point.axes)


def cut_out(
    proto: ModelProto, model: Model, inputs: Mapping[str, str], output: str, points: Mapping[str, Point]
) -> ModelProto:
    """The nodes of a file that make a point from other points, with the inputs and the output of `model`."""
    start = {points[name].tensor if name in points else name: title for title, name in inputs.items()}
    nodes = _nodes_before(proto, points[output].tensor, set(start))
    edges = [_turned(title, name, points.get(name)) for title, name in inputs.items()]
    types = [type for _, type in model.signature.inputs]
    (final, kind), *_ = model.signature.outputs
    last = helper.make_node("Identity", [points[output].tensor], [final], name="output")
    if points[output].axes is not None:
        last = helper.make_node("Transpose", [points[output].tensor], [final], name="output", perm=points[output].axes)
    ends = [helper.make_tensor_value_info(final, TO_ONNX[kind.dtype], kind.shape)]
    begins = [
        helper.make_tensor_value_info(title, TO_ONNX[type.dtype], type.shape)
        for title, type in zip(inputs, types, strict=True)
    ]
    read = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in proto.graph.initializer if tensor.name in read]
    graph = helper.make_graph([*edges, *nodes, last], "minimal", begins, ends, weights)
    return helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)


def _nodes_before(proto: ModelProto, tensor: str, stops: set[str]) -> list[NodeProto]:
    needed, kept = {tensor} - stops, []
    for node in reversed(proto.graph.node):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(name for name in node.input if name not in stops)
    return kept[::-1]


def _turned(title: str, name: str, point: Point | None) -> NodeProto:
    """From an input of the part to the tensor whose place it takes."""
    tensor = point.tensor if point is not None else name
    if point is None or point.axes is None:
        return helper.make_node("Identity", [title], [tensor], name=f"input {title}")
    back = [point.axes.index(axis) for axis in range(len(point.axes))]
    return helper.make_node("Transpose", [title], [tensor], name=f"input {title}", perm=back)
