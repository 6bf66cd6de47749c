"""Linear maps."""

from __future__ import annotations

from dagir import ops
from dagir.ir.types import DType
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules


@rules.rule(ops.Linear)
def linear(op: ops.Linear, emit: Emitter, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    if _is_coded(x, w):
        return _in_floats(emit, x, w, b)
    if x.type.rank == 2 and b is not None:
        return emit("Gemm", x, w, b)
    y = emit("MatMul", x, w)
    return y if b is None else emit("Add", y, b)


def _is_coded(x: Tensor, w: Tensor) -> bool:
    """Whether a matrix of stored codes is multiplied with numbers that are no codes."""
    return w.permuted is not None and w.type.rank == 2 and not x.is_dequantized


def _in_floats(emit: Emitter, x: Tensor, w: Tensor, b: Tensor | None = None) -> Tensor:
    """The product with a matrix of stored codes, in a form that onnxruntime computes in floats.

    Of a DequantizeLinear of a matrix right before a MatMul it makes MatMulNBits, which rounds `x` to 8 bits too. It
    does not where the matrix is transposed by a Gemm, is on the left, or has a further axis.
    """
    assert w.permuted is not None
    emit.has_unread = True  # the matrix as it was
    if x.type.rank == 2:
        return emit("Gemm", x, w.permuted((1, 0)), b, transB=1)
    y = emit("MatMul", w.permuted((1, 0)), x) if x.type.rank == 1 else emit("MatMul", x, w.permuted((None, 0, 1)))
    return y if b is None else emit("Add", y, b)


@rules.rule(ops.MatMul)
def matmul(op: ops.MatMul, emit: Emitter, x1: Tensor, x2: Tensor) -> Tensor:
    return _in_floats(emit, x1, x2) if _is_coded(x1, x2) else emit("MatMul", x1, x2)


@rules.rule(ops.Einsum)
def einsum(op: ops.Einsum, emit: Emitter, *xs: Tensor) -> Tensor:
    return emit("Einsum", *xs, equation=op.equation)


@rules.rule(ops.Embedding)
def embedding(op: ops.Embedding, emit: Emitter, ids: Tensor, table: Tensor) -> Tensor:
    """Gather would count an id below 0 from the end. It is moved past the end, an error, as in the other backends."""
    rows = table.type.shape[0]
    if ids.type.dtype not in ("int32", "int64"):
        ids = emit("Cast", ids, to=7, type=ids.type.with_dtype(DType.INT64))
    if ids.type.dtype.value.startswith("int"):
        negative = emit("Less", ids, emit.constant(0, ids.type.dtype))
        ids = emit("Where", negative, emit.constant(rows, ids.type.dtype), ids)
    return emit("Gather", table, ids, axis=0)
