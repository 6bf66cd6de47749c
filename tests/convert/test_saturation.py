"""Files of codes whose sums of pairs saturate on a CPU without VNNI: the report says so where that is the cause."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

import dagir
from dagir import layers
from dagir.precision.options import LowPrecision
from dagir_onnx.saturation import saturating_nodes
from saturating import SATURATES

_PRECISE = "session.x64quantprecision"
_PRODUCT = """
<ir_version: 8, opset_import: ["" : 17]>
product (float[n, 8] x) => (float[n, 3] y) {
    codes, scale, zero = DynamicQuantizeLinear (x)
    whole = MatMulInteger (codes, weights, zero)
    numbers = Cast <to: int = 1> (whole)
    y = Mul (numbers, scale)
}"""
_SATURATING = """
<ir_version: 8, opset_import: ["" : 17]>
product (float[n, 8] x) => (float[n, 3] y) {
    codes, scale, zero = DynamicQuantizeLinear (x)
    a = Cast <to: int = 1> (codes)
    b = Cast <to: int = 1> (weights)
    z = Cast <to: int = 1> (zero)
    pairs_a = Reshape (a, by_row)
    pairs_b = Reshape (b, by_column)
    left = Unsqueeze (pairs_a, last)
    products = Mul (left, pairs_b)
    two = ReduceSum <keepdims: int = 0> (products, second)
    short = Clip (two, least, most)
    sums = ReduceSum <keepdims: int = 0> (short, first)
    columns = ReduceSum (b, zeroth)
    shift = Mul (z, columns)
    shifted = Sub (sums, shift)
    whole = Cast <to: int = 6> (shifted)
    numbers = Cast <to: int = 1> (whole)
    y = Mul (numbers, scale)
}"""
_CONSTANTS = {
    "by_row": np.int64([-1, 4, 2]),
    "by_column": np.int64([4, 2, 3]),
    "last": np.int64([3]),
    "second": np.int64([2]),
    "first": np.int64([1]),
    "zeroth": np.int64([0]),
    "least": np.float32(-(2**15)),
    "most": np.float32(2**15 - 1),
}
LARGE = np.int8([[127, -127, 3]] * 8)
HALF = np.int8([[63, -63, 3]] * 8)


def product(weights, text=_PRODUCT):
    proto = onnx.parser.parse_model(text)
    arrays = {"weights": weights, **({} if text is _PRODUCT else _CONSTANTS)}
    proto.graph.initializer.extend(numpy_helper.from_array(array, name) for name, array in arrays.items())
    proto.graph.node[1].name = "heavy"
    return proto


@pytest.fixture
def without_vnni(monkeypatch):
    """Sessions whose product of codes adds pairs in 16 bits, unless they are asked to be exact."""
    session = onnxruntime.InferenceSession

    def opened(source, options=None, **arguments):
        proto = onnx.load(source) if isinstance(source, str) else onnx.load_from_string(source)
        weights = next(
            (numpy_helper.to_array(each) for each in proto.graph.initializer if each.name == "weights"), None
        )
        try:
            exact = options.get_session_config_entry(_PRECISE) == "1"
        except RuntimeError:  # the option is not set
            exact = False
        if exact or weights is None:
            return session(source, options, **arguments)
        saturating = product(weights, _SATURATING)
        del saturating.graph.output[:]
        saturating.graph.output.extend(proto.graph.output)
        return session(saturating.SerializeToString(), options, **arguments)

    monkeypatch.setattr(onnxruntime, "InferenceSession", opened)


def saved(weights, path):
    onnx.save(product(weights), path)
    return path


def test_a_file_that_saturates_here_is_explained(without_vnni, tmp_path):
    path = saved(LARGE, tmp_path / "codes.onnx")
    report = dagir.verify(dagir.from_onnx(path), path)
    assert not report.ok
    told = report.explained["codes.onnx"]
    assert "1 node holds weights that large, heavy in 67 % of its pairs" in told and _PRECISE in told
    assert told in " ".join(str(report).split()) and report.to_dict()["explained"] == {"codes.onnx": told}
    with pytest.raises(dagir.VerificationError, match=r"why codes\.onnx differs +onnxruntime adds the products"):
        report.require()


def test_the_same_file_is_right_with_vnni(tmp_path):
    path = saved(LARGE, tmp_path / "codes.onnx")
    report = dagir.verify(dagir.from_onnx(path), path)
    assert report.ok != SATURATES and bool(report.explained) == ("explained" in report.to_dict()) == SATURATES


def heavy(kind):
    """A network whose weights, activations and sums of products are all large and of one sign."""
    x = layers.Input((64,) if kind == "dense" else (6, 6, 16), name="x")
    if kind == "dense":
        y = layers.Dense(32)(layers.Dense(64, activation="relu")(x))
    else:
        y = layers.Conv2D(8, 1)(layers.Conv2D(16, 3, activation="relu")(layers.Conv2D(16, 3, activation="relu")(x)))
    model = dagir.Model(x, y, name="heavy")
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.9, 1.0, weight.shape).astype("float32"))
    return model, rng.uniform(0.7, 1.0, (16, *x.type.shape[1:])).astype("float32")


@pytest.mark.skipif(not SATURATES, reason="this CPU has VNNI, and saturates nowhere")
@pytest.mark.parametrize(
    ("kind", "quantize", "kernel"),
    [
        ("dense", "int8", "QLinearMatMul"),
        ("conv", "int8", "QLinearConv"),
        ("dense", "int8-dynamic", "DynamicQuantizeMatMul"),
    ],
)
def test_a_full_range_saturates_on_this_cpu_and_is_explained(kind, quantize, kernel, tmp_path):
    model, x = heavy(kind)
    path, right = tmp_path / "codes.onnx", dagir.lower(model, "numpy")(x)
    for full_range in (False, True):
        options = {"quantize": quantize, "calibrate": x, "full_range": full_range}
        narrow = LowPrecision(**options).applied(model).model
        dagir.to_onnx(model, path, **options)
        settings = onnxruntime.SessionOptions()
        settings.optimized_model_filepath, settings.log_severity_level = str(tmp_path / "run.onnx"), 4
        session = onnxruntime.InferenceSession(str(path), settings, providers=["CPUExecutionProvider"])
        assert kernel in {node.op_type for node in onnx.load(tmp_path / "run.onnx").graph.node} | {"QLinearMatMul"}
        (found,) = session.run(None, {"x": x})
        assert (np.linalg.norm(found - right) > 0.05 * np.linalg.norm(right)) == full_range
        report = dagir.verify(narrow, path, x)
        assert report.ok != full_range and ("codes.onnx" in report.explained) == full_range
        np.testing.assert_allclose(dagir.lower(narrow, "onnx")(x), right, rtol=0.03)  # which avoids these kernels


@pytest.mark.parametrize("weights", [LARGE, HALF])
def test_what_differs_for_another_reason_is_not_explained(without_vnni, weights, tmp_path):
    path = saved(weights, tmp_path / "codes.onnx")
    other = weights.copy()
    other[0] = 1
    report = dagir.verify(dagir.from_onnx(product(other)), path)
    assert not report.ok and not report.explained


def test_codes_against_floats_are_explained(without_vnni, tmp_path):
    path = saved(LARGE, tmp_path / "codes.onnx")
    x = dagir.Input((8,), name="x", batch_size=None)
    model = dagir.Model(x, dagir.ops.matmul(x, LARGE.astype("float32")))
    samples = np.linspace(0, 1, 64, dtype="float32").reshape(8, 8)
    report = dagir.verify(model, path, samples)
    assert not report.ok and "codes.onnx" in report.explained


def test_two_files_are_explained(without_vnni, tmp_path):
    codes = saved(LARGE, tmp_path / "codes.onnx")
    exact = product((LARGE.astype(int) + 128).astype("uint8"))  # which saturates on no CPU
    exact.graph.initializer[0].name = exact.graph.node[1].input[1] = "others"  # which the sessions above leave alone
    exact.graph.initializer.append(numpy_helper.from_array(np.uint8(128), "own_zero"))
    exact.graph.node[1].input.append("own_zero")
    onnx.save(exact, tmp_path / "exact.onnx")
    report = dagir.backend("onnx").compare(tmp_path / "exact.onnx", codes)
    assert not report.ok and "heavy" in report.explained["codes.onnx"]
    assert not dagir.backend("onnx").compare(codes, saved(LARGE // 2, tmp_path / "halves.onnx")).explained


def test_the_source_is_confirmed_by_exact_sums(without_vnni, called, tmp_path):
    path = saved(LARGE, tmp_path / "codes.onnx")
    code, out, err = called(path, tmp_path / "codes.dagir", "--json")
    assert code == 0, err
    assert json.loads(out)["confirmed_by"].startswith("onnxruntime")
    code, _, err = called("verify", tmp_path / "codes.dagir", path)
    assert code == 3 and "why codes.onnx differs" in err


def fused(op, weights, **attributes):
    """A product between DequantizeLinear nodes, its weights on the right."""
    nodes = [
        helper.make_node("DequantizeLinear", ["x", "scale"], ["a"]),
        helper.make_node("DequantizeLinear", ["weights", "scale"], ["b"]),
        helper.make_node(op, ["a", "b"], ["y"], name="node", **attributes),
    ]
    given = [
        helper.make_tensor_value_info("x", TensorProto.UINT8, None),
        helper.make_tensor_value_info("y", TensorProto.FLOAT, None),
    ]
    held = [numpy_helper.from_array(weights, "weights"), numpy_helper.from_array(np.float32(1), "scale")]
    return helper.make_model(helper.make_graph(nodes, "g", given[:1], given[1:], held))


@pytest.mark.parametrize(
    ("op", "weights", "attributes", "share"),
    [
        ("MatMul", [[65, 127], [64, -127], [1, 1], [1, 1]], {}, 0.25),
        ("Gemm", [[65, 64, 1, 1], [127, -127, 1, 1]], {"transB": 1}, 0.25),
        ("Gemm", [[65, 64], [1, 1]], {}, 0.0),
        ("MatMul", [[-65, 0], [-64, 0]], {}, 0.5),
        ("Conv", [[[65, 1], [64, 1]]], {}, 0.5),
        ("Conv", [[[65, 64], [1, 1]]], {}, 0.0),
    ],
)
def test_pairs_are_those_that_kernels_add(op, weights, attributes, share, tmp_path):
    found = saturating_nodes(fused(op, np.int8(weights), **attributes), tmp_path / "net.onnx")
    assert [(each.node, each.share) for each in found] == ([("node", share)] if share else [])


@pytest.mark.parametrize("tied", [False, True])
def test_weights_that_share_a_zero_point_or_are_shared(tied, tmp_path, called):
    """onnxruntime cannot multiply such codes exactly (tests/upstream): they are computed as floats, or taken apart."""
    rng = np.random.default_rng(0)
    nodes = [helper.make_node("QuantizeLinear", ["x", "xs", "xz"], ["q0"])]
    weights = {f"w{step}": rng.integers(-127, 128, (40, 40)).astype("int8") for step in range(1 if tied else 2)}
    for step in (0, 1):
        nodes += [
            helper.make_node("DequantizeLinear", [f"q{step}", "xs", "xz"], [f"d{step}"]),
            helper.make_node("DequantizeLinear", [f"w{0 if tied else step}", "s", "z"], [f"m{step}"], axis=1),
            helper.make_node("MatMul", [f"d{step}", f"m{step}"], [f"y{step}"]),
            helper.make_node("QuantizeLinear", [f"y{step}", "xs", "xz"], [f"q{step + 1}"]),
        ]
    nodes.append(helper.make_node("DequantizeLinear", ["q2", "xs", "xz"], ["y"]))
    weights |= {"xs": np.float32(0.37), "xz": np.uint8(128), "z": np.zeros(40, "int8")}
    weights["s"] = np.linspace(0.0017, 0.0023, 40, dtype="float32")
    sides = [[helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 40])] for name in "xy"]
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "shared", *sides, held)
    path = tmp_path / "shared.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    model = dagir.from_onnx(path)
    x = rng.normal(0, 20, size=(5, 40)).astype("float32")
    (found,) = dagir.lower(model, "onnx")(x).values()
    (wanted,) = dagir.lower(model, "numpy")(x).values()
    np.testing.assert_allclose(found, wanted, atol=0.371)
    report = dagir.verify(model, path)
    assert report.ok != SATURATES and bool(report.explained) == SATURATES
    code, out, err = called(path, tmp_path / "again.onnx")
    assert (code, "saturate at 16 bits" in out + err) == ((3, True) if SATURATES else (0, False)), (out, err)
