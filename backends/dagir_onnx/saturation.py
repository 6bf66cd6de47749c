"""Which integer kernels of a file may saturate on a CPU without VNNI, told by the codes of its weights.

There onnxruntime multiplies codes of 8 bits with the instruction vpmaddubsw: it adds the products of two neighbouring
places in 16 bits, and what goes beyond these ends of the range becomes that end. The codes that are multiplied reach
255, so a pair can saturate where 255 times the weights of one sign in it leaves the 16 bits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from onnx import ModelProto, NodeProto, TensorProto

from dagir.ir.types import Array
from dagir.support.printable import printable
from dagir_onnx import untrusted_proto

_LARGEST = 255
_KERNELS = {
    "QLinearConv": (3,),
    "ConvInteger": (1,),
    "MatMulInteger": (1,),
    "MatMulIntegerToFloat": (1,),
    "QLinearMatMul": (3,),
    "DynamicQuantizeMatMul": (1,),
    "QGemm": (3,),
    "QAttention": (1,),
    "DynamicQuantizeLSTM": (1, 2),
}
"""For each integer operator, which of its inputs are weights."""
_FUSED = {"Conv": (1,), "MatMul": (0, 1), "Gemm": (0, 1)}
"""The same for operators that onnxruntime computes in integers where DequantizeLinear stands before them."""
_WITH_FILTERS_FIRST = frozenset({"QLinearConv", "ConvInteger", "Conv"})
_REMEDY = (
    "with the session option session.x64quantprecision=1 it computes what the model does, and so it does on a CPU with "
    "VNNI, or with weights quantized to 7 bits"
)


@dataclass(frozen=True)
class Saturating:
    """A node, and the share of the pairs of its weights that can saturate."""

    node: str
    share: float


def saturating_nodes(proto: ModelProto, path: Path) -> list[Saturating]:
    """The nodes of the main graph whose sums of pairs can leave 16 bits, the worst first.

    path: of the file. Weights that are computed when the model runs are not looked at. Raises FileError.
    """
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    makers = {name: node for node in proto.graph.node for name in node.output}
    found = []
    for node in proto.graph.node:
        held = _weights(node, stored, makers)
        shares = [_share(_terms_last(node, place, untrusted_proto.array_of(codes, path))) for place, codes in held]
        if any(shares):
            found.append(Saturating(node.name or f"{node.op_type} of {node.output[0]}", max(shares)))
    return sorted(found, key=lambda each: -each.share)


def reason(worst: Saturating, count: int) -> str:
    """One line for a file that computes what its model does where nothing saturates. count: of such nodes."""
    held = "1 node holds" if count == 1 else f"{count} nodes hold"
    return (
        "onnxruntime adds the products of 8-bit codes in pairs, which saturate at 16 bits on this CPU: "
        f"{held} weights that large, {printable(worst.node)} in {100 * worst.share:.2g} % of its pairs; {_REMEDY}"
    )


def _weights(
    node: NodeProto, stored: dict[str, TensorProto], makers: dict[str, NodeProto]
) -> Iterator[tuple[int, TensorProto]]:
    """The places and the int8 codes of a node's weights."""
    for place in _KERNELS.get(node.op_type, ()):
        if place < len(node.input):
            yield from _of_int8(place, stored.get(node.input[place]))
    for place in _FUSED.get(node.op_type, ()):
        maker = makers.get(node.input[place]) if place < len(node.input) else None
        if maker is not None and maker.op_type == "DequantizeLinear":
            yield from _of_int8(place, stored.get(maker.input[0]))


def _of_int8(place: int, tensor: TensorProto | None) -> Iterator[tuple[int, TensorProto]]:
    if tensor is not None and tensor.data_type == TensorProto.INT8 and len(tensor.dims) > 1:
        yield place, tensor


def _share(terms: Array) -> float:
    """The share of the pairs that can saturate. terms: what is multiplied and summed along the last axis."""
    terms = np.pad(terms, [*[(0, 0)] * (terms.ndim - 1), (0, terms.shape[-1] % 2)]).astype(np.int32)
    pairs = terms.reshape(-1, 2)
    ups, downs = np.maximum(pairs, 0).sum(-1) * _LARGEST, np.minimum(pairs, 0).sum(-1) * _LARGEST
    limits = np.iinfo(np.int16)
    return float(((ups > limits.max) | (downs < limits.min)).mean()) if pairs.size else 0.0


def _terms_last(node: NodeProto, place: int, codes: Array) -> Array:
    """The codes with the axis that is summed last, in the order of the kernels."""
    if node.op_type in _WITH_FILTERS_FIRST:  # windows are laid out with the channels last
        return np.moveaxis(codes, 1, -1).reshape(len(codes), -1)
    is_left = node.op_type in _FUSED and place == 0
    turned = any(each.name == ("transA" if is_left else "transB") and each.i for each in node.attribute)
    return codes if turned != is_left else np.swapaxes(codes, -1, -2)


__all__ = ["Saturating", "reason", "saturating_nodes"]
