"""A framework's errors about a missing kernel, as an error that names the node."""

from __future__ import annotations

import re

from dagir.errors import BackendError
from dagir.ir.diagnostics import describe
from dagir.ir.graph import Graph, Node
from dagir.ops.call import graphs_of
from dagir_keras.engine import TITLE, version

_ABSENT = re.compile(
    r"Could not find device for node|No OpKernel|not in the list of allowed values|not supported on"  # of TensorFlow
    r"|not implemented for"  # of PyTorch
)
_CALLED = re.compile(r"calling (\w+)\.call\(\)")
_KERNEL = re.compile(r"{{(?:function_)?node ([\w/]+)}}")


def refusal(error: Exception, graph: Graph) -> BackendError | None:
    """The error for a missing kernel; None for any other error."""
    text = re.sub(r"\x1b\[\d*m", "", str(error))
    if not _ABSENT.search(text):
        return None
    called, kernel = _CALLED.search(text), _KERNEL.search(text)
    node = _named(graph, called[1]) if called else None
    what = f"{kernel[1].rsplit('/', 1)[-1]} of this dtype" if kernel else "this dtype"
    return BackendError(
        f"{TITLE} has no kernel here for {what}",
        facts=[
            *([("node", describe(node))] if node is not None else []),
            (TITLE, version()),
            ("it says", reason(error)),
        ],
        remedy="make the layers with dtype='float32', or run on the numpy backend",
    )


def _named(graph: Graph, called: str) -> Node | None:
    """The first node that became a layer or operation of this class: Keras tells nothing but the class."""
    for each in graphs_of(graph):
        for node in each.nodes:
            layer = None if node.scope is None else node.scope.layer
            if called in (type(node.op).__name__, type(layer).__name__):
                return node
    only = [node for each in graphs_of(graph) for node in each.nodes]
    return only[0] if len(only) == 1 else None


def reason(error: Exception) -> str:
    """The line of the framework, without the text that Keras adds."""
    plain = re.sub(r"\x1b\[\d*m|{{.*?}} ", "", str(error))
    lines = [line for line in plain.splitlines() if line.strip() and not line.startswith("Exception encountered")]
    return lines[0] if lines else plain
