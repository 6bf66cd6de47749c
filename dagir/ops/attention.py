"""Attention over scaled dot products, and the mask of a band."""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt

from dagir.errors import ArgumentError, DTypeError, ShapeError
from dagir.ir.dims import Dim
from dagir.ir.graph import Op, Operand, Types, Value, apply
from dagir.ir.operands import as_value
from dagir.ir.rounding import COMPOUND, EXACT
from dagir.ir.types import DType, Equations, Inferred, Shape, TensorType
from dagir.ops.operands import require, same_dtype
from dagir.ops.shape import transpose

__all__ = [
    "Attention",
    "Band",
    "attention",
    "band",
    "dot_product_attention",
]


@dataclass(frozen=True)
class Attention(Op):
    """q: f[*b, t, d], k: f[*b, s, d], v: f[*b, s, c], bias: f[..., t, s]?, mask: bool[..., t, s]? -> f[*b, t, c].

    softmax over s of q @ k.T * scale + bias, times v. A score counts where the mask is True, unless `causal` and s > t,
    or |t - s| >= window; the others are set to the lowest number, so a row in which none counts gives the mean of v.
    bias and mask broadcast against [*b, t, s]. k and v may have fewer heads (the last axis of *b) than q: several
    neighbouring heads of q share a head of k and v.  keras.ops.dot_product_attention; ONNX Attention-23.
    """

    rounding = COMPOUND
    operands = ("q", "k", "v", "bias", "mask")
    scale: float
    causal: bool = False
    window: int | None = None

    def infer(
        self,
        q: TensorType,
        k: TensorType,
        v: TensorType,
        bias: TensorType | None = None,
        mask: TensorType | None = None,
    ) -> Inferred:
        """The shape of q with the features of v."""
        equations = Equations()
        dtype = same_dtype(q, k, v, *([] if bias is None else [bias]))
        require("float", q)
        if not q.rank == k.rank == v.rank >= 2:
            raise ShapeError("attention takes q, k and v of one rank, 2 or more")
        if mask is not None and mask.dtype is not DType.BOOL:
            raise DTypeError(f"the mask of attention is bool, got {mask.dtype}", remedy="cast it with ops.cast")
        if self.window is not None and self.window < 1:
            raise ArgumentError(f"the window of attention is at least 1, got {self.window}")
        _agree(equations, "q and k need as many features", q, k, q.rank - 1, 0, 1)
        _agree(equations, "k and v need as many steps", k, v, q.rank - 2, 1, 2)
        for axis in range(q.rank - 2):
            _agree(equations, "k and v need equal leading sizes", k, v, axis, 1, 2)
            if not (axis == q.rank - 3 and _serves(q.shape[axis], k.shape[axis])):
                _agree(equations, "q and k need equal leading sizes", q, k, axis, 0, 1)
        scores = (*q.shape[:-1], k.shape[-2])
        for place, extra in ((3, bias), (4, mask)):
            if extra is not None:
                _check_broadcast(equations, extra.shape, scores, place, self.operands[place])
        return equations.inferred(TensorType(dtype, (*q.shape[:-1], v.shape[-1])))

    def groups(self, q: Shape, k: Shape) -> int:
        """How many heads of q share a head of k. It is 1 if a number is unknown, because then they must be equal."""
        heads, served = (q[-3], k[-3]) if len(q) > 2 else (1, 1)
        return heads // served if isinstance(heads, int) and isinstance(served, int) and served else 1


@dataclass(frozen=True)
class Band(Op):
    """x: t[*s, m, n] -> bool[m, n]: True at (i, j) where -below <= j - i <= above; None is no bound.

    The mask of attention whose scores are x: keras.layers.MultiHeadAttention's use_causal_mask and sliding_window.
    """

    rounding = EXACT
    below: int | None = None
    above: int | None = None

    def infer(self, x: TensorType) -> Types:
        """The last two axes, bool."""
        if x.rank < 2:
            raise ShapeError("a band needs the last two of 2 or more axes", remedy="give a value of rank 2 or more")
        return (TensorType(DType.BOOL, x.shape[-2:]),)


def _agree(
    equations: Equations, what: str, first: TensorType, second: TensorType, axis: int, place: int, other: int
) -> None:
    if equations.equate(first.shape[axis], second.shape[axis]) is None:
        raise ShapeError(
            f"{what}, got {first.shape[axis]} and {second.shape[axis]}", marks={place: [axis], other: [axis]}
        )


def _serves(heads: Dim, served: Dim) -> bool:
    return isinstance(heads, int) and isinstance(served, int) and 0 < served < heads and heads % served == 0


def _check_broadcast(equations: Equations, shape: Shape, scores: Shape, place: int, name: str) -> None:
    if len(shape) > len(scores):
        raise ShapeError(f"the {name} of attention has more axes than the scores {list(scores)}")
    for axis, (size, wanted) in enumerate(zip(shape, scores[len(scores) - len(shape) :], strict=True)):
        if size != 1 and equations.equate(size, wanted) is None:
            raise ShapeError(
                f"the {name} of attention does not broadcast to the scores: {size} against {wanted}",
                marks={place: [axis]},
                remedy="its axes are those of the scores: batch, heads, steps of the query, steps of the key",
            )


def attention(
    q: Operand,
    k: Operand,
    v: Operand,
    bias: Operand | None = None,
    mask: Operand | None = None,
    scale: float | None = None,
    causal: bool = False,
    window: int | None = None,
) -> Value:
    """Attention; the axis of heads comes before the axis of steps.

    Shapes: q [*b, t, d], k [*b, s, d], v [*b, s, c] -> [*b, t, c].
    scale: 1 / sqrt(d) unless given. mask: True where a score counts.
    bias: is added to the scores. causal: step t sees no later step. window: step t sees only steps nearer than
    this.

    >>> heads = dagir.Input((8, "time", 64))
    >>> ops.attention(heads, heads, heads, causal=True)
    <Value attention float32[batch, 8, time, 64]>
    """
    query, key, value = as_value(q), as_value(k), as_value(v)
    if scale is None:
        size = query.type.shape[-1]
        if not isinstance(size, int):
            raise ArgumentError("the scale of attention is 1 / sqrt(d), and d is not known here", remedy="give scale=")
        scale = 1 / sqrt(size)
    extra = [None if each is None else as_value(each, like=query) for each in (bias, mask)]
    return apply(Attention(float(scale), bool(causal), window), query, key, value, *extra)


def band(x: Operand, below: int | None = None, above: int | None = None) -> Value:
    """True at positions (i, j) of the last two axes with -below <= j - i <= above. Shapes: [*s, m, n] -> bool [m, n].

    >>> show(ops.band(np.zeros((3, 3)), below=0, above=1))
    [[True, True, False], [False, True, True], [False, False, True]]
    """
    return apply(Band(below, above), as_value(x))


def dot_product_attention(
    query: Operand,
    key: Operand,
    value: Operand,
    bias: Operand | None = None,
    mask: Operand | None = None,
    scale: float | None = None,
    is_causal: bool = False,
    flash_attention: bool | None = None,
    attn_logits_soft_cap: float | None = None,
) -> Value:
    """Attention; the axis of steps comes before the axis of heads.

    Shapes: query [b, t, n, d], key and value [b, s, n, d] -> query's.
    flash_attention chooses a kernel in Keras; the result is the same. attn_logits_soft_cap is refused, as in Keras on
    TensorFlow.
    bias: is added to the scores. mask: bool, True where a score counts. scale: 1 / sqrt(d) by default. is_causal:
    step t sees no later step.

    >>> heads = dagir.Input(("time", 8, 64))
    >>> ops.dot_product_attention(heads, heads, heads)
    <Value transpose float32[batch, time, 8, 64]>
    """
    if attn_logits_soft_cap is not None:
        raise ArgumentError(
            "attn_logits_soft_cap is not taken: Keras has it for JAX on TPU alone",
            remedy="compute the scores with ops.matmul, cap them with ops.tanh, and use ops.softmax",
        )
    operands = [as_value(operand) for operand in (query, key, value)]
    if any(operand.ndim != 4 for operand in operands):
        raise ShapeError("dot_product_attention takes values of rank 4: batch, steps, heads, features")
    q, k, v = (transpose(operand, (0, 2, 1, 3)) for operand in operands)
    return transpose(attention(q, k, v, bias, mask, scale, is_causal), (0, 2, 1, 3))
