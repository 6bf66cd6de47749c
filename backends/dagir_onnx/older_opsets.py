"""Models of opset 18 written in opsets 13 to 17, for older runtimes.

The rules write operators as opset 18 has them. What changed since is put back here, node by node: an attribute at its
default goes, axes and sizes that became inputs are attributes again, and an operator that did not exist is written as
those that did, or refused with the lowest opset that has it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import onnx
from onnx import GraphProto, ModelProto, NodeProto, TensorProto, defs, helper

from dagir.errors import UnsupportedOp
from dagir.ir.types import Array, TensorType, type_of
from dagir_onnx.dtypes import TO_ONNX, value_info
from dagir_onnx.emitter import Tensor
from dagir_onnx.unread import without_unread

WRITTEN = 18
"""The opset of which the rules write at least."""
_END = np.iinfo(np.int64).max


class _NotThere(Exception):
    """An operator, one of its attributes, inputs or dtypes is not in an opset."""


class _Type(NamedTuple):
    """ONNX's code of a dtype, and the number of axes if it is known."""

    code: int
    rank: int | None = None


@dataclass
class _Context:
    """What is known of the model. types: of tensors, by name. initializers: with those that are added."""

    initializers: dict[str, Tensor]
    types: Mapping[str, _Type]
    taken: set[str]
    added: dict[str, Tensor] = field(default_factory=dict)

    def name(self, wanted: str) -> str:
        """A name that no tensor has."""
        name, number = wanted, 1
        while name in self.taken:
            name, number = f"{wanted}_{number}", number + 1
        self.taken.add(name)
        return name

    def constant(self, wanted: str, array: Array) -> str:
        """A new initializer; its name."""
        name = self.name(wanted)
        self.added[name] = Tensor(name, type_of(array), lambda: array)
        return name

    def known(self, name: str) -> Array:
        """The numbers of an initializer. Raises _NotThere for a computed tensor."""
        if name not in self.initializers:
            raise _NotThere
        return self.initializers[name].array

    def rank(self, name: str) -> int:
        """The number of axes of a tensor. Raises _NotThere where it is not known."""
        found = self.types.get(name)
        if found is None or found.rank is None:
            raise _NotThere
        return found.rank


def write_older(
    model: ModelProto, initializers: dict[str, Tensor], types: Mapping[str, TensorType], opset: int
) -> dict[str, Tensor]:
    """Write the nodes of a model of opset 18 as `opset` has them; returns its initializers.

    types: of the tensors that are values of the graph.
    Raises UnsupportedOp, which names the first node that cannot be, and the lowest opset that all can be written in.
    """
    graphs = list(_graphs(model.graph))
    taken = {name for graph in graphs for node in graph.node for name in (*node.input, *node.output)}
    taken |= {info.name for graph in graphs for info in (*graph.input, *graph.output)}
    context = _Context(initializers, _types(model, initializers, types), taken | initializers.keys())
    refused: list[tuple[NodeProto, int]] = []
    for graph in reversed(graphs):  # bodies before the nodes that hold them, which are copied
        nodes: list[NodeProto] = []
        for node in graph.node:
            try:
                nodes += _rewritten(node, opset, context)
            except _NotThere:
                refused.append((node, _lowest(node, opset, context)))
        del graph.node[:]
        graph.node.extend(nodes)
    if refused:
        raise _refusal(refused, opset)
    return _read_of(model, {**initializers, **context.added})


def _lowest(node: NodeProto, opset: int, context: _Context) -> int:
    for newer in range(opset + 1, WRITTEN):
        try:
            _rewritten(node, newer, context)
        except _NotThere:
            continue
        return newer
    return WRITTEN


def _refusal(refused: Sequence[tuple[NodeProto, int]], opset: int) -> UnsupportedOp:
    (first, lowest), most = refused[0], max(each for _, each in refused)
    facts = [
        (each.key.removeprefix("dagir."), each.value) for each in first.metadata_props if each.key == "dagir.layer"
    ]
    others = ", ".join(f"{node.op_type} {node.name!r} ({needed})" for node, needed in refused[1:6])
    return UnsupportedOp(
        f"opset {opset} cannot say what node {first.name!r} ({first.op_type}) computes: opset {lowest} is the lowest",
        facts=[*facts, ("others", others)] if others else facts,
        remedy=f"ask for opset={most} or a newer one",
    )


def _rewritten(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    """The nodes that stand for one in an older opset. Raises _NotThere."""
    if node.domain not in ("", "ai.onnx"):
        return [node]
    change = _CHANGES.get(node.op_type)
    found = [node] if change is None else change(_copy(node), opset, context)
    return [_fitting(each, opset, context) for each in found]


def _copy(node: NodeProto) -> NodeProto:
    copy = NodeProto()
    copy.CopyFrom(node)
    return copy


def _fitting(node: NodeProto, opset: int, context: _Context) -> NodeProto:
    """The node without attributes that only say what an older operator does anyway. Raises _NotThere."""
    try:
        schema = defs.get_schema(node.op_type, opset)
    except defs.SchemaError:
        raise _NotThere from None
    newer = defs.get_schema(node.op_type, WRITTEN)
    if schema.since_version == newer.since_version:
        return node
    if len(node.input) > schema.max_input or len(node.output) > schema.max_output:
        raise _NotThere
    kept = [each for each in node.attribute if each.name in schema.attributes]
    for gone in (each for each in node.attribute if each.name not in schema.attributes):
        default = newer.attributes[gone.name].default_value
        if helper.get_attribute_value(gone) != helper.get_attribute_value(default):
            raise _NotThere
    _check_types(node, schema, context)
    if len(kept) == len(node.attribute):
        return node
    copy = _copy(node)
    del copy.attribute[:]
    copy.attribute.extend(kept)
    return copy


def _check_types(node: NodeProto, schema: defs.OpSchema, context: _Context) -> None:
    """Raise _NotThere for a dtype that the operator does not take yet."""
    for names, formal in ((node.input, schema.inputs), (node.output, schema.outputs)):
        for place, name in enumerate(names):
            known = context.types.get(name)
            if known is None or not formal:
                continue
            dtype = f"tensor({_TEXT.get(known.code, TensorProto.DataType.Name(known.code).lower())})"
            if dtype not in formal[min(place, len(formal) - 1)].types:
                raise _NotThere


_TEXT = {TensorProto.FLOAT8E4M3FN: "float8e4m3fn", TensorProto.FLOAT8E5M2: "float8e5m2"}


# ---- what changed, by operator


def _take(node: NodeProto, name: str) -> Any:
    """The value of an attribute, which goes; None if it is not there."""
    for place, each in enumerate(node.attribute):
        if each.name == name:
            value = helper.get_attribute_value(each)
            del node.attribute[place]
            return value
    return None


def _reduce(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    """Axes are an input from 18 on, and an attribute before."""
    if opset >= WRITTEN:
        return [node]
    keeps_all = bool(_take(node, "noop_with_empty_axes"))
    axes = context.known(node.input[1]).tolist() if len(node.input) > 1 else []
    if not axes and keeps_all:
        raise _NotThere
    del node.input[1:]
    if axes:
        node.attribute.append(helper.make_attribute("axes", axes))
    return [node]


def _shape(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    """A part of the shape: the whole of it, sliced, before 15."""
    if opset >= 15:
        return [node]
    start, end = _take(node, "start") or 0, _take(node, "end")
    if start == 0 and end is None:
        return [node]
    result = node.output[0]
    node.output[0] = context.name(f"{result}/whole")
    bounds = [[start], [_END if end is None else end], [0]]
    names = [context.constant(f"{result}/{what}", np.array(array, np.int64)) for what, array in
             zip(("starts", "ends", "axes"), bounds, strict=True)]  # fmt: skip
    return [node, _like(node, "Slice", [node.output[0], *names], [result])]


def _split(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    """Equal parts, as many as there are outputs: dagir asks for no others by their number."""
    if opset < WRITTEN:
        _take(node, "num_outputs")
    return [node]


def _scatter(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    reductions = [each.s for each in node.attribute if each.name == "reduction"]
    if opset < WRITTEN and any(each in (b"max", b"min") for each in reductions):
        raise _NotThere
    return [node]


def _roi_align(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    """Before 16, coordinates are those that are called output_half_pixel since."""
    if opset < 16 and _take(node, "coordinate_transformation_mode") != b"output_half_pixel":
        raise _NotThere
    return [node]


def _hard_swish(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    if opset >= 14:
        return [node]
    gate = context.name(f"{node.output[0]}/gate")
    sigmoid = _like(node, "HardSigmoid", [node.input[0]], [gate], alpha=1 / 6, beta=0.5)
    return [sigmoid, _like(node, "Mul", [node.input[0], gate], list(node.output))]


def _layer_norm(node: NodeProto, opset: int, context: _Context) -> list[NodeProto]:
    """Its formula, in float32 where the input is narrower, as the operator computes by default."""
    if opset >= 17:
        return [node]
    if len(node.output) > 1:
        raise _NotThere
    x, scale, *bias = node.input
    rank, code = context.rank(x), context.types[x].code
    axis, epsilon = _take(node, "axis"), _take(node, "epsilon")
    first = -1 if axis is None else axis
    axes = list(range(first % rank, rank))
    narrow = code in (TensorProto.FLOAT16, TensorProto.BFLOAT16)
    dtype = np.float64 if code == TensorProto.DOUBLE else np.float32
    nodes: list[NodeProto] = []

    def add(op_type: str, *inputs: str, output: str | None = None, **attributes: object) -> str:
        result = output or context.name(f"{node.output[0]}/{op_type.lower()}")
        nodes.append(_like(node, op_type, list(inputs), [result], **attributes))
        return result

    wide = add("Cast", x, to=TensorProto.FLOAT) if narrow else x
    centred = add("Sub", wide, add("ReduceMean", wide, axes=axes, keepdims=1))
    variance = add("ReduceMean", add("Mul", centred, centred), axes=axes, keepdims=1)
    small = context.constant(f"{node.output[0]}/epsilon", np.array(1e-5 if epsilon is None else epsilon, dtype))
    result = add("Div", centred, add("Sqrt", add("Add", variance, small)))
    result = add("Cast", result, to=code) if narrow else result
    last = "Add" if bias and bias[0] else None
    result = add("Mul", result, scale, output=None if last else node.output[0])
    if last:
        add(last, result, bias[0], output=node.output[0])
    return nodes


def _like(node: NodeProto, op_type: str, inputs: list[str], outputs: list[str], **attributes: object) -> NodeProto:
    """A node beside another: it has the layer and the source line of that."""
    made = helper.make_node(op_type, inputs, outputs, name=f"{node.name}/{outputs[0].rpartition('/')[2]}", **attributes)
    made.metadata_props.extend(each for each in node.metadata_props if each.key in ("dagir.layer", "dagir.source"))
    return made


_CHANGES: dict[str, Callable[[NodeProto, int, _Context], list[NodeProto]]] = {
    **dict.fromkeys(
        (
            *("ReduceMax", "ReduceMin", "ReduceMean", "ReduceProd", "ReduceL1", "ReduceL2"),
            *("ReduceLogSum", "ReduceLogSumExp", "ReduceSumSquare"),
        ),
        _reduce,
    ),
    "Shape": _shape,
    "Split": _split,
    "ScatterElements": _scatter,
    "ScatterND": _scatter,
    "RoiAlign": _roi_align,
    "HardSwish": _hard_swish,
    "LayerNormalization": _layer_norm,
}


# ---- graphs and types


def _graphs(graph: GraphProto) -> Iterator[GraphProto]:
    pending = [graph]
    while pending:
        found = pending.pop()
        yield found
        pending.extend(attribute.g for node in found.node for attribute in node.attribute if attribute.HasField("g"))


def _types(model: ModelProto, initializers: dict[str, Tensor], values: Mapping[str, TensorType]) -> dict[str, _Type]:
    """The types of tensors by name: those of values and initializers, and of others as onnx infers them."""
    known = {**values, **{name: tensor.type for name, tensor in initializers.items()}}
    copy = ModelProto()
    copy.CopyFrom(model)
    copy.graph.input.extend(value_info(name, tensor.type) for name, tensor in initializers.items())
    inferred = onnx.shape_inference.infer_shapes(copy)
    found: dict[str, _Type] = {}
    for graph in _graphs(inferred.graph):
        for info in (*graph.input, *graph.value_info, *graph.output):
            tensor = info.type.tensor_type
            if tensor.elem_type:
                found[info.name] = _Type(tensor.elem_type, len(tensor.shape.dim) if tensor.HasField("shape") else None)
    return found | {name: _Type(TO_ONNX[type.dtype], type.rank) for name, type in known.items()}


def _read_of(model: ModelProto, initializers: dict[str, Tensor]) -> dict[str, Tensor]:
    """The initializers that a node reads: axes that became attributes are none any more."""
    _, needed = without_unread(list(model.graph.node), [info.name for info in model.graph.output])
    return {name: tensor for name, tensor in initializers.items() if name in needed}
