"""Convolutions with dilation as TensorFlow writes them, on blocks as parts of the batch: one convolution again.

A convolution of every b-th pixel is a dense one after SpaceToBatchND, before BatchToSpaceND:
tf.nn.with_space_to_batch. What the blocks need is padded before and cropped after, and cancels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.graph_def import GraphFunction, GraphNode, array_of
from dagir_keras.reading.tensorflow.registry import raw
from dagir_keras.reading.tensorflow.shape import pad
from dagir_keras.reading.tensorflow.tensors import Tensor, dims, shape_of

_CONVS = {"Conv2D": 4, "DepthwiseConv2dNative": 4, "Conv3D": 5}  # with the ranks that they take
_PAD = "PadWhatIsNotCropped"


def with_dilations(function: GraphFunction) -> GraphFunction:
    """The function with one convolution in place of each one between SpaceToBatchND and BatchToSpaceND."""
    ends = [node for node in function.nodes.values() if node.op == "BatchToSpaceND"]
    if not ends:
        return function
    reads = Counter(name for node in function.nodes.values() for name, _ in node.inputs)
    reads.update(name for name, _ in function.outputs)
    nodes = dict(function.nodes)
    for end in ends:
        nodes.update({node.name: node for node in _as_one(function, end, reads)})
    return replace(function, nodes=nodes)


def _as_one(function: GraphFunction, end: GraphNode, reads: Counter[str]) -> Sequence[GraphNode]:
    """The nodes that take the place of those of such a convolution; none where it is something else."""
    conv, inserted = _behind(function, end, "Squeeze", reads)
    if conv is None or conv.op not in _CONVS:
        return ()
    begin, expanded = _behind(function, conv, "ExpandDims", reads)
    if begin is None or begin.op != "SpaceToBatchND" or inserted != expanded:
        return ()
    blocks, others = (_numbers(function, each.inputs[1][0]) for each in (begin, end))
    spatial = _CONVS[conv.op] - 2
    if blocks is None or others is None or blocks != others or len(blocks) != spatial - inserted or not _is_dense(conv):
        return ()
    sizes = [1, *[1] * inserted, *blocks, 1]
    padded = GraphNode(begin.name, _PAD, (begin.inputs[0], begin.inputs[2], end.inputs[2]), {})
    attributes = {**conv.attributes, "dilations": {"list": {"i": sizes}}}
    return (
        padded,
        GraphNode(conv.name, conv.op, conv.inputs, attributes),
        GraphNode(end.name, "Identity", end.inputs[:1], {}),
    )


def _behind(
    function: GraphFunction, node: GraphNode, passed: str, reads: Counter[str]
) -> tuple[GraphNode | None, bool]:
    """The node that another one reads alone, and whether there is one of the op `passed` between."""
    found = function.nodes.get(node.inputs[0][0])
    between = found is not None and found.op == passed
    if found is not None and between:
        if reads[found.name] != 1:
            return None, False
        found = function.nodes.get(found.inputs[0][0])
    return (found, between) if found is not None and reads[found.name] == 1 else (None, False)


def _numbers(function: GraphFunction, name: str) -> list[int] | None:
    node = function.nodes.get(name)
    if node is None or node.op != "Const":
        return None
    return [int(each) for each in np.asarray(array_of(node.attributes["value"]["tensor"])).reshape(-1)]


def _is_dense(conv: GraphNode) -> bool:
    """Whether it pads nothing, has steps and dilations of 1, and its channels last."""
    if conv.attribute("padding") != "VALID" or (conv.attribute("data_format") or "NHWC")[-1] != "C":
        return False
    return all(each == 1 for name in ("strides", "dilations") for each in conv.attribute(name) or ())


@raw(_PAD)
def _pad_what_is_not_cropped(input: Tensor, paddings: Tensor, crops: Tensor) -> Tensor:
    """The axes behind the batch, padded by what is not cropped again."""
    before, after = dims(paddings, "paddings"), dims(crops, "crops")
    pairs = [
        [high - low for high, low in zip(before[i : i + 2], after[i : i + 2], strict=True)]
        for i in range(0, len(before), 2)
    ]
    if any(isinstance(size, int) and size < 0 for pair in pairs for size in pair):
        raise Refused("it crops more than it pads")
    rest: list[Any] = [[0, 0]] * (len(shape_of(input)) - 1 - len(pairs))
    return pad(input, [[0, 0], *pairs, *rest])
