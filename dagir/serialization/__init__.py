"""The .dagir file: one safetensors file that holds a graph, its layers and its weights.

The tensors are the parameters and constants. The metadata holds `format`, `version`, the graph as JSON, and a
checksum of it. Loading maps the tensors, executes nothing from the file and imports nothing by name: ops, layers and
functions are looked up among those that dagir exports.
"""

from dagir.serialization.loading import load
from dagir.serialization.opaque import OpaqueLayer
from dagir.serialization.plain import describe_graph, restore_graph
from dagir.serialization.saving import save

__all__ = ["OpaqueLayer", "describe_graph", "load", "restore_graph", "save"]
