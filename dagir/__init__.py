"""dagir: a framework-neutral graph IR for neural networks, lowered to tf.keras, ONNX and NumPy, and compared.

A graph in short: an op is applied to values, and makes a node, whose outputs are values.

>>> x = dagir.Input((3,), name="x")
>>> y = dagir.apply(ops.Tanh(), x)
>>> y, y.shape, y.type.shape
(<Value tanh float32[batch, 3]>, (None, 3), (batch, 3))
>>> y.node.op, y.node.inputs
(Tanh(), (<Value x float32[batch, 3]>,))
>>> dagir.Graph([x], [y], name="net")
<Graph net: 1 in, 1 nodes, 1 out>
>>> isinstance(x, dagir.Value), isinstance(y.node, dagir.Node)
(True, True)

Weights are parameters, and arrays in a graph are constants.

>>> dagir.Parameter("w", dagir.TensorType(dagir.DType.FLOAT32, (2,)), array=np.zeros(2))
<Parameter w float32[2]>
>>> dagir.Constant(np.float32([1, 2]))
<Constant float32[2]>
"""

from typing import TYPE_CHECKING

from dagir import layers, ops
from dagir.display.graphviz import plot
from dagir.equivalence import Report, verify
from dagir.equivalence.certifying import verified
from dagir.equivalence.closeness import Thresholds
from dagir.equivalence.metric import Metric
from dagir.errors import (
    ArgumentError,
    BackendError,
    DagirError,
    DTypeError,
    FeedError,
    FileError,
    InvalidGraph,
    ShapeError,
    UnsupportedOp,
    VerificationError,
)
from dagir.interchange import from_keras, from_onnx, from_tensorflow, to_keras, to_onnx
from dagir.ir.graph import Constant, Graph, Node, Op, Parameter, Value, apply
from dagir.ir.naming import clear_session
from dagir.ir.types import DType, TensorType
from dagir.ir.verifier import check
from dagir.layers import Input, Layer
from dagir.modeling.extraction import extract, replace
from dagir.modeling.model import Model
from dagir.modeling.sequential import Sequential
from dagir.precision import Sensitivity, sensitivity
from dagir.runtime.backend import Backend, Executable, backend, register_backend
from dagir.runtime.lowering import lower
from dagir.runtime.rules import Rules
from dagir.serialization import load, save
from dagir.serialization.config import clone
from dagir.serialization.op_names import register_op
from dagir.serialization.weight_files import model_from_json
from dagir.support.did_you_mean import unknown_name
from dagir.wiring import bind_services as _bind_services

__all__ = [
    "ArgumentError",
    "Backend",
    "BackendError",
    "Constant",
    "DType",
    "DTypeError",
    "DagirError",
    "Executable",
    "FeedError",
    "FileError",
    "Graph",
    "Input",
    "InvalidGraph",
    "Layer",
    "Metric",
    "Model",
    "Node",
    "Op",
    "Parameter",
    "Report",
    "Rules",
    "Sensitivity",
    "Sequential",
    "ShapeError",
    "TensorType",
    "Thresholds",
    "UnsupportedOp",
    "Value",
    "VerificationError",
    "apply",
    "backend",
    "check",
    "clear_session",
    "clone",
    "extract",
    "from_keras",
    "from_onnx",
    "from_tensorflow",
    "layers",
    "load",
    "lower",
    "model_from_json",
    "ops",
    "plot",
    "register_backend",
    "register_op",
    "replace",
    "save",
    "sensitivity",
    "to_keras",
    "to_onnx",
    "verified",
    "verify",
]

_bind_services()

__version__: str

if not TYPE_CHECKING:  # for a type checker, a name that is not there stays an error

    def __dir__() -> list[str]:
        return [*__all__, "__version__"]

    def __getattr__(name: str) -> str:
        if name == "__version__":
            from importlib.metadata import version  # takes as long as a tenth of dagir

            return version("dagir")
        raise unknown_name(__name__, name, __all__)
