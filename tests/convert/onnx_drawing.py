"""Drawn ONNX models of one operator: its attributes, shapes and opset, with feeds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

_CODES = {"float32": TensorProto.FLOAT, "float64": TensorProto.DOUBLE, "int64": TensorProto.INT64}
_CODES |= {"int32": TensorProto.INT32, "bool": TensorProto.BOOL, "int8": TensorProto.INT8, "uint8": TensorProto.UINT8}
_CODES |= {"int16": TensorProto.INT16, "uint16": TensorProto.UINT16}


@dataclass
class Drawn:
    """A node, the arrays that are fed, and those that are stored."""

    op: str
    opset: int
    fed: list[np.ndarray]
    stored: list[np.ndarray | None] = field(default_factory=list)
    attributes: dict[str, Any] = field(default_factory=dict)
    outputs: int = 1

    def model(self, free: bool = False):
        """As a ModelProto. free: whether the sizes of the inputs have names in place of numbers."""
        names = [f"x{place}" for place in range(len(self.fed))]
        kept = {f"w{place}": each for place, each in enumerate(self.stored)}
        inputs = [*names, *(name if each is not None else "" for name, each in kept.items())]
        outputs = [f"y{place}" for place in range(self.outputs)]
        node = helper.make_node(self.op, inputs, outputs, name="node", **self.attributes)
        entering = [
            helper.make_tensor_value_info(
                name, _CODES[str(each.dtype)], [f"{name}_{i}" if free else n for i, n in enumerate(each.shape)]
            )
            for name, each in zip(names, self.fed, strict=True)
        ]
        leaving = [helper.make_empty_tensor_value_info(name) for name in outputs]
        tensors = [numpy_helper.from_array(each, name) for name, each in kept.items() if each is not None]
        graph = helper.make_graph([node], "drawn", entering, leaving, tensors)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=8)

    def feeds(self):
        """The arrays by name."""
        return {f"x{place}": each for place, each in enumerate(self.fed)}

    def __repr__(self) -> str:
        shapes = [f"{each.dtype}{list(each.shape)}" for each in self.fed]
        stored = [None if each is None else each.tolist() for each in self.stored]
        return f"{self.op}-{self.opset}({shapes}, {stored}, {self.attributes})"


def shapes(low=1, high=4, largest=4):
    """Shapes of a few axes."""
    return st.lists(st.integers(1, largest), min_size=low, max_size=high).map(tuple)


@st.composite
def arrays(draw, shape=None, dtype="float32", low=-4, high=4):
    """Numbers that float32 holds exactly, so that only the operator rounds."""
    shape = draw(shapes()) if shape is None else shape
    rng = np.random.default_rng(draw(st.integers(0, 2**20)))
    if dtype == "bool":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.startswith(("int", "uint")):
        return rng.integers(0 if dtype[0] == "u" else low, high + 1, shape).astype(dtype)
    return (rng.integers(low * 16, high * 16 + 1, shape) / 16).astype(dtype)


def int64(numbers):
    """A vector of int64."""
    return np.asarray(numbers, "int64")


def _axis(draw, rank):
    return draw(st.integers(-rank, rank - 1))


def _axes(draw, rank):
    found = draw(st.lists(st.integers(0, rank - 1), min_size=1, max_size=rank, unique=True))
    return [axis - rank if draw(st.booleans()) else axis for axis in found]


def _setting(draw, opset, since, name, numbers, attributes, stored):
    """A list as the attribute or as the input that it is in this opset."""
    if opset < since:
        attributes[name] = list(numbers)
    else:
        stored.append(int64(numbers))


@st.composite
def reductions(draw):
    """ReduceX along axes of any sign, or all."""
    kind = draw(st.sampled_from(("L1", "L2", "LogSum", "LogSumExp", "Max", "Mean", "Min", "Prod", "Sum", "SumSquare")))
    opset = draw(st.sampled_from((11, 13, 18)))
    x = draw(arrays(low=1 if kind == "LogSum" else -2, high=2))
    attributes = {"keepdims": draw(st.integers(0, 1))}
    stored = []
    if draw(st.booleans()):
        _setting(draw, opset, 13 if kind == "Sum" else 18, "axes", _axes(draw, x.ndim), attributes, stored)
    return Drawn(f"Reduce{kind}", opset, [x], stored, attributes)


@st.composite
def slices(draw):
    """Slice with bounds inside and outside, of any sign, and steps forward and back."""
    x = draw(arrays())
    axes = _axes(draw, x.ndim)
    bound = st.one_of(st.integers(-6, 6), st.sampled_from((2**31 - 1, 2**63 - 1, -(2**31), -(2**63) + 1)))
    starts, ends = ([draw(bound) for _ in axes] for _ in range(2))
    opset = draw(st.sampled_from((9, 13)))
    if opset == 9:
        return Drawn("Slice", 9, [x], [], {"starts": starts, "ends": ends, "axes": [a % x.ndim for a in axes]})
    steps = [draw(st.sampled_from((1, 2, 3, -1, -2))) for _ in axes]
    # onnxruntime takes the largest end as no end backward too, where ONNX limits it to the axis: nothing is left
    ends = [-(2**31) if step < 0 and end >= 2**31 - 1 else end for end, step in zip(ends, steps, strict=True)]
    return Drawn("Slice", 13, [x], [int64(each) for each in (starts, ends, axes, steps)])


@st.composite
def reshapes(draw):
    """Reshape that keeps sizes by 0 and takes the rest by -1, Flatten, Squeeze, Unsqueeze, Transpose."""
    x = draw(arrays())
    op = draw(st.sampled_from(("Reshape", "Flatten", "Squeeze", "Unsqueeze", "Transpose", "Expand", "Tile")))
    opset = draw(st.sampled_from((11, 13)))
    if op == "Flatten":
        return Drawn(op, opset, [x], [], {"axis": draw(st.integers(-x.ndim, x.ndim))})
    if op == "Transpose":
        return Drawn(op, opset, [x], [], {"perm": draw(st.permutations(range(x.ndim)))} if draw(st.booleans()) else {})
    if op == "Expand":
        wanted = [1 if draw(st.booleans()) else n for n in x.shape]
        more = draw(st.lists(st.integers(1, 3), max_size=1))
        return Drawn(op, opset, [x], [int64([*more, *wanted])])
    if op == "Tile":
        return Drawn(op, opset, [x], [int64([draw(st.integers(1, 3)) for _ in x.shape])])
    if op == "Reshape":
        kept = draw(st.integers(0, x.ndim))
        return Drawn(op, opset, [x], [int64([0] * kept + [-1])] if kept < x.ndim else [int64([0] * kept)])
    stored, attributes = [], {}
    if op == "Squeeze":
        x = np.expand_dims(x, 1)
        _setting(draw, opset, 13, "axes", [draw(st.sampled_from((1, 1 - x.ndim)))], attributes, stored)
        return Drawn(op, opset, [x], stored, attributes)
    rank = x.ndim + draw(st.integers(1, 2))
    places = draw(st.lists(st.integers(0, rank - 1), min_size=rank - x.ndim, max_size=rank - x.ndim, unique=True))
    axes = [place - rank if draw(st.booleans()) else place for place in places]
    _setting(draw, opset, 13, "axes", axes, attributes, stored)
    return Drawn(op, opset, [x], stored, attributes)


@st.composite
def gathers(draw):
    """Gather, GatherElements, GatherND with indices of any sign."""
    op = draw(st.sampled_from(("Gather", "GatherElements", "GatherND")))
    x = draw(arrays(draw(shapes(1 if op != "GatherND" else 2, 3))))
    signs = draw(st.booleans())
    if op == "GatherND":
        batch = draw(st.integers(0, 1))
        depth = draw(st.integers(1, x.ndim - batch))
        counts = (*x.shape[:batch], draw(st.integers(1, 3)))
        rng = np.random.default_rng(draw(st.integers(0, 999)))
        columns = [rng.integers(-n if signs else 0, n, counts) for n in x.shape[batch : batch + depth]]
        return Drawn(op, 13, [x, np.stack(columns, -1)], [], {"batch_dims": batch})
    axis = _axis(draw, x.ndim)
    n = x.shape[axis]
    shape = (
        draw(shapes(0, 2))
        if op == "Gather"
        else tuple(
            draw(st.integers(1, 3)) if i == axis % x.ndim else draw(st.integers(1, size))
            for i, size in enumerate(x.shape)
        )
    )
    indices = draw(arrays(shape, "int64", -n if signs else 0, n - 1))
    return Drawn(op, 13, [x, indices], [], {"axis": axis})


@st.composite
def scatters(draw):
    """ScatterElements and ScatterND with each reduction; without one, at places that differ."""
    x = draw(arrays(draw(shapes(1, 3))))
    reduction = draw(st.sampled_from(("none", "add", "mul", "max", "min")))
    attributes = {} if reduction == "none" else {"reduction": reduction}
    rng = np.random.default_rng(draw(st.integers(0, 999)))
    if draw(st.booleans()):
        axis = draw(st.integers(0, x.ndim - 1))
        shape = [draw(st.integers(1, n)) for n in x.shape]
        rows = np.argsort(rng.random((*shape[:axis], x.shape[axis], *shape[axis + 1 :])), axis)
        indices = np.take(rows, range(shape[axis]), axis)
        if draw(st.booleans()):
            indices = indices - x.shape[axis]
        updates = draw(arrays(tuple(shape)))
        return Drawn("ScatterElements", 18, [x, indices.astype("int64"), updates], [], {"axis": axis, **attributes})
    depth = draw(st.integers(1, x.ndim))
    places = np.argwhere(np.ones(x.shape[:depth]))
    chosen = places[rng.permutation(len(places))[: draw(st.integers(1, len(places)))]]
    if draw(st.booleans()):
        chosen = chosen - np.array(x.shape[:depth])
    updates = draw(arrays((len(chosen), *x.shape[depth:])))
    return Drawn("ScatterND", 18, [x, chosen.astype("int64"), updates], [], attributes)


@st.composite
def joints(draw):
    """Concat and Split."""
    x = draw(arrays())
    axis = _axis(draw, x.ndim)
    if draw(st.booleans()):
        others = [draw(arrays(x.shape)) for _ in range(draw(st.integers(0, 2)))]
        return Drawn("Concat", 13, [x, *others], [], {"axis": axis})
    n = x.shape[axis]
    opset = draw(st.sampled_from((11, 13, 18)))
    first = draw(st.integers(0, n))
    stored, attributes = [], {"axis": axis}
    if draw(st.booleans()) or (n % 2 and opset < 18):
        _setting(draw, opset, 13, "split", [first, n - first], attributes, stored)
    elif opset == 18:
        if n == 1:
            return Drawn("Split", opset, [x], [int64([1])], attributes)
        attributes["num_outputs"] = 2
    return Drawn("Split", opset, [x], stored, attributes, 2)


@st.composite
def arithmetic(draw):
    """Operators of two operands that broadcast, of floats and integers."""
    op = draw(st.sampled_from(("Add", "Sub", "Mul", "Div", "Mod", "Pow", "Max", "Min", "Mean", "Sum", "Where")))
    dtype = draw(st.sampled_from(("float32", "int64", "int32")))
    shape = draw(shapes(0, 3))
    other = tuple(1 if draw(st.booleans()) else n for n in shape)[draw(st.integers(0, len(shape))) :]
    if op in ("Mean", "Sum"):
        dtype = "float32"
    if op == "Where":
        return Drawn(op, 16, [draw(arrays(shape, "bool")), draw(arrays(other, dtype)), draw(arrays(shape, dtype))])
    x, y = draw(arrays(shape, dtype)), draw(arrays(other, dtype))
    attributes = {}
    if op in ("Div", "Mod"):
        y = np.where(y == 0, y.dtype.type(3), y)
    if op == "Mod":
        attributes = {"fmod": 1 if dtype == "float32" else draw(st.integers(0, 1))}
    if op == "Pow":
        x, y = np.abs(x) + x.dtype.type(1), np.abs(y)
        if draw(st.booleans()):
            y = y.astype(draw(st.sampled_from(("float32", "int64", "int32"))))
    return Drawn(op, 13, [x, y], [], attributes)


@st.composite
def softmaxes(draw):
    """Softmax, LogSoftmax and Hardmax before and after opset 13, which changed what the axis means."""
    x = draw(arrays())
    op = draw(st.sampled_from(("Softmax", "LogSoftmax", "Hardmax")))
    attributes = {"axis": _axis(draw, x.ndim)} if draw(st.booleans()) else {}
    opset = draw(st.sampled_from((9, 11, 13)))
    if opset == 9:
        attributes = {name: axis % x.ndim for name, axis in attributes.items()}
    if not attributes and x.ndim == 1 and opset < 13:
        attributes = {"axis": 0}
    return Drawn(op, opset, [x], [], attributes)


_ALPHAS = {
    **{"LeakyRelu": {"alpha"}, "Elu": {"alpha"}, "Celu": {"alpha"}, "Selu": {"alpha", "gamma"}},
    **{"ThresholdedRelu": {"alpha"}, "HardSigmoid": {"alpha", "beta"}, "Shrink": {"bias", "lambd"}},
    **{op: set() for op in ("Relu", "Sigmoid", "Tanh", "Softplus", "Softsign", "HardSwish", "Mish")},
}


@st.composite
def activations(draw):
    """Activations with and without their attributes."""
    op = draw(st.sampled_from(sorted(_ALPHAS)))
    given = {name: draw(st.sampled_from((0.25, 0.5, 1.5))) for name in sorted(_ALPHAS[op]) if draw(st.booleans())}
    return Drawn(op, 18, [draw(arrays())], [], given)


@st.composite
def normalizations(draw):
    """Normalizations over channels and over last axes."""
    op = draw(st.sampled_from(("BatchNormalization", "InstanceNormalization", "LayerNormalization", "LRN")))
    op = draw(st.sampled_from((op, "LpNormalization", "MeanVarianceNormalization")))
    x = draw(arrays(draw(shapes(4, 4))))
    channels = x.shape[1]
    vector = arrays((channels,))
    if op == "BatchNormalization":
        mean, variance = draw(vector), np.abs(draw(vector)) + np.float32(0.5)
        return Drawn(op, draw(st.sampled_from((9, 15))), [x], [draw(vector), draw(vector), mean, variance])
    if op == "InstanceNormalization":
        return Drawn(op, 13, [x], [draw(vector), draw(vector)], {"epsilon": 0.01})
    if op == "LayerNormalization":
        axis = _axis(draw, 4)
        rest = x.shape[axis % 4 :]
        return Drawn(op, 17, [x], [draw(arrays(rest)), draw(arrays(rest))], {"axis": axis, "epsilon": 0.01})
    if op == "LRN":
        attributes = {"size": draw(st.sampled_from((1, 3, 5))), "alpha": 0.5, "beta": 0.75, "bias": 2.0}
        return Drawn(op, 13, [x], [], attributes)
    if op == "LpNormalization":
        return Drawn(op, 13, [x], [], {"axis": _axis(draw, 4), "p": draw(st.integers(1, 2))})
    x = np.concatenate([x, x + np.float32(1)], 0)  # without a spread onnxruntime divides by zero
    return Drawn(op, 13, [x])


@st.composite
def products(draw):
    """Gemm with its attributes, and MatMul of any ranks."""
    n, k, m = (draw(st.integers(1, 4)) for _ in range(3))
    if draw(st.booleans()):
        left, right = draw(st.sampled_from((((n, k), (k, m)), ((2, n, k), (k, m)), ((k,), (2, k, m)), ((n, k), (k,)))))
        return Drawn("MatMul", 13, [draw(arrays(left))], [draw(arrays(right))])
    swaps = [draw(st.integers(0, 1)) for _ in range(2)]
    a, b = ((k, n) if swaps[0] else (n, k)), ((m, k) if swaps[1] else (k, m))
    bias = draw(st.sampled_from(((), (m,), (1, m), (n, 1), (n, m), None)))
    attributes = {"transA": swaps[0], "transB": swaps[1]}
    attributes |= {name: draw(st.sampled_from((0.5, 2.0))) for name in ("alpha", "beta") if draw(st.booleans())}
    stored = [draw(arrays(b)), *([] if bias is None else [draw(arrays(bias))])]
    return Drawn("Gemm", draw(st.sampled_from((11, 13))), [draw(arrays(a))], stored, attributes)


@st.composite
def others(draw):
    """DepthToSpace, SpaceToDepth, Trilu, CumSum, OneHot, EyeLike, ReverseSequence, Clip."""
    op = draw(st.sampled_from(("DepthToSpace", "SpaceToDepth", "Trilu", "CumSum", "OneHot", "ReverseSequence", "Clip")))
    if op == "DepthToSpace":
        x = draw(arrays((draw(st.integers(1, 2)), 8, 2, 3)))
        return Drawn(op, 13, [x], [], {"blocksize": 2, "mode": draw(st.sampled_from(("DCR", "CRD")))})
    if op == "SpaceToDepth":
        return Drawn(op, 13, [draw(arrays((1, 3, 4, 6)))], [], {"blocksize": 2})
    if op == "Trilu":
        x = draw(arrays(draw(shapes(2, 3))))
        return Drawn(op, 14, [x], [np.asarray(draw(st.integers(-3, 3)), "int64")], {"upper": draw(st.integers(0, 1))})
    if op == "CumSum":
        x = draw(arrays())
        flags = {name: draw(st.integers(0, 1)) for name in ("exclusive", "reverse")}
        return Drawn(op, 14, [x], [np.asarray(_axis(draw, x.ndim), "int64")], flags)
    if op == "OneHot":
        depth = draw(st.integers(1, 4))
        indices = draw(arrays(draw(shapes(1, 2)), "int64", -depth - 1, depth + 1))
        values = np.float32([draw(st.integers(-3, 3)), draw(st.integers(-3, 3))])
        return Drawn(op, 11, [indices], [np.asarray(depth, "int64"), values], {"axis": _axis(draw, indices.ndim + 1)})
    if op == "ReverseSequence":
        x = draw(arrays(draw(shapes(2, 3))))
        time = draw(st.integers(0, 1))
        lengths = draw(arrays((x.shape[1 - time],), "int64", 1, x.shape[time]))
        return Drawn(op, 10, [x, lengths], [], {"time_axis": time, "batch_axis": 1 - time})
    limits = [np.float32(draw(st.integers(-3, 3))) if draw(st.booleans()) else None for _ in range(2)]
    return Drawn(op, 13, [draw(arrays())], [None if each is None else np.asarray(each) for each in limits])


DRAWN = (
    *(reductions(), slices(), reshapes(), gathers(), scatters(), joints(), arithmetic(), softmaxes()),
    *(activations(), normalizations(), products(), others()),
)
