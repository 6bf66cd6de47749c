"""Every op in float16, bfloat16 and float64, on every backend: the oracle's answer, or one error that says why not."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from dagir import ops, testing
from dagir.errors import BackendError, UnsupportedOp
from dagir.ir.graph import Constant, Op, Value
from dagir.ir.rewriter import copy_node, rebuild
from dagir.ir.types import DType
from dagir.runtime.backend import backend

OPS = sorted(
    (cls for cls in vars(ops).values() if isinstance(cls, type) and issubclass(cls, Op) and cls is not ops.Call),
    key=lambda cls: cls.__name__,
)

# What the target has no kernel for; everything else must run. ONNX's halves all do.
REFUSED = {
    ("onnx", "float64"): {
        ops.Arccos,
        ops.Arccosh,
        ops.Arcsin,
        ops.Arcsinh,
        ops.Arctan,
        ops.Arctan2,
        ops.Arctanh,
        ops.Conv,
        ops.ConvTranspose,
        ops.Cosh,
        ops.Erf,
        ops.Gelu,
        ops.Sinh,
        ops.Tan,
        ops.UpSample,
    },
    ("keras", "float16"): {ops.AdaptiveAveragePool, ops.AdaptiveMaxPool, ops.AveragePool, ops.MaxPool},
    ("keras", "float64"): {
        ops.AdaptiveAveragePool,
        ops.AdaptiveMaxPool,
        ops.AveragePool,
        ops.MaxPool,
        ops.Resize,
        ops.UpSample,
    },
}


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__)
def test_agrees_in_every_float_or_says_why_not(op):
    @settings(max_examples=4, phases=[Phase.generate])
    @given(st.data())
    def agrees(data):
        case = data.draw(testing.cases(op))
        if not any(is_float(array) for array in case.arrays):
            return
        for dtype in (DType.FLOAT16, DType.BFLOAT16, DType.FLOAT64):
            check(*in_dtype(case, dtype).graph(), dtype)

    def check(graph, feeds, dtype):
        wanted = backend("numpy").lower(graph, precision="float64")(feeds)
        if not all(in_range(want, value.dtype) for want, value in zip(wanted, graph.outputs, strict=True)):
            return
        for name in ("numpy", "onnx", "keras"):
            try:
                found = backend(name).lower(graph)(feeds)
            except (BackendError, UnsupportedOp) as error:
                assert op in REFUSED.get((name, str(dtype)), ()), f"{name} refuses {dtype}: {error}"
                assert_is_clear(error)
                continue
            for got, want, value in zip(found, wanted, graph.outputs, strict=True):
                assert DType.of(got.dtype) is value.dtype, f"{name}: {got.dtype}, declared {value.dtype}"
                testing.assert_close(got, want, f"{name} in {dtype}", value.dtype)

    agrees()


def is_float(array):
    return array is not None and DType.of(array.dtype).is_float


def in_dtype(case, dtype):
    """The case with its floats rounded to a dtype; so are those within the graphs that its op holds."""
    arrays = tuple(array.astype(dtype.numpy) if is_float(array) else array for array in case.arrays)
    return replace(case, op=op_in_dtype(case.op, dtype), arrays=arrays)


def op_in_dtype(op, dtype):
    """The op with the graphs that it holds, and what it casts to, in another dtype."""
    if isinstance(op, ops.Cast) and op.dtype.is_float:
        return replace(op, dtype=dtype)
    return replace(op, **{name: graph_in_dtype(getattr(op, name), dtype) for name in op.graph_fields})


def graph_in_dtype(graph, dtype):
    inputs = [Value(v.type.with_dtype(dtype) if v.dtype.is_float else v.type, name=v.name) for v in graph.inputs]
    return rebuild(graph, lambda node, operands: retyped(node, operands, dtype).outputs, inputs=inputs)


def retyped(node, operands, dtype):
    """The node over these operands, the floats among its constants in another dtype."""
    constants = [
        Constant(v.source.array.astype(dtype.numpy)).value
        if v is not None and isinstance(v.source, Constant) and is_float(v.source.array)
        else v
        for v in operands
    ]
    return copy_node(node, constants, op_in_dtype(node.op, dtype))


def in_range(wanted, dtype):
    """Whether the dtype holds the answer; what overflows on the way to it differs from kernel to kernel."""
    if not dtype.is_float:
        return True
    sizes = np.abs(wanted[np.isfinite(wanted)])
    return not sizes.size or sizes.max() < (1e4 if dtype is DType.FLOAT16 else 1e37)


def assert_is_clear(error):
    """One line that says what is missing, the node, and a remedy."""
    assert "\n" not in error.summary and error.remedy
    assert "node" in error.summary or "node" in dict(error.facts)
    assert any(word in error.summary for word in ("no cpu kernel", "no kernel", " no float64"))
