"""Raw operations of Keras are found by name, and called as Keras calls them: held to every class that keras.ops has."""

from __future__ import annotations

import inspect

import keras
import numpy as np
import pytest
from keras import ops as K
from keras.src.ops import core, image, linalg, math, nn, numpy
from keras.src.ops.operation import Operation

import dagir
from dagir import ops
from dagir_keras.reading import operations
from dagir_keras.reading.problems import Refused

CLASSES = {
    name: value
    for module in (core, image, linalg, math, nn, numpy)
    for name, value in vars(module).items()
    if inspect.isclass(value) and issubclass(value, Operation) and value is not Operation
}
KNOWN = [name for name in CLASSES if operations._function(name) is not None]
OTHERWISE = {  # what Keras's operation holds or takes that the function has in another form
    "Einsum": "the subscripts are a field of the operation, and first in the function",
    "StopGradient": "is the identity, of an argument that Keras calls variable",
}


@pytest.mark.parametrize("name", KNOWN)
def test_fields_and_arguments_are_those_of_the_function(name):
    if name in OTHERWISE:
        pytest.skip(OTHERWISE[name])
    if name in operations.RUNS_FUNCTIONS:
        pytest.skip("runs functions: live/control_flow.py")
    cls, function = CLASSES[name], operations._function(name)
    mine = list(inspect.signature(function).parameters)
    fields = [each for each in inspect.signature(cls.__init__).parameters if each not in ("self", "name")]
    called = [each for each in inspect.signature(cls.call).parameters if each != "self"]
    by_name = operations._CALLED_BY_NAME.get(function.__name__)
    missing = [field for field in fields if field not in mine]
    assert set(missing) <= operations._IGNORED.get(function.__name__, set()), missing
    if by_name is None:
        assert mine[: len(called)] == called
    else:
        assert list(by_name) == called
        assert set(by_name) <= set(mine)


def test_every_class_of_a_function_that_dagir_has_is_found():
    theirs = {name.replace("_", "") for module in (numpy, nn, image) for name in dir(module)}
    names = {name.lower(): name for name in CLASSES if name.lower() in theirs}
    mine = {name.replace("_", ""): name for home in (ops, ops.image) for name in home.__all__}
    lost = [mine[folded] for folded, name in names.items() if folded in mine and operations._function(name) is None]
    assert lost == []


@pytest.mark.parametrize(
    ("kind", "said"),
    [
        ("RGBToHSV", r"dagir has no keras\.ops\.image\.rgb_to_hsv"),
        ("SVD", r"dagir has no keras\.ops\.svd: decompositions by"),
        ("Cond", r"keras\.ops\.cond runs functions of Python, which a file does not hold"),
        ("CTCLoss", r"dagir has no keras\.ops\.ctc_loss: losses"),
    ],
)
def test_a_function_that_dagir_has_not_is_called_as_keras_calls_it(kind, said):
    with pytest.raises(Refused, match=said):
        operations.operation(kind, {}, "x")


RAW = {
    "isin": lambda x: K.isin(K.cast(x, "int32"), [0, 1]),
    "searchsorted": lambda x: K.searchsorted(K.array([-1.0, 0.0, 1.0]), x[0, 0]),
    "expand_dims": lambda x: K.expand_dims(x, (1, 3)),
    "resize": lambda x: K.image.resize(x[..., None], (12, 9)),
    "extract_patches": lambda x: K.image.extract_patches(x[..., None], (3, 5)),
    "extract_patches, overlapping": lambda x: K.image.extract_patches(x[..., None], 3, strides=1, padding="same"),
    "pad_images": lambda x: K.image.pad_images(x[..., None], 1, 2, target_height=9, target_width=9),
    "crop_images": lambda x: K.image.crop_images(x[..., None], 1, 2, target_height=3, target_width=2),
    "fft": lambda x: K.add(*K.fft((x, K.flip(x, 0)))),
    "rfft": lambda x: K.irfft(K.rfft(x, 6), 5),
    "stft": lambda x: K.istft(K.stft(x, 2, 1, 2), 2, 1, 2),
    "rgb_to_grayscale": lambda x: K.image.rgb_to_grayscale(K.stack([x, x * 2, -x], -1)),
}


@pytest.mark.parametrize("name", RAW)
def test_a_raw_operation_gives_what_keras_gives(name, tmp_path):
    x = keras.Input((6, 5), name="x")
    made = keras.Model(x, RAW[name](x))
    made.save(tmp_path / "m.keras")
    array = np.random.default_rng(0).normal(size=(2, 6, 5)).astype("float32")
    for source in (made, tmp_path / "m.keras"):
        found = dagir.lower(dagir.from_keras(source))(array)
        np.testing.assert_allclose(found, np.asarray(made(array)), atol=1e-6)


def test_most_operations_are_known():
    assert len(KNOWN) > 150
