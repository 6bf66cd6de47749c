"""No layer is forgotten: each has a property test over its arguments against Keras, and runs at sizes not known."""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pytest
from judging import at_three_sizes, randomize

import dagir
from dagir import layers
from dagir.ir.nest import flatten
from dagir.layers.refused import REFUSED
from dagir.testing import assert_equivalent
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


@pytest.mark.parametrize("dtype", ["float64", "float16"])
@pytest.mark.parametrize("name", [name for name in LAYERS if EXAMPLES[name].dtype == "float32"])
def test_on_keras_computes_in_the_dtype_of_its_values(name, dtype):
    """A layer without weights has no dtype of its own in dagir, and in Keras always one, to which it casts."""
    example = EXAMPLES[name]
    inputs = [dagir.Input(shape, dtype=dtype) for shape in example.shapes]
    try:
        model = dagir.Model(inputs, example.call(example.make(dagir, name), inputs))
    except dagir.DTypeError:
        return  # its weights are of float32
    check_on_keras(model, name, dtype)


OF_FLOAT64 = {
    "gelu": lambda own: layers.Dense(3, activation="gelu", **own),
    "leaky_relu": lambda own: layers.Activation("leaky_relu"),
    "ReLU with a slope": lambda own: layers.ReLU(negative_slope=0.1),
    "LeakyReLU inside": lambda own: layers.TimeDistributed(layers.LeakyReLU()),
    "LeakyReLU as activation": lambda own: layers.Dense(3, activation=layers.LeakyReLU(), **own),
    "Dense inside": lambda own: layers.TimeDistributed(layers.Dense(3, **own)),
    "two cells": lambda own: layers.RNN([layers.GRUCell(3, **own), layers.LSTMCell(2, **own)]),
    "Rescaling": lambda own: layers.Rescaling(1 / 255, 0.3, **own),
    "Normalization": lambda own: layers.Normalization(mean=0.3, variance=2.0, **own),
    "MelSpectrogram": lambda own: dagir.Sequential(
        [layers.Flatten(), layers.MelSpectrogram(fft_length=4, sequence_stride=2, max_freq=8000, **own)]
    ),
}


@pytest.mark.parametrize("name", OF_FLOAT64)
def test_on_keras_has_the_digits_of_float64(name):
    x = dagir.Input((5, 6), dtype="float64")
    check_on_keras(dagir.Model(x, OF_FLOAT64[name]({"dtype": "float64"})(x)), name, "float64")


def check_on_keras(model, name, dtype):
    rng = np.random.default_rng(0)
    for weight in model.weights:
        weight.assign(rng.uniform(0.2, 1, weight.shape).astype(weight.dtype.numpy))
    feeds = [rng.uniform(-2, 2, (2, *(size or 3 for size in value.shape[1:]))).astype(dtype) for value in model.inputs]
    try:
        assert_equivalent(model, feeds, ("numpy", "keras"))
    except dagir.BackendError as error:
        assert "Pool" in name and "no kernel" in str(error)
        return
    again = dagir.from_keras(dagir.to_keras(model))
    assert [value.dtype for value in again.outputs] == [value.dtype for value in model.outputs]


def test_a_layer_shared_by_values_of_two_dtypes_is_two_layers_of_keras():
    layer = layers.TimeDistributed(layers.Flatten(name="inner"), name="outer")
    wide, narrow = dagir.Input((2, 3), dtype="float64"), dagir.Input((2, 3))
    model = dagir.Model([wide, narrow], [layer(wide), layer(narrow)])
    rng = np.random.default_rng(0)
    assert_equivalent(model, [rng.normal(size=(2, 2, 3)), rng.normal(size=(2, 2, 3)).astype("float32")])
    made = [each for each in dagir.to_keras(model).layers if isinstance(each, keras.layers.TimeDistributed)]
    assert [(each.name, each.dtype) for each in made] == [("outer", "float64"), ("outer_float32", "float32")]


def test_what_tensorflow_does_not_interpolate_is_one_error():
    x = dagir.Input((4, 4, 2), dtype="float64")
    model = dagir.Model(x, layers.UpSampling2D(interpolation="bilinear", name="grown")(x))
    with pytest.raises(dagir.DagirError, match="TensorFlow interpolates no float64") as caught:
        dagir.to_keras(model)
    assert "TracedLayer" not in str(caught.value) and "grown" in str(caught.value)
