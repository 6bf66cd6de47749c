"""Operators of one operand, element by element."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from dagir import ops
from dagir.ir.graph import Value
from dagir_onnx.importing.known_arrays import known_array
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import Rule, rule
from dagir_onnx.importing.tensors import Tensor, value


@rule("Identity")
def _identity(call: NodeCall) -> Value:
    return call.input(0)


def _unary(function: Callable[[Value], Value]) -> Rule:
    return lambda call: function(call.input(0))


for _name, _function in {
    "Abs": ops.absolute,
    "Ceil": ops.ceil,
    "Erf": ops.erf,
    "Exp": ops.exp,
    "Floor": ops.floor,
    "Log": ops.log,
    "Neg": ops.negative,
    "Reciprocal": ops.reciprocal,
    "Round": ops.round,
    "Sign": ops.sign,
    "Sqrt": ops.sqrt,
}.items():
    rule(_name)(_unary(_function))


@rule("Clip")
def _clip(call: NodeCall) -> Value:
    """Limited from below, then from above: where the limits cross, the upper one holds."""
    x = call.input(0)
    low, high = (_limit(call.setting(name), x) for name in ("min", "max"))
    ends = [None if each is None else known_array(each) for each in (low, high)]
    if x.dtype.is_float and all(end is not None and end.size == 1 and end.ndim <= x.ndim for end in ends):
        least, most = (float(np.asarray(end).reshape(())) for end in ends)
        if least <= most:
            return ops.clip(x, least, most)
    if low is not None:
        x = ops.maximum(x, low)
    return x if high is None else ops.minimum(x, high)


def _limit(given: Tensor | None, x: Value) -> Value | None:
    if given is None:
        return None
    found = value(given)
    return ops.cast(found, x.dtype) if found.dtype is not x.dtype else found


@rule("Dropout")
def _dropout(call: NodeCall) -> list[Value]:
    """The identity, and a mask that keeps all: at inference nothing is dropped."""
    if call.version >= 12 and call.tensor(2) is not None:
        training = call.array(2)
        ratio = 0.5 if call.tensor(1) is None else call.array(1)
        nothing = ratio is not None and not np.any(ratio)
        if not nothing and (training is None or training.reshape(-1)[0]):
            raise call.refused("drops at random, for training_mode is not false", "export the model for inference")
    x = call.input(0)
    if not call.wants(1):
        return [x]
    return [x, ops.ones(x.type.shape, x.dtype if call.version < 10 else "bool")]
