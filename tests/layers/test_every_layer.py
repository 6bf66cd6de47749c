"""No layer is forgotten: each has a property test over its arguments against Keras, and runs at sizes not known."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from judging import at_three_sizes, randomize

import dagir
from dagir.layers.refused import REFUSED
from dagir.structure import flatten
from examples import AUGMENTATION, EXAMPLES, LAYERS

# where the arguments of each layer are drawn by hypothesis, and its outputs held to Keras's own layer
PROPERTY_TESTS = {
    "test_core.py": (
        *("Dense", "EinsumDense", "Embedding", "ReversibleEmbedding", "Identity", "Masking", "Lambda"),
        *("ActivityRegularization", "SpectralNormalization"),
    ),
    "test_activation.py": ("Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"),
    "test_attention.py": ("Attention", "AdditiveAttention", "MultiHeadAttention", "GroupQueryAttention"),
    "test_merging.py": ("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", "Concatenate", "Dot"),
    "test_normalization.py": (
        *("BatchNormalization", "LayerNormalization", "GroupNormalization", "RMSNormalization", "UnitNormalization"),
    ),
    "test_regularization.py": (
        *("Dropout", "AlphaDropout", "GaussianDropout", "GaussianNoise"),
        *(f"SpatialDropout{n}D" for n in (1, 2, 3)),
    ),
    "test_reshaping.py": (
        *("Flatten", "Reshape", "Permute", "RepeatVector"),
        *(f"{kind}{n}D" for kind in ("ZeroPadding", "Cropping", "UpSampling") for n in (1, 2, 3)),
    ),
    "test_conv.py": (
        *(name for n in (1, 2, 3) for name in (f"Conv{n}D", f"Conv{n}DTranspose")),
        *(f"{kind}Conv{n}D" for kind in ("Depthwise", "Separable") for n in (1, 2)),
    ),
    "test_pooling.py": tuple(
        f"{reach}{kind}Pooling{n}D"
        for reach in ("", "Global", "Adaptive")
        for kind in ("Max", "Average")
        for n in (1, 2, 3)
    ),
    "test_convlstm.py": ("ConvLSTM1D", "ConvLSTM2D", "ConvLSTM3D"),
    "test_lookups.py": ("CategoryEncoding", "Discretization", "IntegerLookup", "StringLookup"),
    "test_spectrograms.py": ("STFTSpectrogram", "MelSpectrogram"),
    "test_rnn.py": ("LSTM", "GRU", "SimpleRNN"),
    "test_cells.py": ("LSTMCell", "GRUCell", "SimpleRNNCell", "StackedRNNCells", "RNN"),
    "test_wrappers.py": ("Bidirectional", "TimeDistributed"),
    "test_preprocessing.py": ("Rescaling", "Normalization"),
    "test_resizing.py": ("Resizing", "CenterCrop"),
    "test_augmentation.py": (*AUGMENTATION, "AutoContrast"),
}  # fmt: skip
ALIASES = {name: getattr(dagir.layers, name).__name__ for name in LAYERS}  # MaxPool2D is MaxPooling2D
TESTED_IN = {name: file for file, names in PROPERTY_TESTS.items() for name in names}
FAMILIES = Path(__file__).parent


@pytest.mark.parametrize("name", LAYERS)
def test_has_a_property_test(name):
    file = TESTED_IN.get(ALIASES[name])
    assert file is not None, f"add {name} to PROPERTY_TESTS, with a hypothesis test of its arguments against Keras"
    text = (FAMILIES / file).read_text()
    assert "keras.layers" in text or "judge_of" in text
    if name in AUGMENTATION:  # no argument matters at inference, and all of them are tested by name
        return
    assert "given(" in text or name == "AutoContrast"
    named = ALIASES[name]
    families = {named, named[:-2], named.removesuffix("Transpose")[:-2], named.replace("Pooling", "")[:-2]}
    assert any(each in text for each in families), f"{file} does not test {name}"


def test_what_keras_has_and_dagir_has_not_is_refused_with_a_reason():
    public = {name for name in dir(keras.layers) if isinstance(getattr(keras.layers, name), type)}
    again = {name for name in public if getattr(keras.layers, name).__name__ != name}  # second names, as Convolution1D
    assert sorted(public - again - set(LAYERS) - {"Layer", "InputLayer", "Wrapper", "InputSpec"}) == sorted(REFUSED)


@pytest.mark.parametrize("name", LAYERS)
def test_runs_at_three_sizes(name):
    assert name in EXAMPLES, f"add {name} to tests/examples.py"
    example = EXAMPLES[name]
    inputs, k_inputs = ([home.Input(s, dtype=example.dtype) for s in example.shapes] for home in (dagir, keras))
    layer, judge = example.make(dagir, name), example.make(keras, name)
    model = dagir.Model(inputs, example.call(layer, inputs))
    k_model = keras.Model(k_inputs, example.call(judge, k_inputs))
    if layer.weights and not example.fixed:
        randomize(layer, low=0.2)
        judge.set_weights(layer.get_weights())

    def feeds(batch, time):
        rng = np.random.default_rng(time)
        shapes = [(batch, *(time if size is None else size for size in shape)) for shape in example.shapes]
        if example.dtype == "float32":
            return [rng.uniform(-2, 2, shape).astype("float32") for shape in shapes]
        if example.dtype == "string":
            return [
                np.array(list("abcde"))[rng.integers(0, 5, shape)].astype(dagir.DType.STRING.numpy) for shape in shapes
            ]
        return [rng.integers(0, example.integers, shape).astype(example.dtype) for shape in shapes]

    at_three_sizes(model, k_model, feeds, ((1, 3), (3, 5), (2, 8)))
    for mine, theirs in zip(flatten(model.output), flatten(k_model.output), strict=True):
        assert mine.shape == theirs.shape
