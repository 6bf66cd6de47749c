"""Operators that onnxruntime's optimizer writes, against its kernels; and files that it wrote."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from convert.drawn_nodes import assert_read_right, feeds_of, model_of, runtime_answers

_DOMAIN = "com.microsoft"


def _check(op, inputs, outputs=("float32",), stored=(), **attributes):
    domain = attributes.pop("domain", _DOMAIN)
    model = model_of(op, inputs, outputs, 17, domain=domain, stored=stored, **attributes)
    feeds = feeds_of(inputs, stored)
    assert_read_right(model, feeds, runtime_answers(model, feeds))


def _numbers(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


@pytest.mark.parametrize(
    ("activation", "numbers"),
    [("Relu", None), ("Tanh", None), ("LeakyRelu", [0.3]), ("Clip", [-0.2, 0.5]), ("HardSigmoid", [0.3, 0.4])],
)
@pytest.mark.parametrize("residual", [False, True])
def test_fused_convolutions(activation, numbers, residual):
    inputs = [_numbers(1, 2, 5, 5), _numbers(3, 2, 3, 3), _numbers(3), _numbers(1, 3, 5, 5) if residual else None]
    _check("FusedConv", inputs, stored=(1, 2), pads=[1] * 4, activation=activation, activation_params=numbers)


@pytest.mark.parametrize(("activation", "alpha"), [("Relu", None), ("Sigmoid", None), ("LeakyRelu", 0.3)])
def test_fused_gemms(activation, alpha):
    inputs = [_numbers(2, 3), _numbers(4, 3), _numbers(4)]
    fields = {"activation": activation, "activation_alpha": alpha, "transB": 1, "alpha": 0.5}
    _check("FusedGemm", inputs, stored=(1, 2), **fields)


@given(st.tuples(*[st.integers(0, 1)] * 4), st.sampled_from([1.0, 0.25]))
@settings(max_examples=settings.default.max_examples // 2)
def test_fused_products(turned, alpha):
    names = ("transA", "transB", "transBatchA", "transBatchB")
    shapes = []
    for rows, columns, turn, batch in ((4, 5, turned[0], turned[2]), (5, 6, turned[1], turned[3])):
        inner = (columns, rows) if turn else (rows, columns)
        shapes.append((inner[0], 2, 3, inner[1]) if batch else (2, 3, *inner))
    _check("FusedMatMul", [_numbers(*shape) for shape in shapes], **dict(zip(names, turned, strict=True)), alpha=alpha)


@pytest.mark.parametrize(
    ("op", "shapes", "fields"),
    [
        ("Gelu", [(2, 3)], {}),
        ("BiasGelu", [(2, 3), (3,)], {}),
        ("FastGelu", [(2, 3), (3,)], {}),
        ("QuickGelu", [(2, 3)], {"alpha": 1.5}),
        ("QuickGelu", [(2, 3)], {}),
    ],
)
def test_gelus(op, shapes, fields):
    _check(op, [_numbers(*shape) for shape in shapes], **fields)


def test_normalized_sums():
    x, skip, vectors = _numbers(2, 3, 8), _numbers(2, 3, 8, seed=1), [_numbers(8, seed=seed) for seed in range(3)]
    outputs = ("float32", None, None, "float32")
    _check("SkipLayerNormalization", [x, skip, *vectors], outputs, (2, 3, 4), epsilon=1e-3)
    _check("SkipLayerNormalization", [x, skip, *vectors[:2]], stored=(2, 3))
    _check("SkipSimplifiedLayerNormalization", [x, skip, *vectors[:2]], outputs, (2, 3), epsilon=1e-3)
    _check("SimplifiedLayerNormalization", [x, vectors[0]], stored=(1,), domain="", axis=-1, epsilon=1e-4)


@pytest.mark.parametrize("masked", [False, True])
def test_embeddings_of_words_places_and_segments(masked):
    ids, kinds = np.array([[1, 2, 0], [3, 4, 4]], "int32"), np.array([[0, 0, 1], [0, 1, 1]], "int32")
    mask = np.array([[1, 1, 0], [1, 1, 1]], "int32") if masked else None
    tables = [_numbers(5, 4), _numbers(3, 4), _numbers(2, 4), _numbers(4), _numbers(4, seed=1)]
    _check("EmbedLayerNormalization", [ids, kinds, *tables, mask], ("float32", "int32", "float32"), (2, 3, 4, 5, 6))
    _check("EmbedLayerNormalization", [ids, None, *tables[:2], None, *tables[3:]], ("float32", "int32"), (2, 3, 5, 6))


@st.composite
def attentions(draw):
    """(op, inputs, outputs, attributes) of one attention."""
    batch, steps, heads, size, past = (draw(st.integers(1, high)) for high in (3, 4, 3, 3, 2))
    past = past if draw(st.booleans()) else 0
    width, seed = heads * size, draw(st.integers(0, 99))
    fields = {"num_heads": heads, "unidirectional": draw(st.integers(0, 1))}
    if draw(st.booleans()):
        fields["scale"] = 0.3
    random = np.random.default_rng(seed)
    whole = steps + past
    bias = draw(st.sampled_from([None, _numbers(1, heads, steps, whole), _numbers(batch, heads, steps, whole)]))
    masks = {
        "none": None,
        "matrix": random.integers(0, 2, (batch, whole)).astype("int32"),
        "scores": random.integers(0, 2, (batch, steps, whole)).astype("int32"),
        "lengths": random.integers(1, whole + 1, batch).astype("int32"),
    }
    for name in ("matrix", "scores"):  # a row that is hidden whole is rounded at -10000
        masks[name][..., 0] = 1
    if draw(st.booleans()):
        kind = draw(st.sampled_from(["none", "matrix", "scores", *(["lengths"] if batch > 1 and not past else [])]))
        before = _numbers(2, batch, heads, past, size) if past else None
        bias = None if past else bias  # the kernel has not both
        inputs = [_numbers(batch, steps, 5), _numbers(5, 3 * width), _numbers(3 * width), masks[kind], before, bias]
        return "Attention", inputs, ["float32", *(["float32"] if past else [])], fields
    kind = draw(st.sampled_from(["none", "matrix"]))
    befores = [_numbers(batch, heads, past, size, seed=part) if past else None for part in (1, 2)]
    parts = [_numbers(batch, steps, width, seed=part) for part in range(3)]
    vector = draw(st.sampled_from([None, _numbers(3 * width)]))
    inputs = [*parts, vector, masks[kind], bias, *befores]
    return "MultiHeadAttention", inputs, ["float32", *(["float32"] * 2 if past else [])], fields


@given(attentions())
@settings(max_examples=2 * settings.default.max_examples)
def test_a_drawn_attention_is_onnxruntimes(drawn):
    op, inputs, outputs, fields = drawn
    _check(op, inputs, outputs, **fields)


_GRAPH = """<ir_version: 9, opset_import: ["" : 17]>
block (float[b, 3, 6, 6] x) => (float[b, n] y)
<float root = {1.4142135}, float one = {1}, float half = {0.5}, int64[2] flat = {0, -1}>
{
  conv = Conv<pads = [1, 1, 1, 1]>(x, w, wb)
  relu = Relu(conv)
  line = ReduceMean<axes = [2], keepdims = 0>(relu)
  line2 = MatMul(line, k2)
  product = MatMul(line, k)
  biased = Add(product, kb)
  over = Div(biased, root)
  erf = Erf(over)
  more = Add(erf, one)
  times = Mul(biased, more)
  gelu = Mul(times, half)
  sum = Add(gelu, line2)
  norm = LayerNormalization<axis = -1, epsilon = 0.001>(sum, g, gb)
  rows = Reshape(norm, flat)
  gemm = Gemm(rows, v, vb)
  y = Relu(gemm)
}"""


_WEIGHTS = {
    "w": (4, 3, 3, 3),
    "wb": (4,),
    "k": (6, 8),
    "k2": (6, 8),
    "kb": (8,),
    "g": (8,),
    "gb": (8,),
    "v": (32, 5),
    "vb": (5,),
}


def test_a_file_that_the_optimizer_wrote(tmp_path):
    model = onnx.parser.parse_model(_GRAPH)
    for name, shape in _WEIGHTS.items():
        model.graph.initializer.append(onnx.numpy_helper.from_array(_numbers(*shape), name))
    path, options = str(tmp_path / "optimized.onnx"), onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath, options.log_severity_level = path, 4
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    x = _numbers(2, 3, 6, 6)
    wanted = session.run(None, {"x": x})[0]
    written = {node.op_type for node in onnx.load(path).graph.node}
    assert {"FusedConv", "BiasGelu", "SkipLayerNormalization", "FusedGemm"} <= written
    assert_read_right(path, {"x": x}, {"y": wanted})


@pytest.mark.parametrize("op_type, domain", [("FusedMatMul", "com.microsoft"), ("Gemm", "")])
def test_a_scaled_product_of_halves_is_rounded_once(op_type, domain):
    """The product alone is beyond float16."""
    node = onnx.helper.make_node(op_type, ["a", "b"], ["y"], domain=domain, alpha=0.01)
    kind = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT16, [1, 1]) for name in "aby"]
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    graph = onnx.helper.make_graph([node], "net", kind[:2], kind[2:])
    model = dagir.from_onnx(onnx.helper.make_model(graph, opset_imports=opsets, ir_version=8))
    for backend in ("numpy", "onnx", "keras"):
        found = dagir.lower(model, backend)({name: np.full((1, 1), 300, "float16") for name in "ab"})["y"]
        np.testing.assert_allclose(found, [[900]], rtol=1e-3)
