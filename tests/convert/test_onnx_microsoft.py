"""Operators of com.microsoft that decoders and quantized models have, against onnxruntime's kernels."""

from __future__ import annotations

import re

import ml_dtypes
import numpy as np
import onnxruntime
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import dagir
from convert.drawn_nodes import assert_read_right, feeds_of, model_of, runtime_answers

onnxruntime.set_default_logger_severity(4)
FEW = settings(max_examples=max(2, settings.default.max_examples // 2))


def check(op, inputs, outputs=("float32",), stored=(), backends=("numpy", "onnx"), within=1e-4, **given):
    model = model_of(op, inputs, outputs, 21, domain="com.microsoft", stored=stored, **given)
    feeds = feeds_of(inputs, stored)
    assert_read_right(model, feeds, runtime_answers(model, feeds), backends, within, within)


def floats(*shape, seed=0):
    return np.random.default_rng([seed, *shape]).normal(size=shape).astype("float32")


def codes(*shape, dtype="uint8"):
    ends = np.iinfo(dtype)
    return np.random.default_rng(shape).integers(ends.min, ends.max, shape).astype(dtype)


def kernel_codes(*shape, dtype):
    """Half the range of int8: processors without VNNI add the products of uint8 and int8 by twos in 16 bits."""
    return codes(*shape, dtype=dtype) // (2 if dtype == "int8" else 1)


@FEW
@given(
    bits=st.sampled_from((2, 4, 8)),
    inner=st.integers(1, 70),
    block=st.sampled_from((16, 32)),
    zeros=st.sampled_from(("none", "codes", "floats")),
    bias=st.booleans(),
)
def test_products_with_codes_in_blocks(bits, inner, block, zeros, bias):
    rows, blocks = 5, -(-inner // block)
    if bits == 8 and zeros == "floats":  # which the kernel has not
        zeros = "none"
    zero = {
        "none": None,
        "codes": codes(rows, -(-blocks * bits // 8)),
        "floats": np.abs(floats(rows, blocks)) * 4,
    }[zeros]
    packed = codes(rows, blocks, block * bits // 8)
    scales, vector = np.abs(floats(rows, blocks)) / 10, floats(rows) if bias else None
    inputs = [floats(2, 3, inner), packed, scales, zero, None, vector]
    given = {"bits": bits, "block_size": block, "K": inner, "N": rows}
    check("MatMulNBits", inputs, stored=(1, 2, 3, 5), **given)


def test_a_product_that_may_be_in_8_bits_is_written_in_floats():
    """With accuracy_level 4 the kernel may round its inputs to 8 bits: what is written keeps to the float64 meaning."""
    inputs = [floats(2, 64), codes(5, 2, 16), np.abs(floats(5, 2)) / 10]
    given = {"bits": 4, "block_size": 32, "K": 64, "N": 5, "accuracy_level": 4}
    model = dagir.from_onnx(
        model_of("MatMulNBits", inputs, ("float32",), 21, domain="com.microsoft", stored=(1, 2), **given)
    )
    assert dagir.verify(model, {"onnx": "onnx"}, feeds_of(inputs, (1, 2))).ok


@pytest.mark.parametrize("kind", ["packed", "int4", "uint4"])
@pytest.mark.parametrize("zeros", [False, True])
def test_rows_of_a_table_of_codes(kind, zeros):
    ids, scales = np.array([[1, 2, 0], [3, 4, 6]]), np.abs(floats(7, 2))
    if kind == "packed":
        data, zero = codes(7, 16), codes(7, 1)
    else:
        dtype = getattr(ml_dtypes, kind)
        data, zero = ((codes(7, n) % 8).astype(dtype) for n in (32, 2))
    inputs = [data, ids, scales, zero if zeros else None]
    given = {"bits": 4, "block_size": 16, "gather_axis": 0, "quantize_axis": 1}
    check("GatherBlockQuantized", inputs, stored=(0, 2, 3), **given)


@FEW
@given(
    batch=st.integers(1, 2),
    steps=st.integers(1, 3),
    interleaved=st.integers(0, 1),
    partly=st.booleans(),
    heads_first=st.booleans(),
    offset=st.booleans(),
)
def test_rotated_embeddings(batch, steps, interleaved, partly, heads_first, offset):
    heads, size = 2, 6
    width = size - 2 if partly else size
    x = floats(batch, heads, steps, size) if heads_first else floats(batch, steps, heads * size)
    places = np.array([1]) if offset else np.arange(batch * steps).reshape(batch, steps)
    given = {"num_heads": heads, "rotary_embedding_dim": width} if partly else {}
    inputs = [x, places, floats(12, width // 2), floats(12, width // 2, seed=1)]
    check("RotaryEmbedding", inputs, stored=(2, 3), interleaved=interleaved, **given)


@st.composite
def grouped(draw):
    """Inputs and attributes of one attention in groups."""
    (batch, inner, groups), size = (draw(st.integers(1, 2)) for _ in range(3)), 16
    heads, past, steps = inner * groups, draw(st.sampled_from((0, 3))), draw(st.integers(1, 3))
    steps = 1 if past and batch > 1 else steps
    given = {"num_heads": heads, "kv_num_heads": inner}
    given |= {name: draw(number) for name, number in _OPTIONS.items() if draw(st.booleans())}
    whole = np.full(batch, past + steps - 1, "int32")
    whole[0] -= draw(st.integers(0, past)) if batch > 1 else 0
    if draw(st.booleans()):
        parts = [floats(batch, steps, (heads + 2 * inner) * size), None, None]
    else:
        parts = [floats(batch, steps, n * size, seed=n) for n in (heads, inner, inner)]
    before = [floats(batch, inner, past, size, seed=part) if past else None for part in (3, 4)]
    tables = [floats(16, size // 2, seed=part) if "do_rotary" in given else None for part in (5, 6)]
    return [*parts, *before, whole, np.asarray(past + steps, "int32"), *tables], given


_OPTIONS = {
    "local_window_size": st.just(2),
    "scale": st.just(0.3),
    "softcap": st.just(2.0),
    "do_rotary": st.just(1),
    "rotary_interleaved": st.integers(0, 1),
    "smooth_softmax": st.just(1),
}


@FEW
@given(case=grouped(), stored=st.booleans())
def test_attention_in_groups(case, stored):
    """Behind the length of a row the kernel leaves what was there: only what counts is compared."""
    inputs, given = case
    places = (6, 7, 8) if stored else (7, 8)
    model = model_of("GroupQueryAttention", inputs, ["float32"] * 3, 21, domain="com.microsoft", stored=places, **given)
    feeds = feeds_of(inputs, places)
    wanted, read = runtime_answers(model, feeds), dagir.from_onnx(model)
    for backend in ("numpy", "onnx"):
        found = dagir.lower(read, backend)(feeds)
        for row, last in enumerate(inputs[5]):
            np.testing.assert_allclose(found["out0"][row], wanted["out0"][row], 1e-4, 1e-4)
            for name in ("out1", "out2"):
                assert found[name].shape == wanted[name].shape
                np.testing.assert_allclose(found[name][row, :, : last + 1], wanted[name][row, :, : last + 1], 1e-4)


@pytest.mark.parametrize("packed", ["all", "keys and values"])
def test_packed_heads_are_those_apart(packed):
    """onnxruntime has no kernel for them on the CPU: judged by what it computes of the same numbers apart."""
    q, k, v = (floats(2, 3, 2, 4, seed=part) for part in range(3))
    apart = [each.reshape(2, 3, 8) for each in (q, k, v)]
    inputs = [np.stack([q, k, v], 3)] if packed == "all" else [apart[0], np.stack([k, v], 3)]
    judge = model_of("MultiHeadAttention", apart, ["float32"], 21, domain="com.microsoft", num_heads=2)
    model = model_of("MultiHeadAttention", inputs, ["float32"], 21, domain="com.microsoft", num_heads=2)
    assert_read_right(model, feeds_of(inputs), runtime_answers(judge, feeds_of(apart)))


@pytest.mark.parametrize("past", [0, 2])
@pytest.mark.parametrize("dtype", ["uint8", "int8"])
@pytest.mark.parametrize("columns", [False, True])
def test_attention_on_codes(past, dtype, columns):
    batch, steps, heads, size = 2, 3, 2, 3
    width = 3 * heads * size
    scale, zero = np.float32(0.01), np.asarray(3, dtype)
    if columns:
        scale, zero = np.full(width, scale), np.full(width, zero)
    inputs = [codes(batch, steps, 5), kernel_codes(5, width, dtype=dtype), floats(width), np.float32(0.02), scale]
    inputs = [np.asarray(each) for each in inputs] + [None, np.asarray(120, "uint8"), zero]
    inputs.append(floats(2, batch, heads, past, size) if past else None)
    outputs = ["float32", *(["float32"] if past else [])]
    check("QAttention", inputs, outputs, (1, 2, 3, 4, 6, 7), num_heads=heads, unidirectional=1)


@FEW
@given(
    direction=st.sampled_from(("forward", "reverse", "bidirectional")),
    dtype=st.sampled_from(("uint8", "int8")),
    steps=st.integers(1, 4),
    batch=st.integers(1, 2),
    starts=st.booleans(),
    peeks=st.booleans(),
)
def test_a_dynamic_lstm(direction, dtype, steps, batch, starts, peeks):
    ways, inner, units = 2 if direction == "bidirectional" else 1, 3, 4
    weights = [kernel_codes(ways, rows, 4 * units, dtype=dtype) for rows in (inner, units)]
    scales = [np.full(ways, 0.01 + 0.01 * place, "float32") for place in range(2)]
    zeros = [np.full(ways, 3, dtype)] * 2
    states = [floats(ways, batch, units, seed=part) if starts else None for part in (1, 2)]
    peepholes = floats(ways, 3 * units) if peeks else None
    inputs = [floats(steps, batch, inner), *weights, floats(ways, 8 * units), None, *states, peepholes]
    inputs += [scales[0], zeros[0], scales[1], zeros[1]]
    given = {"hidden_size": units, "direction": direction}
    check("DynamicQuantizeLSTM", inputs, ["float32"] * 3, (1, 2, 3, 7, 8, 9, 10, 11), within=1e-3, **given)


@pytest.mark.parametrize("segments", [False, True])
def test_embeddings_of_codes(segments):
    ids = np.array([[1, 2, 0], [3, 4, 6]], "int32")
    kinds, mask = (np.array([[0, 0, 1], [0, 1, 1]], "int32"), np.ones((2, 3), "int32")) if segments else (None, None)
    scales = [np.asarray(each, "float32") for each in (0.1, 0.2, 0.3, 0.01, 0.02)]
    zeros = [np.asarray(each, "uint8") for each in (3, 4, 5, 6, 7)]
    tables = [codes(7, 8), codes(5, 8), codes(2, 8) if segments else None, codes(8), codes(8)[::-1].copy()]
    if not segments:
        scales[2] = zeros[2] = None
    inputs = [ids, kinds, *tables, mask, *scales, *zeros]
    stored = (2, 3, 4, 5, 6, *range(8, 18))
    check("QEmbedLayerNormalization", inputs, ("float32", "int32"), stored, within=1e-3, epsilon=1e-5)


MATRIX, PADS = floats(2, 3), np.array([1, 0, 0, 2])
PLAIN = {
    "Trilu": ([floats(3, 4), np.asarray(1)], (1,), {"upper": 0}),
    "ExpandDims": ([MATRIX, np.asarray(-1, "int32")], (1,), {}),
    "GatherND": ([MATRIX, np.array([[0, 1], [1, 2]])], (), {}),
    "Pad": ([MATRIX, PADS[None], np.float32([7])], (1, 2), {}),
    "Pad mirrored": ([MATRIX, PADS], (1,), {"mode": "reflect"}),
    "CDist": ([floats(3, 4), floats(5, 4)], (), {"metric": "euclidean"}),
    "CDist squared": ([floats(3, 4), floats(5, 4)], (), {}),
    "Inverse": ([floats(2, 5, 5)], (), {}),
    "NhwcMaxPool": ([codes(2, 5, 6, 3)], (), {"kernel_shape": [2, 3], "strides": [1, 2], "pads": [1, 0, 0, 1]}),
}


@pytest.mark.parametrize("name", PLAIN)
def test_plain_operators(name):
    inputs, stored, given = PLAIN[name]
    check(name.partition(" ")[0], inputs, [str(inputs[0].dtype)], stored, **given)


def test_a_domain_that_is_not_imported_is_read_as_onnxruntime_reads_it():
    inputs = [floats(2, 3)]
    model = model_of("Gelu", inputs, ["float32"], 17, domain="com.microsoft")
    del model.opset_import[1]
    assert_read_right(model, feeds_of(inputs), runtime_answers(model, feeds_of(inputs)))


@pytest.mark.parametrize("op", ["NhwcConv", "NhwcFusedConv"])
def test_convolutions_with_channels_last(op):
    """Judged by Conv: onnxruntime's CPU has no kernel of these for float32."""
    x, w, b = floats(1, 2, 5, 5), floats(3, 2, 3, 3), floats(3)
    judge = model_of("Conv", [x, w, b], ["float32"], 21, stored=(1, 2), pads=[1] * 4)
    wanted = runtime_answers(judge, feeds_of([x, w, b], (1, 2)))["out0"].transpose(0, 2, 3, 1)
    inputs, given = [x.transpose(0, 2, 3, 1), w, b], {}
    if op == "NhwcFusedConv":
        inputs, given = [*inputs, floats(1, 5, 5, 3)], {"activation": "Relu"}
        wanted = np.maximum(wanted + inputs[3], 0)
    model = model_of(op, inputs, ["float32"], 21, domain="com.microsoft", stored=(1, 2), pads=[1] * 4, **given)
    assert_read_right(model, feeds_of(inputs, (1, 2)), {"out0": wanted})


@pytest.mark.parametrize("skip", [False, True])
@pytest.mark.parametrize("last", [0, 1])
def test_normalizations_of_groups(skip, last):
    """Judged by GroupNormalization: onnxruntime's CPU has no kernel of these."""
    x, other, bias, gamma, beta = (
        floats(2, 4, 3, 3),
        floats(2, 4, 3, 3, seed=1),
        floats(4),
        floats(4, seed=1),
        floats(4, seed=2),
    )
    total = x + other + bias[:, None, None] if skip else x
    judge = model_of("GroupNormalization", [total, gamma, beta], ["float32"], 21, num_groups=2)
    found = runtime_answers(judge, feeds_of([total, gamma, beta]))["out0"]
    wanted = {"out0": found / (1 + np.exp(-found)), "out1": total}
    if last:
        x, other, wanted = (
            x.transpose(0, 2, 3, 1),
            other.transpose(0, 2, 3, 1),
            {name: each.transpose(0, 2, 3, 1) for name, each in wanted.items()},
        )
    inputs, results = [x, gamma, beta, *((other, bias) if skip else ())], ["float32"] * (2 if skip else 1)
    given = {"groups": 2, "activation": 1, "channels_last": last}
    op = "SkipGroupNorm" if skip else "GroupNorm"
    model = model_of(op, inputs, results, 21, domain="com.microsoft", stored=(1, 2), **given)
    if skip and not last:
        with pytest.raises(dagir.errors.UnsupportedOp, match="channels last"):
            dagir.from_onnx(model)
        return
    names = ("out0", "out1") if skip else ("out0",)
    assert_read_right(
        model, feeds_of(inputs, (1, 2)), {name: wanted[name] for name in names}, ("numpy", "onnx", "keras")
    )


@pytest.mark.parametrize(
    ("op", "why"),
    [
        ("FusedMatMul", "which has no operator of this name; onnxruntime's domain 'com.microsoft' has one"),
        (
            "Attention",
            "which has it only in a later opset than 13, the file's; onnxruntime's domain 'com.microsoft'",
        ),
        ("Foo", "which has no operator of this name$"),
    ],
)
def test_an_operator_that_stands_in_the_domain_of_onnx(op, why):
    model = model_of(op, [floats(4, 4), floats(4, 4)], ("float32",), 13)
    with pytest.raises(onnxruntime.capi.onnxruntime_pybind11_state.InvalidGraph):
        runtime_answers(model, feeds_of([floats(4, 4), floats(4, 4)]))
    with pytest.raises(dagir.errors.UnsupportedOp) as refused:
        dagir.from_onnx(model)
    assert "node 'node'" in refused.value.summary
    assert re.search(why, refused.value.summary)
    assert ("node.domain = 'com.microsoft'" in refused.value.remedy) == (op != "Foo")
