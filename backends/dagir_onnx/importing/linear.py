"""Products of matrices: Gemm, MatMul, Einsum."""

from __future__ import annotations

from dagir import ops
from dagir.ir.graph import Parameter, Value
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
    product = ops.matmul(a, b)
    if alpha != 1:
        product = ops.multiply(product, alpha if a.dtype.is_float else int(alpha))
    if c is None:
        return product
    return ops.add(product, c if beta == 1 else ops.multiply(c, beta if c.dtype.is_float else int(beta)))


@rule("Einsum")
def _einsum(call: NodeCall) -> Value:
    operands = [call.input(place) for place in range(len(call.tensors))]
    return ops.einsum(call.attribute("equation"), *operands)
