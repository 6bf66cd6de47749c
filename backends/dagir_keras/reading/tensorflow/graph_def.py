"""Graphs and functions of TensorFlow as data: nodes, and which outputs of which nodes each of them reads."""

from __future__ import annotations

from collections.abc import Container, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Any, TypeAlias

import numpy as np

from dagir.errors import FileError
from dagir.ir.types import Array
from dagir.serialization.reading import shown
from dagir.support import limits
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.dtypes import dtype_of
from dagir_keras.reading.tensorflow.messages import Message, decode, parts

_REMEDY = "save it again with tf.compat.v1.enable_control_flow_v2(), which makes functions of their bodies"
Output: TypeAlias = tuple[str, int]  # the name of a node, and which of its outputs


@dataclass(frozen=True)
class GraphNode:
    """One node. inputs: what it reads, in order; a name without a node is an argument of the function."""

    name: str
    op: str
    inputs: tuple[Output, ...]
    attributes: Mapping[str, Message]

    def attribute(self, name: str) -> Any:
        """An attribute as Python data; None where there is none."""
        return plain(self.attributes[name]) if name in self.attributes else None

    @cached_property
    def plain(self) -> dict[str, Any]:
        """All attributes that are numbers, texts, dtypes or lists of them."""
        return {name: plain(part) for name, part in self.attributes.items()}

    def function(self, name: str) -> str:
        """The name of the function that an attribute holds."""
        found: str = self.attributes[name]["func"]["name"]
        return found


@dataclass(frozen=True)
class GraphFunction:
    """A graph: from the arguments, by name, to the outputs. library: the functions that its nodes call.

    after: the nodes that others run after, without reading them. runs_whole: whether a call runs every node that
    changes a state, as that of a function does, not only those that the outputs need.
    """

    name: str
    arguments: tuple[str, ...]
    nodes: Mapping[str, GraphNode]
    outputs: tuple[Output, ...]
    library: Library
    runs_whole: bool = True
    after: frozenset[str] = frozenset()

    def origin(self, name: str, passes: Container[str], stops: Container[str] = ()) -> str:
        """The node or argument that a value comes from, behind the ops that pass their first input on.

        Raises FileError for a ring of them.
        """
        for _ in range(len(self.nodes) + 1):
            node = None if name in stops else self.nodes.get(name)
            if node is None or node.op not in passes or not node.inputs:
                return name
            name = node.inputs[0][0]
        raise FileError(f"the graph {self.name!r} has a cycle through {name!r}")

    def needed(self) -> Iterator[GraphNode]:
        """The nodes that the outputs need, each after those that it reads. Raises FileError for a cycle."""
        done: set[str] = set(self.arguments)
        entered: set[str] = set()
        stack = [name for name, _ in reversed(self.outputs)]
        while stack:
            name = stack[-1]
            if name in done:
                stack.pop()
                continue
            node = self.nodes.get(name)
            if node is None:
                raise FileError(f"the graph {self.name!r} reads {name!r}, which it does not have")
            waiting = [each for each, _ in node.inputs if each not in done]
            if not waiting:
                stack.pop()
                done.add(name)
                yield node
            elif name in entered and any(each.op == "NextIteration" for each in self.nodes.values()):
                raise Refused("it has loops as TensorFlow 1 wrote them", _REMEDY)
            elif name in entered:
                raise FileError(f"the graph {self.name!r} has a cycle through {name!r}")
            else:
                entered.add(name)
                stack.extend(reversed(waiting))


class Library:
    """The functions of a graph, made from their definitions when they are first called."""

    def __init__(self, definitions: Sequence[memoryview]) -> None:
        self._definitions = {_name_of(each): each for each in definitions}
        self._made: dict[str, GraphFunction] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._definitions

    def add(self, function: GraphFunction) -> None:
        """Put a function among those that nodes call."""
        self._made[function.name] = function

    def __getitem__(self, name: str) -> GraphFunction:
        if name not in self._made:
            if name not in self._definitions:
                raise FileError(f"the graph calls the function {name!r}, which it does not have")
            message = decode(self._definitions[name], "Function", f"the function {shown(name)}")
            self._made[name] = _function(message, self)
        return self._made[name]


def _name_of(definition: memoryview) -> str:
    """The name of a function, without decoding the rest. Raises FileError."""
    signature = next((part for number, _, part in parts(definition) if number == 1), b"")
    found: str = decode(signature, "OpDef", "the signature of a function")["name"]
    return found


def graph_of(
    message: Message, name: str, arguments: Sequence[str], outputs: Sequence[Output], runs_whole: bool = True
) -> GraphFunction:
    """A part of a graph as a function: from some of its nodes to some outputs."""
    library = Library(message.get("library", {}).get("functions", []))
    nodes = {each["name"]: _node(each, _graph_input) for each in message["nodes"]}
    after = frozenset(text[1:] for each in message["nodes"] for text in each["inputs"] if text.startswith("^"))
    return GraphFunction(name, tuple(arguments), nodes, tuple(outputs), library, runs_whole, after)


def _function(message: Message, library: Library) -> GraphFunction:
    signature = message["signature"]
    arguments = tuple(each["name"] for each in signature["inputs"])
    counts = {each["name"]: each for each in message["nodes"]}

    def read(text: str) -> Output:
        name, _, rest = text.partition(":")
        if not rest:
            return name, 0
        argument, _, index = rest.partition(":")
        node = counts.get(name)
        return name, _first_of(node, argument) + int(index or 0)

    nodes = {each["name"]: _node(each, read) for each in message["nodes"]}
    returns = message["returns"]
    outputs = tuple(read(returns[each["name"]]) for each in signature["outputs"])
    return GraphFunction(signature["name"], arguments, nodes, outputs, library)


def _node(message: Message, read: Any) -> GraphNode:
    inputs = tuple(read(text) for text in message["inputs"] if not text.startswith("^"))
    return GraphNode(message.get("name", ""), message.get("op", ""), inputs, message["attributes"])


def _graph_input(text: str) -> Output:
    name, _, index = text.partition(":")
    return name, int(index or 0)


_OUTPUTS = {
    **dict.fromkeys(
        ("FusedBatchNorm", "FusedBatchNormV2", "FusedBatchNormV3"),
        ("y", "batch_mean", "batch_variance", "reserve_space_1", "reserve_space_2", "reserve_space_3"),
    ),
    "TopK": ("values", "indices"),
    "TopKV2": ("values", "indices"),
    "MaxPoolWithArgmax": ("output", "argmax"),
    "SoftmaxCrossEntropyWithLogits": ("loss", "backprop"),
    "SparseSoftmaxCrossEntropyWithLogits": ("loss", "backprop"),
    "TensorListPopBack": ("output_handle", "tensor"),
    "TensorListConcat": ("tensor", "lengths"),
    "TensorListConcatV2": ("tensor", "lengths"),
    "Unique": ("y", "idx"),
    "UniqueV2": ("y", "idx"),
    "UniqueWithCounts": ("y", "idx", "count"),
    "UniqueWithCountsV2": ("y", "idx", "count"),
    "ListDiff": ("out", "idx"),
    "Qr": ("q", "r"),
    "Svd": ("s", "u", "v"),
    "Eig": ("e", "v"),
    "SelfAdjointEigV2": ("e", "v"),
    "LogMatrixDeterminant": ("sign", "log_abs_determinant"),
    "Lu": ("lu", "p"),
    "LSTMBlockCell": ("i", "cs", "f", "o", "ci", "co", "h"),
    "BlockLSTM": ("i", "cs", "f", "o", "ci", "co", "h"),
    "BlockLSTMV2": ("i", "cs", "f", "o", "ci", "co", "h"),
    "GRUBlockCell": ("r", "u", "c", "h"),
    "CudnnRNNV3": ("output", "output_h", "output_c", "reserve_space", "host_reserved"),
    "LookupTableExportV2": ("keys", "values"),
    "RaggedTensorToSparse": ("sparse_indices", "sparse_values", "sparse_dense_shape"),
}
"""The names of the outputs of ops that have several of different kinds; in functions they are read by name."""


_COUNTS = {"Split": "num_split", "SplitV": "num_split", "Unpack": "num", "IdentityN": "T"}


def output_count(node: GraphNode) -> int:
    """How many outputs a node has that hold results: one of a normalization."""
    if node.op in _COUNTS:
        found = node.attribute(_COUNTS[node.op])
        return len(found) if isinstance(found, list) else int(found or 1)
    return 1 if node.op.startswith("FusedBatchNorm") else len(_OUTPUTS.get(node.op, ("output",)))


def _first_of(node: Message | None, argument: str) -> int:
    """The place of the first output of an argument. Ops with one kind of output, or a list of them, begin at 0."""
    names = _OUTPUTS.get(node["op"], ()) if node else ()
    return names.index(argument) if argument in names else 0


def plain(attribute: Message) -> Any:
    """An attribute as Python data: dtypes as DType where dagir has them, texts decoded, lists as lists."""
    for kind, part in attribute.items():
        if kind == "list":
            return [_single(inner, each) for inner, listed in part.items() for each in listed]
        return _single(kind, part)
    return None


def _single(kind: str, part: Any) -> Any:
    if kind == "type":
        try:
            return dtype_of(part)
        except Refused:
            return part
    if kind == "s":
        return part.decode("utf-8", "replace")
    if kind == "shape":
        return None if part.get("unknown_rank") else [each.get("size", 0) for each in part["dims"]]
    return part if kind in ("i", "f", "b") else None


_COMPLEX: Mapping[int, np.dtype[Any]] = {8: np.dtype(np.complex64), 18: np.dtype(np.complex128)}
_VALUES = ("float_val", "double_val", "int_val", "int64_val", "bool_val", "uint32_val", "uint64_val")


def array_of(message: Message, view: bytes | None = None) -> Array:
    """The array of a tensor; of text, an array of bytes objects. Raises Refused for a dtype that dagir has not."""
    shape = tuple(each.get("size", 0) for each in message.get("shape", {}).get("dims", []))
    number = message.get("dtype", 0)
    if number == 7:
        return _filled(np.asarray([*message["string_val"]], object), shape)
    dtype: np.dtype[Any] = _COMPLEX[number] if number in _COMPLEX else dtype_of(number).numpy
    content = message.get("content", b"") if view is None else view
    if content:
        return np.frombuffer(content, dtype).reshape(shape)
    if message["half_val"]:
        bits = np.asarray(message["half_val"], np.uint16)
        return _filled(bits.view(dtype), shape)
    if number in _COMPLEX:
        parts = np.asarray(message["complex_val"] or message["complex128_val"], np.float64)
        return _filled((parts[0::2] + 1j * parts[1::2]).astype(dtype), shape)
    given: list[Any] = next((message[name] for name in _VALUES if message[name]), [])
    return _filled(np.asarray(given).astype(dtype), shape)


def _filled(given: Array, shape: tuple[int, ...]) -> Array:
    """The numbers that are written; the last one stands for all that follow, and no number for zeros."""
    if any(size < 0 for size in shape):
        raise Refused(f"it holds a tensor of the shape {list(shape)}")
    size = prod(shape)
    limits.spend("elements", size, f"a tensor of the shape {list(shape)}")
    if given.size == size:
        return given.reshape(shape)
    if not given.size:
        return np.zeros(shape, given.dtype)
    rest = np.full(max(size - given.size, 0), given[-1], given.dtype)
    return np.concatenate([given[:size], rest]).reshape(shape)


__all__ = ["GraphFunction", "GraphNode", "Library", "Output", "array_of", "graph_of", "output_count", "plain"]
