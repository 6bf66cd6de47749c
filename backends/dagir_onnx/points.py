"""Points in an ONNX model: which of its tensors are values of the original model, and runs that return them.

The file itself says so, in few bytes: the metadata of a node ("dagir.value") has HOW:NAME for each value that it makes.
NAME is the name of the value. It is empty where the tensor has the same name, and comes after "TENSOR=" where the node
makes several. HOW is AXES or SHAPE;AXES: the reshape, then the transpose, that give the value of the original model;
each is empty where none is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, StringStringEntryProto, TensorProto, ValueInfoProto, helper

from dagir.errors import DagirError
from dagir.ir.graph import Graph, Value
from dagir.ir.naming import value_names
from dagir.ir.types import Array
from dagir.ir.value_map import Standing
from dagir.modeling.model import Model
from dagir.modeling.signature import Signature
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.onnxruntime_late import onnxruntime
from dagir_onnx.runtime_errors import refusals

_VALUE = "dagir.value"
_MOVES = frozenset({"Squeeze", "Unsqueeze", "Reshape", "Flatten", "Transpose", "Identity", "Slice"})


@dataclass(frozen=True)
class Point:
    """A tensor of the file. Its array, reshaped to `shape` and then transposed by `axes`, is the value of the model.

    node: the one that computes it, where the one that makes it only moves numbers.
    """

    tensor: str
    node: str
    axes: tuple[int, ...] | None
    shape: tuple[int, ...] | None = None


def mark_points(proto: ModelProto, graph: Graph, signature: Signature, standings: Mapping[str, Standing]) -> None:
    """Write into each node which value of the model it makes."""
    names = value_names(graph, [name for name, _ in signature.outputs])
    wanted: dict[str, tuple[list[str], str]] = {}
    for name, standing in standings.items():  # several values may have become one
        how = _how(standing)
        held, same = wanted.setdefault(names[standing.value], ([], how))
        if how == same:
            held.append(name)
    for node in proto.graph.node:
        _mark(node, wanted)


def mark_bodies(proto: ModelProto, held: Mapping[Value, Sequence[str]], inside: Mapping[Value, Sequence[str]]) -> None:
    """The same for the nodes of bodies, each of which has names of its own.

    held: the points of the values that were lowered; inside: their tensors.
    """
    wanted = {tensor: ([*names], "") for value, names in held.items() for tensor in inside.get(value, ())}
    pending = [proto.graph] if wanted else []
    while pending:
        bodies = [attribute.g for node in pending.pop().node for attribute in node.attribute if attribute.HasField("g")]
        pending += bodies
        for node in (node for body in bodies for node in body.node):
            _mark(node, wanted)


def _mark(node: NodeProto, wanted: Mapping[str, tuple[list[str], str]]) -> None:
    for tensor in node.output:
        held, how = wanted.get(tensor, ([], ""))
        start = f"{how}:{tensor}=" if len(node.output) > 1 else f"{how}:"
        for name in held:
            text = start if name == tensor else start + name
            node.metadata_props.append(StringStringEntryProto(key=_VALUE, value=text))


def _how(standing: Standing) -> str:
    shape = "" if standing.shape is None else ",".join(map(str, standing.shape)) + ";"
    return shape + ",".join(map(str, standing.axes or ()))


def marked_points(proto: ModelProto) -> dict[str, Point]:
    """The points that a model's nodes name, in the order of the nodes."""
    found: dict[str, Point] = {}
    computing = _computing(proto, lambda node: any(entry.key == _VALUE for entry in node.metadata_props))
    for node in proto.graph.node:
        for entry in node.metadata_props:
            how, _, name = entry.value.partition(":")
            tensor = node.output[0]
            if len(node.output) > 1:
                tensor, _, name = name.partition("=")
            if entry.key == _VALUE and tensor in node.output:
                shape, _, axes = how.rpartition(";")
                found[name or tensor] = Point(tensor, computing[tensor], _numbers(axes), _numbers(shape))
    return found


def _computing(proto: ModelProto, is_point: Callable[[NodeProto], bool]) -> dict[str, str]:
    """For each tensor the name of the node that computes it: behind nodes that move numbers, and are no points."""
    names: dict[str, str] = {}
    hidden: dict[str, str] = {}  # of the tensors that are no points
    for node in proto.graph.node:
        source = node.input[0] if node.op_type in _MOVES and node.input else ""
        found = {tensor: hidden.get(source, node.name) for tensor in node.output}
        names.update(found)
        if not is_point(node):
            hidden.update(found)
    return names


def computing_nodes(proto: ModelProto) -> dict[str, str]:
    """For each tensor the name of the node that computes it, behind nodes that only move numbers."""
    return {tensor: name or tensor for tensor, name in _computing(proto, lambda node: False).items() if tensor}


def named_points(proto: ModelProto, graph: Graph) -> dict[str, Point]:
    """The tensors that have the names of values of the model, which was read from this file, or from one like it."""
    names = {value.explicit_name for node in graph.nodes for value in node.outputs}
    computing = _computing(proto, lambda node: not names.isdisjoint(node.output))
    return {
        tensor: Point(tensor, computing[tensor] or tensor, None)
        for node in proto.graph.node
        for tensor in node.output
        if tensor and tensor in names
    }


def _numbers(text: str) -> tuple[int, ...] | None:
    return tuple(map(int, text.split(","))) if text else None


_WIDE = ":as float32"


class Watch:
    """Runs of a model that return tensors inside it. There is a session for each set of tensors.

    folder: of external weights. refused: the error for a session that onnxruntime does not create.
    """

    def __init__(
        self,
        proto: ModelProto,
        options: Any,
        providers: Sequence[Any],
        folder: str | None,
        refused: Callable[[Exception], DagirError],
    ) -> None:
        self._proto, self._options, self._providers, self._refused = proto, options, providers, refused
        if folder is not None:  # once: onnxruntime warns where it is set again
            options.add_session_config_entry("session.model_external_initializers_file_folder_path", folder)

    def __call__(self, feeds: Mapping[str, Array], tensors: Sequence[str]) -> list[Array]:
        """The arrays of the tensors. The model's own outputs are computed too, as in any other run."""
        known = {info.name for info in self._proto.graph.output}
        extra = [name for name in dict.fromkeys(tensors) if name not in known]
        session = self._session(extra, [])
        short = {info.name for info in session.get_outputs() if info.type == "tensor(bfloat16)"}
        if short:  # of which onnxruntime makes no arrays
            casts = [helper.make_node("Cast", [name], [name + _WIDE], to=TensorProto.FLOAT) for name in sorted(short)]
            session = self._session([name + _WIDE * (name in short) for name in extra], casts)
        return [
            np.asarray(array)
            for array in session.run([name + _WIDE * (name in short) for name in tensors], dict(feeds))
        ]

    def _session(self, extra: Sequence[str], nodes: Sequence[NodeProto]) -> Any:
        """A session of the model with more nodes and more outputs."""
        try:
            return onnxruntime.InferenceSession(
                self._source([ValueInfoProto(name=name) for name in extra], nodes),
                self._options,
                providers=self._providers,
                enable_fallback=0,
            )
        except refusals() as error:
            raise self._refused(error) from None

    def _source(self, extra: Sequence[ValueInfoProto], nodes: Sequence[NodeProto]) -> bytes:
        """The bytes of the model with these: protobuf merges messages that follow each other."""
        more = ModelProto(graph=GraphProto(node=nodes, output=extra))
        return self._proto.SerializeToString() + more.SerializeToString()


def as_written(array: Array, point: Point) -> Array:
    """The array in the shape and with its axes where the model as written has them."""
    array = array if point.shape is None else array.reshape(point.shape)
    return array if point.axes is None else array.transpose(point.axes)


def cut_out(
    proto: ModelProto, model: Model, inputs: Mapping[str, str], output: str, points: Mapping[str, Point]
) -> ModelProto:
    """The nodes of a file that make a point from other points, with the inputs and the output of `model`."""
    start = {points[name].tensor if name in points else name: title for title, name in inputs.items()}
    nodes = _nodes_before(proto, points[output].tensor, set(start))
    edges = [node for title, name in inputs.items() for node in _taken(title, points.get(name), name)]
    types = [type for _, type in model.signature.inputs]
    (final, kind), *_ = model.signature.outputs
    point = points[output]
    last = _moved(point.tensor, final, "output", shape=point.shape, axes=point.axes)
    ends = [helper.make_tensor_value_info(final, TO_ONNX[kind.dtype], kind.shape)]
    begins = [
        helper.make_tensor_value_info(title, TO_ONNX[type.dtype], type.shape)
        for title, type in zip(inputs, types, strict=True)
    ]
    read = {name for node in nodes for name in node.input}
    weights = [tensor for tensor in proto.graph.initializer if tensor.name in read]
    graph = helper.make_graph([*edges, *nodes, *last], "minimal", begins, ends, weights)
    return helper.make_model(graph, opset_imports=proto.opset_import, ir_version=proto.ir_version)


def _nodes_before(proto: ModelProto, tensor: str, stops: set[str]) -> list[NodeProto]:
    needed, kept = {tensor} - stops, []
    for node in reversed(proto.graph.node):
        if not needed.isdisjoint(node.output):
            kept.append(node)
            needed.update(name for name in node.input if name not in stops)
    return kept[::-1]


def _taken(title: str, point: Point | None, name: str) -> list[NodeProto]:
    """The nodes from an input of the part to the tensor that it replaces."""
    if point is None:
        return _moved(title, name, f"input {title}")
    back = None if point.axes is None else tuple(point.axes.index(axis) for axis in range(len(point.axes)))
    flat = None if point.shape is None else (-1, point.shape[-1])
    if back is None or flat is None:
        return _moved(title, point.tensor, f"input {title}", shape=flat, axes=back)
    halfway = f"{title}:turned"
    turned = _moved(title, halfway, f"input {title}", axes=back)
    return [*turned, *_moved(halfway, point.tensor, f"input {title}, flat", shape=flat)]


def _moved(
    tensor: str, to: str, name: str, *, shape: tuple[int, ...] | None = None, axes: tuple[int, ...] | None = None
) -> list[NodeProto]:
    """The nodes that reshape a tensor, then transpose it."""
    nodes = []
    if shape is not None:
        sizes, halfway = f"{name}:sizes", to if axes is None else f"{name}:reshaped"
        nodes.append(helper.make_node("Constant", [], [sizes], name=sizes, value_ints=shape))
        nodes.append(helper.make_node("Reshape", [tensor, sizes], [halfway], name=f"{name} in shape"))
        tensor = halfway
    if axes is not None:
        nodes.append(helper.make_node("Transpose", [tensor], [to], name=name, perm=axes))
    return nodes or [helper.make_node("Identity", [tensor], [to], name=name)]
