"""Tables: LabelEncoder, of the domain ai.onnx.ml."""

from __future__ import annotations

from typing import Any

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.Lookup)
def lookup(op: ops.Lookup, emit: Emitter, x: Tensor) -> Tensor:
    texts = x.type.dtype is DType.STRING, isinstance(op.default, str)
    keys, values = ("strings" if text else "int64s" for text in texts)
    default = "default_string" if texts[1] else "default_int64"
    attributes: dict[str, Any] = {f"keys_{keys}": op.keys, f"values_{values}": op.values, default: op.default}
    return emit("LabelEncoder", x, domain="ai.onnx.ml", type=emit.outputs[0].type, **attributes)
