"""Operators that ONNX itself defines by other operators, for those without a rule."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from onnx import AttributeProto, FunctionProto, NodeProto, TypeProto, defs, helper

from dagir.ir.graph import Value
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.tensors import Sizes

_PLAIN: Mapping[int, Callable[[AttributeProto], Any]] = {
    AttributeProto.INT: lambda each: each.i,
    AttributeProto.FLOAT: lambda each: each.f,
    AttributeProto.STRING: lambda each: each.s.decode(),
    AttributeProto.INTS: lambda each: list(each.ints),
    AttributeProto.FLOATS: lambda each: list(each.floats),
}


def schema_function(call: NodeCall, node: NodeProto) -> tuple[FunctionProto, NodeCall] | None:
    """The function that ONNX gives for the operator of a node, and the call with all attributes; None without one."""
    try:
        schema = defs.get_schema(call.op, call.version, call.domain)
    except defs.SchemaError:
        return None
    defaults = {
        name: _PLAIN[each.default_value.type](each.default_value)
        for name, each in schema.attributes.items()
        if each.default_value.type in _PLAIN
    }
    full = replace(call, attributes={**defaults, **call.attributes})
    if schema.has_function:
        return _of_version(schema, call.version), full
    if schema.has_context_dependent_function:
        types = [_type(each) for each in call.tensors]
        data = schema.get_context_dependent_function(_resolved(node, call).SerializeToString(), types)
        return (FunctionProto.FromString(data), full) if data else None
    return None


_OLDEST = 6


def require_known_version(call: NodeCall) -> None:
    """Raise Refused for an operator of an opset before 6 that was changed later: the rules are for what came then."""
    if call.domain or call.version >= _OLDEST:
        return
    try:
        versions = {defs.get_schema(call.op, version, "").since_version for version in (call.version, _OLDEST)}
    except defs.SchemaError:
        return
    if len(versions) > 1:
        raise call.refused(
            f"it is {call.op} as of opset {call.version}, and dagir reads it as of opset {_OLDEST} and later",
            "convert it: onnx.version_converter.convert_version(model, 13)",
        )


def has_function(domain: str, op: str, version: int) -> bool:
    """Whether ONNX itself defines an operator by others."""
    try:
        schema = defs.get_schema(op, version, domain)
    except defs.SchemaError:
        return False
    return bool(schema.has_function or schema.has_context_dependent_function)


def _resolved(node: NodeProto, call: NodeCall) -> NodeProto:
    """The node with the attributes of the function that it is in, in place of their names."""
    made = NodeProto()
    made.CopyFrom(node)
    del made.attribute[:]
    for each in node.attribute:
        if not each.ref_attr_name:
            made.attribute.append(each)
        elif each.name in call.attributes:
            made.attribute.append(helper.make_attribute(each.name, call.attributes[each.name]))
    return made


def _of_version(schema: defs.OpSchema, version: int) -> FunctionProto:
    known = [each for each in schema.function_opset_versions if each <= version]
    data = schema.get_function_with_opset_version(max(known)) if known else b""
    return FunctionProto.FromString(data) if data else schema.function_body


def _type(tensor: Value | Sizes | None) -> bytes:
    if tensor is None:
        return TypeProto().SerializeToString()
    shape = [size if isinstance(size, int) else None for size in tensor.shape]
    return helper.make_tensor_type_proto(TO_ONNX[tensor.dtype], shape).SerializeToString()


__all__ = ["has_function", "schema_function"]
