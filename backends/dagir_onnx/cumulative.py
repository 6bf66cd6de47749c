"""Running sums and products."""

from __future__ import annotations

from onnx import GraphProto, helper

from dagir import ops
from dagir.ir.types import DType, TensorType
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor
from dagir_onnx.rules import rules

# Types that are added in another type: exact, for the low bits of a sum or product are the same in both.
_WIDER = {
    **dict.fromkeys((DType.INT8, DType.INT16, DType.UINT8, DType.UINT16), DType.INT32),
    **dict.fromkeys((DType.UINT32, DType.UINT64), DType.INT64),
}


@rules.rule(ops.CumSum)
def cum_sum(op: ops.CumSum, emit: Emitter, x: Tensor) -> Tensor:
    dtype = x.type.dtype
    wide = _WIDER.get(dtype, dtype)
    x = emit("Cast", x, to=TO_ONNX[wide]) if wide is not dtype else x
    sums = emit("CumSum", x, emit.constant(op.axis, "int64"), exclusive=1 if op.exclusive else None)
    return emit("Cast", sums, to=TO_ONNX[dtype]) if wide is not dtype else sums


@rules.rule(ops.CumProd)
def cum_prod(op: ops.CumProd, emit: Emitter, x: Tensor) -> Tensor:
    """ONNX has CumProd from opset 26 on: a Scan along the axis, whose state is the product so far."""
    dtype = x.type.dtype
    wide = _WIDER.get(dtype, dtype)
    scanned = emit("Cast", x, to=TO_ONNX[wide]) if wide is not dtype else x
    rest = (*x.type.shape[: op.axis], *x.type.shape[op.axis + 1 :])
    one = emit("Expand", emit.constant(1, wide), emit.shape_tensor(rest), type=TensorType(wide, rest))
    _, products = emit(
        "Scan",
        one,
        scanned,
        outputs=2,
        body=_times(wide, rest),
        num_scan_inputs=1,
        scan_input_axes=[op.axis],
        scan_output_axes=[op.axis],
    )
    return emit("Cast", products, to=TO_ONNX[dtype]) if wide is not dtype else products


def _times(dtype: DType, shape: tuple[object, ...]) -> GraphProto:
    sizes = [size if isinstance(size, int) else None for size in shape]
    state, element, product, result = (
        helper.make_tensor_value_info(name, TO_ONNX[dtype], sizes) for name in ("state", "element", "product", "result")
    )
    nodes = [
        helper.make_node("Mul", ["state", "element"], ["product"]),
        helper.make_node("Identity", ["product"], ["result"]),
    ]
    return helper.make_graph(nodes, "product_so_far", [state, element], [product, result])
