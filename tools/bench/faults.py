"""Single faults, planted in an ONNX model: what a converter gets wrong, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, helper, numpy_helper

from dagir_onnx.points import marked_points

Edit = Callable[[ModelProto], None]


@dataclass(frozen=True)
class Fault:
    """kind, the nodes of which any may be named, and how to plant it in a copy of the model."""

    kind: str
    nodes: frozenset[str]
    edit: Edit

    def planted(self, proto: ModelProto) -> ModelProto:
        copy = ModelProto()
        copy.CopyFrom(proto)
        self.edit(copy)
        return copy


def nodes_of(graph: GraphProto) -> Iterator[NodeProto]:
    """Every node, those in the bodies of branches and loops too."""
    for node in graph.node:
        yield node
        for entry in node.attribute:
            if entry.type == AttributeProto.GRAPH:
                yield from nodes_of(entry.g)


def faults(proto: ModelProto) -> Iterator[Fault]:
    """Every place of every kind."""
    weights, read_by = _weights(proto)
    for name, array in weights.items():
        yield from _weight_faults(name, array, read_by[name])
    for node in nodes_of(proto.graph):
        yield from _node_faults(node)
    yield from _masks(proto)


def small_faults(proto: ModelProto, rng: np.random.Generator, change: Callable[[ModelProto], float]) -> Iterator[Fault]:
    """Each weight scaled by so little that the answer moves by 1.2 to 3 budgets. change: by how many it moves."""
    weights, read_by = _weights(proto)
    for name, array in weights.items():
        nodes = frozenset(node.name for node in read_by[name])
        unit = 8 * float(np.finfo(array.dtype).eps)
        moved = change(Fault("", nodes, _replace(name, _scaled(array, unit))).planted(proto))
        if not 0 < moved < np.inf:
            continue
        share = unit * rng.uniform(1.2, 3) / moved
        if share < 0.5:
            yield Fault("weight scaled by a little", nodes, _replace(name, _scaled(array, share)))


def _scaled(array: np.ndarray, share: float) -> np.ndarray:
    return (array.astype(np.float64) * (1 + share)).astype(array.dtype)


def _weights(proto: ModelProto) -> tuple[dict[str, np.ndarray], dict[str, list[NodeProto]]]:
    """The weights that are floats and read, by name, and the nodes that read them."""
    read_by: dict[str, list[NodeProto]] = {}
    for node in nodes_of(proto.graph):
        for name in node.input:
            read_by.setdefault(name, []).append(node)
    weights = {tensor.name: numpy_helper.to_array(tensor) for tensor in proto.graph.initializer}
    return {
        name: array
        for name, array in weights.items()
        if array.dtype.kind == "f" and not name.startswith("constant") and name in read_by
    }, read_by


def _weight_faults(name, array, readers):
    nodes = frozenset(node.name for node in readers)
    kinds = {node.op_type for node in readers}
    yield Fault("weight scaled by 1 + 1e-4", nodes, _replace(name, array * np.float32(1 + 1e-4)))
    if array.ndim == 1 and array.any() and any(_is_bias(node, name) for node in readers):
        yield Fault("bias zeroed", nodes, _replace(name, np.zeros_like(array)))
    axis = 0 if kinds & {"Conv"} else array.ndim - 1
    if kinds & {"Conv", "Gemm", "MatMul", "ConvTranspose"} and array.ndim >= 2 and array.shape[axis] > 1:
        order = [1, 0, *range(2, array.shape[axis])]
        yield Fault("two channels swapped", nodes, _replace(name, np.take(array, order, axis)))
    gates = {"LSTM": 4, "GRU": 3}
    for kind in kinds & set(gates):
        if array.ndim == 3 and array.shape[1] % gates[kind] == 0:
            parts = np.split(array, gates[kind], axis=1)
            swapped = np.concatenate([parts[1], parts[0], *parts[2:]], axis=1)
            yield Fault("gate order swapped", nodes, _replace(name, swapped))


def _is_bias(node, name):
    place = list(node.input).index(name)
    return node.op_type == "Add" or (node.op_type in ("Gemm", "Conv", "ConvTranspose") and place == 2)


def _node_faults(node):
    attributes = {entry.name: entry for entry in node.attribute}
    here = frozenset([node.name])
    if "epsilon" in attributes and abs(attributes["epsilon"].f - 1e-3) < 1e-6:
        yield Fault("epsilon 1e-3 to 1e-5", here, _attribute(node.name, "epsilon", 1e-5))
    if node.op_type in ("Conv", "MaxPool", "AveragePool") and "pads" in attributes:
        pads = list(attributes["pads"].ints)
        half = len(pads) // 2
        if pads[half] > 0:
            pads[0], pads[half] = pads[0] + 1, pads[half] - 1
            yield Fault("pad moved by one", here, _attribute(node.name, "pads", pads))
    if node.op_type == "Gelu" and attributes.get("approximate") is None:
        yield Fault("gelu erf to tanh", here, _attribute(node.name, "approximate", "tanh"))
    if node.op_type == "Gelu" and "approximate" in attributes and attributes["approximate"].s == b"none":
        yield Fault("gelu erf to tanh", here, _attribute(node.name, "approximate", "tanh"))


def _masks(proto):
    """Boolean tensors made by a comparison of the inputs: everything counts, as if the mask were not there."""
    named: dict[str, list[str]] = {}
    for name, point in marked_points(proto).items():
        named.setdefault(point.node, []).append(name)
    for node in proto.graph.node:
        layers = named.get(node.name, [])
        if node.op_type in ("NotEqual", "Not", "ReduceMax", "Cast", "Or") and any(_is_mask(text) for text in layers):
            yield Fault("mask dropped", frozenset([node.name]), _always_true(node.output[0]))


def _is_mask(text):
    return text.rpartition("/")[2].split("_")[0] in ("not", "any", "reduce") and (
        "not_equal" in text or "reduce_any" in text
    )


def _replace(name, array):
    def edit(proto):
        for tensor in proto.graph.initializer:
            if tensor.name == name:
                tensor.CopyFrom(numpy_helper.from_array(array, name))

    return edit


def _attribute(node_name, key, value):
    def edit(proto):
        for node in nodes_of(proto.graph):
            if node.name == node_name:
                kept = [entry for entry in node.attribute if entry.name != key]
                del node.attribute[:]
                node.attribute.extend([*kept, helper.make_attribute(key, value)])

    return edit


def _always_true(tensor):
    def edit(proto):
        nodes = list(proto.graph.node)
        for place, node in enumerate(nodes):
            if tensor in node.output:
                name, node.name = node.name, f"{node.name}.dropped"  # onnxruntime refuses two nodes of one name
                node.output[list(node.output).index(tensor)] = f"{tensor}.dropped"
                extra = [
                    helper.make_node("Not", [f"{tensor}.dropped"], [f"{tensor}.not"], name=f"{name}.not"),
                    helper.make_node("Or", [f"{tensor}.dropped", f"{tensor}.not"], [tensor], name=name),
                ]
                extra[-1].metadata_props.extend(node.metadata_props)
                nodes[place + 1 : place + 1] = extra
                break
        del proto.graph.node[:]
        proto.graph.node.extend(nodes)

    return edit
