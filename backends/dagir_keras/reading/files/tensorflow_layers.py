"""Layers of Keras 2 that are a function of TensorFlow: TFOpLambda, SlicingOpLambda, TensorFlowOpLayer.

They are read by the table of TensorFlow's functions, as operations of the graph. No TensorFlow is needed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir.ir.nest import map_structure
from dagir.ir.types import DType
from dagir_keras.reading.files.keras2.calls import FUNCTION_LAYERS
from dagir_keras.reading.operations import named
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow import Sizes, call_function, call_raw_op, tensor, value
from dagir_keras.reading.tensorflow.node_def import NodeDef, read_node_def
from dagir_keras.reading.tensorflow.registry import require_function, require_raw_op

_ITSELF = ("cast", "convert_to_tensor", "keras.activations.linear")
"""Functions that can give the tensor that they are given: Keras finds its mask on it."""
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
    require_function(symbol)
    gives_itself = symbol in _ITSELF
    return lambda *args, **kwargs: _finished(call_function(symbol, args, kwargs), name, gives_itself)


def _finished(result: Any, name: str, gives_itself: bool = False) -> Any:
    """The result without masks, which these layers do not pass on; under the name of the layer, if it is one."""
    found = result if gives_itself else map_structure(_unmasked, result)
    if isinstance(found, Sizes):
        return replace(found, name=name)
    return named(found, name) if isinstance(found, Value) else found


def _unmasked(leaf: Any) -> Any:
    return ops.identity(leaf) if isinstance(leaf, Value) and leaf.mask is not None else leaf


def _raw_op(config: Mapping[str, Any], name: str) -> Callable[..., Any]:
    node, constants = read_node_def(config.get("node_def")), config.get("constants", {})
    if not isinstance(constants, dict):
        raise Refused("its constants are no table")
    require_raw_op(node.op)

    def run(inputs: Any = ()) -> Any:
        listed = list(inputs) if isinstance(inputs, (list, tuple)) else [inputs]
        for place in sorted(constants, key=int):
            listed.insert(int(place), _constant(constants[place], node))
        return _finished(call_raw_op(node.op, listed, node.attributes), name)

    return run


def _constant(data: Any, node: NodeDef) -> Any:
    """A constant operand, as tf.constant makes it; a number beside tensors of another width takes theirs."""
    if data == []:
        return tensor(np.zeros(0, "int32"))
    made, target = tensor(data), node.attributes.get("T")
    if not isinstance(target, DType) or made.dtype is target:
        return made
    floats = made.dtype.is_float and target.is_float
    integers = node.op in _ALIKE and made.dtype.is_integer and target.is_integer
    return tensor(data, target) if floats or integers else made


_ALIKE = frozenset(  # ops whose operands are all of the dtype T, none of them an axis or a shape
    {
        *("Add", "AddV2", "Sub", "Mul", "FloorDiv", "FloorMod", "Maximum", "Minimum", "Pow", "SquaredDifference"),
        *("Equal", "NotEqual", "Less", "LessEqual", "Greater", "GreaterEqual", "BitwiseAnd", "BitwiseOr", "BitwiseXor"),
        *("LeftShift", "RightShift", "TruncateDiv", "TruncateMod", "Pack", "AddN"),
    }
)


def settled(data: Any) -> Any:
    """A tensor of sizes as a value of the graph, for layers and outputs; other data as they are."""
    if not isinstance(data, Sizes):
        return data
    return named(value(data), data.name) if data.name else value(data)
