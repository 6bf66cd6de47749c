"""The declared inputs and outputs of a graph. What the file declares is a claim: what the graph proves stands."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from onnx import TensorShapeProto, ValueInfoProto

from dagir.errors import ArgumentError, FileError
from dagir.ir.dims import Dim, parse, symbol
from dagir.ir.graph import Value
from dagir.ir.types import TensorType
from dagir_onnx.dtypes import FROM_ONNX
from dagir_onnx.importing.node_call import dtype_name
from dagir_onnx.importing.refusals import Missing, Problem
from dagir_onnx.importing.telling import tell
from dagir_onnx.untrusted_proto import fixed_size


@dataclass
class Declared:
    """The types of the inputs of one model. Unnamed sizes get names of their own."""

    source: str
    _names: dict[str, str] = field(default_factory=dict)

    def input(self, info: ValueInfoProto) -> Value | Missing:
        """The input that a file declares; Missing for one that is no tensor of numbers."""
        kind = info.type.WhichOneof("value") or "undefined"
        if kind != "tensor_type":
            return Missing(Problem(info.name, "input", f"it is of the type {kind.removesuffix('_type')}", _DENSE))
        tensor = info.type.tensor_type
        if tensor.elem_type not in FROM_ONNX:
            reason = f"it has the dtype {dtype_name(tensor.elem_type)}, which dagir has not"
            return Missing(Problem(info.name, "input", reason, "cast it before the model"))
        if not tensor.HasField("shape"):
            raise FileError(
                f"{self.source}: the input {info.name!r} has no known rank",
                remedy=f"say its shape: dagir.from_onnx(..., inputs={{{info.name!r}: (None, 3)}})",
            )
        sizes: list[Dim] = []
        for axis, size in enumerate(tensor.shape.dim):
            given = self.size(info.name, axis, size)
            # a name that one tensor has twice may be there by accident; where the graph needs them equal, it says so
            sizes.append(self.fresh(info.name, axis) if not isinstance(given, int) and given in sizes else given)
        return Value(TensorType(FROM_ONNX[tensor.elem_type], tuple(sizes)), name=info.name)

    def size(self, name: str, axis: int, size: TensorShapeProto.Dimension) -> Dim:
        """A size: a number, an expression, or a name. -1 and sizes without a name are unknown."""
        known = fixed_size(size)
        if known is not None:
            return known
        if not any(each.isalnum() for each in size.dim_param):  # "?" stands for no name
            return self.fresh(name, axis)
        return self.named(size.dim_param)

    def named(self, text: str) -> Dim:
        """The size of a name. Any text may be one; the same text is the same size."""
        if text.isidentifier():
            return symbol(text)
        if text not in self._names:
            plain = "".join(each if each.isascii() and each.isalnum() else "_" for each in text) or "size"
            plain = plain if plain.isidentifier() else f"n_{plain}"
            taken = set(self._names.values())
            count, wanted = 1, plain
            while wanted in taken:
                count, wanted = count + 1, f"{plain}_{count}"
            self._names[text] = wanted
        return symbol(self._names[text])

    def fresh(self, name: str, axis: int) -> Dim:
        """A size of its own for an axis of an input."""
        return self.named(f"{name}_dim{axis}")


_DENSE = "give the tensor inside it as an input"


def tell_of_outputs(source: str, declared: Sequence[ValueInfoProto], found: Sequence[Value]) -> None:
    """Warn of outputs that are declared of other sizes than the graph gives them."""
    for info, value in zip(declared, found, strict=True):
        reason = _contradiction(info, value.type)
        if reason:
            tell(f"{source}: the output {info.name!r} is declared {reason}")


def tell_of_values(source: str, declared: Sequence[ValueInfoProto], values: Mapping[str, object]) -> None:
    """The same of values inside, in one warning."""
    found = [
        (info.name, reason)
        for info in declared
        if isinstance(value := values.get(info.name), Value) and (reason := _contradiction(info, value.type))
    ]
    if found:
        name, reason = found[0]
        more = f"; so are {len(found) - 1} more values" if found[1:] else ""
        tell(f"{source}: the value {name!r} is declared {reason}{more}")


def _contradiction(info: ValueInfoProto, type: TensorType) -> str:
    tensor = info.type.tensor_type
    if not info.type.HasField("tensor_type") or not tensor.HasField("shape"):
        return ""
    said = ", ".join(_text(size) for size in tensor.shape.dim)
    if tensor.elem_type and FROM_ONNX.get(tensor.elem_type, type.dtype) is not type.dtype:
        return f"as {dtype_name(tensor.elem_type)}, and is {type}"
    if len(tensor.shape.dim) != type.rank:
        return f"[{said}], and has {type.rank} axes: {type}"
    for size, proven in zip(tensor.shape.dim, type.shape, strict=True):
        number = size.dim_value if size.HasField("dim_value") else None
        if number is not None and number >= 0 and isinstance(proven, int) and number != proven:
            return f"[{said}], and is {type}"
        if number is not None and number < 0:
            return f"[{said}], and a size is no negative number: it is {type}"
        if number is None and size.dim_param and _names_another(size.dim_param, proven, tensor.shape.dim, type):
            return f"[{said}], where {size.dim_param!r} stands for different sizes: it is {type}"
    return ""


def _names_another(name: str, proven: Dim, sizes: Sequence[TensorShapeProto.Dimension], type: TensorType) -> bool:
    same = [size for each, size in zip(sizes, type.shape, strict=True) if each.dim_param == name]
    return any(isinstance(other - proven, int) and other != proven for other in same) or (
        len({isinstance(each, int) for each in same}) > 1
    )


def _text(size: TensorShapeProto.Dimension) -> str:
    return str(size.dim_value) if size.HasField("dim_value") else size.dim_param or "?"


def parsed(size: object) -> Dim:
    """A size as a user writes it. Raises ArgumentError."""
    if isinstance(size, str):
        return parse(size)
    if isinstance(size, int) and not isinstance(size, bool) and size >= 0:
        return size
    raise ArgumentError(f"{size!r} is not a size", remedy="use an int of at least 0, a name such as 'time', or None")


__all__ = ["Declared", "parsed", "tell_of_outputs", "tell_of_values"]
