"""Products of matrices: Gemm, MatMul, Einsum."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Parameter, Value
from dagir.ir.types import DType
from dagir_onnx.importing.node_call import NodeCall
from dagir_onnx.importing.registry import rule


@rule("MatMul")
def _matmul(call: NodeCall) -> Value:
    return ops.matmul(call.input(0), call.input(1))


@rule("Gemm")
def _gemm(call: NodeCall) -> Value:
    """alpha * a @ b + beta * c. With a stored matrix and a vector it is a layer."""
    a, alpha, beta = call.input(0), call.attribute("alpha", 1.0), call.attribute("beta", 1.0)
    if call.attribute("transA", 0):
        a = ops.transpose(a)
    b = call.rearranged(1, (1, 0) if call.attribute("transB", 0) else (0, 1))
    c = None if call.tensor(2) is None or beta == 0 else call.weight(2)
    if alpha == 1 and beta == 1 and isinstance(b.source, Parameter) and a.dtype.is_float:
        if c is None:
            return ops.linear(a, b)
        if isinstance(c.source, Parameter) and c.shape == (b.shape[-1],):
            return ops.linear(a, b, c)
    if a.dtype.is_float:
        return _scaled(a, b, alpha, c, beta)
    product = ops.matmul(a, b)
    product = product if alpha == 1 else ops.multiply(product, int(alpha))
    return product if c is None else ops.add(product, c if beta == 1 else ops.multiply(c, int(beta)))


def scaled_product(a: Value, b: Value, alpha: float) -> Value:
    """alpha * a @ b of floats."""
    return _scaled(a, b, alpha, None, 1.0)


def _scaled(a: Value, b: Value, alpha: float, c: Value | None, beta: float) -> Value:
    """alpha * a @ b + beta * c of floats. In halves it is rounded once, at the end: the product alone may overflow."""
    dtype, is_half = a.dtype, a.dtype in (DType.FLOAT16, DType.BFLOAT16) and (alpha, beta) != (1.0, 1.0)
    if is_half:
        a, b = ops.cast(a, DType.FLOAT32), ops.cast(b, DType.FLOAT32)
        c = None if c is None else ops.cast(c, DType.FLOAT32)
    found = ops.matmul(a, b)
    found = found if alpha == 1 else ops.multiply(found, alpha)
    if c is not None:
        found = ops.add(found, c if beta == 1 else ops.multiply(c, beta))
    return ops.cast(found, dtype) if is_half else found


@rule("Einsum")
def _einsum(call: NodeCall) -> Value:
    operands = [call.input(place) for place in range(len(call.tensors))]
    return ops.einsum(call.attribute("equation"), *operands)
