"""Vocabularies, bins and categories against Keras's own layers, on every backend."""

from __future__ import annotations

import inspect
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers
from dagir.testing import assert_close, assert_equivalent

ALL = ["CategoryEncoding", "Discretization", "IntegerLookup", "StringLookup"]
WORDS = ["cat", "dog", "", "Ωmega", "a b"]
SIZES = st.sampled_from([1, 2, 3, 5])


def oracle(model, *xs):
    return dagir.lower(model, "numpy", precision="float64")(list(xs))


def model_of(layer, shape, dtype):
    x = dagir.Input(shape, dtype=dtype)
    return dagir.Model(x, layer(x))


def agree(model, judge, x):
    """The judge's dtype may be another: for all but int, Keras's lookups declare float32 and yield int64."""
    given = tf.constant(x.astype(object)) if x.dtype.kind == "T" else x
    want = np.asarray(judge(given))
    found = oracle(model, x)
    assert found.shape == want.shape
    if want.dtype == object:
        assert found.tolist() == [[word.decode() for word in row] for row in want.tolist()]
    else:
        assert_close(want.astype("float32"), found.astype("float32"), "Keras's own layer")
    assert_equivalent(model, [x])


@given(st.data())
def test_category_encoding_agrees_with_keras(data):
    draw = data.draw
    depth, mode = draw(st.integers(1, 6)), draw(st.sampled_from(["one_hot", "multi_hot", "count"]))
    rank = draw(st.integers(1, 3 if mode == "one_hot" else 2))
    shape = (draw(st.sampled_from([1, 3])), *(draw(SIZES) for _ in range(rank - 1)))
    x = (
        np.random.default_rng(draw(st.integers(0, 99)))
        .integers(0, depth, shape)
        .astype(draw(st.sampled_from(["int32", "int64"])))
    )
    model = model_of(layers.CategoryEncoding(depth, mode), shape[1:], str(x.dtype))
    agree(model, keras.layers.CategoryEncoding(depth, mode), x)


def test_counts_have_weights():
    rng = np.random.default_rng(0)
    ids, weights = rng.integers(0, 4, (3, 5)), rng.uniform(-2, 2, (3, 5)).astype("float32")
    a, b = dagir.Input((5,), dtype="int64"), dagir.Input((5,))
    model = dagir.Model([a, b], layers.CategoryEncoding(4, "count")(a, count_weights=b))
    want = np.asarray(keras.layers.CategoryEncoding(4, "count")(ids, count_weights=weights))
    assert_close(want, oracle(model, ids, weights), "Keras's own layer")
    assert_equivalent(model, [ids, weights])


@given(st.data())
def test_discretization_agrees_with_keras(data):
    """Values that are boundaries among the others, and NaN."""
    draw = data.draw
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    boundaries = np.sort(rng.uniform(-3, 3, draw(st.integers(1, 5)))).astype("float32").tolist()
    mode = draw(st.sampled_from(["int", "one_hot", "multi_hot", "count"]))
    shape = (draw(st.sampled_from([1, 3])), *(draw(SIZES) for _ in range(draw(st.integers(1, 2)))))
    x = np.where(rng.random(shape) < 0.3, boundaries[0], rng.uniform(-4, 4, shape)).astype("float32")
    if draw(st.booleans()):
        x = np.round(x).astype("int32")
    elif draw(st.booleans()):
        x.flat[0] = np.nan
    kwargs = {"bin_boundaries": boundaries, "output_mode": mode}
    model = model_of(layers.Discretization(**kwargs), shape[1:], str(x.dtype))
    agree(model, keras.layers.Discretization(**kwargs), x)


@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("count", [30, 700])
def test_discretization_adapts_as_keras_s(count, batched, tmp_path):
    data = np.random.default_rng(0).normal(size=(count, 2)).astype("float32")
    given = [data[: count // 3], data[count // 3 :]] if batched else data
    layer, judge = layers.Discretization(num_bins=5), keras.layers.Discretization(num_bins=5)
    layer.adapt(given)
    judge.adapt(given)
    assert_close(np.asarray(judge.bin_boundaries), np.asarray(layer.bin_boundaries), "Keras's own boundaries")
    model = model_of(layer, (2,), "float32")
    agree(model, judge, data)
    model.save(tmp_path / "m.dagir")
    assert dagir.load(tmp_path / "m.dagir").layers[-1].bin_boundaries == layer.bin_boundaries


@st.composite
def lookups(draw, name):
    """Arguments, and terms of which some are not known."""
    text = name == "StringLookup"
    terms = WORDS if text else [3, -7, 2**40, 0, 12]
    known = draw(st.lists(st.sampled_from(terms), min_size=1, max_size=5, unique=True))
    kwargs = {
        "vocabulary": known,
        "output_mode": draw(st.sampled_from(["int", "one_hot", "multi_hot", "count", "tf_idf"])),
    }
    if draw(st.booleans()):
        kwargs["mask_token"] = "nothing" if text else -99
    if not text:
        kwargs["num_oov_indices"] = draw(st.sampled_from([1, 1, 2, 3]))
    if kwargs["output_mode"] == "tf_idf":
        kwargs["idf_weights"] = [0.5 + 0.25 * i for i in range(len(known))]
    if draw(st.booleans()):
        kwargs.update(max_tokens=9, pad_to_max_tokens=True)
    if draw(st.booleans()) and "idf_weights" not in kwargs:  # special tokens may stand before the terms
        mask = [kwargs["mask_token"]] if "mask_token" in kwargs and kwargs["output_mode"] == "int" else []
        oov = ["[UNK]" if text else -1] * kwargs.get("num_oov_indices", 1)
        kwargs["vocabulary"] = [*mask, *oov, *known]
    rank = draw(st.integers(1, 3 if kwargs["output_mode"] in ("int", "one_hot") else 2))
    shape = (draw(st.sampled_from([1, 3])), *(draw(SIZES) for _ in range(rank - 1)))
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    x = np.asarray([*terms, "nothing" if text else -99, "other" if text else 8])[rng.integers(0, 7, shape)]
    return kwargs, (x.astype(dagir.DType.STRING.numpy) if text else x)


@pytest.mark.parametrize("name", ["IntegerLookup", "StringLookup"])
def test_lookup_agrees_with_keras(name):
    @given(lookups(name))
    def agrees(drawn):
        kwargs, x = drawn
        layer, judge = (getattr(home, name)(**kwargs) for home in (layers, keras.layers))
        assert layer.get_vocabulary() == [
            term.item() if hasattr(term, "item") else term for term in judge.get_vocabulary()
        ]
        assert layer.vocabulary_size() == judge.vocabulary_size()
        agree(model_of(layer, x.shape[1:], "string" if name == "StringLookup" else "int64"), judge, x)

    agrees()


@pytest.mark.parametrize("mask", [False, True])
@pytest.mark.parametrize("name", ["IntegerLookup", "StringLookup"])
def test_inverted(name, mask):
    text = name == "StringLookup"
    kwargs = {"vocabulary": WORDS if text else [3, -7, 12], "invert": True}
    if mask:
        kwargs["mask_token"] = "nothing" if text else -99
    x = np.array([[0, 1, 2], [3, 4, 77], [-1, 0, 3]])
    layer = getattr(layers, name)(**kwargs)
    agree(model_of(layer, (3,), "int64"), getattr(keras.layers, name)(**kwargs), x)


@pytest.mark.parametrize("given_as", ["list", "U", "object", "bytes"])
def test_text_in_every_form(given_as):
    model = model_of(layers.StringLookup(vocabulary=WORDS), (2,), "string")
    words = [["cat", "Ωmega"], ["bird", ""]]
    forms = {"list": words, "U": np.array(words), "object": np.array(words, object)}
    x = forms.get(given_as, np.char.encode(np.array(words), "utf-8"))
    for backend in ("numpy", "onnx", "keras"):
        assert dagir.lower(model, backend)(x).tolist() == [[1, 4], [0, 3]]
    with pytest.raises(dagir.DagirError, match="takes string, got an array of int64"):
        dagir.lower(model, "numpy")(np.array([[1, 2]]))


@pytest.mark.parametrize("name", ALL)
def test_sizes_known_at_run_time_only_and_every_opset(name):
    text = name == "StringLookup"
    kwargs = {"vocabulary": WORDS if text else [0, 2, 3]}
    kwargs = {"CategoryEncoding": {"num_tokens": 5}, "Discretization": {"bin_boundaries": [0.5, 2.0]}}.get(name, kwargs)
    layer, judge = (getattr(home, name)(**kwargs) for home in (layers, keras.layers))
    dtype = {"Discretization": "float32", "StringLookup": "string"}.get(name, "int64")
    model = model_of(layer, (None,), dtype)
    lowered = [dagir.lower(model, "onnx", opset=opset) for opset in (18, 21, 24)]
    lowered += [dagir.lower(model, "numpy"), dagir.lower(model, "keras")]
    for size in (1, 3, 4):
        ids = np.random.default_rng(size).integers(0, 5, (size, size))
        x = np.array(WORDS)[ids].astype(dagir.DType.STRING.numpy) if text else ids.astype(dtype)
        want = np.asarray(judge(tf.constant(x.astype(object)) if text else x))
        for run in lowered:
            assert_close(run(x), want, f"at {size}")


def test_lookups_are_native():
    for name, dtype in (("IntegerLookup", "int64"), ("StringLookup", "string")):
        model = model_of(getattr(layers, name)(vocabulary=["a"] if dtype == "string" else [1]), (2,), dtype)
        assert [node.op_type for node in dagir.lower(model, "onnx").artifact.graph.node] == ["LabelEncoder"]
        assert type(dagir.to_keras(model).layers[-1]) is getattr(keras.layers, name)


def test_without_a_place_for_what_is_not_known_it_is_an_error():
    model = model_of(layers.IntegerLookup(vocabulary=[3, 5], num_oov_indices=0, mask_token=0), (2,), "int64")
    assert_equivalent(model, [np.array([[3, 5], [0, 3]])])
    for backend in ("numpy", "onnx"):
        with pytest.raises(Exception, match=r"out of bounds|out of data bounds|index"):
            dagir.lower(model, backend)(np.array([[3, 7]]))


@pytest.mark.parametrize("name", ["IntegerLookup", "StringLookup"])
def test_lookup_adapts_as_keras_s(name):
    data = np.array(WORDS if name == "StringLookup" else [3, -7, 9, 0, 12])[
        np.random.default_rng(0).integers(0, 5, (9, 3)) % 4
    ]
    layer, judge = (getattr(home, name)(max_tokens=4) for home in (layers, keras.layers))
    layer.adapt(data)
    judge.adapt(data)
    assert layer.get_vocabulary() == [term.item() if hasattr(term, "item") else term for term in judge.get_vocabulary()]


def test_verify_and_files(tmp_path):
    x = dagir.Input((4,), dtype="string", name="words")
    y = layers.Embedding(7, 3)(layers.StringLookup(vocabulary=WORDS, mask_token="nothing", max_tokens=8)(x))
    model = dagir.Model(x, layers.Dense(2)(layers.Flatten()(y)), name="text")
    report = dagir.verify(model, backends=("numpy", "onnx", "keras"))
    assert report.ok, str(report)
    words = np.array([["cat", "dog", "bird", "nothing"]], object)
    want = dagir.lower(model, "numpy")(words)
    model.save(tmp_path / "m.dagir")
    assert np.array_equal(dagir.lower(dagir.load(tmp_path / "m.dagir"), "numpy")(words), want)
    dagir.to_onnx(model, tmp_path / "m.onnx")
    dagir.to_keras(model).save(tmp_path / "m.keras")
    assert_close(np.asarray(keras.models.load_model(tmp_path / "m.keras")(tf.constant(words))), want, "the Keras file")


@pytest.mark.parametrize("name", ALL)
def test_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (layers, keras.layers))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize(
    ("name", "kwargs", "dtype", "message"),
    [
        ("CategoryEncoding", {}, "int64", "positive int for num_tokens, got None"),
        ("CategoryEncoding", {"num_tokens": 3, "output_mode": "int"}, "int64", "for output_mode, got 'int'"),
        ("CategoryEncoding", {"num_tokens": 3, "sparse": True}, "int64", "dense values only"),
        ("CategoryEncoding", {"num_tokens": 3}, "string", "takes numbers as ids, got string"),
        ("Discretization", {}, "float32", "either bin_boundaries or num_bins"),
        ("Discretization", {"bin_boundaries": [2.0, 1.0]}, "float32", "rising numbers"),
        ("Discretization", {"num_bins": 3}, "float32", "no boundaries yet"),
        ("IntegerLookup", {}, "int64", "no vocabulary"),
        ("IntegerLookup", {"vocabulary": "/etc/passwd"}, "int64", "no vocabulary from a file or URL"),
        ("StringLookup", {"vocabulary": "https://example.org/v.txt"}, "string", "no vocabulary from a file or URL"),
        ("StringLookup", {"vocabulary": ["a", "a"]}, "string", "holds 'a' twice"),
        ("StringLookup", {"vocabulary": ["a"], "num_oov_indices": 2}, "string", "hashes what is not known"),
        ("StringLookup", {"vocabulary": ["a"], "output_mode": "tf_idf"}, "string", "takes idf_weights"),
        ("StringLookup", {"vocabulary": ["a"]}, "int64", "takes string, got int64"),
        ("IntegerLookup", {"vocabulary": [1, 2, 3], "max_tokens": 3}, "int64", "above max_tokens=3"),
        ("IntegerLookup", {"vocabulary": [5, -9], "mask_token": -9}, "int64", "-9 is reserved"),
    ],
)
def test_refuses(name, kwargs, dtype, message):
    with pytest.raises(dagir.DagirError, match=message):
        model_of(getattr(layers, name)(**kwargs), (2,), dtype)


def test_text_is_no_constant():
    x = dagir.Input((2,), dtype="string")
    with pytest.raises(dagir.DagirError, match="text cannot be a constant"):
        dagir.ops.equal(x, np.array("a"))
