"""Parts of a NodeProto: attributes, and the metadata that says where a node is from."""

from __future__ import annotations

from typing import Any

from onnx import AttributeProto, StringStringEntryProto, helper

from dagir.ir.graph import Node


def attribute(key: str, value: Any) -> AttributeProto:
    """The same as helper.make_attribute, but faster for the common kinds of values."""
    if type(value) is int:
        return AttributeProto(name=key, type=AttributeProto.INT, i=value)
    if type(value) is str:
        return AttributeProto(name=key, type=AttributeProto.STRING, s=value.encode())
    if type(value) in (list, tuple) and value and all(type(each) is int for each in value):
        return AttributeProto(name=key, type=AttributeProto.INTS, ints=value)
    return helper.make_attribute(key, value)


def marks(node: Node) -> tuple[str, list[StringStringEntryProto]]:
    """The prefix of names for a node, and the metadata that says which layer and source line it is from."""
    props = []
    if node.scope is not None:
        props.append(StringStringEntryProto(key="dagir.layer", value=node.scope.path))
    if node.location is not None:
        props.append(StringStringEntryProto(key="dagir.source", value=node.location.short))
    return f"{node.scope.path}/" if node.scope is not None else "", props
