"""What onnxruntime says of a model that it has no kernels for, as an error that names the node."""

from __future__ import annotations

import re

import onnxruntime
from onnx import ModelProto
from onnxruntime.capi import onnxruntime_pybind11_state as states

from dagir.errors import BackendError

REFUSALS = (states.NotImplemented, states.InvalidGraph, states.Fail)
_NODE = re.compile(r"node with name '([^']*)'|in node \(([^)]*)\)|Node \(([^)]*)\)")
_DTYPE = re.compile(r"tensor\((\w+)\)")


def refusal(error: Exception, model: ModelProto, device: str) -> BackendError:
    """The error of a session that could not be made, with the node, its layer and the dtypes of its inputs."""
    text = str(error).split("\n", 1)[0]
    found = _NODE.search(text)
    name = next(filter(None, found.groups()), "") if found else ""
    node = next((node for node in model.graph.node if node.name == name), None)
    facts = [("onnxruntime", onnxruntime.__version__), ("it says", text)]
    if node is None:
        return BackendError("onnxruntime does not take this model", facts=facts, remedy=_REMEDY)
    layer = next((prop.value for prop in node.metadata_props if prop.key == "dagir.layer"), None)
    if layer is not None:
        facts.insert(0, ("layer", layer))
    dtype = _DTYPE.search(text)
    what = f"{node.op_type} of {dtype[1]}" if dtype else f"{node.op_type} of these dtypes"
    return BackendError(f"onnxruntime has no {device} kernel for {what}, node {name!r}", facts=facts, remedy=_REMEDY)


_REMEDY = "make the layers with dtype='float32', or run on the numpy backend; to_onnx still writes the file"
