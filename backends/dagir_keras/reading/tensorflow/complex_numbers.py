"""Complex numbers, as pairs of real tensors: no dtype of dagir holds one. A graph may pass through them.

What is linear in a tensor computes both parts apart, by the rule of the same op for real numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dagir import ops
from dagir.ir.graph import Constant, Value
from dagir.ir.types import Array, DType
from dagir.ops.fft import resized
from dagir_keras.reading.problems import Refused
from dagir_keras.reading.tensorflow.held import Complex
from dagir_keras.reading.tensorflow.registry import call_raw_op
from dagir_keras.reading.tensorflow.tensors import Tensor, ints, value

_DTYPES = {8: DType.FLOAT32, 18: DType.FLOAT64}
"""The numbers of TensorFlow's complex dtypes, and the dtypes of their parts."""
_LINEAR = frozenset(
    {
        *("Add", "AddV2", "AddN", "Sub", "Neg", "Sum", "Mean", "Cumsum", "Reshape", "Transpose", "StridedSlice"),
        *("Slice", "Squeeze", "ExpandDims", "ConcatV2", "Concat", "Pack", "Unpack", "Split", "SplitV", "Tile", "Fill"),
        *("BroadcastTo", "ReverseV2", "Roll", "Pad", "PadV2", "MirrorPad", "Gather", "GatherV2", "GatherNd", "Select"),
        *("SelectV2", "ZerosLike", "MatrixDiagPart", "MatrixDiag", "MatrixBandPart", "ReverseSequence", "ScatterNd"),
    }
)
_MEASURES = frozenset({"Shape", "Size", "Rank"})
_BILINEAR = frozenset({"Mul", "MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3"})

_Rule = Callable[..., Any]
_rules: dict[str, _Rule] = {}


def is_complex(op: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> bool:
    """Whether a node takes or gives complex numbers."""
    makes = op in ("RFFT", "RFFT2D", "RFFT3D", "Complex") or (op == "Cast" and attributes.get("DstT") in _DTYPES)
    return makes or any(isinstance(operand, Complex) for operand in operands)


def constant(array: Array) -> Complex:
    """A constant of complex numbers."""
    return Complex(Constant(array.real.copy()).value, Constant(array.imag.copy()).value)


def has_rule(op: str) -> bool:
    """Whether there is a rule for an op on complex numbers."""
    return op in _rules or op in _LINEAR or op in _MEASURES or op in _BILINEAR


def call_complex(op: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """The outputs of such a node: tensors, or pairs. Raises Refused where there is no rule, DagirError."""
    attributes = {key: part for key, part in attributes.items() if key[:1] != "T"}  # dtypes, which the operands have
    if op in _LINEAR:
        return _both(op, operands, attributes)
    if op in _MEASURES:
        return call_raw_op(op, [operands[0].real], attributes)
    if op in _BILINEAR:
        return _product(op, operands, attributes)
    if op == "Cast":
        return _cast(operands[0], attributes["DstT"])
    if op not in _rules:
        raise Refused(f"dagir's {op} takes no complex numbers", "compute with their real and imaginary parts")
    return _rules[op](*operands)


def _rule(*names: str) -> Callable[[_Rule], _Rule]:
    def register(function: _Rule) -> _Rule:
        _rules.update(dict.fromkeys(names, function))
        return function

    return register


def _both(op: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> Any:
    """The real parts by the op, and the imaginary parts by the op."""
    if op == "Transpose":
        attributes = {}
    given = [[getattr(each, part) if isinstance(each, Complex) else each for each in operands] for part in _PARTS]
    real, imag = (call_raw_op(op, each, attributes) for each in given)
    if isinstance(real, tuple):
        return tuple(_pair(*each) for each in zip(real, imag, strict=True))
    return _pair(real, imag)


_PARTS = ("real", "imag")


def _pair(real: Tensor, imag: Tensor) -> Complex:
    return Complex(value(real), value(imag))


def _product(op: str, operands: Sequence[Any], attributes: Mapping[str, Any]) -> Complex:
    """(a + ib)(c + id). An adjoint is conjugated too."""
    left, right = (
        _conjugate(each) if attributes.get(name) else each
        for each, name in zip(operands, ("adj_x", "adj_y"), strict=True)
    )

    def product(x: Value, y: Value) -> Value:
        return value(call_raw_op(op, [x, y], attributes))

    real = product(left.real, right.real) - product(left.imag, right.imag)
    return Complex(real, product(left.real, right.imag) + product(left.imag, right.real))


def _cast(x: Any, target: Any) -> Any:
    """To another precision, from real numbers, or to them: TensorFlow drops the imaginary part."""
    if target not in _DTYPES:
        return call_raw_op("Cast", [x.real], {"DstT": target})
    kind = _DTYPES[target]
    if isinstance(x, Complex):
        return Complex(ops.cast(x.real, kind), ops.cast(x.imag, kind))
    real = ops.cast(value(x), kind)
    return Complex(real, ops.zeros_like(real))


@_rule("Complex")
def _made(real: Tensor, imag: Tensor) -> Complex:
    first, second = value(real), value(imag)
    zeros = ops.zeros_like(first) + ops.zeros_like(second) if first.type.shape != second.type.shape else None
    return _pair(first, second) if zeros is None else Complex(first + zeros, second + zeros)


@_rule("Real")
def _real(x: Complex) -> Value:
    return x.real


@_rule("Imag")
def _imag(x: Complex) -> Value:
    return x.imag


@_rule("ComplexAbs")
def _absolute(x: Complex) -> Value:
    return ops.hypot(x.real, x.imag)


@_rule("Angle")
def _angle(x: Complex) -> Value:
    return ops.arctan2(x.imag, x.real)


@_rule("Conj")
def _conjugate(x: Complex) -> Complex:
    return Complex(x.real, -x.imag)


@_rule("ConjugateTranspose")
def _adjoint(x: Complex, perm: Tensor) -> Complex:
    return _conjugate(_both("Transpose", [x, perm], {}))


@_rule("Square")
def _square(x: Complex) -> Complex:
    return _product("Mul", [x, x], {})


@_rule("RealDiv", "Div")
def _divided(x: Complex, y: Complex) -> Complex:
    """x conj(y) / |y|^2."""
    size = ops.square(y.real) + ops.square(y.imag)
    found = _product("Mul", [x, _conjugate(y)], {})
    return Complex(found.real / size, found.imag / size)


@_rule("Reciprocal", "Inv")
def _reciprocal(x: Complex) -> Complex:
    size = ops.square(x.real) + ops.square(x.imag)
    return Complex(x.real / size, -x.imag / size)


@_rule("Exp")
def _exponential(x: Complex) -> Complex:
    size = ops.exp(x.real)
    return Complex(size * ops.cos(x.imag), size * ops.sin(x.imag))


# ---- Fourier transforms


def _along(x: Complex, axis: int, transform: Callable[[tuple[Value, Value]], tuple[Value, Value]]) -> Complex:
    """A transform of pairs along another axis than the last one."""
    if axis == -1:
        return Complex(*transform((x.real, x.imag)))
    found = transform((ops.swapaxes(x.real, axis, -1), ops.swapaxes(x.imag, axis, -1)))
    return Complex(ops.swapaxes(found[0], axis, -1), ops.swapaxes(found[1], axis, -1))


def _backward(x: tuple[Value, Value]) -> tuple[Value, Value]:
    """The inverse transform: conj(fft(conj(x))) / n."""
    real, imag = ops.fft((x[0], -x[1]))
    size = real.type.shape[-1]
    if not isinstance(size, int):
        raise Refused(f"it transforms an axis of the size {size}, which is known at run time only")
    return real / float(size), -imag / float(size)


def _sized(transform: Callable[..., tuple[Value, Value]], size: int) -> Callable[..., tuple[Value, Value]]:
    """A transform of an axis that is cut, or filled with zeros."""
    return lambda x: transform((resized(x[0], size), resized(x[1], size)))


def _transforms(count: int, transform: Callable[..., tuple[Value, Value]]) -> Callable[[Complex], Complex]:
    def rule(x: Complex) -> Complex:
        for axis in range(-1, -1 - count, -1):
            x = _along(x, axis, transform)
        return x

    return rule


def _of_real() -> Callable[[Tensor, Tensor], Complex]:
    def rule(x: Tensor, fft_length: Tensor) -> Complex:
        *others, last = ints(fft_length, "fft_length")
        found = Complex(*ops.rfft(value(x), last))
        for place, size in enumerate(reversed(others)):
            found = _along(found, -2 - place, _sized(ops.fft, size))
        return found

    return rule


def _to_real() -> Callable[[Complex, Tensor], Value]:
    def rule(x: Complex, fft_length: Tensor) -> Value:
        *others, last = ints(fft_length, "fft_length")
        for place, size in enumerate(reversed(others)):
            x = _along(x, -2 - place, _sized(_backward, size))
        return ops.irfft((x.real, x.imag), last)

    return rule


for _count, _end in ((1, ""), (2, "2D"), (3, "3D")):
    _rules[f"FFT{_end}"] = _transforms(_count, ops.fft)
    _rules[f"IFFT{_end}"] = _transforms(_count, _backward)
    _rules[f"RFFT{_end}"] = _of_real()
    _rules[f"IRFFT{_end}"] = _to_real()
