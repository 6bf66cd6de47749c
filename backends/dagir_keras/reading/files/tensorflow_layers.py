"""Layers of Keras 2 that are a function of TensorFlow: TFOpLambda, SlicingOpLambda, TensorFlowOpLayer.

They are read by the table of TensorFlow's functions, as operations of the graph. No TensorFlow is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dagir.ir.graph import Value
from dagir.ir.types import DType
from dagir_keras.reading.files.keras2.calls import FUNCTION_LAYERS
from dagir_keras.reading.operations import named
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow import Sizes, call_function, call_raw_op, tensor, value
from dagir_keras.reading.tensorflow.node_def import NodeDef, read_node_def

_RAGGED = ("ClassMethod", "InstanceProperty", "InstanceMethod")


def is_tensorflow_layer(record: Mapping[str, Any], custom: Mapping[str, Any]) -> bool:
    """Whether a record is a layer of Keras 2 that calls a function of TensorFlow."""
    kind, module = record.get("class_name"), record.get("module")
    if kind not in FUNCTION_LAYERS or kind in custom or record.get("registered_name") not in (None, kind):
        return False
    return "module" not in record or (isinstance(module, str) and module.startswith("keras."))


def make_tensorflow_layer(record: Mapping[str, Any]) -> Callable[..., Any]:
    """What the layer computes: f(*args, **kwargs) -> tensor, or a structure of them. Raises Refused."""
    kind, config, name = record["class_name"], record["config"], str(record.get("name"))
    if kind == "TensorFlowOpLayer":
        return _raw_op(config, name)
    if kind in _RAGGED:
        raise Refused(
            f"it calls {config.get('method_name', config.get('attr_name'))!s:.40} of a ragged or sparse tensor, "
            "and dagir's tensors are dense",
            "build the model on dense tensors",
        )
    symbol = config.get("function")
    if not isinstance(symbol, str):
        raise Refused("its function has no name")
    return lambda *args, **kwargs: _finished(call_function(symbol, args, kwargs), name)


def _finished(result: Any, name: str) -> Any:
    """A value under the name of the layer; other results as they are."""
    return named(result, name) if isinstance(result, Value) else result


def _raw_op(config: Mapping[str, Any], name: str) -> Callable[..., Any]:
    node, constants = read_node_def(config.get("node_def")), config.get("constants", {})
    if not isinstance(constants, dict):
        raise Refused("its constants are no table")

    def run(inputs: Any = ()) -> Any:
        listed = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        for place in sorted(constants, key=int):
            listed.insert(int(place), _constant(constants[place], node, int(place), listed))
        return _finished(call_raw_op(node.op, listed, node.attributes), name)

    return run


def _constant(data: Any, node: NodeDef, place: int, others: list[Any]) -> Any:
    """A constant operand: numbers have the dtype that the op says for tensors of its kind, if they fit it."""
    target = node.attributes.get("T")
    if isinstance(target, DType) and node.op not in _OTHERWISE and (target.is_float or _are_integers(data)):
        return tensor(data, target)
    if data == []:
        return tensor(np.zeros(0, "int32"))
    return tensor(data)


_OTHERWISE = frozenset(  # ops whose constants are axes, shapes and sizes, not tensors of the dtype T
    {
        *("Mean", "Sum", "Max", "Min", "Prod", "All", "Any", "StridedSlice", "Slice", "Reshape", "Transpose", "Tile"),
        *("ExpandDims", "GatherV2", "Pad", "PadV2", "MirrorPad", "ConcatV2", "Split", "SplitV", "ReverseV2", "Roll"),
        *("BroadcastTo", "ArgMax", "ArgMin", "Cumsum", "Cumprod", "OneHot", "TopKV2", "ResizeBilinear"),
        *("ResizeNearestNeighbor", "ResizeBicubic", "ResizeArea", "SpaceToBatchND", "BatchToSpaceND", "EuclideanNorm"),
    }
)


def _are_integers(data: Any) -> bool:
    return np.asarray(data).dtype.kind == "i"


def settled(data: Any) -> Any:
    """A tensor of sizes as a value of the graph, for layers and outputs; other data as they are."""
    return value(data) if isinstance(data, Sizes) else data
