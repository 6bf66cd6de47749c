"""Tensors made of numbers and sizes: Constant, ConstantOfShape, Range, EyeLike, OneHot."""

from __future__ import annotations

from typing import Any

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule
from dagir_onnx.importing.tensors import constant

_NUMBERS: dict[str, Any] = {
    "value_float": np.float32,
    "value_floats": np.float32,
    "value_int": np.int64,
    "value_ints": np.int64,
}


@rule("Constant")
def _constant(call: NodeCall) -> Value:
    given = call.attribute("value", call.attribute("sparse_value"))
    if given is not None:
        return call.reader.weights.value(given, call.outputs[0], is_initializer=False)
    for name, dtype in _NUMBERS.items():
        if name in call.attributes:
            return constant(np.asarray(call.attributes[name], dtype))
    raise call.refused("it is a constant of text, or without a value")


@rule("ConstantOfShape")
def _constant_of_shape(call: NodeCall) -> Value:
    given = call.attribute("value")
    filling = np.zeros((), np.float32) if given is None else given.reshape(())
    number = constant(filling)
    return ops.full(call.dims(0, "shape"), number, number.dtype)
