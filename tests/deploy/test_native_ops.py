"""Layers become the ops that ONNX has for them, at the default opset and where a newer one has more."""

from __future__ import annotations

import numpy as np
import pytest

import dagir
from examples import EXAMPLES

DEFAULT = None
NATIVE = [  # layer, opset, the op, at most this many nodes in all
    ("Dense", DEFAULT, "MatMul", 2),
    ("EinsumDense", DEFAULT, "MatMul", 3),
    ("Embedding", DEFAULT, "Gather", 3),  # a negative id must fail, not count from the end
    *((f"Conv{n}D", DEFAULT, "Conv", 3) for n in (1, 2, 3)),
    *((f"Conv{n}DTranspose", DEFAULT, "ConvTranspose", 3) for n in (1, 2, 3)),
    *((f"DepthwiseConv{n}D", DEFAULT, "Conv", 3) for n in (1, 2)),
    *((f"SeparableConv{n}D", DEFAULT, "Conv", 4) for n in (1, 2)),
    *((f"MaxPooling{n}D", DEFAULT, "MaxPool", 3) for n in (1, 2, 3)),
    *((f"AveragePooling{n}D", DEFAULT, "AveragePool", 3) for n in (1, 2, 3)),
    *((f"GlobalMaxPooling{n}D", DEFAULT, "ReduceMax", 1) for n in (1, 2, 3)),
    *((f"GlobalAveragePooling{n}D", DEFAULT, "ReduceMean", 1) for n in (1, 2, 3)),
    ("LayerNormalization", DEFAULT, "LayerNormalization", 1),
    ("RMSNormalization", 23, "RMSNormalization", 1),
    ("LSTM", DEFAULT, "LSTM", 4),
    ("GRU", DEFAULT, "GRU", 4),
    ("SimpleRNN", DEFAULT, "RNN", 4),
    ("Bidirectional", DEFAULT, "LSTM", 4),
    ("Attention", 23, "Attention", 5),
    ("UpSampling2D", DEFAULT, "Resize", 3),
    ("LeakyReLU", DEFAULT, "LeakyRelu", 1),
    ("ELU", DEFAULT, "Elu", 1),
    ("ReLU", DEFAULT, "Relu", 1),
    ("PReLU", DEFAULT, "PRelu", 1),
    ("Softmax", DEFAULT, "Softmax", 1),
    ("ConvLSTM2D", DEFAULT, "Scan", 30),
    ("StringLookup", DEFAULT, "LabelEncoder", 4),
]


@pytest.mark.parametrize(("name", "opset", "op_type", "most"), NATIVE, ids=str)
def test_a_layer_is_the_op_that_onnx_has(name, opset, op_type, most):
    example = EXAMPLES[name]
    inputs = [dagir.Input(shape, dtype=example.dtype, name=f"x{place}") for place, shape in enumerate(example.shapes)]
    layer = example.make(dagir, name)
    model = dagir.Model(inputs, example.call(layer, inputs))
    rng = np.random.default_rng(0)
    for weight in () if example.fixed else model.weights:
        weight.assign(rng.uniform(0.5, 1.5, weight.shape))
    found = [node.op_type for node in dagir.to_onnx(model, opset=opset).graph.node]
    assert found.count(op_type) >= 1, found
    assert len(found) <= most, found
    assert "Loop" not in found
