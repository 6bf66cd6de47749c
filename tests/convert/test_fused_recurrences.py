"""Recurrences that TensorFlow runs as one op. cuDNN's has no kernel here: Keras is made to call it while it is traced,
and judges, run on a processor, what dagir makes of the graph."""

from __future__ import annotations

import importlib

import keras
import numpy as np
import onnx
import pytest
import tensorflow as tf
from keras import layers as L

import dagir
from dagir.errors import UnsupportedLayer

LAYERS = {
    "lstm": lambda: L.LSTM(4, return_sequences=True),
    "gru": lambda: L.GRU(4, return_sequences=True),
    "last": lambda: L.LSTM(4),
    "backwards": lambda: L.GRU(4, go_backwards=True),
    "both ways": lambda: L.Bidirectional(L.LSTM(3, return_sequences=True)),
}


@pytest.fixture
def on_cudnn(monkeypatch):
    """Keras takes cuDNN's op wherever a GPU would have it."""
    monkeypatch.setattr(importlib.import_module("keras.src.backend.tensorflow.rnn"), "cudnn_ok", lambda *_, **__: True)


def network(layer, masked=False):
    x = keras.Input((None, 3), name="x")
    model = keras.Model(x, layer(L.Masking(0.0)(x) if masked else x))
    rng = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(rng.normal(0, 0.5, weight.shape))
    return model


def traced(model):
    spec = tf.TensorSpec([None, None, 3], name="x")
    concrete = tf.function(lambda x: model(x, training=False), input_signature=[spec]).get_concrete_function()
    assert "CudnnRNNV3" in {node.type for node in concrete.graph.get_operations()}
    return dagir.from_tensorflow(concrete)


@pytest.mark.parametrize("name", LAYERS)
def test_what_keras_traces_where_a_gpu_is(on_cudnn, name):
    model = network(LAYERS[name]())
    read = traced(model)
    assert dagir.verify(read, ("onnx", "keras")).ok
    for shape in ((2, 5, 3), (1, 2, 3)):
        x = np.random.default_rng(0).normal(size=shape).astype("float32")
        np.testing.assert_allclose(dagir.lower(read, "onnx")(x), eager(model, x), atol=1e-6)
    found = [node.op_type for node in dagir.to_onnx(read).graph.node]
    assert {"LSTM", "GRU"} & set(found) and not {"GatherElements", "CumSum"} & set(found)


def eager(model, x):
    """Keras's own answer, without cuDNN."""
    module = importlib.import_module("keras.src.backend.tensorflow.rnn")
    forced, module.cudnn_ok = module.cudnn_ok, lambda *_, **__: False
    try:
        return np.asarray(model(x))
    finally:
        module.cudnn_ok = forced


@pytest.mark.parametrize("name", ["lstm", "gru", "last", "backwards"])
def test_a_row_ends_at_its_length(on_cudnn, name):
    model = network(LAYERS[name](), masked=True)
    x = np.random.default_rng(0).normal(size=(3, 5, 3)).astype("float32")
    x[0, 3:] = x[1, 1:] = 0.0
    wanted = eager(model, x)
    if wanted.ndim == 3:  # cuDNN writes zeros there, where Keras repeats what came before
        wanted = wanted * np.any(x != 0, -1, keepdims=True)
    for backend in ("numpy", "onnx"):
        np.testing.assert_allclose(dagir.lower(traced(model), backend)(x), wanted, atol=1e-6)


def test_a_saved_model_of_a_gpu_is_read(on_cudnn, tmp_path):
    model = network(LAYERS["last"]())
    archive = keras.export.ExportArchive()
    archive.track(model)
    archive.add_endpoint("serve", lambda x: model(x, training=False), [tf.TensorSpec([None, 7, 3], name="x")])
    archive.write_out(str(tmp_path / "net"), verbose=False)
    read = dagir.from_tensorflow(tmp_path / "net")
    x = np.random.default_rng(2).normal(size=(2, 7, 3)).astype("float32")
    (answer,) = keras.tree.flatten(dagir.lower(read, "onnx")(x))
    np.testing.assert_allclose(answer, eager(model, x), atol=1e-6)
    dagir.to_onnx(read, tmp_path / "net.onnx", verify=True)
    assert "LSTM" in [node.op_type for node in onnx.load(tmp_path / "net.onnx").graph.node]


def test_layers_of_cudnns_own_are_refused():
    spec = [tf.TensorSpec([2, 5, 3]), tf.TensorSpec([2, 2, 4]), tf.TensorSpec([2, 2, 4]), tf.TensorSpec([400])]

    @tf.function(input_signature=spec)
    def two_layers(x, h, c, params):
        lengths = tf.fill([2], 5)
        return tf.raw_ops.CudnnRNNV3(
            input=x, input_h=h, input_c=c, params=params, sequence_lengths=lengths, time_major=False
        )[0]

    with pytest.raises(UnsupportedLayer, match="several layers or directions"):
        dagir.from_tensorflow(two_layers)


def test_a_block_ends_at_its_length():
    rng = np.random.default_rng(3)
    x, w, b = (rng.normal(size=shape).astype("float32") for shape in ((4, 2, 3), (5, 8), (8,)))
    zeros = tf.zeros([2, 2]), tf.zeros([2])

    @tf.function(input_signature=[tf.TensorSpec([None, 2, 3], name="x"), tf.TensorSpec([], tf.int64, name="n")])
    def block(x, n):
        states, peephole = zeros
        found = tf.raw_ops.BlockLSTM(
            seq_len_max=n, x=x, cs_prev=states, h_prev=states, w=w, wci=peephole, wcf=peephole, wco=peephole, b=b
        )
        return found.cs, found.h

    read = dagir.from_tensorflow(block)
    for length in (4, 2):
        wanted = block(x, length)
        for backend in ("numpy", "onnx"):
            for mine, theirs in zip(dagir.lower(read, backend)(x, np.int64(length)), wanted, strict=True):
                np.testing.assert_allclose(mine, theirs, atol=1e-6)
