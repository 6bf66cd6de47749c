"""An ONNX model as a Model of dagir: the door of this package."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from onnx import ModelProto, NodeProto, ValueInfoProto

from dagir.errors import ArgumentError, FileError, UnsupportedOp
from dagir.ir.graph import Value
from dagir.ir.types import TensorType
from dagir.layers import Layer
from dagir.modeling.model import Model
from dagir.support import limits
from dagir.support.did_you_mean import did_you_mean
from dagir.support.location import without_lines
from dagir.support.paths import checked
from dagir_onnx import untrusted_proto
from dagir_onnx.importing.declarations import Declared, parsed, tell_of_outputs, tell_of_values
from dagir_onnx.importing.graph_reader import GraphReader, Held
from dagir_onnx.importing.refusals import Missing, Problem
from dagir_onnx.importing.registry import NEWEST_OPSET, plain_domain
from dagir_onnx.importing.stored_arrays import StoredArrays
from dagir_onnx.importing.telling import tell
from dagir_onnx.importing.tensors import constant, value
from dagir_onnx.kept_layers import model_of, names_layers
from dagir_onnx.targets import FROZEN

_OLDEST_IR = 3
_NEWEST_IR = 20


def read_model(source: Any, inputs: Mapping[str, Any] | None = None, custom: Mapping[str, type[Layer]] = {}) -> Model:
    """The model of a file or of a ModelProto. inputs: by name, shapes that replace declared ones, or arrays.

    An array is a constant in place of the input: what shapes are computed from must be known. custom: classes of
    layers by name, for a file that names its layers.

    Raises FileError (UnsafeFile), UnsupportedOp with every node that cannot be taken, and ArgumentError.
    """
    if isinstance(source, ModelProto):
        return _read(source, "the ONNX model", None, inputs or {}, custom)
    if not isinstance(source, (str, os.PathLike)):
        raise ArgumentError(f"from_onnx takes the path of a file or an onnx.ModelProto, got {type(source).__name__}")
    path = Path(source)
    checked(path, as_text=True)
    if not path.exists():
        raise FileError(f"{path}: there is no such file")
    proto = untrusted_proto.read(path)
    return _read(proto, str(path), path, inputs or {}, custom)


def _read(
    proto: ModelProto, source: str, file: Path | None, given: Mapping[str, Any], custom: Mapping[str, type[Layer]]
) -> Model:
    name = proto.graph.name or ("model" if file is None else file.stem)
    if file is None:
        untrusted_proto.check(proto, Path(source))
    opsets = _opsets(proto, source)
    with limits.reading(source), without_lines():
        arrays = StoredArrays(source, file)
        kept = _of_layers(proto, source, arrays, custom) if names_layers(proto) and not given else None
        if kept is not None:
            return kept
        reader = GraphReader(source, arrays, list(proto.functions), _frozen(proto))
        inputs = _inputs(proto, source, given)
        found = reader.read_main(proto.graph, opsets, inputs)
        _note_missing(reader, proto.graph.output, found)
        if reader.problems.found:
            reader.note_unread(_all_nodes(proto), opsets)
        reader.problems.require_none(source)
        values = [value(each) for each in found if each is not None and not isinstance(each, Missing)]
        tell_of_outputs(source, proto.graph.output, values)
        tell_of_values(source, proto.graph.value_info, reader.scope.values)
        named = dict(zip((each.name for each in proto.graph.output), values, strict=True))
        entering = {key: each for key, each in inputs.items() if isinstance(each, Value) and each.is_input}
        alone = list(entering.values()) if len(entering) == 1 else []  # fed as it is, without its name
        return Model.from_graph(alone[0] if alone else entering, named, name=_title(name), unused_inputs=True)


def _of_layers(proto: ModelProto, source: str, arrays: StoredArrays, custom: Mapping[str, type[Layer]]) -> Model | None:
    """The model of the layers that the metadata name; None, and a warning, where the file is another one by now."""
    stored = {tensor.name: tensor for tensor in proto.graph.initializer}
    found = model_of(proto, lambda name: arrays.array(stored[name]) if name in stored else None, custom)
    if found is None:
        tell(f"{source}: its nodes are not what the layers become that its metadata name: it is read node by node")
    return found


def _note_missing(reader: GraphReader, declared: Sequence[ValueInfoProto], found: Sequence[Held]) -> None:
    for info, each in zip(declared, found, strict=True):
        if each is None:
            reader.problems.note(Problem(info.name, "output", "the node that has it gives nothing"))
        elif isinstance(each, Missing) and each.problem not in reader.problems.found:
            reader.problems.note(each.problem)


def _all_nodes(proto: ModelProto) -> Iterator[NodeProto]:
    """The nodes of the graph, of its functions, and of the graphs inside them."""
    for body in (proto.graph, *proto.functions):
        yield from untrusted_proto.nodes(body, Path("the ONNX model"))


def _opsets(proto: ModelProto, source: str) -> dict[str, int]:
    """The versions of the domains. Raises FileError, and UnsupportedOp for what is too old or too new."""
    if proto.ir_version > _NEWEST_IR or proto.ir_version < 1:
        raise FileError(f"{source}: has the IR version {proto.ir_version}, which ONNX does not have")
    if proto.ir_version < _OLDEST_IR:
        raise UnsupportedOp(f"{source}: has the IR version {proto.ir_version}, and dagir reads from {_OLDEST_IR} on")
    opsets: dict[str, int] = {}
    for each in proto.opset_import:
        domain = plain_domain(each.domain)
        if each.version < 1:
            raise FileError(f"{source}: the opset of the domain {each.domain!r} is {each.version}")
        opsets[domain] = max(each.version, opsets.get(domain, 0))
    if not opsets:
        raise FileError(f"{source}: does not say which opset it uses")
    version = opsets.get("", NEWEST_OPSET)
    if version > NEWEST_OPSET:
        raise UnsupportedOp(
            f"{source}: uses opset {version}, and dagir reads up to {NEWEST_OPSET}",
            remedy="export it for an older opset, or update dagir",
        )
    return opsets


def _inputs(proto: ModelProto, source: str, given: Mapping[str, Any]) -> dict[str, Held]:
    """The inputs that are fed. Those that have an initializer are weights: old files list both."""
    stored = {each.name for each in proto.graph.initializer}
    stored |= {each.values.name for each in proto.graph.sparse_initializer}
    declared = Declared(source)
    fed = [each for each in proto.graph.input if each.name not in stored]
    names = [each.name for each in fed]
    for name in given:
        if name not in names:
            raise ArgumentError(
                f"{source}: has no input {name!r}",
                remedy=did_you_mean(name, names) or f"its inputs are: {', '.join(names)}",
            )
    found: dict[str, Held] = {}
    for info in fed:
        if info.name in found:
            raise FileError(f"{source}: declares the input {info.name!r} twice")
        found[info.name] = _given(declared, info, given[info.name]) if info.name in given else declared.input(info)
    return found


def _given(declared: Declared, info: ValueInfoProto, given: Any) -> Held:
    """An input of another shape than the declared one, or a constant in its place."""
    if isinstance(given, (np.ndarray, np.generic)):
        return constant(np.array(given))
    plain = ValueInfoProto()
    plain.CopyFrom(info)
    plain.type.tensor_type.shape.ClearField("dim")
    plain.type.tensor_type.shape.SetInParent()
    made = declared.input(plain)
    if not isinstance(made, Value):
        return made
    if isinstance(given, (int, str)) or not isinstance(given, Sequence):
        raise ArgumentError(f"the shape of the input {info.name!r} is a tuple of sizes, or an array, got {given!r}")
    sizes = [declared.fresh(info.name, axis) if size is None else parsed(size) for axis, size in enumerate(given)]
    return Value(TensorType(made.dtype, tuple(sizes)), name=info.name)


def _frozen(proto: ModelProto) -> set[str]:
    """The weights that the file of dagir says were not trained; none where it says nothing that can be read."""
    text = next((entry.value for entry in proto.metadata_props if entry.key == FROZEN), "[]")
    try:
        names = json.loads(text)
    except (ValueError, RecursionError):
        return set()
    return {name for name in names if isinstance(name, str)} if isinstance(names, list) else set()


def _title(name: str) -> str:
    return "".join(each if each.isalnum() or each in "_-. " else "_" for each in name).strip() or "model"


__all__ = ["read_model"]
