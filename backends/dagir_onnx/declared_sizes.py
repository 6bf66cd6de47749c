"""Shapes that are written into a file since onnxruntime loses them, and then needs more memory than it must."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from onnx import NodeProto, ValueInfoProto

from dagir.ir.types import TensorType
from dagir_onnx.dtypes import value_info

_IN_PLACE = frozenset({"Relu", "LeakyRelu", "Clip", "Elu", "Sigmoid", "Tanh", "Softplus", "HardSigmoid", "Erf"})
_SCALING = frozenset({"Add", "Mul", "Cast"})
"""What stands between the sums of a product of codes and its floats."""


def declared_sizes(nodes: Sequence[NodeProto], types: Mapping[str, TensorType]) -> list[ValueInfoProto]:
    """The shapes of what activations behind products of codes read, where they are not known from the weights alone.

    After a Reshape with a free size onnxruntime has no name for it. Then it cannot see that an activation's result fits
    into the memory of its operand: of a transformer, a Relu took twice its time, and the next product a fiftieth more.
    Of products in float the activation is a part.
    """
    makers = {name: node for node in nodes for name in node.output}
    read = {node.input[0] for node in nodes if node.op_type in _IN_PLACE}
    named = [name for name in sorted(read & types.keys()) if any(not isinstance(s, int) for s in types[name].shape)]
    return [value_info(name, types[name]) for name in named if _is_product_of_codes(name, makers)]


def _is_product_of_codes(name: str, makers: Mapping[str, NodeProto]) -> bool:
    node = makers.get(name)
    while node is not None and node.op_type in _SCALING:
        node = makers.get(node.input[0])
    return node is not None and node.op_type == "MatMulInteger"
