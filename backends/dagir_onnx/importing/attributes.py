"""The attributes of a node as plain data: numbers, text, arrays, graphs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from onnx import AttributeProto, NodeProto

from dagir_onnx.importing.refusals import Refused
from dagir_onnx.importing.stored_arrays import StoredArrays

_READERS: Mapping[int, Callable[[AttributeProto, StoredArrays], Any]] = {
    AttributeProto.FLOAT: lambda each, _: each.f,
    AttributeProto.INT: lambda each, _: each.i,
    AttributeProto.STRING: lambda each, _: _text(each.s),
    AttributeProto.TENSOR: lambda each, arrays: arrays.array(each.t),
    AttributeProto.GRAPH: lambda each, _: each.g,
    AttributeProto.SPARSE_TENSOR: lambda each, arrays: arrays.sparse(each.sparse_tensor),
    AttributeProto.TYPE_PROTO: lambda each, _: each.tp,
    AttributeProto.FLOATS: lambda each, _: list(each.floats),
    AttributeProto.INTS: lambda each, _: list(each.ints),
    AttributeProto.STRINGS: lambda each, _: list(map(_text, each.strings)),
    AttributeProto.TENSORS: lambda each, arrays: list(map(arrays.array, each.tensors)),
    AttributeProto.GRAPHS: lambda each, _: list(each.graphs),
}


_FLAGS = frozenset(
    (
        *("align_corners", "allowzero", "antialias", "causal", "ceil_mode", "count_include_pad", "exclude_outside"),
        *("exclusive", "fmod", "is_causal", "keepdims", "largest", "linear_before_reset", "noop_with_empty_axes"),
        *(
            "onesided",
            "periodic",
            "reverse",
            "saturate",
            "select_last_index",
            "sorted",
            "storage_order",
            "training_mode",
        ),
        *("transA", "transB", "upper", "input_forget", "layout"),
    )
)


def check_flags(attributes: Mapping[str, Any]) -> None:
    """Raise Refused for a flag that is neither 0 nor 1: runtimes take it as one or as the other."""
    for name in _FLAGS.intersection(attributes):
        if attributes[name] not in (0, 1):
            raise Refused(f"its {name} is {attributes[name]!r}, and is 0 or 1 by ONNX", "set it to 0 or to 1")


def _text(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def attributes_of(node: NodeProto, arrays: StoredArrays, given: Mapping[str, Any]) -> dict[str, Any]:
    """By name. given: the attributes of the call of the function that the node is in. Raises FileError, Refused."""
    found: dict[str, Any] = {}
    for each in node.attribute:
        if each.ref_attr_name:
            if given.get(each.ref_attr_name) is not None:
                found[each.name] = given[each.ref_attr_name]
            continue
        kind = each.type or _kind_of_old_files(each)
        reader = _READERS.get(kind)
        if reader is None:
            raise Refused(f"its attribute {each.name!r} is of a kind that dagir does not read")
        found[each.name] = reader(each, arrays)
    return found


def _kind_of_old_files(attribute: AttributeProto) -> int:
    """The kind of an attribute that does not say it, as IR version 1 allowed."""
    fields = (
        ("t", AttributeProto.TENSOR),
        ("g", AttributeProto.GRAPH),
        ("s", AttributeProto.STRING),
        ("f", AttributeProto.FLOAT),
        ("i", AttributeProto.INT),
    )
    lists = (
        ("floats", AttributeProto.FLOATS),
        ("ints", AttributeProto.INTS),
        ("strings", AttributeProto.STRINGS),
    )
    one = next((kind for name, kind in fields if attribute.HasField(name)), None)
    return one or next((kind for name, kind in lists if getattr(attribute, name)), AttributeProto.UNDEFINED)


__all__ = ["attributes_of", "check_flags"]
