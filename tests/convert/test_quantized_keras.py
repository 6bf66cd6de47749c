"""Keras models after `model.quantize(...)`, from memory and from their files, judged by Keras itself."""

from __future__ import annotations

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import warnings
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keras import layers
from keras.quantizers import AbsMaxQuantizer, Int4QuantizationConfig, Int8QuantizationConfig

import dagir

EVERYWHERE = ("numpy", "onnx", "keras")
CONFIGS = {
    "int8": Int8QuantizationConfig,
    "int8, floats in": lambda: Int8QuantizationConfig(activation_quantizer=None),
    "int8, narrow range": lambda: Int8QuantizationConfig(
        activation_quantizer=AbsMaxQuantizer(value_range=(-100, 90), epsilon=1e-3)
    ),
    "int4": Int4QuantizationConfig,
    "int4, a column": lambda: Int4QuantizationConfig(block_size=-1),
    "int4, codes in": lambda: Int4QuantizationConfig(block_size=None, activation_quantizer=AbsMaxQuantizer()),
    "int4, blocks": lambda: Int4QuantizationConfig(block_size=3),
    "float8": keras.quantizers.Float8QuantizationConfig,
}
EQUATIONS = (
    *("abc,cd->abd", "abc,cde->abde", "abc,bcd->ad", "abc,dc->adb", "abc,bd->acd"),
    *("abc,bcd->abd", "abc,b->ac"),  # a product for each place on b, and one with a vector
)


@dataclass(frozen=True)
class Drawn:
    """One layer on an input, and how it is quantized."""

    kind: str
    options: dict[str, Any]
    shape: tuple[int, ...]
    how: str
    rank: int | None
    seed: int
    ids: int | None = None

    def model(self) -> keras.Model:
        """Quantized, with weights of any size, and an adapter whose second half is not zero."""
        x = keras.Input(self.shape, dtype="float32" if self.ids is None else "int32", name="x")
        layer = getattr(layers, self.kind)(**self.options)
        made = keras.Model(x, layer(x))
        rng = np.random.default_rng(self.seed)
        for weight in made.weights:
            weight.assign(rng.normal(0, 2, weight.shape).astype("float32"))
        quantize(made, self.how)
        if self.rank is not None:
            layer.enable_lora(self.rank, lora_alpha=2 * self.rank + 1)
        for weight in made.weights:
            if "lora" in weight.name or (weight.name in ("inputs_scale", "kernel_scale") and self.how == "float8"):
                weight.assign(rng.uniform(0.01, 0.2, weight.shape).astype("float32"))
        return made


def quantize(model: keras.Model, how: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # an InputLayer has nothing to quantize
        model.quantize(config=CONFIGS[how]())


@st.composite
def projections(draw: st.DrawFn) -> Drawn:
    how = draw(st.sampled_from(sorted(CONFIGS)))
    time, size, units, more = (draw(st.integers(1, 9)) for _ in range(4))
    options = {"activation": draw(st.sampled_from([None, "relu", "tanh"]))}
    bias, equation = draw(st.booleans()), draw(st.sampled_from([None, *EQUATIONS]))
    if equation is None:
        options |= {"units": units, "use_bias": bias}
    else:
        letters = equation.partition("->")[2]
        sizes = {"b": time, "c": size, "d": units, "e": more}
        wanted = tuple(sizes[letter] for letter in letters[1:])
        options |= {"equation": equation, "output_shape": wanted, "bias_axes": letters[-1] if bias else None}
    adapts = how.startswith("int") and equation in (None, "abc,cd->abd", "abc,cde->abde")
    rank = draw(st.none() | st.integers(1, 3)) if adapts else None
    kind = "Dense" if equation is None else "EinsumDense"
    return Drawn(kind, options, (time, size), how, rank, draw(st.integers(0, 99)))


@st.composite
def embeddings(draw: st.DrawFn) -> Drawn:
    how = draw(st.sampled_from(["int8", "int4", "int4, a column", "int4, blocks"]))
    rows, size = draw(st.integers(1, 9)), draw(st.integers(1, 9))
    rank = draw(st.none() | st.integers(1, 3))
    options = {"input_dim": rows, "output_dim": size, "mask_zero": draw(st.booleans())}
    return Drawn("Embedding", options, (draw(st.integers(1, 4)),), how, rank, draw(st.integers(0, 99)), rows)


def inputs(drawn: Drawn) -> np.ndarray:
    rng = np.random.default_rng(drawn.seed)
    shape = (3, *drawn.shape)
    if drawn.ids is not None:
        return rng.integers(0, drawn.ids, shape).astype("int32")
    return (rng.normal(size=shape) * rng.choice([1e-3, 1, 30], shape[:1])[:, None, None]).astype("float32")


@settings(max_examples=15, deadline=None)
@given(projections() | embeddings())
def test_layers_in_memory_compute_what_keras_computes(drawn):
    source = drawn.model()
    model, x = dagir.from_keras(source), inputs(drawn)
    report = dagir.verify(model, {"numpy": "numpy", "onnx": "onnx", "keras itself": source}, inputs=x)
    assert report.ok, report
    wanted = np.asarray(source(x))
    assert np.allclose(dagir.lower(model, "onnx")(x), wanted, rtol=1e-5, atol=1e-6 * np.abs(wanted).max())


@settings(max_examples=6, deadline=None)
@given(projections() | embeddings())
def test_files_compute_what_keras_reads_from_them(tmp_path_factory, drawn):
    path = tmp_path_factory.mktemp("quantized") / "m.keras"
    drawn.model().save(path)  # which merges adapters
    report = dagir.verify(
        dagir.from_keras(path), {"numpy": "numpy", "keras itself": keras.models.load_model(path)}, inputs=inputs(drawn)
    )
    assert report.ok, report


def network() -> keras.Model:
    ids = keras.Input((5,), dtype="int32", name="ids")
    table = layers.ReversibleEmbedding(11, 7, tie_weights=False, logit_soft_cap=30.0, name="table")
    y = layers.Dense(9, "relu", name="hidden")(table(ids))
    y = layers.EinsumDense("abc,cde->abde", (5, 3, 5), bias_axes="de", name="heads")(y)
    y = layers.EinsumDense("abde,def->abf", (5, 7), name="joined")(y)
    return keras.Model(ids, table(y, reverse=True))


@pytest.mark.parametrize("how", ["int8", "int4"])
def test_networks_go_to_every_backend_and_through_files(how, tmp_path):
    keras.utils.set_random_seed(0)
    source = network()
    quantize(source, how)
    model = dagir.from_keras(source)
    report = dagir.verify(model, {**{name: name for name in EVERYWHERE}, "keras itself": source})
    assert report.ok, report
    x = np.arange(10, dtype="int32").reshape(2, 5)
    wanted = dagir.lower(model)(x)
    model.save(tmp_path / "m.dagir")
    assert np.array_equal(dagir.lower(dagir.load(tmp_path / "m.dagir"))(x), wanted)
    dagir.to_onnx(model, tmp_path / "m.onnx", verify=True)
    assert dagir.verify(model, str(tmp_path / "m.onnx")).ok
    assert np.allclose(np.asarray(dagir.to_keras(model)(x)), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("how", "tied"), [("int8", True), ("int4, codes in", False), ("int4, a column", True), ("int4, blocks", False)]
)
def test_tables_that_go_back(how, tied, tmp_path):
    keras.utils.set_random_seed(1)
    ids, x = keras.Input((4,), dtype="int32"), keras.Input((4, 5))
    table = layers.ReversibleEmbedding(7, 5, tie_weights=tied, embeddings_initializer="normal", mask_zero=True)
    source = keras.Model([ids, x], [table(ids), table(x, reverse=True)])
    quantize(source, how)
    source.save(tmp_path / "m.keras")
    for given_ in (source, tmp_path / "m.keras"):
        report = dagir.verify(dagir.from_keras(given_), {"onnx": "onnx", "keras itself": source})
        assert report.ok, report


@pytest.mark.parametrize(
    ("policy", "kind"), [("gptq/4/3", "dense"), ("gptq/8/-1", "einsum"), ("gptq/2/2", "dense"), ("awq/4/3", "einsum")]
)
def test_groups_of_gptq_and_awq(policy, kind, tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    x = keras.Input((4, 8))
    options = {"dtype": f"{policy}_from_float32", "name": "d"}
    layer = layers.Dense(5, "relu", **options)
    if kind == "einsum":
        layer = layers.EinsumDense("abc,cde->abde", (4, 3, 2), bias_axes="e", **options)
    source = keras.Model(x, layer(x))
    for weight in layer.weights:
        if weight.dtype == "uint8":
            weight.assign(rng.integers(0, 256 if weight.name == "kernel" else 9, weight.shape).astype("uint8"))
        elif weight.name == "g_idx":
            groups = layer.kernel_scale.shape[-1]
            weight.assign(rng.integers(0, groups, weight.shape).astype("float32"))  # GPTQ may order by activity
        else:
            weight.assign(rng.uniform(0.5, 2, weight.shape).astype("float32"))
    with pytest.raises(dagir.DagirError, match="not calibrated"):
        dagir.from_keras(source)
    layer.is_gptq_calibrated, layer.is_awq_calibrated = policy.startswith("gptq"), policy.startswith("awq")
    source.save(tmp_path / "m.keras")
    with pytest.raises(dagir.DagirError, match="expected bias, quantized_kernel, kernel_scale, kernel_zero"):
        dagir.from_keras(tmp_path / "m.keras")  # Keras 3.15 leaves out the zero points, and cannot load it either
    monkeypatch.setattr(layer, "_get_kernel_with_merged_lora", lambda: (None, None, layer.kernel_zero))
    source.save(tmp_path / "m.keras")
    for given_ in (source, tmp_path / "m.keras"):
        report = dagir.verify(dagir.from_keras(given_), {"onnx": "onnx", "keras itself": source})
        assert report.ok, report


def test_attention_of_quantized_parts_from_memory():
    keras.utils.set_random_seed(0)
    x = keras.Input((4, 8))
    source = keras.Model(x, layers.MultiHeadAttention(2, 4)(x, x))
    quantize(source, "int8")
    report = dagir.verify(dagir.from_keras(source), {"onnx": "onnx", "keras itself": source})
    assert report.ok, report


def test_onnx_gets_integer_products_and_stored_codes(tmp_path):
    keras.utils.set_random_seed(0)
    x = keras.Input((64,))
    source = keras.Model(x, layers.Dense(64)(x))
    quantize(source, "int8")
    artifact = dagir.lower(dagir.from_keras(source), "onnx").artifact
    assert "MatMulInteger" in [node.op_type for node in artifact.graph.node]
    path = dagir.to_onnx(dagir.from_keras(source), tmp_path / "m.onnx")
    assert path.stat().st_size < 64 * 64 * 2


def test_a_scale_that_is_off_is_seen():
    keras.utils.set_random_seed(0)
    source = network()
    quantize(source, "int8")
    model = dagir.from_keras(source)
    weight = next(each for each in model.weights if each.name == "hidden/kernel_scale")
    array = weight.numpy()
    array[3] *= 1.02
    weight.assign(array)
    report = dagir.verify(model, {"keras itself": source})
    assert not report.ok
    assert "hidden" in str(report.first_divergence)


def test_what_cannot_be_read_is_refused(tmp_path):
    x = keras.Input((4,))
    source = keras.Model(x, layers.Dense(4)(x))
    quantize(source, "int8")
    source.save(tmp_path / "m.h5")
    with pytest.raises(dagir.DagirError, match=r"save the model as \.keras"):
        dagir.from_keras(tmp_path / "m.h5")

    class Mine(layers.Dense):
        pass

    own = keras.Model(x, Mine(4, dtype="int8_from_float32")(x))
    with pytest.raises(dagir.DagirError, match="class of its own"):
        dagir.from_keras(own)
