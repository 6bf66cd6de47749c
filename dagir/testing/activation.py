"""Strategies for activation functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hypothesis import strategies as st

from dagir import ops
from dagir.testing.cases import OpCase, arrays, shapes, strategy_for

_FIELDS: dict[type[Any], Callable[[Any], dict[str, Any]]] = {
    ops.Elu: lambda draw: {"alpha": draw(st.sampled_from([0.3, 1.0, 2.0]))},
    ops.Celu: lambda draw: {"alpha": draw(st.sampled_from([0.3, 1.0, 2.0]))},
    ops.HardShrink: lambda draw: {"threshold": draw(st.sampled_from([0.5, 1.0, 2.0]))},
    ops.SoftShrink: lambda draw: {"threshold": draw(st.sampled_from([0.5, 1.0, 2.0]))},
    ops.LeakyRelu: lambda draw: {"negative_slope": draw(st.sampled_from([0.01, 0.2, 0.3]))},
    ops.Gelu: lambda draw: {"approximate": draw(st.booleans())},
}


def _activation(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        bound = draw(st.sampled_from([3.0, 30.0, 100.0]))  # large bounds reach the range where the functions saturate
        return OpCase(op(**_FIELDS.get(op, lambda _: {})(draw)), (draw(arrays(shapes(), low=-bound, high=bound)),))


for _op in (
    ops.Relu,
    ops.Sigmoid,
    ops.Tanh,
    ops.Softplus,
    ops.Softsign,
    ops.Silu,
    ops.HardSigmoid,
    ops.HardSilu,
    ops.Selu,
    ops.Elu,
    ops.Celu,
    ops.HardShrink,
    ops.SoftShrink,
    ops.LeakyRelu,
    ops.Gelu,
):
    _activation(_op)


def _softmax(op: type[Any]) -> None:
    @strategy_for(op)
    @st.composite
    def draw_case(draw: st.DrawFn) -> OpCase:
        shape = draw(shapes(1))
        axes = draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))
        bound = draw(st.sampled_from([3.0, 100.0]))
        return OpCase(op(tuple(sorted(axes))), (draw(arrays(shape, low=-bound, high=bound)),))


for _softmax_op in (ops.Softmax, ops.LogSoftmax):
    _softmax(_softmax_op)


@strategy_for(ops.Sparsemax)
@st.composite
def sparsemax(draw: st.DrawFn) -> OpCase:
    """Elements that are close to each other, so that some results are zero and some are not."""
    shape = draw(shapes(1))
    bound = draw(st.sampled_from([0.3, 3.0]))
    return OpCase(ops.Sparsemax(draw(st.integers(0, len(shape) - 1))), (draw(arrays(shape, low=-bound, high=bound)),))


@strategy_for(ops.PRelu)
@st.composite
def prelu(draw: st.DrawFn) -> OpCase:
    """Slopes with the shape of x, with the shape of its last axes, and with axes of size 1."""
    shape = draw(shapes(1))
    kept = shape[draw(st.integers(0, len(shape) - 1)) :]
    slope = draw(arrays(tuple(draw(st.sampled_from([1, size])) for size in kept)))
    return OpCase(ops.PRelu(), (draw(arrays(shape)), slope), draw(st.sampled_from([frozenset({1}), frozenset[int]()])))
