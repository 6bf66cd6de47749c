"""The bodies of branches and loops in an .onnx file: each as a file of its own, and the runs of it, one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
from onnx import GraphProto, ModelProto, NodeProto, ValueInfoProto, helper

from dagir.ir.types import Array
from dagir_onnx.file_side import Side
from dagir_onnx.unread import reads

BodyRun: TypeAlias = tuple[str, int | None, Sequence[Array]]
"""The attribute that holds the body, the iteration of a loop, and the arrays of the body's inputs."""

_MOST = 500  # iterations that are looked at
_RESULT = "result:"


def bodies_of(node: NodeProto) -> dict[str, GraphProto]:
    """The bodies of a node, by their attributes."""
    return {attribute.name: attribute.g for attribute in node.attribute if attribute.HasField("g")}


def captured(side: Side, body: GraphProto) -> list[str]:
    """The tensors of a file, other than weights, that a body reads beside its own inputs."""
    own = {name for node in body.node for name in node.output} | {info.name for info in body.input}
    own |= {tensor.name for tensor in body.initializer}
    outside = {*side.makers, *(info.name for info in side.inputs)}
    return [name for name in dict.fromkeys(_read(body)) if name in outside and name not in own]


def body_side(side: Side, body: GraphProto, given: Mapping[str, Array]) -> Side:
    """A body as a file of its own, whose inputs are `given`. Its outputs have names of their own."""
    read = set(_read(body))
    graph = GraphProto(name=body.name or "body", node=body.node, initializer=body.initializer)
    own = {tensor.name for tensor in body.initializer}
    graph.initializer.extend(
        tensor for tensor in side.proto.graph.initializer if tensor.name in read and tensor.name not in (*own, *given)
    )
    graph.input.extend(_info(name, array) for name, array in given.items())
    for place, info in enumerate(body.output):
        graph.node.append(helper.make_node("Identity", [info.name], [f"{_RESULT}{place}"], name=f"{_RESULT}{place}"))
        graph.output.append(ValueInfoProto(name=f"{_RESULT}{place}"))
    proto = ModelProto(graph=graph, ir_version=side.proto.ir_version)
    proto.opset_import.extend(side.proto.opset_import)
    proto.functions.extend(side.proto.functions)
    return Side(side.path, proto)


def is_result(tensor: str) -> bool:
    """Whether a tensor only hands on an output of a body."""
    return tensor.startswith(_RESULT)


def body_runs(
    node: NodeProto, given: Sequence[Array | None], run: Callable[[str, Sequence[Array]], Sequence[Array]]
) -> Iterator[BodyRun]:
    """The runs of the bodies of a node, in order. given: the arrays of its inputs; run: runs a body."""
    if node.op_type == "If":
        yield "then_branch" if np.asarray(given[0]).item() else "else_branch", None, []
    elif node.op_type == "Loop":
        yield from _iterations(node, given, run)
    elif node.op_type == "Scan":
        yield from _steps(node, given, run)


def _iterations(node: NodeProto, given: Sequence[Array | None], run: Callable[..., Any]) -> Iterator[BodyRun]:
    inputs = bodies_of(node)["body"].input
    most = _MOST if given[0] is None else min(_MOST, int(np.asarray(given[0]).item()))
    going = given[1] is None or bool(np.asarray(given[1]).item())
    state = [np.asarray(array) for array in given[2:]]
    for number in range(most):
        if not going:
            return
        arrays = [_as_declared(np.array(number), inputs[0]), _as_declared(np.array(True), inputs[1]), *state]
        yield "body", number, arrays
        results = run("body", arrays)
        going, state = bool(np.asarray(results[0]).item()), list(results[1 : 1 + len(state)])


def _as_declared(array: Array, info: ValueInfoProto) -> Array:
    """The counter or the condition: exporters declare them without an axis, or with one of size 1."""
    return array.reshape((1,) * len(info.type.tensor_type.shape.dim))


def _steps(node: NodeProto, given: Sequence[Array | None], run: Callable[..., Any]) -> Iterator[BodyRun]:
    options = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
    count = int(options["num_scan_inputs"])
    arrays = [np.asarray(array) for array in given]
    state, scanned = arrays[: len(arrays) - count], arrays[len(arrays) - count :]
    axes = list(options.get("scan_input_axes", [0] * count))
    backward = list(options.get("scan_input_directions", [0] * count))
    length = min(_MOST, scanned[0].shape[axes[0]])
    for number in range(length):
        step = [
            np.take(array, array.shape[axis] - 1 - number if turn else number, axis)
            for array, axis, turn in zip(scanned, axes, backward, strict=True)
        ]
        yield "body", number, [*state, *step]
        state = list(run("body", [*state, *step])[: len(state)])


def _read(body: GraphProto) -> list[str]:
    return [*(name for node in body.node for name in reads(node)), *(info.name for info in body.output)]


def _info(name: str, array: Array) -> ValueInfoProto:
    return helper.make_tensor_value_info(name, helper.np_dtype_to_tensor_dtype(array.dtype), [None] * array.ndim)
