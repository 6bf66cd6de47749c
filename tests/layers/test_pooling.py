"""Pooling layers against Keras's own, on every backend."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")

import keras
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import dagir
from dagir import layers
from dagir.runtime.backend import signature
from dagir.testing import assert_close, assert_equivalent
from dagir_onnx.executable import OnnxExecutable
from dagir_onnx.lowering import model_proto

WINDOWS = [f"{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)]
GLOBAL = [f"Global{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)]
ADAPTIVE = [f"Adaptive{kind}Pooling{rank}D" for kind in ("Max", "Average") for rank in (1, 2, 3)]
ALIASES = [f"{kind}{rank}D" for kind in ("MaxPool", "AvgPool", "GlobalMaxPool", "GlobalAvgPool") for rank in (1, 2, 3)]


def rank_of(name):
    return int(name[-2])


@st.composite
def arguments(draw, name):
    """Arguments, and the shape of an input that fits them."""
    rank = rank_of(name)
    data_format = draw(st.sampled_from([None, "channels_last", "channels_first"]))
    kwargs = {"data_format": data_format}
    least = [1] * rank
    if name in GLOBAL:
        kwargs["keepdims"] = draw(st.booleans())
    else:
        sizes = st.integers(1, 3)
        window = draw(sizes) if draw(st.booleans()) else tuple(draw(sizes) for _ in range(rank))
        kwargs["pool_size"] = window
        kwargs["padding"] = draw(st.sampled_from(["valid", "same"]))
        if rank < 3:  # see test_3d_with_strides_above_its_window
            kwargs["strides"] = draw(st.none() | sizes | st.tuples(*[sizes] * rank))
        else:
            kwargs["strides"] = draw(st.none() | st.just(1))
        if kwargs["padding"] == "valid":
            least = [window] * rank if isinstance(window, int) else list(window)
    spatial = [low + draw(st.integers(0, 4)) for low in least]
    channels, batch = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3]))
    shape = (batch, channels, *spatial) if data_format == "channels_first" else (batch, *spatial, channels)
    return kwargs, shape


@st.composite
def adaptive_arguments(draw, name):
    """Windows of one length and of several. One window or one element on an axis: see below."""
    rank = rank_of(name)
    number = tuple(draw(st.integers(2, 6)) for _ in range(rank))
    kwargs = {"output_size": number[0] if len(set(number)) == 1 else number}
    kwargs["data_format"] = draw(st.sampled_from([None, "channels_last", "channels_first"]))
    even = draw(st.booleans())
    spatial = [size * draw(st.integers(1, 3)) if even else draw(st.integers(2, 9)) for size in number]
    channels, batch = draw(st.integers(1, 3)), draw(st.sampled_from([1, 3]))
    first = kwargs["data_format"] == "channels_first"
    return kwargs, ((batch, channels, *spatial) if first else (batch, *spatial, channels))


def oracle(model, *xs):
    return dagir.lower(model, "numpy", precision="float64")(list(xs))


def model_of(name, kwargs, shape):
    x = dagir.Input(shape)
    return dagir.Model(x, getattr(layers, name)(**kwargs)(x))


@pytest.mark.parametrize("name", [*WINDOWS, *GLOBAL, *ADAPTIVE])
def test_layer_agrees_with_keras(name):
    @given(adaptive_arguments(name) if name in ADAPTIVE else arguments(name), st.integers(0, 2**16))
    def agrees(drawn, seed):
        kwargs, shape = drawn
        x = np.random.default_rng(seed).uniform(-5, -1, shape).astype("float32")
        want = np.asarray(getattr(keras.layers, name)(**kwargs)(x))
        model = model_of(name, kwargs, shape[1:])
        assert model.output.shape[1:] == want.shape[1:]
        assert_close(want, oracle(model, x), "Keras's own layer")
        assert_equivalent(model, [x])

    agrees()


@pytest.mark.parametrize("data_format", ["channels_last", "channels_first"])
@pytest.mark.parametrize("padding", ["valid", "same"])
@pytest.mark.parametrize("strides", [1, 2, 3])
@pytest.mark.parametrize("name", ["MaxPooling1D", "MaxPooling2D", "AveragePooling1D", "AveragePooling2D"])
def test_sizes_known_at_run_time_only(name, strides, padding, data_format):
    """One lowered model at three sizes; a strided "same" pads differently at each."""
    rank = rank_of(name)
    kwargs = {"pool_size": 3, "strides": strides, "padding": padding, "data_format": data_format}
    last = data_format == "channels_last"
    model = model_of(name, kwargs, (*(None,) * rank, 2) if last else (2, *(None,) * rank))
    judge = getattr(keras.layers, name)(**kwargs)
    lowered = {backend: dagir.lower(model, backend) for backend in ("numpy", "onnx", "keras")}
    for size in (4, 6, 7):
        spatial = range(size, size + rank)
        shape = (2, *spatial, 2) if last else (2, 2, *spatial)
        x = np.random.default_rng(size).uniform(-5, -1, shape).astype("float32")
        expected = oracle(model, x)
        assert_close(np.asarray(judge(x)), expected, f"Keras's own layer at {size}")
        for backend, run in lowered.items():
            assert_close(run(x), expected, f"{backend} at {size}")


@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_3d_with_strides_above_its_window(kind):
    """Where nothing is to be padded the first window is at 0; TensorFlow's pools over three axes alone begin later."""
    kwargs = {"pool_size": (1, 1, 2), "strides": (1, 3, 5), "padding": "same"}
    x = np.random.default_rng(1).uniform(-5, -1, (2, 1, 6, 5, 2)).astype("float32")
    model = model_of(f"{kind}Pooling3D", kwargs, x.shape[1:])
    judge = getattr(keras.layers, f"{kind}Pooling2D")((1, 2), (3, 5), "same")
    assert_close(np.asarray(judge(x[:, 0]))[:, None], oracle(model, x), "Keras's own layer")
    assert_equivalent(model, [x], ("numpy", "onnx"))


@pytest.mark.parametrize("pool_size", [2, 3])
def test_average_for_cuda(pool_size):
    """Padding that differs from side to side is pooled outright: onnxruntime's CUDA kernel counts it (#29631)."""
    model = model_of("AveragePooling2D", {"pool_size": pool_size, "strides": 1, "padding": "same"}, (5, 7, 2))
    graph, interface = model.graph, signature(model)
    kinds = {}
    for device in ("cpu", "cuda"):
        proto, weights = model_proto(graph, interface, 21, device=device)
        kinds[device] = [node.op_type for node in proto.graph.node]
        x = np.random.default_rng(0).uniform(-5, -1, (2, 5, 7, 2)).astype("float32")
        assert_close(OnnxExecutable(graph, interface, proto, weights)(x), oracle(model, x), device)
    assert ("Pad" in kinds["cuda"]) == (pool_size == 2)
    assert "Pad" not in kinds["cpu"]


def test_float64_average_with_padding_known_at_run_time_only():
    """onnxruntime has no kernel for it, so it is summed from slices."""
    x = dagir.Input((None, 2), dtype="float64")
    model = dagir.Model(x, dagir.ops.average_pool(x, 3, 2, "same"))
    for size in (4, 7):
        array = np.random.default_rng(size).uniform(-5, -1, (2, size, 2))
        assert_close(dagir.lower(model, "onnx")(array), oracle(model, array), "onnx", dagir.DType.FLOAT64)


@pytest.mark.parametrize("keepdims", [False, True])
def test_global_average_over_unmasked_steps(keepdims):
    ids = np.array([[3, 1, 0, 0], [2, 0, 4, 0], [1, 2, 3, 4]], "int32")
    table = np.random.default_rng(0).uniform(-2, 2, (5, 3)).astype("float32")
    x = dagir.Input((None,), dtype="int32")
    embedding = layers.Embedding(5, 3, mask_zero=True)
    y = layers.GlobalAveragePooling1D(keepdims=keepdims)(embedding(x))
    embedding.set_weights([table])
    assert y.mask is None
    judge = keras.layers.Embedding(5, 3, mask_zero=True)
    judge.build((None, 4))
    judge.set_weights([table])
    want = np.asarray(keras.layers.GlobalAveragePooling1D(keepdims=keepdims)(judge(ids)))
    model = dagir.Model(x, y)
    assert_close(want, oracle(model, ids), "Keras's own layers")
    assert_equivalent(model, [ids])
    assert_equivalent(model, [ids[:1, :3]])


@pytest.mark.parametrize(("size", "number"), [((4, 5), (1, 1)), ((4, 5), (3, 1)), ((1, 6), (2, 4)), ((1, 1), (1, 3))])
@pytest.mark.parametrize("kind", ["Max", "Average"])
def test_adaptive_pools_to_one_or_of_one(kind, size, number):
    """One window on an axis, or one element: see test_keras_cannot_max_pool_to_one. Windows may be sliced out here."""
    x = np.random.default_rng(0).uniform(-5, -1, (2, *size, 3)).astype("float32")
    model = model_of(f"Adaptive{kind}Pooling2D", {"output_size": number}, x.shape[1:])
    rows, columns = ([(i * s // n, -(-(i + 1) * s // n)) for i in range(n)] for s, n in zip(size, number, strict=True))
    combine = np.max if kind == "Max" else np.mean
    want = [[combine(x[:, a:b, c:d].astype("float64"), axis=(1, 2)) for c, d in columns] for a, b in rows]
    assert_close(oracle(model, x), np.moveaxis(np.asarray(want), 2, 0), "the definition")
    assert_equivalent(model, [x])


@pytest.mark.xfail(
    reason="Keras 3.15 pools over size + 1 elements; TensorFlow 2.21's oneDNN divides by zero", strict=True
)
def test_keras_cannot_max_pool_to_one():
    """In a process of its own, which it ends."""
    code = "import keras, numpy as np; keras.layers.AdaptiveMaxPooling1D(1)(np.ones((1, 3, 1), 'float32'))"
    environment = {**os.environ, "TF_ENABLE_ONEDNN_OPTS": "1"}  # as it is by default
    assert (
        subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, check=False).returncode == 0
    )


@pytest.mark.parametrize("name", [*WINDOWS, *GLOBAL, *ADAPTIVE])
def test_signature_is_keras_s(name):
    mine, theirs = (inspect.signature(getattr(home, name)) for home in (layers, keras.layers))
    assert [(p.name, p.default) for p in mine.parameters.values()] == [
        (p.name, p.default) for p in theirs.parameters.values()
    ]


@pytest.mark.parametrize("name", ALIASES)
def test_alias_is_keras_s(name):
    assert getattr(layers, name).__name__ == getattr(keras.layers, name).__name__


@pytest.mark.parametrize(
    ("name", "kwargs", "shape", "message"),
    [
        ("MaxPooling2D", {"pool_size": 0}, (4, 4, 1), "pool_size, got 0"),
        ("MaxPooling2D", {"pool_size": (2, 2, 2)}, (4, 4, 1), "or 2 of them for pool_size"),
        ("MaxPooling2D", {"strides": (1, 0)}, (4, 4, 1), "strides"),
        ("MaxPooling1D", {"padding": "causal"}, (4, 1), "'valid' or 'same', got 'causal'"),
        ("MaxPooling1D", {"data_format": "last"}, (4, 1), "data_format"),
        ("MaxPooling2D", {}, (4, 1), "rank 4, got 3"),
        ("AveragePooling2D", {"pool_size": 5}, (4, 6, 1), "reaches over 5 elements, the axis has 4"),
        ("GlobalMaxPooling2D", {}, (4, 1), "rank 4, got 3"),
        ("AveragePooling2D", {}, (4, 4, 1), "pool_size"),
        ("AdaptiveMaxPooling1D", {"output_size": 2}, (None, 1), "needs a known size"),
        ("AdaptiveMaxPooling2D", {"output_size": 0}, (4, 4, 1), "output_size, got 0"),
        ("AdaptiveAveragePooling2D", {"output_size": (1, 2, 3)}, (4, 4, 1), "2 of them for output_size"),
    ],
)
def test_refuses(name, kwargs, shape, message):
    with pytest.raises(dagir.DagirError, match=message):
        model_of(name, kwargs, shape)
