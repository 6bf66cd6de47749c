"""Operators that ONNX itself defines by other operators, for those without a rule."""

from __future__ import annotations

from onnx import FunctionProto, NodeProto, TypeProto, defs, helper

from dagir.ir.graph import Value
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.tensors import Sizes


def schema_function(call: NodeCall, node: NodeProto) -> FunctionProto | None:
    """The function that ONNX gives for the operator of a node; None if it gives none."""
    try:
        schema = defs.get_schema(call.op, call.version, call.domain)
    except defs.SchemaError:
        return None
    if schema.has_function:
        return _of_version(schema, call.version)
    if schema.has_context_dependent_function:
        types = [_type(each) for each in call.tensors]
        data = schema.get_context_dependent_function(node.SerializeToString(), types)
        return FunctionProto.FromString(data) if data else None
    return None


def _of_version(schema: defs.OpSchema, version: int) -> FunctionProto:
    known = [each for each in schema.function_opset_versions if each <= version]
    data = schema.get_function_with_opset_version(max(known)) if known else b""
    return FunctionProto.FromString(data) if data else schema.function_body


def _type(tensor: Value | Sizes | None) -> bytes:
    if tensor is None:
        return TypeProto().SerializeToString()
    shape = [size if isinstance(size, int) else None for size in tensor.shape]
    return helper.make_tensor_type_proto(TO_ONNX[tensor.dtype], shape).SerializeToString()


__all__ = ["schema_function"]
