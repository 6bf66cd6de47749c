"""onnxruntime's errors about a model, as an error that names the node."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from onnx import ModelProto, NodeProto

from dagir.errors import BackendError, DagirError, FeedError, FileError
from dagir.ir.types import Array
from dagir.ops.partial import PROBLEMS
from dagir_onnx.integers import refused_op
from dagir_onnx.onnxruntime_late import onnxruntime, states

_KNOWS_NOT = "knows no operator"
_FOREIGN = re.compile(r"([\w.]+):(\w+)\(-?\d+\) is not a registered")
_UNREGISTERED = re.compile(r"No Op registered for (\w+) with domain_version of (\d+)")
_NEWER = re.compile(
    r"(?:IR version: |Opset )(\d+)(?:, max supported IR version: | is under development.* till opset )(\d+)", re.S
)
_FATAL_WHEN_EMPTY = ("LSTM", "GRU", "RNN")
_NODE = re.compile(r"""node with name '([^']*)'|[Nn]ode \(([^)]*)\)|In Node, \("([^"]*)"|node\. Name:'([^']*)'""")
_INPUT = re.compile(r"Node input '([^']*)'|initializer: (\S+)\. ")
_MISSING = re.compile(r"implementation for (\w+)\(")
_DTYPE = re.compile(r"tensor\((\w+)\)")


def refusals() -> tuple[type[Exception], ...]:
    """What onnxruntime raises for a model that it does not take."""
    return (
        *(states.Fail, states.InvalidArgument, states.NoSuchFile, states.NoModel, states.RuntimeException),
        *(states.InvalidProtobuf, states.NotImplemented, states.InvalidGraph, states.EPFail, RuntimeError),
        UnicodeDecodeError,  # it quotes bytes of the file that are no text
    )


def refusal(error: Exception, model: ModelProto, device: str) -> BackendError:
    """The error for a session that cannot be created, with the node, its layer and the dtypes of its inputs."""
    text, node = _first_line(error), _node(error, model)
    facts = _facts(text, node)
    if node is None:
        missing = _MISSING.search(text)
        what = f"has no {device} kernel for {missing[1]}" if missing else "does not take this model"
        return BackendError(f"onnxruntime {what}", facts=facts, remedy=_REMEDY)
    dtype = _DTYPE.search(text)
    what = f"{node.op_type} of {dtype[1]}" if dtype else f"{node.op_type} of these dtypes"
    return BackendError(
        f"onnxruntime has no {device} kernel for {what}, node {node.name!r}", facts=facts, remedy=_REMEDY
    )


def file_refusal(error: Exception, model: ModelProto, device: str, path: Path) -> DagirError:
    """The same for a file: a BackendError where a kernel, an operator or the device is missing, else FileError."""
    if isinstance(error, (states.NotImplemented, states.EPFail)):
        return refusal(error, model, device).fact("file", str(path))
    node = _node(error, model)
    where = "" if node is None else f" for its {node.op_type}, node {node.name!r}"
    unknown = _unknown(str(error))
    why, remedy = unknown or ("", "write the file anew, or use an onnxruntime that takes it")
    kind = BackendError if why.startswith(_KNOWS_NOT) else FileError
    return kind(
        f"onnxruntime does not take {path}{where}{why and ': it '}{why}",
        facts=_facts(_first_line(error), node),
        remedy=remedy,
    )


def _unknown(text: str) -> tuple[str, str] | None:
    """What this onnxruntime lacks, and what to do, where it knows no operator, or no version, that a file has."""
    here = onnxruntime.__version__
    if found := _FOREIGN.search(text):
        remedy = (
            "load the library that has it (session_options=, register_custom_ops_library), or write the file without it"
        )
        return f"{_KNOWS_NOT} {found[2]} of domain {found[1]}", remedy
    if found := _UNREGISTERED.search(text):
        remedy = f"a newer opset may have it, as dagir-convert --opset writes, or a newer onnxruntime; this is {here}"
        return f"{_KNOWS_NOT} {found[1]} at opset {found[2]}", remedy
    if found := _NEWER.search(text):
        remedy = f"install a newer one, or write the file for this one: dagir-convert --target onnxruntime=={here}"
        what = "IR version" if "IR version" in found[0] else "opset"
        return f"is {here}, which reads up to {what} {found[2]}, and the file has {found[1]}", remedy
    return None


def failed_run(error: Exception) -> FeedError:
    """The error of a session that refuses its inputs: a check of dagir's own is told as what it stands for."""
    text = _first_line(error)
    refused = refused_op(text)
    if refused is None:
        return FeedError(f"onnxruntime refuses these inputs: {text}")
    op_name, layer = refused
    problem, remedy = PROBLEMS[op_name]
    return FeedError(f"{op_name} {problem}", facts=[("layer", layer)] if layer else [], remedy=remedy)


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]


def _node(error: Exception, model: ModelProto) -> NodeProto | None:
    """The node of an error: its first line has the name of the node or of one of its inputs."""
    text = _first_line(error)
    named, read, missing = _NODE.search(text), _INPUT.search(text), _MISSING.search(text)
    found = None
    if named is not None:
        name = next(filter(None, named.groups()), "")
        found = next((node for node in _nodes(model) if name and node.name == name), None)
    elif read is not None:
        tensor = next(filter(None, read.groups()), "")
        return next((node for node in _nodes(model) if tensor in node.input), None)
    if found is None and missing is not None:  # the optimizer has renamed the node
        return next((node for node in _nodes(model) if node.op_type == missing[1]), None)
    return found


def refuse_fatal(model: ModelProto, arrays: Sequence[Array], path: Path) -> None:
    """Raise FileError for empty arrays where onnxruntime 1.32 would end the process."""
    if all(array.size for array in arrays):
        return
    node = next((node for node in _nodes(model) if node.op_type in _FATAL_WHEN_EMPTY), None)
    if node is not None:
        raise FileError(
            f"{path}: onnxruntime cannot run its {node.op_type}, node {node.name!r}, on an empty batch",
            remedy="feed at least one row and one time step",
        )


def _nodes(model: ModelProto) -> Iterator[NodeProto]:
    """Every node, including those in subgraphs and functions."""
    pending = [model.graph.node, *(function.node for function in model.functions)]
    while pending:
        for node in pending.pop():
            yield node
            pending.extend(attribute.g.node for attribute in node.attribute if attribute.HasField("g"))


def _facts(text: str, node: NodeProto | None) -> list[tuple[str, str]]:
    props = () if node is None else node.metadata_props
    layer = [("layer", prop.value) for prop in props if prop.key == "dagir.layer"]
    return [*layer, ("onnxruntime", onnxruntime.__version__), ("it says", text)]


_REMEDY = (
    "make the layers with dtype='float32'; where the operator is newer than this onnxruntime, write an older one: "
    "--opset; or run on the numpy backend. to_onnx still writes the file"
)
