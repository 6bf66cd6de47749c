"""The matrices of `dagir.ops.interpolation`, computed in the ONNX graph where a size is known at run time only."""

from __future__ import annotations

from math import pi

import numpy as np

from dagir import ops
from dagir.ir.dims import Dim
from dagir.ir.types import DType, TensorType
from dagir.ops.interpolation import CUBIC_STEPS, RADII
from dagir_onnx.dtypes import TO_ONNX
from dagir_onnx.emitter import Emitter, Tensor


class Calculator:
    """Arithmetic on float32 tensors in the graph; a number is a constant."""

    def __init__(self, emit: Emitter) -> None:
        self._emit = emit

    def __call__(self, op_type: str, *operands: Tensor | float) -> Tensor:
        """The result of an operator."""
        tensors = [x if isinstance(x, Tensor) else self._emit.constant(x, np.float32) for x in operands]
        found: Tensor = self._emit(op_type, *tensors, type=TensorType(DType.FLOAT32, ()))
        return found

    def choose(self, op_type: str, x: Tensor, bound: float, yes: Tensor | float, no: Tensor | float) -> Tensor:
        """`yes` where the comparison of x with the bound is true, else `no`."""
        return self("Where", self(op_type, x, bound), yes, no)

    def polynomial(self, t: Tensor, *coefficients: float) -> Tensor:
        """Horner's scheme, the highest power first."""
        found = self("Mul", t, coefficients[0])
        for coefficient in coefficients[1:-1]:
            found = self("Mul", self("Add", found, coefficient), t)
        return self("Add", found, coefficients[-1])


def weights_at_run_time(emit: Emitter, op: ops.Resize, size: Dim, target: Dim, centres: Tensor, dtype: DType) -> Tensor:
    """f[target, size], with rows of sum 1. centres: f[target], the places of the result's pixels on the axis."""
    of = Calculator(emit)
    places = of("Sub", centres, 0.5)
    if op.interpolation == "bicubic" and not op.antialias:
        whole = of("Floor", places)
        steps = of("Round", of("Mul", of("Sub", places, whole), CUBIC_STEPS))
        places = of("Add", whole, of("Div", steps, CUBIC_STEPS))
    distance = of("Abs", of("Sub", of("Unsqueeze", places, emit.ints(1)), counted(emit, size)))
    if op.antialias:
        ratio = of("Div", number(emit, size), number(emit, target))
        distance = of("Div", distance, of("Max", ratio, 1.0))
    weights = _kernel(of, distance, op.interpolation)
    weights = of("Div", weights, emit("ReduceSum", weights, emit.ints(1), keepdims=1))
    kind = TensorType(dtype, (target, size))
    found: Tensor = weights if dtype is DType.FLOAT32 else emit("Cast", weights, to=TO_ONNX[dtype], type=kind)
    return found


def counted(emit: Emitter, size: Dim) -> Tensor:
    """f[size]: 0, 1, 2 ..."""
    count = emit("Squeeze", emit.size(size), type=TensorType(DType.INT64, ()))
    ids = emit("Range", emit.constant(0, np.int64), count, emit.constant(1, np.int64))
    found: Tensor = emit("Cast", ids, to=TO_ONNX[DType.FLOAT32], type=TensorType(DType.FLOAT32, (size,)))
    return found


def number(emit: Emitter, size: Dim) -> Tensor:
    """f[1]: a size."""
    found: Tensor = emit("Cast", emit.size(size), to=TO_ONNX[DType.FLOAT32], type=TensorType(DType.FLOAT32, (1,)))
    return found


def _kernel(of: Calculator, t: Tensor, interpolation: str) -> Tensor:
    if interpolation == "bilinear":
        return of("Max", of("Sub", 1.0, t), 0.0)
    if interpolation == "bicubic":
        far = of.choose("Less", t, 2.0, of.polynomial(t, -0.5, 2.5, -4.0, 2.0), 0.0)
        return of.choose("LessOrEqual", t, 1.0, of.polynomial(t, 1.5, -2.5, 0.0, 1.0), far)
    radius = RADII[interpolation]
    x = of("Mul", of("Max", t, 1e-3), pi)
    sines = of("Mul", of("Sin", x), of("Sin", of("Div", x, radius)))
    sinc = of("Div", of("Mul", sines, radius), of("Mul", x, x))
    return of.choose("LessOrEqual", t, 1e-3, 1.0, of.choose("Greater", t, radius, 0.0, sinc))
